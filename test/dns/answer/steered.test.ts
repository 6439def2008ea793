/** The steering engine of a worker: what it resolves, what it claims about scope and TTL, and that it explains itself. */
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { formatIp, maskIp } from "#base/ip.ts";
import { createSteering, type SteeringEngine } from "#dns/answer/steered.ts";
import { STEERED, type SteerClient, type SteeredAnswer } from "#dns/answer/steering.ts";
import { createCounterSlots, DNS_COUNTER, DNS_COUNTERS } from "#state/counters.ts";
import { OVERRIDE, VERDICT } from "#state/health-table.ts";
import type { FilterSpec, ServiceSpec } from "#state/snapshot.ts";
import { mapFor, rttMapFor } from "../../steer/maps.ts";
import {
  AP,
  client,
  EU,
  FIRST,
  GEO,
  HEALTHY,
  type Health,
  healthTable,
  LATENCY,
  NEAREST,
  NOW_MS,
  PRIORITY,
  publish,
  REGIONS,
  region,
  SHUFFLE,
  STICKY,
  service,
  US,
  WEIGHTED,
  writeTarget,
} from "../../steer/world.ts";

const GEO_CHAIN = [HEALTHY, GEO, NEAREST, FIRST];

function engine(services: readonly ServiceSpec[], table = healthTable(), regions = REGIONS, more: object = {}) {
  const counters = createCounterSlots(DNS_COUNTERS.length);
  const maps = new Map(
    services.filter(({ mapId }) => mapId !== undefined).map((spec) => [spec.mapId!, mapFor(spec, regions)]),
  );
  const steering = createSteering({
    services,
    regions,
    healthTable: table,
    maps,
    hashPrefix: { v4: 24, v6: 48 },
    counters,
    ...more,
  });
  return { steering, table, counters };
}

function resolve(steering: SteeringEngine, who: SteerClient, { name = "www", qtype = 1, nowMs = NOW_MS } = {}) {
  const into = {} as SteeredAnswer;
  steering.resolve(steering.serviceNumber(name), qtype, who, nowMs, into);
  const addresses = Array.from({ length: into.count }, (_, index) =>
    formatIp(into.records.slice(index * into.stride + 12, (index + 1) * into.stride)),
  );
  return { ...into, addresses };
}

for (const [subnet, bits, region] of [
  ["192.0.2.0", 24, US],
  ["198.51.100.0", 24, EU],
  ["203.0.113.0", 24, AP],
  ["2001:db8:1::", 48, EU],
] as const) {
  test(`resolve() gives ${subnet} the region ${region.id}, A and AAAA alike`, () => {
    const { steering } = engine([service(GEO_CHAIN)]);
    assert.deepEqual(resolve(steering, client(subnet, bits)).addresses, region.v4);
    assert.deepEqual(resolve(steering, client(subnet, bits), { qtype: 28 }).addresses, region.v6);
  });
}

test("resolve() encodes records as the answer needs them: pointer, type, IN, TTL 0, length, address", () => {
  const { steering } = engine([service(GEO_CHAIN)]);
  const { records, stride } = resolve(steering, client("198.51.100.0"));
  assert.equal(stride, 16);
  assert.equal(Buffer.from(records).toString("hex"), "c00c0001000100000000" + "0004" + "c0000204");
  const v6 = resolve(steering, client("198.51.100.0"), { qtype: 28 });
  assert.equal(v6.stride, 28);
  assert.equal(
    Buffer.from(v6.records).toString("hex"),
    "c00c001c000100000000" + "0010" + "20010db8000000000000000000000004",
  );
});

test("resolve() moves clients in the epoch in which their region went down, and back", () => {
  const { steering, table } = engine([service(GEO_CHAIN)]);
  const from = client("198.51.100.0");
  assert.deepEqual(resolve(steering, from).addresses, EU.v4);
  writeTarget(table, EU.target, { verdict: VERDICT.down });
  publish(table);
  assert.deepEqual(resolve(steering, from).addresses, US.v4);
  writeTarget(table, EU.target, {});
  publish(table);
  assert.deepEqual(resolve(steering, from).addresses, EU.v4);
});

