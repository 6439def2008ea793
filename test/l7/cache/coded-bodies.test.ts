/** What compression made of a stored body is kept with it, within its size, and leaves with it. */
import assert from "node:assert/strict";
import test from "node:test";
import type { CodedVariants } from "#l7/cache/cache.ts";
import { Site } from "./site.ts";

const BODY_OCTETS = 10_000;

function siteWith(maxOctets = 1_000_000): { site: Site; coded: CodedVariants; octets: () => number } {
  const site = new Site({ maxOctets });
  site.answer = { fields: ["cache-control", "max-age=600"], body: "x".repeat(BODY_OCTETS) };
  site.ask();
  return { site, coded: site.ask().hit!.coded!, octets: () => site.cache.stats()[0]!.octets };
}
function keep(coded: CodedVariants, variant: string, octets: number): void {
  const copy = coded.copy(variant)!;
  copy.write(Buffer.alloc(octets, variant));
  copy.end();
}

test("a body that was compressed is found by the next hit, and counts for the store", () => {
  const { site, coded, octets } = siteWith();
  const before = octets();
  keep(coded, "gzip 6", 3_000);
  const found = site.ask().hit!.coded!.get("gzip 6")!;
  assert.deepEqual([found.octets, Buffer.concat([...found.pieces])], [3_000, Buffer.alloc(3_000, "gzip 6")]);
  assert.equal(coded.get("gzip 9"), undefined);
  assert.equal(octets() - before, 3_000);
  site.cache.purge({});
  assert.equal(octets(), 0);
});

test("one request at a time copies a coding; one that is given up leaves it to the next", () => {
  const { coded, octets } = siteWith();
  const before = octets();
  const copy = coded.copy("br 4")!;
  copy.write(Buffer.alloc(100));
  assert.equal(coded.copy("br 4"), undefined);
  copy.cancel();
  assert.equal(octets(), before);
  keep(coded, "br 4", 200);
  assert.equal(coded.get("br 4")!.octets, 200);
});

test("all codings together are no longer than the body, whatever ends first", () => {
  const { coded, octets } = siteWith();
  const before = octets();
  const [gzip, br] = [coded.copy("gzip")!, coded.copy("br")!];
  gzip.write(Buffer.alloc(6_000));
  br.write(Buffer.alloc(6_000));
  gzip.end();
  br.end();
  assert.deepEqual([coded.get("gzip")?.octets, coded.get("br")], [6_000, undefined]);
  assert.equal(octets() - before, 6_000);
  const long = coded.copy("zstd")!;
  long.write(Buffer.alloc(4_001));
  long.end();
  assert.equal(coded.get("zstd"), undefined);
  assert.equal(coded.copy("zstd"), undefined, "what did not fit is not tried again");
});

test("what leaves the store while it is compressed is not kept", () => {
  const { site, coded, octets } = siteWith();
  const copy = coded.copy("gzip")!;
  copy.write(Buffer.alloc(100));
  site.cache.purge({});
  copy.end();
  assert.equal(coded.get("gzip"), undefined);
  assert.equal(octets(), 0);
  assert.equal(coded.copy("gzip"), undefined);
});

test("parts of a body, and answers without one, have no codings", () => {
  const { site } = siteWith();
  assert.equal(site.ask(["range", "bytes=0-9"]).hit!.coded, undefined);
  assert.equal(site.ask([], { method: "HEAD" }).hit!.coded, undefined);
  assert.equal(site.ask(["if-modified-since", site.date()]).hit!.coded, undefined);
});
