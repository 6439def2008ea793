/** Beacons without HTTP: tokens, limits, replay, and how hard it is to lie. */
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import test from "node:test";
import fc from "fast-check";
import { parseIp } from "#base/ip.ts";
import { createSeededRng } from "#base/rng.ts";
import { sipKey } from "#base/siphash.ts";
import { createBeaconAggregate, HALF_LIFE_MS, MAX_GROUPS, MAX_NETWORKS, MIN_NETWORKS } from "#rum/aggregate.ts";
import { MAX_BEACON_OCTETS, readBeacon } from "#rum/beacon.ts";
import { createBeaconDesk } from "#rum/desk.ts";
import { networkOf } from "#rum/network-key.ts";
import { makeToken, readToken, TOKEN_LIFE_MS } from "#rum/token.ts";
import { createUses } from "#rum/uses.ts";

const KEY = "key-of-the-test-0123456789abcdef0";
const NOW = 1_800_000_000_000;
const regions = ["eu-west", "us-east"];
const hashKey = sipKey(new Uint8Array(16).fill(7));
const addressOf = (text: string): Uint8Array => parseIp(text)!;

function openDesk(rate = { total: 1_000, network: 1_000 }) {
  return createBeaconDesk({
    spec: () => ({ key: KEY, rate }),
    isRegion: (id) => regions.includes(id),
    locate: (address) => ({ asn: address[0] === 9 ? 0 : 64_500, country: "DE" }),
    hashKey,
  });
}
const bodyOf = (token: string, ms = 20, region = "eu-west"): Buffer =>
  Buffer.from(JSON.stringify({ token, measurements: [{ region, ms }] }));

test("a token made by hand as the documentation has it is read", () => {
  const payload = Buffer.from('{"t":1800000000,"r":["eu-west"],"i":"a1","n":"198.51.100.0/24"}').toString("base64url");
  const mac = createHmac("sha256", KEY).update(`v1.${payload}`).digest("base64url");
  const token = readToken(`v1.${payload}.${mac}`, KEY, NOW);
  assert.deepEqual(token, { issuedAtMs: NOW, regions: ["eu-west"], network: "198.51.100.0/24", id: mac });
});

test("tokens live ten minutes, and no octet of them may change", () => {
  const token = makeToken({ regions, atMs: NOW, nonce: "i" }, KEY);
  assert.equal(typeof readToken(token, KEY, NOW + TOKEN_LIFE_MS), "object");
  assert.equal(readToken(token, KEY, NOW + TOKEN_LIFE_MS + 1_001), "expired");
  assert.equal(readToken(token, KEY, NOW - 61_000), "expired");
  assert.equal(readToken(token, `${KEY}x`, NOW), "forged");
  for (let at = 0; at < token.length; at++) {
    const other = `${token.slice(0, at)}${token[at] === "A" ? "B" : "A"}${token.slice(at + 1)}`;
    const read = readToken(other, KEY, NOW);
    // The last character of base64url has bits that say nothing.
    if (at < token.length - 1) assert.equal(typeof read, "string", `changed at ${at}`);
  }
});

test("readToken() and readBeacon() take anything without throwing", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => typeof readToken(text, KEY, NOW) === "string"));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 64 }), fc.json().map(Buffer.from)), (octets) => {
      readBeacon(Buffer.from(octets));
    }),
  );
  const long = `v1.${Buffer.from(JSON.stringify({ t: 1, r: null })).toString("base64url")}`;
  const mac = createHmac("sha256", KEY).update(long).digest("base64url");
  assert.equal(readToken(`${long}.${mac}`, KEY, NOW), "malformed");
  assert.equal(readBeacon(Buffer.alloc(MAX_BEACON_OCTETS + 1, 0x20)), undefined);
});

