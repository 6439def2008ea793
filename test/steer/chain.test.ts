/** The chain: empty rules, the floor, and what explain hears of them. */
import assert from "node:assert/strict";
import test from "node:test";
import { GEO_MATCH } from "#state/class-facts.ts";
import { OVERRIDE, VERDICT } from "#state/health-table.ts";
import type { EmptyRule, FilterSpec, ServiceSpec } from "#state/snapshot.ts";
import { type ChainStep, runChain } from "#steer/chain.ts";
import type { Rolls } from "#steer/rolls.ts";
import {
  bound,
  EU,
  type FactsById,
  FIRST,
  fence,
  GEO,
  HEALTHY,
  type Health,
  NEAREST,
  PRIORITY,
  rollsOf,
  SHED,
  service,
  US,
  WEIGHTED,
  world,
} from "./world.ts";

const DOWN = { verdict: VERDICT.down } as const;
const ALL_DOWN: Health = { "us-east": DOWN, "eu-west": DOWN, "ap-south": DOWN };
const OVERRIDDEN = { override: OVERRIDE.down } as const;
const INSIDE: FactsById = { insideFence: [true], km: { "us-east": 7_000, "eu-west": 300, "ap-south": 9_000 } };
const healthy = (onEmpty: EmptyRule): FilterSpec => ({ name: "healthy", onEmpty });
const OUTSIDE_RAMP = { ramp: (1_024 - EU.hash) & 4_095 };

type Case = {
  says: string;
  chain: readonly FilterSpec[];
  more?: Partial<Pick<ServiceSpec, "fallback" | "allowEmpty">> & { members?: Record<string, { priority: number }> };
  health?: Health;
  facts?: FactsById;
  rolls?: Partial<Rolls>;
  expected: string;
};
/** Expected: `outcome: regions`, with `!` for failing open. */
const CASES: readonly Case[] = [
  {
    says: "undo fails open when all are down",
    chain: [HEALTHY, FIRST],
    health: ALL_DOWN,
    expected: "answer!: us-east",
  },
  {
    says: "undo re-admits what returns before what is down",
    chain: [HEALTHY],
    health: { ...ALL_DOWN, "ap-south": { isHeldForFailback: true, verdict: VERDICT.down } },
    expected: "answer: ap-south",
  },
  {
    says: "undo re-admits a client outside of the ramp's share before what is down",
    chain: [HEALTHY],
    health: { ...ALL_DOWN, "eu-west": { rampPercent: 25 } },
    rolls: OUTSIDE_RAMP,
    expected: "answer: eu-west",
  },
  {
    says: "undo re-admits what returns before what drains",
    chain: [HEALTHY],
    health: {
      "us-east": { override: OVERRIDE.drain, weightPercent: 0 },
      "eu-west": { rampPercent: 25 },
      "ap-south": DOWN,
    },
    rolls: OUTSIDE_RAMP,
    expected: "answer: eu-west",
  },
  {
    says: "undo re-admits what drains before what is down",
    chain: [HEALTHY],
    health: { ...ALL_DOWN, "eu-west": { override: OVERRIDE.drain, weightPercent: 0 } },
    expected: "answer: eu-west",
  },
  {
    says: "undo re-admits stale before down",
    chain: [HEALTHY],
    health: { ...ALL_DOWN, "eu-west": { verdict: VERDICT.down, isStale: true } },
    expected: "answer!: eu-west",
  },
  {
    says: "undo never re-admits what an operator took down",
    chain: [HEALTHY],
    health: { ...ALL_DOWN, "us-east": OVERRIDDEN },
    expected: "answer!: eu-west ap-south",
  },
  {
    says: "overrides hold in a chain that never looks at health",
    chain: [FIRST],
    health: { "us-east": OVERRIDDEN },
    expected: "answer: eu-west",
  },
  {
    says: "everything overridden down is SERVFAIL",
    chain: [HEALTHY],
    health: { "us-east": OVERRIDDEN, "eu-west": OVERRIDDEN, "ap-south": OVERRIDDEN },
    expected: "servfail: ",
  },
  {
    says: "everything overridden down takes the fallback",
    chain: [HEALTHY],
    more: { fallback: "other" },
    health: { "us-east": OVERRIDDEN, "eu-west": OVERRIDDEN, "ap-south": OVERRIDDEN },
    expected: "fallback other: ",
  },
  {
    says: "the service's fallback is better than what is down",
    chain: [HEALTHY, FIRST],
    more: { fallback: "other" },
    health: ALL_DOWN,
    expected: "fallback other: ",
  },
  {
    says: "a filter's fallback answers",
    chain: [healthy({ fallback: "static" })],
    health: ALL_DOWN,
    expected: "fallback static: ",
  },
  {
    says: "nodata needs allowEmpty",
    chain: [healthy("nodata")],
    health: ALL_DOWN,
    expected: "answer!: us-east eu-west ap-south",
  },
  {
    says: "nodata with allowEmpty",
    chain: [healthy("nodata")],
    more: { allowEmpty: true },
    health: ALL_DOWN,
    expected: "nodata: ",
  },
  {
    says: "nodata is not for what a client-dependent filter left",
    chain: [GEO, healthy("nodata")],
    more: { allowEmpty: true },
    health: { "eu-west": DOWN },
    facts: { match: { "eu-west": GEO_MATCH.country } },
    expected: "answer: us-east ap-south",
  },
  {
    says: "nodata is not for what a client's roll left",
    chain: [healthy("nodata")],
    more: { allowEmpty: true },
    health: { ...ALL_DOWN, "eu-west": { rampPercent: 25 } },
    rolls: OUTSIDE_RAMP,
    expected: "answer: eu-west",
  },
  {
    says: "next takes the next tier",
    chain: [PRIORITY, healthy("next"), FIRST],
    health: { "us-east": DOWN },
    expected: "answer: eu-west",
  },
  {
    says: "next goes on until a tier is up",
    chain: [PRIORITY, healthy("next"), FIRST],
    health: { "us-east": DOWN, "eu-west": DOWN },
    expected: "answer: ap-south",
  },
  {
    says: "next fails open when no tier is up",
    chain: [PRIORITY, healthy("next"), FIRST],
    health: ALL_DOWN,
    expected: "answer!: us-east",
  },
  {
    says: "next comes back to the tier before a split's choice",
    chain: [{ name: "priority", split: [50, 50], onEmpty: "undo" }, healthy("next"), FIRST],
    more: { members: { "us-east": { priority: 1 }, "eu-west": { priority: 2 } } },
    health: { "eu-west": DOWN },
    rolls: { second: 4_095 },
    expected: "answer: us-east",
  },
  {
    says: "next without tiers fails open",
    chain: [healthy("next")],
    health: ALL_DOWN,
    expected: "answer!: us-east eu-west ap-south",
  },
  {
    says: "failing open keeps order and limit",
    chain: [HEALTHY, NEAREST, FIRST],
    health: ALL_DOWN,
    facts: INSIDE,
    expected: "answer!: eu-west",
  },
  {
    says: "a fence is not undone",
    chain: [HEALTHY, fence(["eu-west"]), NEAREST, FIRST],
    health: { "eu-west": DOWN },
    facts: INSIDE,
    expected: "answer!: eu-west",
  },
  {
    says: "a fence before health is not undone",
    chain: [fence(["eu-west"]), HEALTHY, FIRST],
    health: { "eu-west": DOWN },
    facts: INSIDE,
    expected: "answer!: eu-west",
  },
  {
    says: "a fence whose regions an operator took down is SERVFAIL",
    chain: [HEALTHY, fence(["eu-west"])],
    health: { "eu-west": OVERRIDDEN },
    facts: INSIDE,
    expected: "servfail: ",
  },
  {
    says: "a fence's fallback answers",
    chain: [HEALTHY, fence(["eu-west"], { onEmpty: { fallback: "static" } })],
    health: { "eu-west": DOWN },
    facts: INSIDE,
    expected: "fallback static: ",
  },
  {
    says: "load is undone",
    chain: [HEALTHY, SHED, FIRST],
    health: { "us-east": { loadPermille: 950 }, "eu-west": { loadPermille: 950 }, "ap-south": { loadPermille: 950 } },
    expected: "answer: us-east",
  },
  {
    says: "geo takes its fallback for clients that no region matches",
    chain: [{ name: "geo", onEmpty: { fallback: "static" } }],
    facts: {},
    expected: "fallback static: ",
  },
  {
    says: "failover takes the next region",
    chain: [HEALTHY, PRIORITY, FIRST],
    health: { "us-east": DOWN },
    expected: "answer: eu-west",
  },
];

