/** Memory is bounded, what is used often stays, and purging drops what it names. */
import assert from "node:assert/strict";
import test from "node:test";
import { createSeededRng } from "#base/rng.ts";
import { UNKNOWN_LENGTH } from "#l7/message.ts";
import type { BodyFilter } from "#l7/route.ts";
import { rule } from "./bed.ts";
import { Site } from "./site.ts";

const FRESH = ["cache-control", "max-age=600"];

test("whatever comes, in whatever order, the store holds no more than its octets, and counts them right", () => {
  const rng = createSeededRng(3);
  const maxOctets = 200_000;
  const site = new Site({ maxOctets, maxObjectOctets: 80_000 });
  const open: { writer: BodyFilter; left: number }[] = [];
  for (let step = 0; step < 6_000; step++) {
    const roll = rng();
    if (roll < 0.35 || open.length === 0) {
      const isKnown = rng() < 0.5;
      const octets = Math.floor(rng() ** 4 * 100_000);
      const lookup = site.lookup(["a", String(Math.floor(rng() * 3))], { target: `/${Math.floor(rng() ** 2 * 300)}` });
      if (lookup.kind === "wait") lookup.leave();
      if (lookup.kind !== "fetch") continue;
      const fields = [...FRESH, "x-pad", "p".repeat(Math.floor(rng() * 2_000)), ...(rng() < 0.5 ? ["vary", "a"] : [])];
      const answer = lookup.fill.answered({
        status: 200,
        fields,
        bodyOctets: isKnown ? octets : UNKNOWN_LENGTH,
        declaredOctets: undefined,
      });
      if (answer.kind === "send" && answer.writer !== undefined) open.push({ writer: answer.writer, left: octets });
    } else if (roll < 0.9) {
      const at = Math.floor(rng() * open.length);
      const { writer, left } = open[at]!;
      const count = Math.min(left, 1 + Math.floor(rng() * 20_000));
      if (count > 0) writer.write(Buffer.alloc(count));
      open[at]!.left -= count;
      if (left - count > 0) continue;
      writer.end();
      open.splice(at, 1);
    } else if (roll < 0.95) {
      const at = Math.floor(rng() * open.length);
      open[at]!.writer.cancel();
      open.splice(at, 1);
    } else if (roll < 0.96) site.cache.purge({ prefix: `http://www.example/${Math.floor(rng() * 30)}` });
    else site.ask([], { target: `/${Math.floor(rng() * 300)}`, method: "POST" });
    const { octets } = site.cache.stats()[0]!;
    assert.ok(octets >= 0 && octets <= maxOctets, `${octets} octets at step ${step}`);
  }
  const stats = site.cache.stats()[0]!;
  assert.ok(stats.evicted > 100 && stats.stored > 500, JSON.stringify(stats));
  for (const { writer } of open) writer.cancel();
  const { objects } = site.cache.stats()[0]!;
  assert.equal(site.cache.purge({}), objects);
  assert.deepEqual([site.cache.stats()[0]!.octets, site.cache.stats()[0]!.objects], [0, 0]);

  // All room that bodies under way had is free again: the largest fits.
  site.answer = { fields: FRESH, body: "x".repeat(79_000) };
  for (const target of ["/1", "/2"]) site.ask([], { target });
  assert.equal(site.cache.stats()[0]!.objects, 2);
});

test("a body that is said to be longer than it is takes no memory for what did not come", () => {
  const site = new Site({ maxOctets: 10_000_000, maxObjectOctets: 5_000_000 });
  const before = process.memoryUsage().arrayBuffers;
  for (let target = 0; target < 100; target++) {
    const lookup = site.lookup([], { target: `/${target}` });
    assert.ok(lookup.kind === "fetch");
    const answer = lookup.fill.answered({
      status: 200,
      fields: FRESH,
      bodyOctets: 5_000_000,
      declaredOctets: undefined,
    });
    assert.ok(answer.kind === "send");
    answer.writer!.write(Buffer.alloc(1));
  }
  assert.ok(process.memoryUsage().arrayBuffers - before < 10_000_000);
});

for (const octets of [0, 1, 4_095, 65_536, 65_537, 200_000])
  test(`a body of ${octets} octets comes back as it was, of known length and not`, () => {
    for (const bodyOctets of [octets, UNKNOWN_LENGTH]) {
      const site = new Site();
      const body = Buffer.from(Array.from({ length: octets }, (_, at) => at % 251));
      const lookup = site.lookup();
      assert.ok(lookup.kind === "fetch");
      const answer = lookup.fill.answered({ status: 200, fields: FRESH, bodyOctets, declaredOctets: undefined });
      assert.ok(answer.kind === "send");
      for (let from = 0; from < octets; from += 777) {
        // The view is the caller's.
        const view = Buffer.from(body.subarray(from, from + 777));
        answer.writer!.write(view);
        view.fill(0);
      }
      answer.writer!.end();
      const { hit } = site.ask();
      assert.ok(Buffer.concat(hit!.body).equals(body));
      assert.equal(hit!.head.bodyOctets, octets);
      assert.ok(hit!.body.every((piece) => piece.length > 0 && piece.length <= 65_536));
    }
  });

