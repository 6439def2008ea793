/** A request as rules ask of it. */
import assert from "node:assert/strict";
import test from "node:test";
import { createRequestIds, isRequestId } from "#l7/headers/request-id.ts";
import { hostOf, viewRequest } from "#l7/request-view.ts";
import { arrivedFrom, headOf, PROXY, STRANGER, settings, termsOf } from "./terms.ts";

const view = (target: string, fields: string[] = [], peer = STRANGER, terms = termsOf()) =>
  viewRequest(headOf(fields, { target }), arrivedFrom(peer), terms);

test("viewRequest() gives path and query, and refuses a path without one meaning (R40)", () => {
  const request = view("/a//b?c=1&c=2&d=%20x+y&e")!;
  assert.equal(request.path, "/a/b");
  assert.equal(request.query, "c=1&c=2&d=%20x+y&e");
  assert.deepEqual(
    ["c", "d", "e", "f"].map((name) => request.queryOf(name)),
    ["1", " x y", "", undefined],
  );
  assert.equal(view("/")!.query, "");
  assert.equal(view("/%00"), undefined);
});
test("cookieOf() reads all Cookie fields, the first of a name, without quotes", () => {
  const request = view("/", ["cookie", 'a=1; b="2 "; a=3;c', "x", "d=0", "cookie", "d=4; __proto__=5"])!;
  const names = ["a", "b", "c", "d", "__proto__", "toString"];
  assert.deepEqual(
    names.map((name) => request.cookieOf(name)),
    ["1", "2 ", undefined, "4", "5", undefined],
  );
});
test("claimOf() reads what a token was verified to say", () => {
  const request = view("/")!;
  assert.equal(request.claimOf("sub"), undefined);
  request.claims = { sub: "me", realm: { roles: ["a", "b"] } };
  assert.deepEqual(
    ["sub", "realm.roles", "x"].map((name) => request.claimOf(name)),
    ["me", "a,b", undefined],
  );
});
test("hostOf() is in lower case, without port and the root's dot", () => {
  const hosts = ["A.Example:80", "a.example.", "a.example.:1", "[2001:DB8::1]:80", "[::1]", "10.0.0.1", ""].map(hostOf);
  assert.deepEqual(hosts, ["a.example", "a.example", "a.example", "[2001:db8::1]", "[::1]", "10.0.0.1", ""]);
});
for (const [name, peer, id, keeps, expected] of [
  ["a good one of a trusted peer", PROXY, "abc-1", true, "abc-1"],
  ["none of a stranger", STRANGER, "abc-1", true, "ours"],
  ["none that is too long", PROXY, "a".repeat(129), true, "ours"],
  ["none with blanks", PROXY, "a b", true, "ours"],
  ["none where ids are not kept", PROXY, "abc-1", false, "ours"],
] as const)
  test(`requestId keeps ${name}`, () => {
    const request = view("/", ["x-request-id", id], peer, termsOf(settings({ requestId: keeps })))!;
    assert.equal(request.requestId, expected);
    assert.equal(request.requestId, expected);
  });

test("createRequestIds() makes UUIDs of version 7 that differ, and asks for random octets rarely", () => {
  let fills = 0;
  let nowMs = 0x0190_1234_5678;
  const next = createRequestIds(
    () => nowMs,
    (octets) => octets.fill(++fills),
  );
  const random = createRequestIds(
    () => nowMs,
    (octets) => crypto.getRandomValues(octets),
  );
  assert.equal(next(), "01901234-5678-7101-8101-010101010101");
  for (let count = 1; count < 1_024; count++) next();
  assert.equal(fills, 1);
  nowMs++;
  assert.equal(next(), "01901234-5679-7202-8202-020202020202");
  const ids = Array.from({ length: 2_000 }, random);
  assert.equal(new Set(ids).size, 2_000);
  for (const id of ids) assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.ok(isRequestId(ids[0]!));
});