test("resolve() gives the same bytes from the memo, and compiles them once", () => {
  const { steering, counters } = engine([service(GEO_CHAIN)]);
  const first = resolve(steering, client("198.51.100.0"));
  const second = resolve(steering, client("198.51.100.99", 32));
  assert.equal(first.records, second.records);
  assert.equal(counters[DNS_COUNTER.variants_compiled], 1);
  assert.equal(counters[DNS_COUNTER.steered], 2);
});

test("resolve() keeps its memo when only flip times, RTT tremble and load of others move", () => {
  const { steering, table, counters } = engine([service(GEO_CHAIN)]);
  writeTarget(table, EU.target, { flipAtSeconds: NOW_MS / 1_000 + 20 });
  publish(table);
  const before = resolve(steering, client("198.51.100.0"));
  const compiled = counters[DNS_COUNTER.variants_compiled];
  writeTarget(table, EU.target, { flipAtSeconds: NOW_MS / 1_000 + 17, rttMicros: 31_000, loadPermille: 500 });
  publish(table);
  const after = resolve(steering, client("198.51.100.0"));
  assert.equal(counters[DNS_COUNTER.variants_compiled], compiled);
  assert.ok(after.ttlSeconds < before.ttlSeconds, `${before.ttlSeconds} s, then ${after.ttlSeconds} s`);
});

test("resolve() gives the up addresses of a region, and all of them when it fails open (ruling 8)", () => {
  const big = region("big", 0, { v4: ["192.0.2.1", "192.0.2.2", "192.0.2.3"], v6: [] });
  const table = healthTable({}, [big]);
  const { steering } = engine([service([HEALTHY, FIRST], { all: [big] })], table, [big]);
  writeTarget(table, big.addressTargets[1]!, { verdict: VERDICT.down });
  publish(table);
  assert.deepEqual(resolve(steering, client("198.51.100.0")).addresses, ["192.0.2.1", "192.0.2.3"]);
  writeTarget(table, big.target, { verdict: VERDICT.down });
  publish(table);
  const open = resolve(steering, client("198.51.100.0"));
  assert.deepEqual(open.addresses, big.v4);
  assert.equal(open.isFailOpen, true);
  writeTarget(table, big.addressTargets[0]!, { override: OVERRIDE.down });
  publish(table);
  assert.deepEqual(resolve(steering, client("198.51.100.0")).addresses, ["192.0.2.2", "192.0.2.3"], "overrides hold");
});

test("resolve() caps an answer at what fits 1,232 octets", () => {
  const many = Array.from({ length: 8 }, (_, index) =>
    region(`r${index}`, index * 20, {
      v4: Array.from({ length: 10 }, (_, host) => `10.0.${index}.${host}`),
      v6: Array.from({ length: 8 }, (_, host) => `2001:db8::${index}:${host}`),
    }),
  );
  const spec = service([HEALTHY, SHUFFLE, { name: "first", count: 8 }], { all: many });
  const { steering } = engine([spec], healthTable({}, many), many);
  for (const qtype of [1, 28]) {
    const { count, stride, addresses } = resolve(steering, client("198.51.100.0"), { qtype });
    assert.ok(count * stride <= 840 && (count + 1) * stride > 840, `${count} records of ${stride} octets`);
    assert.equal(new Set(addresses).size, count);
  }
});

test("resolve() answers AAAA of a service without IPv6 with NODATA, by configuration", () => {
  const only4 = region("v4", 0, { v6: [] });
  const { steering } = engine([service([HEALTHY, FIRST], { all: [only4] })], healthTable({}, [only4]), [only4]);
  assert.equal(steering.hasType(0, 1), true);
  assert.equal(steering.hasType(0, 28), false);
  assert.equal(resolve(steering, client("198.51.100.0"), { qtype: 28 }).status, STEERED.nodata);
});

