/** Whether a response is compressed, and its head: tables. */
import assert from "node:assert/strict";
import test from "node:test";
import { createManualClock } from "#base/clock.ts";
import type { Compression } from "#l7/compress/compression.ts";
import { createCompression } from "#l7/compress/create-compression.ts";
import { type Fields, type ResponseHead, UNKNOWN_LENGTH } from "#l7/message.ts";
import { head } from "../cache/bed.ts";

const SPEC = {
  algorithms: ["zstd", "br", "gzip"],
  minOctets: 1024,
  types: ["text/*", "application/json"],
  level: undefined,
} as const;
const compression: Compression = createCompression(SPEC, { clock: createManualClock(), waiting: () => {} });

const page = (fields: Fields = [], more: Partial<ResponseHead> = {}): ResponseHead => ({
  status: 200,
  fields: ["content-type", "text/html; charset=utf-8", ...fields],
  bodyOctets: 5000,
  declaredOctets: undefined,
  ...more,
});
const choose = (response: ResponseHead, method = "GET", accepted: Fields = ["accept-encoding", "gzip"]) =>
  compression.choose(head(accepted, { method }), response);

for (const [why, response] of [
  ["is too short", page([], { bodyOctets: 1023 })],
  ["is empty", page([], { bodyOctets: 0 })],
  ["is of another type", page([], { fields: ["content-type", "image/png"] })],
  ["has no type", page([], { fields: [] })],
  ["is encoded already", page(["content-encoding", "br"])],
  ["is a part", page(["content-range", "bytes 0-9/20"], { status: 206 })],
  ["names a range", page(["content-range", "bytes 0-4999/9000"])],
  ["must not be changed", page(["cache-control", "max-age=60, No-Transform"])],
  ["must not be changed, in a second field", page(["cache-control", "max-age=60", "cache-control", "no-transform"])],
  ["has no content", page([], { status: 204, bodyOctets: 0 })],
  ["is not modified", page([], { status: 304, bodyOctets: 0 })],
  ["switches protocols", page([], { status: 101, bodyOctets: UNKNOWN_LENGTH })],
] as const)
  test(`choose() leaves alone what ${why}`, () => assert.equal(choose(response), undefined));

for (const [why, given, expected] of [
  ["names the coding", [], ["content-encoding", "gzip", "vary", "accept-encoding"]],
  [
    "makes a strong tag weak",
    ["etag", '"a"'],
    ["etag", 'W/"a"', "content-encoding", "gzip", "vary", "accept-encoding"],
  ],
  ["keeps a weak tag", ["etag", 'W/"a"'], ["etag", 'W/"a"', "content-encoding", "gzip", "vary", "accept-encoding"]],
  ["offers no ranges", ["accept-ranges", "bytes"], ["content-encoding", "gzip", "vary", "accept-encoding"]],
  [
    "drops sums of the octets",
    ["content-md5", "x", "content-digest", "y"],
    ["content-encoding", "gzip", "vary", "accept-encoding"],
  ],
  ["adds to Vary", ["vary", "Cookie"], ["content-encoding", "gzip", "vary", "Cookie, accept-encoding"]],
  ["joins fields of Vary", ["vary", "a", "vary", "b"], ["content-encoding", "gzip", "vary", "a, b, accept-encoding"]],
  ["leaves Vary that has it", ["vary", "Accept-Encoding"], ["content-encoding", "gzip", "vary", "Accept-Encoding"]],
  ["leaves Vary of all", ["vary", "*"], ["content-encoding", "gzip", "vary", "*"]],
  [
    "takes identity for none",
    ["content-encoding", "identity"],
    ["content-encoding", "gzip", "vary", "accept-encoding"],
  ],
] as const)
  test(`choose() ${why}`, () => {
    const choice = choose(page([...given]))!;
    assert.equal(choice.coding, "gzip");
    assert.deepEqual(choice.head.fields.slice(2), expected);
    assert.equal(choice.head.bodyOctets, UNKNOWN_LENGTH);
  });

test("choose() says Vary to who takes no coding, and leaves the rest", () => {
  for (const accepted of [[], ["accept-encoding", "identity"], ["accept-encoding", "deflate"]]) {
    const choice = choose(page(["etag", '"a"']), "GET", accepted)!;
    assert.equal(choice.coding, undefined);
    assert.deepEqual(choice.head.fields.slice(2), ["etag", '"a"', "vary", "accept-encoding"]);
    assert.equal(choice.head.bodyOctets, 5000);
  }
});

test("choose() of a HEAD says what a GET would", () => {
  const { coding, head: sent } = choose(page([], { bodyOctets: 0, declaredOctets: 5000 }), "HEAD")!;
  assert.equal(coding, "gzip");
  assert.equal(sent.bodyOctets, 0);
  assert.equal(sent.declaredOctets, undefined);
  assert.deepEqual(sent.fields.slice(2), choose(page())!.head.fields.slice(2));
  assert.equal(choose(page([], { bodyOctets: 0, declaredOctets: 100 }), "HEAD"), undefined);
});

test("choose() takes what has no known length", () =>
  assert.equal(choose(page([], { bodyOctets: UNKNOWN_LENGTH }))!.coding, "gzip"));

test("choose() leaves the head that it was given as it is", () => {
  const given = page(["etag", '"a"', "vary", "a"]);
  const before = structuredClone(given);
  choose(given);
  assert.deepEqual(given, before);
});

test("choose() says Vary in one field to who takes no coding", () =>
  assert.deepEqual(choose(page(["vary", "Cookie"]), "GET", [])!.head.fields.slice(2), [
    "vary",
    "Cookie, accept-encoding",
  ]));
