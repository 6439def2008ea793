/** Each filter on its own: a table of worlds and what is left, in order. */
import assert from "node:assert/strict";
import test from "node:test";
import { GEO_MATCH } from "#state/class-facts.ts";
import { OVERRIDE, VERDICT } from "#state/health-table.ts";
import type { FilterSpec } from "#state/snapshot.ts";
import { runChain } from "#steer/chain.ts";
import type { Rolls } from "#steer/rolls.ts";
import { FILTERS } from "#steer/table.ts";
import {
  AP,
  bound,
  EU,
  type FactsById,
  FIRST,
  fence,
  GEO,
  HEALTHY,
  type Health,
  LATENCY,
  NEAREST,
  PRIORITY,
  rollsOf,
  SHED,
  SHUFFLE,
  STICKY,
  service,
  US,
  WEIGHTED,
  world,
} from "./world.ts";

type Case = {
  says: string;
  filter: FilterSpec;
  members?: Parameters<typeof service>[1] extends infer More
    ? NonNullable<More> extends { members?: infer M }
      ? M
      : never
    : never;
  health?: Health;
  facts?: FactsById;
  measuredMs?: Readonly<Record<string, number>>;
  rolls?: Partial<Rolls>;
  kept: readonly string[];
};

/** The roll at which region `hash` is the first of its share: `isWithinShare(rollAt(hash), hash, 1)`. */
const rollAt = (hash: number, offset = 0): number => (offset - hash) & 4_095;
const { down } = VERDICT;
const ALL = ["us-east", "eu-west", "ap-south"];