test("negative answers claim no scope and live for ttl.min: they are cached for everybody (ruling 7)", () => {
  const all = [region("v4", 0, { v6: [] }), region("w4", 3, { v6: [] })];
  const empty: FilterSpec = { name: "healthy", onEmpty: "nodata" };
  const services = [
    service([HEALTHY, WEIGHTED, FIRST], { all, name: "only4" }),
    service([empty, WEIGHTED, FIRST], { all, name: "empty", allowEmpty: true }),
  ];
  const table = healthTable({}, all);
  const { steering } = engine(services, table, all);
  const from = client("198.18.7.0");
  assert.equal(resolve(steering, from, { name: "only4" }).scopeBits, 24);
  const denied = resolve(steering, from, { name: "only4", qtype: 28 });
  assert.deepEqual([denied.status, denied.scopeBits, denied.ttlSeconds], [STEERED.nodata, 0, 15]);
  for (const { target } of all) writeTarget(table, target, { verdict: VERDICT.down });
  publish(table);
  const nothing = resolve(steering, from, { name: "empty" });
  assert.deepEqual([nothing.status, nothing.scopeBits, nothing.ttlSeconds], [STEERED.nodata, 0, 15]);
});

test("resolve() answers SERVFAIL, never an empty answer, when operators took everything down", () => {
  const overridden = { override: OVERRIDE.down };
  const { steering } = engine(
    [service(GEO_CHAIN)],
    healthTable({ "us-east": overridden, "eu-west": overridden, "ap-south": overridden }),
  );
  const { status, count } = resolve(steering, client("198.51.100.0"));
  assert.equal(status, STEERED.servfail);
  assert.equal(count, 0);
});

test("resolve() asks the fallback service, with its own view of the client", () => {
  const services = [
    service([HEALTHY, FIRST], { members: { "us-east": {} }, fallback: "rest" }),
    service(GEO_CHAIN, { name: "rest", ttlMinSeconds: 1, ttlMaxSeconds: 300 }),
  ];
  const { steering, table } = engine(services);
  const from = client("198.51.100.0");
  assert.deepEqual(resolve(steering, from).addresses, US.v4);
  assert.equal(resolve(steering, from).scopeBits, 0);
  writeTarget(table, US.target, { verdict: VERDICT.down });
  publish(table);
  const other = resolve(steering, from);
  assert.deepEqual(other.addresses, EU.v4);
  assert.equal(other.isFailOpen, false);
  assert.ok(other.scopeBits > 0, "the fallback told clients apart");
  assert.ok(other.ttlSeconds <= 30, "the TTL is that of the service that was asked");
});

test("resolve() stops in a loop of fallbacks", () => {
  const services = [
    service([HEALTHY, FIRST], { members: { "us-east": {} }, name: "a", fallback: "b" }),
    service([HEALTHY, FIRST], { members: { "us-east": {} }, name: "b", fallback: "a" }),
  ];
  const { steering } = engine(services, healthTable({ "us-east": { verdict: VERDICT.down } }));
  assert.equal(resolve(steering, client("198.51.100.0"), { name: "a" }).status, STEERED.servfail);
});

