/** Long random histories of requests, answers, failures and writes: nothing is ever served that RFC 9111 forbids. */
import assert from "node:assert/strict";
import test from "node:test";
import { createSeededRng } from "#base/rng.ts";
import type { CacheFill, CacheHit, CacheLookup, CacheWaiter } from "#l7/cache/cache.ts";
import { type Fields, fieldOf } from "#l7/message.ts";
import type { BodyFilter } from "#l7/route.ts";
import { head, request, textOf } from "./bed.ts";
import { forbidden, type Sent } from "./oracle.ts";
import { Site } from "./site.ts";

const STEPS = 3_000;
const TARGETS = ["/a", "/b", "/a?x", "/c"];
const SAYS = [
  "no-store",
  "private",
  "no-cache",
  "public",
  "must-revalidate",
  "proxy-revalidate",
  "stale-while-revalidate=20",
  "stale-if-error=30",
  "x",
];
const ASKS = [
  "no-cache",
  "no-store",
  "max-age=0",
  "max-age=7",
  "min-fresh=5",
  "max-stale",
  "max-stale=6",
  "only-if-cached",
];

/** One request to the backend that is under way. */
type Flight = {
  readonly fill: CacheFill | undefined;
  readonly exchange: Exchange;
  readonly startedMs: number;
  readonly order: number;
  readonly fields: Fields;
};
type Body = { readonly writer: BodyFilter; readonly id: string };

class World {
  readonly rng: () => number;
  readonly site = new Site();
  readonly sent = new Map<string, Sent>();
  readonly written = new Map<string, number>();
  readonly flights: Flight[] = [];
  readonly bodies: Body[] = [];
  readonly counts = { memory: 0, revalidated: 0, stale: 0, failed: 0, waited: 0 };
  order = 0;
  isFailing = false;

  constructor(seed: number) {
    this.rng = createSeededRng(seed);
  }
  pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.rng() * list.length)]!;
  }
  chance(share: number): boolean {
    return this.rng() < share;
  }

  fieldsToAsk(): Fields {
    const fields: Fields = [];
    if (this.chance(0.3)) fields.push("cache-control", this.pick(ASKS));
    if (this.chance(0.4)) fields.push("a", this.pick(["1", "2"]));
    if (this.chance(0.1)) fields.push("authorization", "x");
    return fields;
  }
  fieldsToSay(): Fields {
    const says: string[] = [];
    if (this.chance(0.8)) says.push(`max-age=${this.pick([0, 5, 10, 30])}`);
    if (this.chance(0.2)) says.push(`s-maxage=${this.pick([0, 5, 20])}`);
    while (this.chance(0.3)) says.push(this.pick(SAYS));
    const fields: Fields = ["date", this.site.date(this.pick([0, 0, 0, -3, 3])), "cache-control", says.join(", ")];
    if (this.chance(0.2)) fields.push("age", this.pick(["0", "4"]));
    return fields;
  }

  /** What the backend says to a request that is under way, or that it fails. */
  answer({ fill, exchange, startedMs, order, fields: got }: Flight): void {
    const { site } = this;
    const { target, method } = exchange;
    const nowMs = site.clock.nowMs();
    const tag = fieldOf(got, "if-none-match");
    if (this.chance(0.15)) {
      exchange.hasFailed = true;
      this.isFailing = true;
      this.counts.failed++;
      const hit = this.chance(0.5) ? fill?.failed() : this.failing(fill, exchange);
      this.isFailing = false;
      if (hit !== undefined) exchange.check(hit);
      return;
    }
    const fields = this.fieldsToSay();
    if (tag !== undefined && this.chance(0.6)) {
      const stored = [...this.sent.values()].find((sent) => fieldOf(sent.fields, "etag") === tag)!;
      const names = new Set(fields.filter((_, at) => at % 2 === 0));
      const kept: Fields = ["age", "x"];
      for (let at = 0; at < stored.fields.length; at += 2) kept.push(stored.fields[at]!, stored.fields[at + 1]!);
      stored.fields = [...fields];
      for (let at = 0; at < kept.length; at += 2)
        if (!names.has(kept[at]!) && kept[at] !== "age") stored.fields.push(kept[at]!, kept[at + 1]!);
      Object.assign(stored, { order, startedMs, cameMs: nowMs });
      exchange.isValidated = true;
      this.counts.revalidated++;
      const answer = fill!.answered({ status: 304, fields, bodyOctets: 0, declaredOctets: undefined });
      assert.equal(answer.kind, "serve");
      if (answer.kind === "serve") exchange.check(answer.hit);
      return;
    }
    const id = `#${++this.order}`;
    if (this.chance(0.6)) fields.push("etag", `"${id}"`);
    if (this.chance(0.3)) fields.push("vary", this.pick(["a", "a, b", "*"]));
    const url = `http://www.example${target}`;
    if (method === "GET")
      this.sent.set(id, { id, url, asked: exchange.asked, fields: fields.slice(), order, startedMs, cameMs: nowMs });
    const answer = fill?.answered({ status: 200, fields, bodyOctets: id.length, declaredOctets: undefined });
    if (answer?.kind === "send" && answer.writer !== undefined) this.bodies.push({ writer: answer.writer, id });
  }
  failing(fill: CacheFill | undefined, exchange: Exchange): CacheHit | undefined {
    const answer = fill?.answered({
      status: 503,
      fields: ["date", this.site.date(), "cache-control", "no-store"],
      bodyOctets: 0,
      declaredOctets: undefined,
    });
    if (answer?.kind === "send") answer.writer?.end();
    return answer?.kind === "serve" && exchange !== undefined ? answer.hit : undefined;
  }

  write(target: string): void {
    const status = this.pick([200, 303, 500]);
    if (status < 400) this.written.set(`http://www.example${target}`, ++this.order);
    this.site.cache.invalidate(head([], { method: "POST", target }), {
      status,
      fields: [],
      bodyOctets: 0,
      declaredOctets: undefined,
    });
  }

  take<T>(list: T[]): T | undefined {
    return list.length === 0 ? undefined : list.splice(Math.floor(this.rng() * list.length), 1)[0];
  }
}

