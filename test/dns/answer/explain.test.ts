/** What explain says, and that it is what is served: byte for byte, over random cases. */
import assert from "node:assert/strict";
import test from "node:test";
import { formatIp } from "#base/ip.ts";
import { createSeededRng } from "#base/rng.ts";
import { createSteering } from "#dns/answer/steered.ts";
import { STEERED, type SteeredAnswer } from "#dns/answer/steering.ts";
import { createCounterSlots, DNS_COUNTERS } from "#state/counters.ts";
import { OVERRIDE, type Override, type TargetState, VERDICT, type Verdict } from "#state/health-table.ts";
import type { FilterSpec, ServiceSpec } from "#state/snapshot.ts";
import { mapFor, PLACES, rttMapFor } from "../../steer/maps.ts";
import {
  client,
  FIRST,
  fence,
  GEO,
  HEALTHY,
  healthTable,
  LATENCY,
  NEAREST,
  NOW_MS,
  PRIORITY,
  publish,
  REGIONS,
  SHED,
  SHUFFLE,
  STICKY,
  service,
  US,
  WEIGHTED,
  writeTarget,
} from "../../steer/world.ts";

const SPLIT: FilterSpec = { name: "priority", split: [80, 20], onEmpty: "undo" };
const CHAINS: readonly (readonly FilterSpec[])[] = [
  [HEALTHY, GEO, NEAREST, FIRST],
  [HEALTHY, LATENCY, FIRST],
  [HEALTHY, WEIGHTED, FIRST],
  [HEALTHY, PRIORITY, FIRST],
  [HEALTHY, SHUFFLE, { name: "first", count: 8 }],
  [HEALTHY, STICKY, FIRST],
  [HEALTHY, SHED, WEIGHTED, FIRST],
  [HEALTHY, SPLIT, WEIGHTED, FIRST],
  [HEALTHY, fence(["eu-west"]), { name: "nearest", bias: { "us-east": 40 }, slackKm: 6_500 }, FIRST],
  [PRIORITY, { name: "healthy", onEmpty: "next" }, FIRST],
  [{ name: "healthy", onEmpty: { fallback: "s0" } }, GEO, FIRST],
  [{ name: "healthy", onEmpty: "nodata" }, WEIGHTED, FIRST],
  [SHED, LATENCY, { name: "first", count: 2 }],
  [NEAREST, SHUFFLE],
];

function world() {
  const services: ServiceSpec[] = CHAINS.map((chain, index) =>
    service(chain, {
      name: `s${index}`,
      allowEmpty: index === 11,
      weightedBy: (["auto", "prefix", "resolver"] as const)[index % 3]!,
      fallback: index === 7 ? "s1" : undefined,
      members: { "us-east": { weight: 5 }, "eu-west": { weight: 3, priority: 1 }, "ap-south": { weight: 2 } },
    }),
  );
  const table = healthTable();
  const maps = new Map(services.flatMap((spec) => (spec.mapId ? [[spec.mapId, mapFor(spec, REGIONS)] as const] : [])));
  const rttMap = rttMapFor(REGIONS, {
    "198.18.64.0/18": { "us-east": 20, "eu-west": 90, "ap-south": 55 },
    "192.0.2.0/25": { "ap-south": 12 },
  });
  const steering = createSteering({
    services,
    regions: REGIONS,
    healthTable: table,
    maps,
    rttMap,
    hashPrefix: { v4: 24, v6: 48 },
    counters: createCounterSlots(DNS_COUNTERS.length),
  });
  return { services, table, steering };
}

