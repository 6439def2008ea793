/** Where each command enters the order of steps, what duties follow, and terms and capacity before an evacuation begins. */
import assert from "node:assert/strict";
import test from "node:test";
import { whyNotCarried } from "#health/evacuation/capacity.ts";
import { leaveAgain, resumeEvacuation, returnRegion, stopEvacuation, withNote } from "#health/evacuation/commands.ts";
import { faultOfWeights, termsOf } from "#health/evacuation/terms.ts";
import { dutyOf, type Evacuation, isEvacuation } from "#state/evacuation.ts";
import { at, begun, START_MS } from "./bed.ts";

const terms = termsOf({}, 30, true);
const short = ({ direction, step, weight }: Evacuation) => [direction, step, weight];

for (const [now, expected] of [
  [{ step: "weight", weight: 50 }, ["return", "weight", 50]],
  [{ step: "tail", weight: 0 }, ["return", "weight", 0]],
  [{ step: "balancer", weight: 0 }, ["return", "balancer", 0]],
  [{ step: "withdraw", weight: 0 }, ["return", "withdraw", 0]],
  [{ step: "evacuated", weight: 0 }, ["return", "withdraw", 0]],
  [{ step: "evacuated", weight: 0, terms: { ...terms, withdraws: false } }, ["return", "balancer", 0]],
  [{ direction: "return", step: "weight", weight: 25, isStopped: true }, ["return", "weight", 25]],
] as const)
  test(`returnRegion() turns ${JSON.stringify(now)} into ${expected}`, () => {
    const returned = returnRegion(begun(now), at(60, "lee", "ns2"));
    assert.deepEqual(short(returned), expected);
    assert.equal(returned.isStopped, false);
    assert.equal(returned.leader, "ns2");
    assert.equal(returned.orders, 2);
    assert.equal(returned.stepAtMs, START_MS + 60_000);
  });

for (const [now, expected] of [
  [{ step: "weight", weight: 25 }, ["leave", "weight", 0]],
  [{ step: "weight", weight: 75 }, ["leave", "weight", 50]],
  [{ step: "balancer", weight: 0 }, ["leave", "balancer", 0]],
  [{ step: "withdraw", weight: 0 }, ["leave", "withdraw", 0]],
] as const)
  test(`leaveAgain() turns a return at ${JSON.stringify(now)} into ${expected}`, () => {
    const left = leaveAgain(begun({ direction: "return", ...now }), "again", at(60));
    assert.deepEqual(short(left), expected);
    assert.equal(left.zeroAtMs, left.weight === 0 ? START_MS + 60_000 : null);
    assert.equal(left.reason, "again");
  });

test("stop and resume keep direction, step and weight; resume takes the lead and begins the step's times anew", () => {
  const stopped = stopEvacuation(begun({ step: "tail", weight: 0 }), at(60));
  assert.deepEqual([...short(stopped), stopped.isStopped], ["leave", "tail", 0, true]);
  assert.equal(stopped.stepAtMs, START_MS);
  const resumed = resumeEvacuation(stopped, at(90, "lee", "ns3"), true);
  assert.deepEqual([...short(resumed), resumed.isStopped], ["leave", "tail", 0, false]);
  assert.deepEqual([resumed.leader, resumed.stepAtMs, resumed.terms.isForced], ["ns3", START_MS + 90_000, true]);
  assert.equal(resumeEvacuation(stopped, at(90), false).terms.isForced, false);
});

test("a history forgets its beginning before a record grows too large", () => {
  let now = begun();
  for (let entry = 0; entry < 1_000; entry++) now = withNote(now, START_MS, "x".repeat(500));
  assert.ok(JSON.stringify(now).length < 65_536);
});