for (const { says, chain, more = {}, health, facts, rolls, expected } of CASES) {
  test(`runChain() ${says}`, () => {
    const of = bound(service(chain, more));
    const { outcome, fallback, isFailOpen, kept } = runChain(of, world(of, { health, facts }), rollsOf(rolls));
    const ids = kept.map(({ region: { id } }) => id).join(" ");
    assert.equal(`${outcome}${fallback ? ` ${fallback}` : ""}${isFailOpen ? "!" : ""}: ${ids}`, expected);
  });
}

test("runChain() tells a tracer each step, with the reason for each region that is gone", () => {
  const of = bound(service([HEALTHY, WEIGHTED, FIRST]));
  const steps: ChainStep[] = [];
  const here = world(of, { health: { "us-east": OVERRIDDEN, "eu-west": DOWN } });
  runChain(of, here, rollsOf(), (step) => steps.push(step));
  assert.deepEqual(
    steps.map(({ filter, after, notes }) => [
      filter,
      after.map(({ region }) => region.id).join(),
      notes.map(({ candidate, reason }) => `${candidate.region.id}: ${reason}`).join(),
    ]),
    [
      ["override", "eu-west,ap-south", "us-east: overridden down"],
      ["healthy", "ap-south", "eu-west: down"],
      ["weighted", "ap-south", ""],
      ["first", "ap-south", ""],
    ],
  );
});

test("runChain() asks for no roll where none decides", () => {
  const of = bound(service([HEALTHY, GEO, WEIGHTED, FIRST]));
  const asked = (facts: FactsById): number => runChain(of, world(of, { facts }), rollsOf()).asked;
  assert.equal(asked({ match: { "eu-west": GEO_MATCH.country } }), 0, "one region is left for weighted");
  assert.notEqual(asked({ match: { "eu-west": GEO_MATCH.country, "us-east": GEO_MATCH.country } }), 0);
});

test("runChain() is the same with and without a tracer", () => {
  const of = bound(service([HEALTHY, GEO, NEAREST, WEIGHTED, FIRST]));
  for (const health of [{}, ALL_DOWN, { [US.id]: { rampPercent: 50 } }]) {
    const here = world(of, { health, facts: INSIDE });
    for (let main = 0; main < 4_096; main += 97) {
      const rolls = rollsOf({ main, ramp: main });
      assert.deepEqual(
        runChain(of, here, rolls, () => {}),
        runChain(of, here, rolls),
      );
    }
  }
});
