/** Several requests for the same: one goes, the others wait, and none of them for ever. */
import assert from "node:assert/strict";
import test from "node:test";
import { WAIT_MS } from "#l7/cache/bucket.ts";
import type { CacheFill, CacheLookup, CacheWaiter } from "#l7/cache/cache.ts";
import type { Fields } from "#l7/message.ts";
import { gotOf, Site } from "./site.ts";

class Client implements CacheWaiter {
  lookup: CacheLookup;
  calls = 0;
  constructor(site: Site, fields: Fields = [], pool = "pool") {
    this.lookup = site.lookup(fields, {}, this, pool);
  }
  onCached(lookup: CacheLookup): void {
    this.calls++;
    this.lookup = lookup;
  }
  get kind(): CacheLookup["kind"] {
    return this.lookup.kind;
  }
  get fill(): CacheFill {
    assert.ok(this.lookup.kind === "fetch");
    return this.lookup.fill;
  }
  get body(): string {
    assert.ok(this.lookup.kind === "serve");
    return gotOf(this.lookup.hit).body;
  }
}

const clients = (site: Site, count: number, fields: Fields = []): Client[] =>
  Array.from({ length: count }, () => new Client(site, fields));
const kinds = (list: readonly Client[]): string => [...new Set(list.map((client) => client.kind))].join(" ");

/** The backend's answer, to its end or a part of it. */
function answer(fill: CacheFill, fields: Fields, { status = 200, body = "body", ends = true } = {}) {
  const said = fill.answered({ status, fields, bodyOctets: body.length, declaredOctets: undefined });
  assert.ok(said.kind === "send");
  said.writer?.write(Buffer.from(body));
  if (ends) said.writer?.end();
  return said.writer;
}

test("of a hundred requests one goes, and its response is for all, once each", () => {
  const site = new Site();
  const [first, ...others] = clients(site, 100) as [Client, ...Client[]];
  assert.equal(first.kind, "fetch");
  assert.equal(kinds(others), "wait");
  answer(first.fill, ["cache-control", "max-age=60"], { ends: false })!.end();
  assert.equal(kinds(others), "serve");
  assert.deepEqual([others[0]!.body, others[0]!.calls, others[98]!.body], ["body", 1, "body"]);
  assert.equal(site.cache.stats()[0]!.waited, 99);
});

for (const [why, fields] of [
  ["may not be stored", ["cache-control", "no-store"]],
  ["is stale at once", ["cache-control", "max-age=0", "etag", '"a"']],
  ["varies", ["cache-control", "max-age=60", "vary", "a"]],
] as const)
  test(`where the response ${why} each goes by itself`, () => {
    const site = new Site();
    const first = new Client(site, ["a", "0"]);
    const others = clients(site, 9, ["a", "1"]);
    assert.equal(kinds(others), "wait");
    answer(first.fill, [...fields]);
    assert.equal(kinds(others), "fetch");
  });

test("nobody waits for what could not be shared, until some seconds later", () => {
  const site = new Site();
  answer(new Client(site).fill, ["cache-control", "no-store"]);
  assert.equal(kinds(clients(site, 9)), "fetch");
  site.clock.advance(10_000);
  assert.equal(kinds(clients(site, 9).slice(1)), "wait");
});

test("they go as soon as the head says that it is not for them, not when the body is complete", () => {
  const site = new Site();
  const [first, other] = clients(site, 2) as [Client, Client];
  answer(first.fill, ["cache-control", "private"], { ends: false });
  assert.equal(other.kind, "fetch");
});

test("if the client of the one that went leaves, the next goes and the others go on waiting", () => {
  for (const part of ["head", "body"]) {
    const site = new Site();
    const [first, second, third] = clients(site, 3) as [Client, Client, Client];
    if (part === "head") first.fill.abandon();
    else answer(first.fill, ["cache-control", "max-age=60"], { ends: false })!.cancel();
    assert.deepEqual([second.kind, third.kind], ["fetch", "wait"]);
    answer(second.fill, ["cache-control", "max-age=60"], { body: "second" });
    assert.equal(third.body, "second");
    assert.equal(site.cache.stats()[0]!.objects, 1);
  }
});

test("one that leaves while it waits is told nothing", () => {
  const site = new Site();
  const [first, second] = clients(site, 2) as [Client, Client];
  assert.ok(second.lookup.kind === "wait");
  second.lookup.leave();
  answer(first.fill, ["cache-control", "max-age=60"]);
  assert.equal(second.calls, 0);
  const alone = new Site();
  new Client(alone).fill.abandon();
  assert.equal(new Client(alone).kind, "fetch");
});

test("if no backend answers all go by themselves, or are served what is stale", () => {
  for (const staleIfErrorMs of [0, 60_000]) {
    const site = new Site({ staleIfErrorMs });
    answer(new Client(site).fill, ["cache-control", "max-age=1", "etag", '"a"'], { body: "old" });
    site.clock.advance(2_000);
    const [first, ...others] = clients(site, 9) as [Client, ...Client[]];
    assert.equal(kinds(others), "wait");
    assert.equal(first.fill.failed() !== undefined, staleIfErrorMs > 0);
    assert.equal(kinds(others), staleIfErrorMs > 0 ? "serve" : "fetch");
  }
});

test("requests wait for a revalidation as well", () => {
  const site = new Site();
  answer(new Client(site).fill, ["cache-control", "max-age=1", "etag", '"a"'], { body: "old" });
  site.clock.advance(2_000);
  const [first, second] = clients(site, 2) as [Client, Client];
  assert.equal(second.kind, "wait");
  const said = first.fill.answered({
    status: 304,
    fields: ["cache-control", "max-age=60"],
    bodyOctets: 0,
    declaredOctets: undefined,
  });
  assert.equal(said.kind, "serve");
  assert.equal(second.body, "old");
});

test("nobody waits longer than the limit", () => {
  const site = new Site();
  const [first, second] = clients(site, 2) as [Client, Client];
  site.clock.advance(1_000);
  const third = new Client(site);
  site.clock.advance(WAIT_MS - 1_001);
  site.cache.tick();
  assert.equal(second.kind, "wait");
  site.clock.advance(1);
  site.cache.tick();
  assert.deepEqual([second.kind, third.kind], ["fetch", "wait"]);
  answer(first.fill, ["cache-control", "max-age=60"]);
  assert.deepEqual([second.calls, third.kind], [1, "serve"]);
});

for (const [why, fields] of [
  ["a range", ["range", "bytes=0-1"]],
  ["a condition", ["if-none-match", '"a"']],
  ["no-cache", ["cache-control", "no-cache"]],
] as const)
  test(`${why} goes by itself, and nobody waits for it`, () => {
    const site = new Site();
    assert.equal(new Client(site, [...fields]).kind, "fetch");
    const first = new Client(site);
    assert.equal(first.kind, "fetch");
    assert.equal(new Client(site, [...fields]).kind, "fetch");
    assert.equal(new Client(site).kind, "wait");
  });

test("requests that select other variants, as far as is known, do not wait for each other; nor those of other pools", () => {
  const site = new Site();
  answer(new Client(site, ["a", "0"]).fill, ["cache-control", "max-age=60", "vary", "a"]);
  assert.equal(new Client(site, ["a", "1"]).kind, "fetch");
  assert.equal(new Client(site, ["a", "2"]).kind, "fetch");
  assert.equal(new Client(site, ["a", "2"]).kind, "wait");
  assert.equal(new Client(site, ["a", "2"], "other").kind, "fetch");
});