for (const { says, chain, more = {}, health = {}, who, scopeBits } of [
  { says: "the depth of the leaf for geo", chain: GEO_CHAIN, who: client("198.18.7.0"), scopeBits: 16 },
  { says: "the depth of the leaf for IPv6", chain: GEO_CHAIN, who: client("2001:db8:1::", 56), scopeBits: 48 },
  { says: "the hash prefix for weighted", chain: [HEALTHY, WEIGHTED, FIRST], who: client("198.18.7.0"), scopeBits: 24 },
  {
    says: "the hash prefix for sticky",
    chain: [HEALTHY, STICKY, FIRST],
    who: client("2001:db8:1::", 56),
    scopeBits: 48,
  },
  { says: "the hash prefix for shuffle", chain: [HEALTHY, SHUFFLE], who: client("198.18.7.0"), scopeBits: 24 },
  {
    says: "the hash prefix while a ramp tells clients apart",
    chain: GEO_CHAIN,
    health: { "eu-west": { rampPercent: 50 } },
    who: client("198.18.7.0"),
    scopeBits: 24,
  },
  {
    says: "0 for failover, where nothing tells clients apart",
    chain: [HEALTHY, PRIORITY, FIRST],
    who: client("198.18.7.0"),
    scopeBits: 0,
  },
  { says: "0 without ECS", chain: GEO_CHAIN, who: client("198.18.7.0", 0), scopeBits: 0 },
  {
    says: "0 for a subnet option with prefix 0",
    chain: [HEALTHY, WEIGHTED, FIRST],
    who: { ...client("", 0), hasEcs: true },
    scopeBits: 0,
  },
  {
    says: "0 where all clients get the one region",
    chain: GEO_CHAIN,
    more: { members: { "eu-west": {} } },
    who: client("198.18.7.0"),
    scopeBits: 0,
  },
  {
    says: "the depth of the leaf when the resolver is hashed",
    chain: [HEALTHY, WEIGHTED, FIRST],
    more: { weightedBy: "resolver" as const },
    who: client("198.18.7.0"),
    scopeBits: 0,
  },
  {
    says: "the hash prefix for twins",
    chain: [HEALTHY, { ...NEAREST, slackKm: 20_000 } as FilterSpec, FIRST],
    who: client("198.18.7.0"),
    scopeBits: 24,
  },
]) {
  test(`scope is ${says} (ruling 3)`, () => {
    const { steering } = engine([service(chain, more)], healthTable(health as Health));
    assert.equal(resolve(steering, who).scopeBits, scopeBits);
  });
}

test("scope: whoever is in the network that an answer claims gets that answer (property)", () => {
  const specs = [
    service(GEO_CHAIN, { name: "g" }),
    service([HEALTHY, GEO, WEIGHTED, FIRST], { name: "w" }),
    service([HEALTHY, LATENCY, FIRST], { name: "l" }),
  ];
  const rttMap = rttMapFor(REGIONS, { "198.18.64.0/18": { "us-east": 20, "eu-west": 90, "ap-south": 90 } });
  const { steering } = engine(specs, healthTable({ "us-east": { rampPercent: 30 } }), REGIONS, { rttMap });
  const octet = fc.nat(255);
  fc.assert(
    fc.property(
      fc.constantFrom("g", "w", "l"),
      fc.constantFrom(198, 192),
      fc.constantFrom(18, 19, 51, 0),
      octet,
      octet,
      octet,
      octet,
      (name, a, b, c, d, e, f) => {
        const address = [a, b, c, d].join(".");
        const answer = resolve(steering, client(address, 32), { name });
        const bits = answer.scopeBits;
        const other = maskIp(Uint8Array.of(a, b, c, d), bits);
        for (const [index, value] of [a, b, e, f].entries()) {
          const keep = Math.max(0, Math.min(8, bits - index * 8));
          other[index]! |= value & (0xff >>> keep);
        }
        assert.deepEqual(resolve(steering, client(formatIp(other), 32), { name }).addresses, answer.addresses);
      },
    ),
    { numRuns: 5_000, seed: 3 },
  );
});

test("choice is stable for one prefix within a slot, the same for A and AAAA, and moves on later (rulings 1 and 2)", () => {
  const { steering } = engine([service([HEALTHY, WEIGHTED, FIRST])]);
  const from = client("198.18.7.0");
  const startMs = NOW_MS - (NOW_MS % 30_000);
  const at = (ms: number, who = from, qtype = 1) =>
    resolve(steering, who, { nowMs: startMs + ms, qtype }).addresses[0]!;
  const seen = Array.from({ length: 600 }, (_, second) => at(second * 1_000));
  const changes = seen.flatMap((address, second) => (second > 0 && address !== seen[second - 1] ? [second] : []));
  assert.ok(changes.length > 3);
  for (const second of changes) assert.equal((second - changes[0]!) % 30, 0, "only at the edges of slots of ttl.max");
  for (let second = 0; second < 600; second += 7) {
    const regionOfA = REGIONS.find(({ v4 }) => v4.includes(seen[second]!))!;
    assert.deepEqual(at(second * 1_000, from, 28), regionOfA.v6[0]);
    assert.equal(at(second * 1_000, client("198.18.7.200", 32)), seen[second], "a longer prefix is cut");
  }
});

