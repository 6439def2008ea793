/** Responses made from stored ones: conditions, ranges, HEAD, Cache-Status (RFC 9110 §13 and §14, RFC 9211). */
import assert from "node:assert/strict";
import test from "node:test";
import { type Fields, fieldOf } from "#l7/message.ts";
import { textOf } from "./bed.ts";
import { Site } from "./site.ts";

const BODY = "0123456789";

function warm(fields: Fields = []): Site {
  const site = new Site();
  site.answer = { fields: ["cache-control", "max-age=600", ...fields], body: BODY };
  site.ask();
  return site;
}

for (const { tag = '"a"', asks, status } of [
  { asks: ["if-none-match", '"a"'], status: 304 },
  { asks: ["if-none-match", 'W/"a"'], status: 304 },
  { tag: 'W/"a"', asks: ["if-none-match", '"a"'], status: 304 },
  { asks: ["if-none-match", '"b"'], status: 200 },
  { asks: ["if-none-match", '"b", "a"'], status: 304 },
  { asks: ["if-none-match", '"b"', "if-none-match", '"a"'], status: 304 },
  { asks: ["if-none-match", "*"], status: 304 },
  { asks: ["if-none-match", "a"], status: 200 },
  { asks: ["if-none-match", '"b,"a""'], status: 200 },
  { asks: ["if-none-match", '"b"', "if-modified-since", "Thu, 01 Jan 2026 00:00:00 GMT"], status: 200 },
  { asks: ["if-modified-since", "Wed, 31 Dec 2025 00:00:00 GMT"], status: 304 },
  { asks: ["if-modified-since", "Wednesday, 31-Dec-25 00:00:00 GMT"], status: 304 },
  { asks: ["if-modified-since", "Wed Dec 31 00:00:00 2025"], status: 304 },
  { asks: ["if-modified-since", "Tue, 30 Dec 2025 23:59:59 GMT"], status: 200 },
  { asks: ["if-modified-since", "yesterday"], status: 200 },
  { asks: ["if-none-match", '"a"', "range", "bytes=0-1"], status: 304 },
])
  test(`a stored ${tag} answers ${JSON.stringify(asks)} with ${status}`, () => {
    const site = warm([
      "etag",
      tag,
      "last-modified",
      "Wed, 31 Dec 2025 00:00:00 GMT",
      "x-a",
      "1",
      "content-type",
      "text/plain",
    ]);
    const got = site.ask(asks);
    assert.deepEqual([got.from, got.status, got.body], ["memory", status, status === 200 ? BODY : ""]);
    if (status === 304) {
      const names = got.fields.filter((_, at) => at % 2 === 0).sort();
      assert.deepEqual(names, ["age", "cache-control", "cache-status", "date", "etag", "last-modified"]);
      assert.equal(got.hit!.head.declaredOctets, undefined);
    }
  });

for (const { range, more = [], status, body, told } of [
  { range: "bytes=0-3", status: 206, body: "0123", told: "bytes 0-3/10" },
  { range: "bytes=4-", status: 206, body: "456789", told: "bytes 4-9/10" },
  { range: "bytes=-3", status: 206, body: "789", told: "bytes 7-9/10" },
  { range: "bytes=-99", status: 206, body: BODY, told: "bytes 0-9/10" },
  { range: "bytes=9-99999999999999999999999", status: 206, body: "9", told: "bytes 9-9/10" },
  { range: "BYTES=0-0", status: 206, body: "0", told: "bytes 0-0/10" },
  { range: "bytes=10-", status: 416, body: "", told: "bytes */10" },
  { range: "bytes=-0", status: 416, body: "", told: "bytes */10" },
  { range: "bytes=3-2", status: 200, body: BODY, told: undefined },
  { range: "bytes=-", status: 200, body: BODY, told: undefined },
  { range: "bytes=0-1,3-4", status: 200, body: BODY, told: undefined },
  { range: "lines=0-1", status: 200, body: BODY, told: undefined },
  { range: "bytes=0-1", more: ["if-range", '"a"'], status: 206, body: "01", told: "bytes 0-1/10" },
  { range: "bytes=0-1", more: ["if-range", '"b"'], status: 200, body: BODY, told: undefined },
  { range: "bytes=0-1", more: ["if-range", 'W/"a"'], status: 200, body: BODY, told: undefined },
  {
    range: "bytes=0-1",
    more: ["if-range", "Wed, 31 Dec 2025 00:00:00 GMT"],
    status: 206,
    body: "01",
    told: "bytes 0-1/10",
  },
  { range: "bytes=0-1", more: ["if-range", "Wed, 31 Dec 2025 00:00:01 GMT"], status: 200, body: BODY, told: undefined },
])
  test(`Range: ${range} ${more.join(" ")} is answered with ${status}`, () => {
    const site = warm(["etag", '"a"', "last-modified", "Wed, 31 Dec 2025 00:00:00 GMT"]);
    const got = site.ask(["range", range, ...more]);
    assert.deepEqual(
      [got.from, got.status, got.body, fieldOf(got.fields, "content-range")],
      ["memory", status, body, told],
    );
    assert.equal(got.hit!.head.bodyOctets, body.length);
  });