const CASES: readonly Case[] = [
  { says: "healthy keeps all that is up", filter: HEALTHY, kept: ALL },
  {
    says: "healthy drops what is down",
    filter: HEALTHY,
    health: { "eu-west": { verdict: down } },
    kept: ["us-east", "ap-south"],
  },
  {
    says: "healthy counts unknown as up",
    filter: HEALTHY,
    health: { "eu-west": { verdict: VERDICT.unknown, rampPercent: 0 } },
    kept: ALL,
  },
  {
    says: "healthy counts held votes as the last known state",
    filter: HEALTHY,
    health: { "eu-west": { verdict: VERDICT.held } },
    kept: ALL,
  },
  {
    says: "healthy keeps what is up by stale evidence",
    filter: HEALTHY,
    health: { "eu-west": { isStale: true } },
    kept: ALL,
  },
  {
    says: "healthy waits for the failback hold",
    filter: HEALTHY,
    health: { "eu-west": { isHeldForFailback: true } },
    kept: ["us-east", "ap-south"],
  },
  {
    says: "healthy lets an override up beat the verdict",
    filter: HEALTHY,
    health: { "eu-west": { verdict: down, override: OVERRIDE.up } },
    kept: ALL,
  },
  {
    says: "healthy ignores health on request",
    filter: HEALTHY,
    health: { "eu-west": { verdict: down, override: OVERRIDE.ignoreHealth } },
    kept: ALL,
  },
  {
    says: "healthy leaves out what drains with weight 0",
    filter: HEALTHY,
    health: { "eu-west": { override: OVERRIDE.drain, weightPercent: 0 } },
    kept: ["us-east", "ap-south"],
  },
  {
    says: "healthy keeps a draining region's share",
    filter: HEALTHY,
    health: { "eu-west": { override: OVERRIDE.drain, weightPercent: 10 } },
    rolls: { ramp: rollAt(EU.hash, 409) },
    kept: ALL,
  },
  {
    says: "healthy turns away who is not in the drain share",
    filter: HEALTHY,
    health: { "eu-west": { override: OVERRIDE.drain, weightPercent: 10 } },
    rolls: { ramp: rollAt(EU.hash, 410) },
    kept: ["us-east", "ap-south"],
  },
  {
    says: "healthy lets the ramp's share in",
    filter: HEALTHY,
    health: { "eu-west": { rampPercent: 25 } },
    rolls: { ramp: rollAt(EU.hash, 1_023) },
    kept: ALL,
  },
  {
    says: "healthy keeps the others out of a ramp",
    filter: HEALTHY,
    health: { "eu-west": { rampPercent: 25 } },
    rolls: { ramp: rollAt(EU.hash, 1_024) },
    kept: ["us-east", "ap-south"],
  },
  {
    says: "healthy lets a drain and a ramp multiply",
    filter: HEALTHY,
    health: { "eu-west": { rampPercent: 50, override: OVERRIDE.drain, weightPercent: 50 } },
    rolls: { ramp: rollAt(EU.hash, 1_024) },
    kept: ["us-east", "ap-south"],
  },

  { says: "geofence leaves outsiders alone", filter: fence(["eu-west"]), facts: {}, kept: ALL },
  {
    says: "geofence binds insiders to its regions",
    filter: fence(["eu-west"]),
    facts: { insideFence: [true] },
    kept: ["eu-west"],
  },

  {
    says: "geo keeps the country's region",
    filter: GEO,
    facts: { match: { "us-east": GEO_MATCH.continent, "eu-west": GEO_MATCH.country } },
    kept: ["eu-west"],
  },
  {
    says: "geo keeps all of the continent when no country matches",
    filter: GEO,
    facts: { match: { "us-east": GEO_MATCH.continent, "eu-west": GEO_MATCH.continent } },
    kept: ["us-east", "eu-west"],
  },
  { says: "geo keeps all when nothing matches", filter: GEO, facts: {}, kept: ALL },
  { says: "geo keeps all for unknown clients", filter: GEO, kept: ALL },
  {
    says: "geo keeps an override's regions, in its order",
    filter: GEO,
    facts: {
      match: { "us-east": GEO_MATCH.network, "eu-west": GEO_MATCH.country, "ap-south": GEO_MATCH.network },
      preferred: ["ap-south", "us-east"],
    },
    kept: ["ap-south", "us-east"],
  },

  {
    says: "nearest sorts by distance",
    filter: NEAREST,
    facts: { km: { "us-east": 7_000, "eu-west": 300, "ap-south": 9_000 } },
    kept: ["eu-west", "us-east", "ap-south"],
  },
  {
    says: "nearest applies the bias",
    filter: { name: "nearest", bias: { "us-east": 50 }, slackKm: 0 },
    facts: { km: { "us-east": 1_000, "eu-west": 600, "ap-south": 9_000 } },
    kept: ["us-east", "eu-west", "ap-south"],
  },
  { says: "nearest keeps the default order for unknown clients", filter: NEAREST, kept: ALL },
  {
    says: "nearest keeps an override's order before distance",
    filter: NEAREST,
    facts: { km: { "us-east": 1, "eu-west": 300, "ap-south": 9_000 }, preferred: ["ap-south"] },
    kept: ["ap-south", "us-east", "eu-west"],
  },
  {
    says: "nearest gives twins to some clients in one order",
    filter: NEAREST,
    facts: { km: { "us-east": 120, "eu-west": 100, "ap-south": 9_000 } },
    rolls: { main: 0 },
    kept: twins(0),
  },
  {
    says: "nearest gives twins to others in the other order",
    filter: NEAREST,
    facts: { km: { "us-east": 120, "eu-west": 100, "ap-south": 9_000 } },
    rolls: { main: 2_048 },
    kept: twins(1),
  },

  {
    says: "latency sorts by the distance prior",
    filter: LATENCY,
    facts: { km: { "us-east": 7_000, "eu-west": 300, "ap-south": 9_000 } },
    kept: ["eu-west", "us-east", "ap-south"],
  },
  {
    says: "latency believes what was measured from the network",
    filter: LATENCY,
    facts: { km: { "us-east": 7_000, "eu-west": 300, "ap-south": 9_000 } },
    measuredMs: { "us-east": 80, "eu-west": 95, "ap-south": 30 },
    kept: ["ap-south", "us-east", "eu-west"],
  },
  {
    says: "latency adds what a region's probes lie above their baseline",
    filter: LATENCY,
    facts: { km: { "us-east": 1_500, "eu-west": 1_000, "ap-south": 9_000 } },
    health: { "eu-west": { excessRttTenthsMs: 300 } },
    kept: ["us-east", "eu-west", "ap-south"],
  },
  {
    says: "latency moves nobody for less than the slack",
    filter: LATENCY,
    facts: { km: { "us-east": 1_500, "eu-west": 1_000, "ap-south": 9_000 } },
    health: { "eu-west": { excessRttTenthsMs: 160 } },
    kept: ["eu-west", "us-east", "ap-south"],
  },
  {
    says: "latency does not swap equals",
    filter: LATENCY,
    facts: { km: { "us-east": 1_000, "eu-west": 1_000, "ap-south": 1_000 } },
    health: { "us-east": { excessRttTenthsMs: 90 } },
    kept: ALL,
  },
  {
    says: "latency takes the probe's own RTT near the vantage",
    filter: LATENCY,
    facts: { km: { "us-east": 500, "eu-west": 1_000, "ap-south": 9_000 }, isNearVantage: true },
    health: { "us-east": { rttMicros: 90_000 }, "eu-west": { rttMicros: 20_000 }, "ap-south": { rttMicros: 200_000 } },
    kept: ["eu-west", "us-east", "ap-south"],
  },
  {
    says: "latency does not take it elsewhere",
    filter: LATENCY,
    facts: { km: { "us-east": 500, "eu-west": 1_000, "ap-south": 9_000 } },
    health: { "us-east": { rttMicros: 90_000 }, "eu-west": { rttMicros: 20_000 }, "ap-south": { rttMicros: 200_000 } },
    kept: ALL,
  },
  { says: "latency keeps the default order for unknown clients", filter: LATENCY, kept: ALL },

  {
    says: "priority keeps the lowest tier",
    filter: PRIORITY,
    members: { "us-east": { priority: 2 }, "eu-west": { priority: 1 }, "ap-south": { priority: 2 } },
    kept: ["eu-west"],
  },
  {
    says: "priority leaves most clients on the first tier",
    filter: { name: "priority", split: [90, 10], onEmpty: "undo" },
    rolls: { second: 3_685 },
    kept: ["us-east"],
  },
  {
    says: "priority leaves a share on the next tier",
    filter: { name: "priority", split: [90, 10], onEmpty: "undo" },
    rolls: { second: 3_686 },
    kept: ["eu-west"],
  },
  {
    says: "priority gives a missing tier's share to the others",
    filter: { name: "priority", split: [50, 30, 20], onEmpty: "undo" },
    members: { "us-east": {}, "eu-west": {} },
    rolls: { second: 4_095 },
    kept: ["eu-west"],
  },

  { says: "shed keeps all below the low mark", filter: SHED, health: { "us-east": { loadPermille: 700 } }, kept: ALL },
  {
    says: "shed turns away all at the high mark",
    filter: SHED,
    health: { "us-east": { loadPermille: 900 } },
    kept: ["eu-west", "ap-south"],
  },
  {
    says: "shed keeps a share between the marks",
    filter: SHED,
    health: { "us-east": { loadPermille: 800 } },
    rolls: { second: rollAt(US.hash, 2_047) },
    kept: ALL,
  },
  {
    says: "shed turns away a share between the marks",
    filter: SHED,
    health: { "us-east": { loadPermille: 800 } },
    rolls: { second: rollAt(US.hash, 2_048) },
    kept: ["eu-west", "ap-south"],
  },

  {
    says: "weighted never chooses weight 0 beside others",
    filter: WEIGHTED,
    members: { "us-east": { weight: 0 }, "eu-west": { weight: 1 } },
    kept: ["eu-west"],
  },
  {
    says: "weighted keeps weight 0 when nothing else is there",
    filter: WEIGHTED,
    members: { "us-east": { weight: 0 }, "eu-west": { weight: 0 } },
    kept: ["us-east", "eu-west"],
  },
  {
    says: "sticky never chooses weight 0 beside others",
    filter: STICKY,
    members: { "us-east": { weight: 0 }, "eu-west": { weight: 1 } },
    kept: ["eu-west"],
  },
  { says: "shuffle rotates", filter: SHUFFLE, rolls: { main: 1_366 }, kept: ["eu-west", "ap-south", "us-east"] },
  { says: "shuffle starts with the first", filter: SHUFFLE, rolls: { main: 1_365 }, kept: ALL },
  { says: "first keeps the first", filter: FIRST, kept: ["us-east"] },
  { says: "first keeps the first two", filter: { name: "first", count: 2 }, kept: ["us-east", "eu-west"] },
];