for (const { says, body, address = "198.51.100.7", expected } of [
  { says: "is taken", body: bodyOf(makeToken({ regions, atMs: NOW, nonce: "i" }, KEY)), expected: "taken" },
  {
    says: "of its own network is taken",
    body: bodyOf(makeToken({ regions, network: "198.51.100.0/24", atMs: NOW, nonce: "i" }, KEY)),
    expected: "taken",
  },
  {
    says: "of another network is not",
    body: bodyOf(makeToken({ regions, network: "198.51.101.0/24", atMs: NOW, nonce: "i" }, KEY)),
    expected: "foreign",
  },
  {
    says: "of a region that its token does not have",
    body: bodyOf(makeToken({ regions: ["us-east"], atMs: NOW, nonce: "i" }, KEY)),
    expected: "region",
  },
  {
    says: "of a region that is gone",
    body: bodyOf(makeToken({ regions: ["mars"], atMs: NOW, nonce: "i" }, KEY), 20, "mars"),
    expected: "region",
  },
  { says: "without a token", body: bodyOf(""), expected: "malformed" },
  {
    says: "with a time below zero",
    body: bodyOf(makeToken({ regions, atMs: NOW, nonce: "i" }, KEY), -1),
    expected: "malformed",
  },
  {
    says: "of ten seconds",
    body: bodyOf(makeToken({ regions, atMs: NOW, nonce: "i" }, KEY), 10_000),
    expected: "malformed",
  },
  {
    says: "from nowhere",
    body: bodyOf(makeToken({ regions, atMs: NOW, nonce: "i" }, KEY)),
    address: "9.9.9.9",
    expected: "unplaced",
  },
] as const)
  test(`a beacon ${says}: ${expected}`, () => assert.equal(openDesk().take(body, addressOf(address), NOW), expected));

test("a token is good for a page's life, for one network, and no longer", () => {
  const desk = openDesk();
  const body = bodyOf(makeToken({ regions, atMs: NOW, nonce: "i" }, KEY));
  const outcomes = Array.from({ length: 40 }, (_, at) => desk.take(body, addressOf("198.51.100.7"), NOW + at));
  assert.equal(outcomes.filter((outcome) => outcome === "taken").length, 16);
  assert.equal(outcomes.at(-1), "replayed");
  assert.equal(desk.take(body, addressOf("203.0.113.7"), NOW), "replayed", "who copied it");
});

test("uses are remembered for as long as a token lives, in bounded memory", () => {
  const uses = createUses(100);
  for (let number = 0; number < 1_000; number++) uses.take(`${number}`, "n", NOW);
  assert.equal(uses.size(), 100);
  for (let count = 0; count < 20; count++) uses.take("0", "n", NOW + TOKEN_LIFE_MS);
  assert.equal(uses.take("0", "n", NOW + TOKEN_LIFE_MS + 59_000), false, "it has not expired everywhere");
  uses.take("x", "n", NOW + 2 * TOKEN_LIFE_MS + 121_000);
  uses.take("y", "n", NOW + 4 * TOKEN_LIFE_MS + 300_000);
  assert.ok(uses.size() <= 2);
});

test("a network and all together may send so much", () => {
  const desk = openDesk({ total: 1_000, network: 1 });
  const send = (address: string, atMs: number): string =>
    desk.take(Buffer.from("{}"), addressOf(address), atMs) === "rate" ? "rate" : "let in";
  const first = Array.from({ length: 30 }, (_, host) => send(`198.51.100.${host}`, NOW));
  assert.equal(first.filter((outcome) => outcome === "let in").length, 10);
  assert.equal(send("198.51.101.1", NOW), "let in");
  assert.equal(send("198.51.100.1", NOW + 1_000), "let in");
  assert.equal(send("2001:db8:1:2::1", NOW), "let in");

  const small = openDesk({ total: 20, network: 1_000 });
  let letIn = 0;
  for (let number = 0; number < 500; number++)
    if (small.take(Buffer.from("{}"), Uint8Array.of(10, number >> 8, number, 1), NOW) !== "rate") letIn++;
  assert.equal(letIn, 20);
});

test("networkOf() counts a client as its /24 or /48", () => {
  assert.equal(networkOf(addressOf("198.51.100.7")), "198.51.100.0/24");
  assert.equal(networkOf(addressOf("::ffff:198.51.100.7")), "198.51.100.0/24");
  assert.equal(networkOf(addressOf("2001:db8:1:2::7")), "2001:db8:1::/48");
});

// ── the aggregate ────────────────────────────────────────────────────────────────────────────────────────────────