class Exchange implements CacheWaiter {
  readonly world: World;
  readonly target: string;
  readonly method: string;
  readonly asked: Fields;
  /** Of a refresh: nobody gets what comes of it. */
  readonly isBackground: boolean;
  isValidated = false;
  hasFailed = false;

  constructor(world: World, target: string, method: string, asked: Fields, isBackground = false) {
    this.isBackground = isBackground;
    this.world = world;
    this.target = target;
    this.method = method;
    this.asked = asked;
  }
  begin(): void {
    this.onCached(
      this.world.site.route.lookup(
        request(head(this.asked, { target: this.target, method: this.method })),
        "pool",
        this,
      ),
    );
  }
  onCached(lookup: CacheLookup): void {
    const { world } = this;
    if (lookup.kind === "wait") world.counts.waited++;
    // Those that waited for this one.
    if (world.isFailing) this.hasFailed = true;
    if (lookup.kind === "serve") this.check(lookup.hit);
    if (lookup.kind === "fetch") this.send(lookup.fill, this);
    if (lookup.kind === "pass") this.send(undefined, this);
  }
  send(fill: CacheFill | undefined, exchange: Exchange): void {
    const { world } = this;
    const fields = this.asked.slice();
    fill?.editRequest(fields);
    world.flights.push({ fill, exchange, startedMs: world.site.clock.nowMs(), order: ++world.order, fields });
  }
  check(hit: CacheHit): void {
    const { world } = this;
    if (this.isBackground) return;
    world.counts.memory++;
    if (hit.outcome === "stale") world.counts.stale++;
    const url = `http://www.example${this.target}`;
    const sent =
      this.method === "HEAD"
        ? [...world.sent.values()].find(({ fields }) => fieldOf(fields, "etag") === fieldOf(hit.head.fields, "etag"))
        : world.sent.get(textOf(hit.body));
    if (this.method === "HEAD" && fieldOf(hit.head.fields, "etag") === undefined) return;
    assert.ok(sent !== undefined, `nobody ever said ${textOf(hit.body)}`);
    const { asked, isValidated, hasFailed } = this;
    const served = { url, asked, atMs: world.site.clock.nowMs(), isValidated, hasFailed };
    const why = forbidden(sent, served, isValidated ? -1 : (world.written.get(url) ?? -1));
    assert.equal(why, undefined, JSON.stringify({ sent, served, outcome: hit.outcome }));
    if (hit.refresh !== undefined) this.send(hit.refresh, new Exchange(world, this.target, "GET", this.asked, true));
  }
}

for (let seed = 1; seed <= 40; seed++)
  test(`no history serves what RFC 9111 forbids (seed ${seed})`, () => {
    const world = new World(seed);
    for (let step = 0; step < STEPS; step++) {
      const roll = world.rng();
      if (roll < 0.45)
        new Exchange(world, world.pick(TARGETS), world.chance(0.1) ? "HEAD" : "GET", world.fieldsToAsk()).begin();
      else if (roll < 0.7) {
        const flight = world.take(world.flights);
        if (flight !== undefined) world.answer(flight);
      } else if (roll < 0.85) {
        const body = world.take(world.bodies);
        body?.writer.write(Buffer.from(body.id));
        if (world.chance(0.9)) body?.writer.end();
        else body?.writer.cancel();
      } else if (roll < 0.88) world.write(world.pick(TARGETS));
      else if (roll < 0.9) world.take(world.flights)?.fill?.abandon();
      else world.site.clock.advance(Math.floor(world.rng() ** 2 * 12_000));
      if (step % 50 === 0) world.site.cache.tick();
    }
    // A history in which nothing happened would say nothing.
    for (const [what, count] of Object.entries(world.counts)) assert.ok(count > 0, `${what}: ${count}`);
  });