/** US and EU in the order of the twins' ring, started at `start`, then AP. */
function twins(start: 0 | 1): string[] {
  const ring = [US, EU].sort((a, b) => a.hash - b.hash).map(({ id }) => id);
  return [ring[start]!, ring[1 - start]!, AP.id];
}

for (const { says, filter, members, health, facts, measuredMs, rolls, kept } of CASES) {
  test(`filter ${says}`, () => {
    const of = bound(service([filter], members ? { members } : {}));
    const result = runChain(of, world(of, { health, facts, measuredMs }), rollsOf(rolls));
    assert.deepEqual(
      result.kept.map(({ region: { id } }) => id),
      kept,
    );
  });
}

test("every filter has a case that runs it", () => {
  assert.deepEqual([...new Set(CASES.map(({ filter }) => filter.name))].sort(), Object.keys(FILTERS).sort());
});

for (const { filter, weights } of [
  { filter: WEIGHTED, weights: { "us-east": 90, "eu-west": 10, "ap-south": 0 } },
  { filter: WEIGHTED, weights: { "us-east": 1, "eu-west": 1, "ap-south": 1 } },
  { filter: WEIGHTED, weights: { "us-east": 997, "eu-west": 2, "ap-south": 1 } },
]) {
  test(`weighted divides the 4,096 rolls exactly by ${Object.values(weights).join(":")} (ruling 4)`, () => {
    const members = Object.fromEntries(Object.entries(weights).map(([id, weight]) => [id, { weight }]));
    const of = bound(service([filter, FIRST], { members }));
    const here = world(of);
    const counts = new Map<string, number>();
    for (let main = 0; main < 4_096; main++) {
      const { id } = runChain(of, here, rollsOf({ main })).kept[0]!.region;
      counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    const sum = Object.values(weights).reduce((a, b) => a + b, 0);
    for (const [id, weight] of Object.entries(weights)) {
      assert.ok(Math.abs((counts.get(id) ?? 0) - (4_096 * weight) / sum) <= 1, `${id}: ${counts.get(id)}`);
    }
  });
}

test("healthy lets in exactly the ramp's share of the rolls, and the same clients at each step", () => {
  const of = bound(service([HEALTHY]));
  let before = new Set<number>();
  for (const rampPercent of [10, 25, 50, 99]) {
    const here = world(of, { health: { "eu-west": { rampPercent } } });
    const inside = new Set<number>();
    for (let ramp = 0; ramp < 4_096; ramp++) {
      if (runChain(of, here, rollsOf({ ramp })).kept.length === 3) inside.add(ramp);
    }
    assert.equal(inside.size, Math.ceil((rampPercent * 4_096) / 100));
    assert.ok(before.isSubsetOf(inside));
    before = inside;
  }
});