const CASES = 12_000;
test(`explain() says what resolve() serves, byte for byte, over ${CASES} random cases`, () => {
  const { services, table, steering } = world();
  const rng = createSeededRng(42);
  const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(rng() * items.length)]!;
  const rows = REGIONS.flatMap(({ target, addressTargets }) => [target, ...addressTargets]);
  const networks = Object.keys(PLACES);
  const into = {} as SteeredAnswer;
  const seen = { answer: 0, nodata: 0, servfail: 0, failOpen: 0, short: 0 };
  let nowMs = NOW_MS;
  for (let index = 0; index < CASES; index++) {
    nowMs += Math.floor(rng() * 5_000);
    if (rng() < 0.3) {
      const state: Partial<TargetState> = {
        verdict: pick<Verdict>([VERDICT.up, VERDICT.up, VERDICT.down, VERDICT.unknown, VERDICT.held]),
        override: pick<Override>([
          OVERRIDE.none,
          OVERRIDE.none,
          OVERRIDE.none,
          OVERRIDE.down,
          OVERRIDE.up,
          OVERRIDE.drain,
          OVERRIDE.ignoreHealth,
        ]),
        rampPercent: pick([100, 100, 10, 25, 0]),
        weightPercent: pick([100, 0, 33]),
        isStale: rng() < 0.2,
        isHeldForFailback: rng() < 0.1,
        flipAtSeconds: rng() < 0.5 ? 0 : Math.floor(nowMs / 1_000 + rng() * 40),
        rttMicros: Math.floor(rng() * 200_000),
        loadPermille: Math.floor(rng() * 1_000),
        excessRttTenthsMs: rng() < 0.5 ? 0 : Math.floor(rng() * 2_000),
      };
      writeTarget(table, pick(rows), state);
      publish(table);
    }
    const [network] = pick(networks).split("/");
    const isIpv6 = network!.includes(":");
    const host = isIpv6 ? network! : network!.replace(/\d+\.0$/, `${Math.floor(rng() * 256)}.0`);
    const source = pick(["203.0.113.53", "2001:db8:53::1", "192.0.2.53"]);
    const who = rng() < 0.25 ? client("", 0, source) : client(host, isIpv6 ? 48 : 24, source);
    const qtype = pick([1, 28] as const);
    const { name } = pick(services);
    // Sometimes the explanation comes first, so that neither leans on what the other left in the memo.
    const early = rng() < 0.5 ? steering.explain(name, qtype, who, nowMs) : undefined;
    steering.resolve(steering.serviceNumber(name), qtype, who, nowMs, into);
    const why = early ?? steering.explain(name, qtype, who, nowMs)!;
    const at = `case ${index}: ${name} ${qtype} ${formatIp(who.address.slice(0, who.isIpv6 ? 16 : 4))}`;
    assert.deepEqual(Buffer.from(why.records), Buffer.from(into.records), at);
    assert.equal(STEERED[why.status], into.status, at);
    assert.equal(why.ttl.seconds, into.ttlSeconds, at);
    assert.equal(why.scope.bits, into.scopeBits, at);
    assert.equal(why.isFailOpen, into.isFailOpen, at);
    assert.equal(why.addresses.length, into.count, at);
    seen[why.status]++;
    if (into.isFailOpen) seen.failOpen++;
    if (into.ttlSeconds < 27) seen.short++;
  }
  for (const [what, count] of Object.entries(seen)) assert.ok(count > 30, `only ${count} cases of ${what}`);
});

test("explain() names each step, what it dropped and why, and where TTL and scope come from", () => {
  const { table, steering } = world();
  writeTarget(table, US.target, { verdict: VERDICT.down, flipAtSeconds: NOW_MS / 1_000 + 20 });
  publish(table);
  const why = steering.explain("s6", 1, client("198.18.7.0"), NOW_MS)!;
  assert.deepEqual(why.steps.map(({ filter, before, after }) => `${filter}: ${before} -> ${after}`).slice(0, 1), [
    "healthy: us-east,eu-west,ap-south -> eu-west,ap-south",
  ]);
  assert.equal(why.steps[0]!.says, "us-east: down");
  assert.deepEqual(
    why.steps.map(({ filter }) => filter),
    ["healthy", "shed", "weighted", "first"],
  );
  assert.deepEqual(why.rolls.used, ["main"]);
  assert.match(why.scope.says, /hash prefix/);
  assert.match(why.ttl.says, /^20 s to the next possible change/);
  const us = why.regions.find(({ id }) => id === "us-east")!;
  assert.deepEqual([us.says, us.flipAtSeconds, us.weight], ["down", NOW_MS / 1_000 + 20, 5]);
});

test("explain() shows the leaf of the map, the class and the distance", () => {
  const { steering } = world();
  const { client: who, regions } = steering.explain("s0", 1, client("198.51.100.7", 32), NOW_MS)!;
  assert.equal(who.network, "198.51.100.0/24");
  assert.equal(who.label, "like EU/DE");
  assert.equal(who.evidence, "subnet option");
  assert.equal(who.isKnown, true);
  assert.ok(regions.find(({ id }) => id === "eu-west")!.distanceKm! < 300);
});

test("explain() follows a fallback and says so", () => {
  const { table, steering } = world();
  for (const { target } of REGIONS) writeTarget(table, target, { verdict: VERDICT.down });
  publish(table);
  const why = steering.explain("s10", 1, client("198.51.100.0"), NOW_MS)!;
  assert.deepEqual([...new Set(why.steps.map((step) => step.service))], ["s10", "s0"]);
  assert.match(why.says, /^eu-west by fallback service s0, although it is not up/);
});

test("explain() says when it was the resolver that was hashed", () => {
  const { steering } = world();
  assert.match(steering.explain("s2", 1, client("198.18.7.0"), NOW_MS)!.scope.says, /resolver was hashed/);
});

test("explain() knows no such service", () => {
  assert.equal(world().steering.explain("nobody", 1, client("198.51.100.0"), NOW_MS), undefined);
});