test("a longer response than may be stored passes by, known or not", () => {
  for (const bodyOctets of [1_001, UNKNOWN_LENGTH]) {
    const site = new Site({ maxObjectOctets: 1_000 });
    const lookup = site.lookup();
    assert.ok(lookup.kind === "fetch");
    const answer = lookup.fill.answered({ status: 200, fields: FRESH, bodyOctets, declaredOctets: undefined });
    assert.ok(answer.kind === "send");
    answer.writer?.write(Buffer.alloc(1_001));
    answer.writer?.end();
    assert.equal(site.cache.stats()[0]!.objects, 0);
    assert.equal(site.lookup().kind, "fetch");
  }
});

test("what is asked for often stays while many are asked for once (SIEVE)", () => {
  const site = new Site({ maxOctets: 300_000 });
  site.answer = { fields: FRESH, body: "x".repeat(1_000) };
  for (let target = 0; target < 20; target++) site.ask([], { target: `/often/${target}` });
  for (let target = 0; target < 5_000; target++) {
    site.ask([], { target: `/once/${target}` });
    if (target % 5 === 0) site.ask([], { target: `/often/${(target / 5) % 20}` });
  }
  const before = site.seen.length;
  for (let target = 0; target < 20; target++) site.ask([], { target: `/often/${target}` });
  assert.equal(site.seen.length, before);
});

test("of one URL there are no more than 64 variants", () => {
  const site = new Site();
  site.answer = { fields: [...FRESH, "vary", "a"] };
  for (let value = 0; value < 100; value++) site.ask(["a", String(value)]);
  assert.equal(site.cache.stats()[0]!.objects, 64);
  assert.equal(site.lookup(["a", "99"]).kind, "serve");
  assert.equal(site.lookup(["a", "0"]).kind, "fetch");
});

for (const { what, gone } of [
  { what: {}, gone: ["/a", "/a?x", "/b/c"] },
  { what: { store: "default" }, gone: ["/a", "/a?x", "/b/c"] },
  { what: { store: "other" }, gone: [] },
  { what: { url: "http://www.example/a" }, gone: ["/a"] },
  { what: { url: "http://www.example/" }, gone: [] },
  { what: { prefix: "http://www.example/a" }, gone: ["/a", "/a?x"] },
  { what: { tag: "all" }, gone: ["/a", "/a?x", "/b/c"] },
  { what: { tag: "t:/b/c" }, gone: ["/b/c"] },
  { what: { tag: "t:/b" }, gone: [] },
  { what: { prefix: "http://www.example/a", tag: "t:/b/c" }, gone: [] },
])
  test(`purge(${JSON.stringify(what)}) drops ${gone.join(" ") || "nothing"}`, () => {
    const site = new Site();
    const targets = ["/a", "/a?x", "/b/c"];
    for (const target of targets) {
      site.answer = { fields: [...FRESH, "surrogate-key", `all t:${target}`, "cache-tag", "x,y"] };
      site.ask([], { target });
    }
    assert.equal(site.cache.purge(what), gone.length);
    for (const target of targets)
      assert.equal(
        site.lookup([], { target }).kind === "fetch",
        gone.some((other) => other === target),
      );
    assert.equal(site.cache.stats()[0]!.purged, gone.length);
  });

test("what is purged while it is fetched is not stored", () => {
  for (const [what, isStored] of [
    [{}, false],
    [{ url: "http://www.example/" }, false],
    [{ tag: "unknown yet" }, false],
    [{ url: "http://www.example/other" }, true],
    [{ store: "other" }, true],
  ] as const) {
    const site = new Site();
    const lookup = site.lookup();
    assert.ok(lookup.kind === "fetch");
    const answer = lookup.fill.answered({ status: 200, fields: FRESH, bodyOctets: 0, declaredOctets: undefined });
    site.cache.purge(what);
    assert.ok(answer.kind === "send");
    answer.writer!.end();
    assert.equal(site.lookup().kind === "serve", isStored, JSON.stringify(what));
  }
});

test("a store that is configured smaller lets go of what is too much", () => {
  const site = new Site({ maxOctets: 100_000 });
  site.answer = { fields: FRESH, body: "x".repeat(5_000) };
  for (let target = 0; target < 10; target++) site.ask([], { target: `/${target}` });
  site.cache.route("web", rule({ maxOctets: 20_000 }));
  const { octets, objects } = site.cache.stats()[0]!;
  assert.ok(octets <= 20_000 && objects > 0);
});

test("stats() counts", () => {
  const site = new Site();
  site.answer = { fields: ["cache-control", "max-age=10", "etag", '"a"'], body: "x" };
  site.ask();
  site.ask();
  site.ask([], { method: "POST" });
  site.ask();
  site.clock.advance(20_000);
  site.ask(["cache-control", "max-stale"]);
  site.answer = { status: 304, fields: [] };
  site.ask();
  const { hits, stale, misses, revalidated, passed, stored, objects } = site.cache.stats()[0]!;
  assert.deepEqual(
    { hits, stale, misses, revalidated, passed, stored, objects },
    { hits: 2, stale: 1, misses: 3, revalidated: 1, passed: 1, stored: 2, objects: 1 },
  );
});
