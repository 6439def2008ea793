/** R39: what backends are told of the client, of trusted peers and of others. */
import assert from "node:assert/strict";
import test from "node:test";
import { addressOf, createTrust, forwardedFor, MAX_HOPS } from "#l7/headers/client-address.ts";
import { createForwarded } from "#l7/headers/forwarded.ts";
import type { Fields } from "#l7/message.ts";
import { viewRequest } from "#l7/request-view.ts";
import type { ForwardedSpec } from "#state/http.ts";
import { arrivedFrom, headOf, PROXY, STRANGER, settings, termsOf } from "./terms.ts";

function edited(peer: string, fields: Fields, change: Partial<ForwardedSpec> = {}): Fields {
  const spec = settings(change);
  const request = viewRequest(headOf(fields), arrivedFrom(peer), termsOf(spec))!;
  const out = fields.slice();
  createForwarded(spec).edit(out, request);
  return out;
}

const CLAIMS: Fields = [
  ...["x-forwarded-for", "203.0.113.5, 203.0.113.6", "x-forwarded-proto", "http", "x-forwarded-host", "b.example"],
  ...["x-forwarded-port", "80", "x-forwarded-prefix", "/p", "x-real-ip", "203.0.113.7", "x-request-id", "theirs"],
  ...["forwarded", "for=203.0.113.8", "x-http-method-override", "PUT", "accept", "*/*"],
];
test("R39: what a stranger says of clients is taken out, and X-HTTP-Method-Override is left alone", () => {
  assert.deepEqual(edited(STRANGER, CLAIMS), [
    ...["x-http-method-override", "PUT", "accept", "*/*"],
    ...["x-forwarded-for", STRANGER, "x-forwarded-proto", "https", "x-forwarded-host", "a.example:8443"],
    ...["x-forwarded-port", "8443", "x-real-ip", STRANGER, "x-request-id", "ours"],
  ]);
});
test("R39: it is taken out even where we say nothing ourselves", () => {
  const silent = { xForwardedFor: false, xForwarded: false, xRealIp: false, requestId: false };
  assert.deepEqual(edited(STRANGER, CLAIMS, silent), ["x-http-method-override", "PUT", "accept", "*/*"]);
});
test("R39: a trusted peer is believed, and its address added", () => {
  assert.deepEqual(edited(PROXY, CLAIMS), [
    ...["x-forwarded-proto", "http", "x-forwarded-host", "b.example", "x-forwarded-port", "80"],
    ...["x-forwarded-prefix", "/p", "forwarded", "for=203.0.113.8", "x-http-method-override", "PUT", "accept", "*/*"],
    ...["x-forwarded-for", `203.0.113.5, 203.0.113.6, ${PROXY}`, "x-real-ip", "203.0.113.6", "x-request-id", "theirs"],
  ]);
});
test("R39: fields of a trusted peer that come twice are one", () => {
  const out = edited(PROXY, [
    "x-forwarded-for",
    "::1",
    "x-forwarded-proto",
    "http",
    "x-forwarded-for",
    "::2",
    "x-forwarded-proto",
    "x",
  ]);
  assert.deepEqual(out.slice(0, 4), ["x-forwarded-proto", "http", "x-forwarded-for", `::1, ::2, ${PROXY}`]);
});
test("Forwarded and Via: ours are added, IPv6 and ports are quoted (RFC 7239 §6)", () => {
  const only = {
    xForwardedFor: false,
    xForwarded: false,
    xRealIp: false,
    requestId: false,
    forwarded: true,
    via: "rhumb",
  };
  assert.deepEqual(edited(STRANGER, ["via", "1.0 x", "forwarded", "for=1.2.3.4"], only), [
    ...["forwarded", `for=${STRANGER};by=198.51.100.1;host="a.example:8443";proto=https`, "via", "1.0 x, 1.1 rhumb"],
  ]);
  assert.deepEqual(edited("2001:db8:1::2", ["forwarded", 'for="[::5]:1"'], only).slice(0, 2), [
    ...["forwarded", 'for="[::5]:1", for="[2001:db8:1::2]";by=198.51.100.1;host="a.example:8443";proto=https'],
  ]);
});