test("slots of different prefixes do not end together (ruling 2)", () => {
  const { steering } = engine([service([HEALTHY, SHUFFLE])]);
  const edges = new Set<number>();
  for (let prefix = 0; prefix < 64; prefix++) {
    const from = client(`198.18.${prefix}.0`);
    let before = resolve(steering, from).addresses[0];
    for (let second = 1; second <= 60; second++) {
      const now = resolve(steering, from, { nowMs: NOW_MS + second * 1_000 }).addresses[0];
      if (now !== before) edges.add(second % 30);
      before = now;
    }
  }
  assert.ok(edges.size > 15, `${edges.size} different edges`);
});

test("without ECS a resolver is hashed by its whole address, in short slots; `prefix` and `resolver` force (ruling 1)", () => {
  const resolver = (last: number): SteerClient => client("", 0, `203.0.113.${last}`);
  const changesOf = (weightedBy: "auto" | "prefix" | "resolver", who: SteerClient): number => {
    const { steering } = engine([service([HEALTHY, SHUFFLE], { weightedBy, ttlMinSeconds: 4 })]);
    let changes = 0;
    let before = "";
    for (let second = 0; second < 300; second++) {
      const now = resolve(steering, who, { nowMs: NOW_MS + second * 1_000 }).addresses[0]!;
      if (now !== before) changes++;
      before = now;
    }
    return changes;
  };
  assert.ok(changesOf("auto", resolver(1)) > 10);
  assert.ok(changesOf("prefix", resolver(1)) <= 11, "slots of ttl.max");
  assert.ok(changesOf("resolver", client("198.18.7.0", 24, "203.0.113.1")) > 10);
  const { steering } = engine([service([HEALTHY, SHUFFLE])]);
  const answers = new Set(Array.from({ length: 40 }, (_, last) => resolve(steering, resolver(last)).addresses[0]));
  assert.equal(answers.size, 3, "neighbours in one /24 are told apart");
});

test("sticky does not move with time", () => {
  const { steering } = engine([service([HEALTHY, STICKY, FIRST])]);
  for (let prefix = 0; prefix < 32; prefix++) {
    const from = client(`198.18.${prefix}.0`);
    const answers = Array.from(
      { length: 50 },
      (_, step) => resolve(steering, from, { nowMs: NOW_MS + step * 17_000 }).addresses[0],
    );
    assert.equal(new Set(answers).size, 1);
  }
});

test("an unknown client, and a world without a map, get the default order (ruling 9)", () => {
  const spec = service(GEO_CHAIN, { members: { "ap-south": {}, "us-east": {}, "eu-west": {} } });
  const { steering } = engine([spec]);
  assert.deepEqual(resolve(steering, client("8.8.8.0")).addresses, AP.v4);
  const without = engine([spec], healthTable(), REGIONS, { maps: new Map() });
  assert.deepEqual(resolve(without.steering, client("198.51.100.0")).addresses, AP.v4);
});

test("latency follows what was measured from the client's network (ruling 6)", () => {
  const rttMap = rttMapFor(REGIONS, { "198.51.100.0/24": { "us-east": 30, "eu-west": 80, "ap-south": 200 } });
  const chain = [HEALTHY, LATENCY, FIRST];
  const without = engine([service(chain)]);
  const measured = engine([service(chain)], healthTable(), REGIONS, { rttMap });
  assert.deepEqual(resolve(without.steering, client("198.51.100.0")).addresses, EU.v4);
  const answer = resolve(measured.steering, client("198.51.100.0"));
  assert.deepEqual(answer.addresses, US.v4);
  assert.equal(answer.scopeBits, 24);
  assert.deepEqual(resolve(measured.steering, client("198.18.7.0")).addresses, EU.v4);
});

