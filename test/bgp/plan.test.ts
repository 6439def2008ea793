/** The life of a prefix, its hold-down, and who may leave: pure, under time that the test makes. */
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { type Others, whyNotLeave } from "#bgp/advertisers.ts";
import { addFlap, NO_PENALTY, penaltyAt } from "#bgp/hold-down.ts";
import { type Desired, desired, newPlan, nextPlan, type PrefixPlan } from "#bgp/plan.ts";
import { lookAgain, notYetChecked, type Serving, takeResult } from "#bgp/serving.ts";
import type { PrefixPhase } from "#state/anycast.ts";
import { advertiser, anycastSpec } from "./bed.ts";

const TERMS = anycastSpec();
const free = (): undefined => undefined;

test("addFlap() doubles the hold with each flap, forgets half of it per half-life, and stops at the cap", () => {
  const terms = { baseMs: 10_000, halfLifeMs: 900_000, capMs: 60_000 };
  const holds: number[] = [];
  let penalty = NO_PENALTY;
  for (let flap = 0; flap < 5; flap++) {
    const next = addFlap(penalty, 0, terms);
    penalty = next.penalty;
    holds.push(next.holdMs);
  }
  assert.deepEqual(holds, [10_000, 20_000, 40_000, 60_000, 60_000]);
  assert.equal(penaltyAt(penalty, 900_000, terms), 2.5);
  assert.equal(Math.round(addFlap(penalty, 90_000_000, terms).holdMs), 10_000);
});

test("takeResult() is down only after downMs of bad results in a row, up after upMs of good ones", () => {
  const terms = { downMs: 3_000, upMs: 1_000 };
  let now: Serving = notYetChecked(0);
  const states: string[] = [];
  const results = [true, true, true, false, true, false, false, false, false, false, false, false, true, true, true];
  for (const [index, isOk] of results.entries()) {
    now = takeResult(now, { isOk, says: "" }, index * 500, terms);
    states.push(now.state);
  }
  assert.deepEqual(states, [
    ...["unknown", "unknown", "up", "up", "up"],
    ...["up", "up", "up", "up", "up", "up", "down", "down", "down", "up"],
  ]);
});

test("lookAgain() goes down by time alone when a check hangs after the first bad result", () => {
  const terms = { downMs: 3_000, upMs: 0 };
  const up = takeResult(notYetChecked(0), { isOk: true, says: "" }, 0, terms);
  const failing = takeResult(up, { isOk: false, says: "timeout" }, 1_000, terms);
  assert.equal(lookAgain(failing, 3_999, terms).state, "up");
  assert.equal(lookAgain(failing, 4_000, terms).state, "down");
});

const serving = (state: Serving["state"]): Serving => ({ state, sinceMs: 0, streak: undefined, says: "refused" });
const away = { kind: "withdraw", reason: "r", owner: "kim" } as const;
for (const { name, state, wishes, isStopping, kind } of [
  {
    name: "withdraws what does not serve, whatever is wished",
    state: "down",
    wishes: [away],
    isStopping: true,
    kind: "withdraw",
  },
  { name: "leaves when the process stops", state: "up", wishes: [], isStopping: true, kind: "leave" },
  {
    name: "leaves when one of two wants it",
    state: "up",
    wishes: [{ kind: "announce" }, away],
    isStopping: false,
    kind: "leave",
  },
  { name: "waits for the first result", state: "unknown", wishes: [], isStopping: false, kind: "wait" },
  { name: "announces what serves", state: "up", wishes: [{ kind: "announce" }], isStopping: false, kind: "announce" },
] as const)
  test(`desired() ${name}`, () => assert.equal(desired(serving(state), wishes, isStopping).kind, kind));

const want = fc.oneof(
  fc.constantFrom<Desired>(
    { kind: "wait", says: "w" },
    { kind: "announce", says: "a" },
    { kind: "withdraw", says: "f" },
  ),
  fc.boolean().map((isForced): Desired => ({ kind: "leave", says: "l", isForced })),
);
/** Which phase may follow which (D15). */
const FOLLOWS: Readonly<Record<PrefixPhase, readonly PrefixPhase[]>> = {
  starting: ["starting", "ready", "advertised", "withdrawn"],
  ready: ["ready", "advertised", "withdrawn"],
  advertised: ["advertised", "draining", "withdrawn"],
  draining: ["draining", "advertised", "withdrawn"],
  withdrawn: ["withdrawn", "ready", "advertised"],
};