test("If-Range with a date that may stand for two versions of the same second gets the whole", () => {
  const site = new Site();
  const changed = site.date();
  site.answer = { fields: ["cache-control", "max-age=600", "last-modified", changed], body: BODY };
  site.ask();
  assert.equal(site.ask(["range", "bytes=0-1", "if-range", changed]).status, 200);
});

test("a range goes over the pieces of a long body", () => {
  const site = new Site();
  const body = Array.from({ length: 300_000 }, (_, at) => String.fromCharCode(97 + (at % 26))).join("");
  site.answer = { fields: ["cache-control", "max-age=600"], body };
  site.ask();
  assert.ok(site.ask().hit!.body.length > 3);
  for (const [first, last] of [
    [0, 299_999],
    [65_535, 65_536],
    [65_536, 131_071],
    [100, 299_000],
  ] as const)
    assert.equal(site.ask(["range", `bytes=${first}-${last}`]).body, body.slice(first, last + 1));
});

test("a range of what is not stored goes to the backend, and a 206 is not stored", () => {
  const site = new Site();
  site.answer = { status: 206, fields: ["cache-control", "max-age=600", "content-range", "bytes 0-1/10"], body: "01" };
  assert.equal(site.ask(["range", "bytes=0-1"]).body, "01");
  assert.deepEqual(site.seen[0]!.fields, ["range", "bytes=0-1"]);
  site.answer = { body: BODY };
  assert.equal(site.ask().body, BODY);
});

test("a 206 for a stale response does not drop it", () => {
  const site = new Site({ staleIfErrorMs: 60_000 });
  site.answer = { fields: ["cache-control", "max-age=1"], body: BODY };
  site.ask();
  site.clock.advance(2_000);
  site.answer = { status: 206, fields: ["content-range", "bytes 0-1/10"], body: "01" };
  site.ask(["range", "bytes=0-1"]);
  site.answer = "down";
  assert.equal(site.ask().body, BODY);
});

test("HEAD is answered from what a GET stored, with its length and without its body", () => {
  const { hit } = warm().ask([], { method: "HEAD" });
  assert.deepEqual(
    [hit!.head.status, hit!.head.bodyOctets, hit!.head.declaredOctets, textOf(hit!.body)],
    [200, 0, 10, ""],
  );
});

test("a HEAD is not stored: a GET after it goes to the backend", () => {
  const site = new Site();
  site.answer = { fields: ["cache-control", "max-age=600"], body: BODY };
  site.ask([], { method: "HEAD" });
  assert.equal(site.ask().from, "backend");
});

test("what a caller does with the fields of a hit changes nothing that is stored", () => {
  const site = warm(["x-a", "1"]);
  site.ask().fields.length = 0;
  assert.equal(fieldOf(site.ask().fields, "x-a"), "1");
});

test("Cache-Status says what happened", () => {
  const site = new Site();
  const status = (fields: Fields = [], more = {}) => fieldOf(site.ask(fields, more).fields, "cache-status");
  site.answer = { fields: ["cache-control", "max-age=60", "etag", '"a"', "vary", "a"] };
  assert.equal(status(), "rhumb; fwd=uri-miss; stored");
  site.clock.advance(1_500);
  assert.equal(status(), "rhumb; hit; ttl=58");
  assert.equal(status(["a", "1"]), "rhumb; fwd=vary-miss; stored");
  assert.equal(status(["cache-control", "no-cache"]), "rhumb; fwd=request; stored");
  site.clock.advance(70_000);
  assert.equal(status(["cache-control", "max-stale"]), "rhumb; hit; ttl=-11");
  site.answer = { status: 304, fields: [] };
  assert.equal(status(), "rhumb; fwd=stale; fwd-status=304");
  site.answer = { fields: ["cache-control", "no-store"] };
  assert.equal(status([], { target: "/other" }), "rhumb; fwd=uri-miss");
});

test("Cache-Status is not added where the rule does not want it", () => {
  const site = new Site({ addsStatus: false });
  site.answer = { fields: ["cache-control", "max-age=60"] };
  for (let turn = 0; turn < 2; turn++) assert.equal(fieldOf(site.ask().fields, "cache-status"), undefined);
});