for (const [name, peer, fields, hops, client] of [
  ["a stranger, whatever it says", STRANGER, ["x-forwarded-for", "203.0.113.5"], 1, STRANGER],
  ["a trusted peer that says nothing", PROXY, [], 1, PROXY],
  ["what a trusted peer says", PROXY, ["x-forwarded-for", "203.0.113.5"], 1, "203.0.113.5"],
  ["the last of a list", PROXY, ["x-forwarded-for", "1.1.1.1, 203.0.113.5"], 1, "203.0.113.5"],
  ["the last of two fields", PROXY, ["x-forwarded-for", "1.1.1.1", "x-forwarded-for", "203.0.113.5"], 1, "203.0.113.5"],
  ["the second last, of two hops", PROXY, ["x-forwarded-for", "9.9.9.9, 203.0.113.5, 10.0.0.2"], 2, "203.0.113.5"],
  ["the first, of more hops than there are", PROXY, ["x-forwarded-for", "203.0.113.5"], 3, "203.0.113.5"],
  ["the peer, of no hops", PROXY, ["x-forwarded-for", "203.0.113.5"], 0, PROXY],
  ["the peer, where the last is no address", PROXY, ["x-forwarded-for", "203.0.113.5, unknown"], 2, PROXY],
  ["the nearest that is known", PROXY, ["x-forwarded-for", "1.1.1.1, evil, 203.0.113.5"], 3, "203.0.113.5"],
  ["IPv6 in brackets, with a port", PROXY, ["x-forwarded-for", "[2001:DB8::0:5]:99"], 1, "2001:db8::5"],
  ["Forwarded", PROXY, ["forwarded", 'for=1.1.1.1, For="[2001:db8::5]:1";proto=http'], 1, "2001:db8::5"],
  ["Forwarded with a comma in quotes", PROXY, ["forwarded", 'for=203.0.113.5;host="a,for=1.1.1.1"'], 1, "203.0.113.5"],
  [
    "X-Forwarded-For before Forwarded",
    PROXY,
    ["forwarded", "for=1.1.1.1", "x-forwarded-for", "203.0.113.5"],
    1,
    "203.0.113.5",
  ],
] as const)
  test(`R39: the client is ${name}`, () => {
    const trust = createTrust(settings({ hops }));
    assert.equal(trust.clientOf(peer, headOf([...fields])), client);
  });
test(`R39: no more than ${MAX_HOPS} hops are read`, () => {
  const list = Array.from({ length: 50 }, (_, index) => `10.1.0.${index}`).join(",");
  const trust = createTrust(settings({ hops: 1_000 }));
  assert.equal(trust.clientOf(PROXY, headOf(["x-forwarded-for", list])), `10.1.0.${50 - MAX_HOPS}`);
});
test("R39: who is trusted is known by network, mapped addresses too", () => {
  const trust = createTrust(settings());
  for (const [address, isTrusted] of [
    ["10.255.0.1", true],
    ["11.0.0.1", false],
    ["::ffff:10.0.0.1", true],
    ["2001:db8:1::5", true],
    ["2001:db8:2::5", false],
    ["", false],
  ] as const)
    assert.equal(trust.isTrusted(address), isTrusted, address);
  assert.equal(createTrust(settings({}, [])).isTrusted(PROXY), false);
});

test("addressOf() takes addresses with and without ports, and nothing else", () => {
  const taken = ["1.2.3.4", " 1.2.3.4\t", "1.2.3.4:80", "::1", "[::1]", "[::1]:80"].map(addressOf);
  assert.deepEqual(taken, ["1.2.3.4", "1.2.3.4", "1.2.3.4", "::1", "::1", "::1"]);
  for (const text of [
    "",
    "unknown",
    "_hidden",
    "1.2.3",
    "[::1",
    "[::1]x",
    "1.2.3.4:x",
    "1.2.3.4:",
    "a.example",
    "::1]:80",
  ])
    assert.equal(addressOf(text), undefined, text);
});
test("forwardedFor() reads one name of each element", () => {
  assert.deepEqual(forwardedFor('for=a, proto=http;FOR="b\\"c" ,by=d, for="'), ["a", 'b"c', "", '"']);
  assert.deepEqual(forwardedFor(undefined), []);
});