for (const [now, weightPercent, isDraining, isWithdrawn] of [
  [{ step: "weight", weight: 50 }, 50, false, false],
  [{ step: "tail", weight: 0 }, 0, false, false],
  [{ step: "balancer", weight: 50 }, 0, true, false],
  [{ step: "withdraw", weight: 0 }, 0, true, true],
  [{ step: "withdraw", weight: 0, terms: { ...terms, withdraws: false } }, 0, true, false],
  [{ step: "evacuated", weight: 0 }, 0, true, true],
  [{ direction: "return", step: "withdraw", weight: 0 }, 0, true, false],
  [{ direction: "return", step: "balancer", weight: 0 }, 0, false, false],
  [{ direction: "return", step: "weight", weight: 25 }, 25, false, false],
  [{ direction: "return", step: "serving", weight: 100 }, 100, false, false],
] as const)
  test(`dutyOf() of ${JSON.stringify(now)}`, () =>
    assert.deepEqual(dutyOf(begun(now)), { weightPercent, isDraining, isWithdrawn }));

test("isEvacuation() takes what this version writes, and refuses what is damaged", () => {
  assert.equal(isEvacuation(begun()), true);
  for (const damage of [
    { step: "gone" },
    { direction: 1 },
    { weight: 101 },
    { terms: {} },
    { history: "" },
    { orders: null },
  ])
    assert.equal(isEvacuation({ ...begun(), ...damage } as Evacuation), false, JSON.stringify(damage));
});

test("termsOf() waits for TTLs, and at least five minutes for the tail", () => {
  assert.deepEqual(
    [termsOf({}, 30, false).weightWaitMs, termsOf({}, 30, false).tailTimeoutMs, termsOf({}, 600, false).tailTimeoutMs],
    [30_000, 300_000, 1_200_000],
  );
  assert.deepEqual(termsOf({ weights: [0], withdraws: undefined }, 30, true).weights, [0]);
  assert.equal(termsOf({ withdraws: undefined }, 30, true).withdraws, true);
  assert.equal(termsOf({ withdraws: false }, 30, true).withdraws, false);
});

for (const [weights, fault] of [
  [[50, 0], undefined],
  [[0], undefined],
  [[95, 75, 50, 0], undefined],
  [[50], /last weight must be 0/],
  [[], /last weight must be 0/],
  [[50, 50, 0], /must fall/],
  [[100, 0], /must fall/],
  [[10, 20, 0], /must fall/],
] as const)
  test(`faultOfWeights(${JSON.stringify(weights)})`, () => {
    const found = faultOfWeights(weights);
    if (fault === undefined) assert.equal(found, undefined);
    else assert.match(found ?? "", fault);
  });

const carrier = (region: string, offeredRps: number | null, capacityRps: number | null, isUp = true) => ({
  region,
  offeredRps,
  capacityRps,
  isUp,
});
for (const { name, regions, level, says } of [
  {
    name: "lets go what the others can carry",
    regions: [carrier("eu", 500, 1_000), carrier("us", 400, 1_000)],
    level: null,
    says: undefined,
  },
  {
    name: "holds what they cannot",
    regions: [carrier("eu", 700, 1_000), carrier("us", 400, 1_000)],
    level: null,
    says: /1100 requests per second.*capacity of 1000/,
  },
  {
    name: "does not count a region that is down",
    regions: [carrier("eu", 500, 1_000), carrier("us", 400, 800), carrier("ap", 0, 1_000, false)],
    level: null,
    says: /capacity of 800/,
  },
  {
    name: "believes the plan for the loss of the region",
    regions: [carrier("eu", 100, 1_000), carrier("us", 100, 1_000)],
    level: 1.2,
    says: /filled to 120 %/,
  },
  {
    name: "does not judge where nobody knows the capacity",
    regions: [carrier("eu", 700, 1_000), carrier("us", 400, null)],
    level: null,
    says: undefined,
  },
])
  test(`whyNotCarried() ${name}`, () => {
    const found = whyNotCarried("eu", regions, level);
    if (says === undefined) assert.equal(found, undefined);
    else assert.match(found ?? "", says);
  });