test("nextPlan() keeps the order of phases, the hold-down and the drain, whatever is wanted and refused", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(want, fc.integer({ min: 0, max: 8_000 }), fc.boolean()), { maxLength: 60 }),
      (steps) => {
        let plan: PrefixPlan = newPlan(0);
        let nowMs = 0;
        for (const [desire, passesMs, mayLeave] of steps) {
          nowMs += passesMs;
          const next = nextPlan(plan, desire, nowMs, TERMS, () => (mayLeave ? undefined : "too few"));
          assert.ok(FOLLOWS[plan.phase].includes(next.phase), `${plan.phase} → ${next.phase}`);
          if (desire.kind === "withdraw") assert.equal(next.phase, "withdrawn");
          const isUnplanned = desire.kind === "withdraw" && (plan.phase === "advertised" || plan.phase === "draining");
          assert.equal(next.flaps, plan.flaps + (isUnplanned ? 1 : 0));
          if (next.phase === "advertised" && plan.phase !== "advertised" && plan.phase !== "draining")
            assert.ok(nowMs >= (plan.heldUntilMs ?? 0), "announced while it was held down");
          if (desire.kind === "leave" && next.phase === "withdrawn" && plan.phase === "draining")
            assert.ok(nowMs - plan.sinceMs >= TERMS.drain.waitMs && (mayLeave || desire.isForced), "left too early");
          plan = next;
        }
      },
    ),
  );
});

test("nextPlan() with what is already so changes nothing", () => {
  const announced = nextPlan(newPlan(0), { kind: "announce", says: "a" }, 0, TERMS, free);
  assert.deepEqual(nextPlan(announced, { kind: "announce", says: "a" }, 900, TERMS, free), announced);
});

const others = (...shares: Others["shares"]): Others => ({ isKnown: true, says: "", shares });
const PREFIX = "203.0.113.1/32";
for (const { name, node = "lb1", min = 1, isDraining = false, known, says } of [
  { name: "lets go where another announces", known: others(advertiser("lb2")), says: undefined },
  { name: "keeps the last one", known: others(), says: /nobody else announces it/ },
  {
    name: "does not count other prefixes",
    known: others(advertiser("lb2", "advertised", "192.0.2.1/32")),
    says: /nobody else/,
  },
  {
    name: "does not count who drains, is ready or withdrawn",
    known: others(advertiser("lb2", "draining"), advertiser("lb3", "ready"), advertiser("lb4", "withdrawn")),
    says: /nobody else/,
  },
  {
    name: "wants as many as are configured",
    min: 2,
    known: others(advertiser("lb2")),
    says: /needs 2 that announce it, and only lb2/,
  },
  {
    name: "keeps it when nobody knows who else announces",
    known: { isKnown: false, says: "Redis is away", shares: [advertiser("lb2")] },
    says: /Redis is away/,
  },
  {
    name: "asks nobody where none is needed",
    min: 0,
    known: { isKnown: false, says: "", shares: [] },
    says: undefined,
  },
  {
    name: "goes first by its lower name",
    isDraining: true,
    known: others(advertiser("lb2", "draining")),
    says: undefined,
  },
  {
    name: "stays by its higher name",
    node: "lb3",
    isDraining: true,
    known: others(advertiser("lb2", "draining")),
    says: /nobody else/,
  },
] as const)
  test(`whyNotLeave() ${name}`, () => {
    const answer = whyNotLeave({ node, prefix: PREFIX, minAdvertisers: min, isDraining }, known);
    if (says === undefined) assert.equal(answer, undefined);
    else assert.match(answer ?? "", says);
  });

test("whyNotLeave() never lets all go, however many drain at once and have heard of each other", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.integer({ min: 0, max: 9 }), { minLength: 2, maxLength: 6 }),
      fc.integer({ min: 1, max: 3 }),
      (ids, min) => {
        const nodes = ids.map((id) => `lb${id}`);
        const leaves = nodes.filter((node) => {
          const known = others(...nodes.filter((one) => one !== node).map((one) => advertiser(one, "draining")));
          return whyNotLeave({ node, prefix: PREFIX, minAdvertisers: min, isDraining: true }, known) === undefined;
        });
        assert.equal(nodes.length - leaves.length, Math.min(nodes.length, min));
      },
    ),
  );
});