const IN_20_S = NOW_MS / 1_000 + 20;
for (const { says, health, from, to } of [
  { says: "ttl.max, less up to a tenth, while all is up and quiet", health: {}, from: 27, to: 30 },
  {
    says: "the time to the flip of the region in the answer",
    health: { "eu-west": { flipAtSeconds: IN_20_S } },
    from: 18,
    to: 20,
  },
  {
    says: "the time to the return of a region that would be chosen",
    health: { "eu-west": { verdict: VERDICT.down, flipAtSeconds: IN_20_S } },
    from: 18,
    to: 20,
  },
  {
    says: "ttl.max while a region trembles that the client never gets",
    health: { "ap-south": { flipAtSeconds: IN_20_S } },
    from: 27,
    to: 30,
  },
  { says: "never below ttl.min", health: { "eu-west": { flipAtSeconds: NOW_MS / 1_000 + 2 } }, from: 15, to: 15 },
  {
    says: "ttl.min when the flip is overdue",
    health: { "eu-west": { flipAtSeconds: NOW_MS / 1_000 - 9 } },
    from: 15,
    to: 15,
  },
  {
    says: "ttl.max for a far flip",
    health: { "eu-west": { flipAtSeconds: NOW_MS / 1_000 + 9_000 } },
    from: 27,
    to: 30,
  },
  {
    says: "ttl.min when failing open",
    health: Object.fromEntries(REGIONS.map(({ id }) => [id, { verdict: VERDICT.down }])),
    from: 15,
    to: 15,
  },
  {
    says: "the time to the next step of a ramp",
    health: { "eu-west": { rampPercent: 100, override: OVERRIDE.drain, weightPercent: 99, flipAtSeconds: IN_20_S } },
    from: 18,
    to: 20,
  },
]) {
  test(`TTL is ${says} (ruling 5)`, () => {
    const { steering } = engine([service(GEO_CHAIN)], healthTable(health as Health));
    const seen = new Set<number>();
    for (let prefix = 0; prefix < 256; prefix++) {
      seen.add(resolve(steering, client(`198.18.${prefix}.0`)).ttlSeconds);
    }
    assert.deepEqual([Math.min(...seen), Math.max(...seen)], [from, to]);
  });
}

test("TTL looks at the addresses of the chosen region as well", () => {
  const { steering, table } = engine([service(GEO_CHAIN)]);
  writeTarget(table, EU.addressTargets[0]!, { flipAtSeconds: IN_20_S });
  publish(table);
  assert.ok(resolve(steering, client("198.51.100.0")).ttlSeconds <= 20);
});

test("TTL is the same for A and AAAA, and on every node", () => {
  for (let prefix = 0; prefix < 64; prefix++) {
    const from = client(`198.18.${prefix}.0`);
    const ttls = [1, 28, 1].map((qtype) => resolve(engine([service(GEO_CHAIN)]).steering, from, { qtype }).ttlSeconds);
    assert.equal(new Set(ttls).size, 1);
  }
});

test("the memo is bounded: it goes when it has grown too large, and answers stay the same", () => {
  const specs = [service([HEALTHY, WEIGHTED, FIRST]), service(GEO_CHAIN, { name: "g" })];
  const large = engine(specs);
  const small = engine(specs, healthTable(), REGIONS, { memoOctets: 1_000 });
  for (let prefix = 0; prefix < 500; prefix++) {
    const from = client(`198.18.${prefix & 255}.0`);
    const name = prefix & 1 ? "www" : "g";
    assert.deepEqual(resolve(small.steering, from, { name }), resolve(large.steering, from, { name }));
  }
  assert.ok(small.counters[DNS_COUNTER.variants_compiled]! > large.counters[DNS_COUNTER.variants_compiled]! * 10);
});

test("fail_open is counted", () => {
  const down = { verdict: VERDICT.down };
  const { steering, counters } = engine(
    [service(GEO_CHAIN)],
    healthTable({ "us-east": down, "eu-west": down, "ap-south": down }),
  );
  resolve(steering, client("198.51.100.0"));
  assert.equal(counters[DNS_COUNTER.fail_open], 1);
});