const place = { asn: 64_500, country: "DE" };
const netOf = (number: number): string => `10.${number >> 8}.${number & 255}.0/24`;
/** `count` honest networks that say about 20 ms, five times each. */
function honest(count: number, ms = 20) {
  const aggregate = createBeaconAggregate();
  const rng = createSeededRng(3);
  for (let number = 0; number < count; number++)
    for (let time = 0; time < 5; time++)
      aggregate.add(place, netOf(number), "eu-west", ms + 4 * rng() - 2, NOW + time * 1_000);
  return aggregate;
}
const says = (aggregate: ReturnType<typeof honest>, atMs = NOW + 5_000): number | undefined => {
  const [row] = aggregate.rows(atMs);
  return row && row.rttMicros / 1_000;
};

test("fewer than five networks say nothing, however much they send", () => {
  const few = honest(MIN_NETWORKS - 1);
  for (let time = 0; time < 1_000; time++) few.add(place, netOf(0), "eu-west", 20, NOW);
  assert.equal(says(few), undefined);
  assert.ok(Math.abs(says(honest(MIN_NETWORKS))! - 20) < 2);
});

test("few samples say nothing, and one network cannot make up for the others", () => {
  const thin = createBeaconAggregate();
  for (let number = 0; number < 6; number++) thin.add(place, netOf(number), "eu-west", 20, NOW);
  for (let time = 0; time < 1_000; time++) thin.add(place, netOf(0), "eu-west", 20, NOW);
  assert.equal(says(thin), undefined);
});

test("one network cannot move a median, whatever it sends and however often", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 5, max: 40 }),
      fc.array(fc.double({ min: 0.1, max: 5_000, noNaN: true }), { minLength: 1, maxLength: 200 }),
      (count, lies) => {
        const aggregate = honest(count);
        for (const lie of lies) aggregate.add(place, netOf(9_999), "eu-west", lie, NOW + 4_000);
        const ms = says(aggregate)!;
        // The honest ones lie within 18 to 22 ms: a single voice can only choose among them.
        assert.ok(ms >= 18 && ms <= 22, `${ms} ms`);
      },
    ),
  );
});

test("a third of all networks cannot move a median out of what the others say", () => {
  const aggregate = honest(40);
  for (let liar = 0; liar < 20; liar++)
    for (let time = 0; time < 50; time++) aggregate.add(place, netOf(5_000 + liar), "eu-west", 1, NOW + time);
  const ms = says(aggregate)!;
  assert.ok(ms >= 18 && ms <= 22, `${ms} ms`);
});

test("a flood of newcomers displaces nobody who is heard, and takes no more memory", () => {
  const aggregate = honest(MAX_NETWORKS);
  for (let number = 0; number < 5_000; number++)
    aggregate.add(place, netOf(10_000 + number), "eu-west", 1, NOW + 5_000);
  assert.ok(Math.abs(says(aggregate)! - 20) < 2);
  assert.equal(aggregate.size().voices, MAX_NETWORKS);
  for (let asn = 1; asn < 2 * MAX_GROUPS; asn++)
    aggregate.add({ asn, country: "" }, netOf(1), "eu-west", 1, NOW + 5_000);
  assert.equal(aggregate.size().groups, MAX_GROUPS);
  assert.ok(Math.abs(says(aggregate)! - 20) < 2);
});

test("what was said fades, is forgotten, and makes room", () => {
  const aggregate = honest(MAX_NETWORKS);
  const samples = (atMs: number): number => aggregate.rows(atMs)[0]?.samples ?? 0;
  const fresh = samples(NOW + 5_000);
  assert.ok(Math.abs(samples(NOW + 5_000 + HALF_LIFE_MS) - fresh / 2) <= 1);
  assert.ok(aggregate.add(place, "192.0.2.0/24", "eu-west", 9, NOW + HALF_LIFE_MS), "in the place of a silent one");
  assert.deepEqual(aggregate.rows(NOW + 4 * HALF_LIFE_MS), []);
  assert.deepEqual(aggregate.size(), { groups: 0, voices: 0 });
});

test("without a system nothing is said; without a country of the whole system", () => {
  const aggregate = createBeaconAggregate();
  assert.equal(aggregate.add({ asn: 0, country: "DE" }, netOf(1), "eu-west", 1, NOW), false);
  for (let number = 0; number < 5; number++)
    for (let time = 0; time < 5; time++) aggregate.add({ asn: 64_500, country: "" }, netOf(number), "eu-west", 12, NOW);
  assert.deepEqual(aggregate.rows(NOW), [
    { network: "AS64500", region: "eu-west", by: "beacons", rttMicros: 12_000, samples: 25, ageMs: 0 },
  ]);
});
