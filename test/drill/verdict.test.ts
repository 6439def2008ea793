/** One sentence that somebody understands who was not there. */
import assert from "node:assert/strict";
import test from "node:test";
import type { Collected } from "#drill/collected.ts";
import { serviceLevel } from "#drill/measure-requests.ts";
import { measure } from "#drill/measures.ts";
import { ACTIONS, type Scenario } from "#drill/scenario.ts";
import { stepSays } from "#drill/step-words.ts";
import { type Ending, outcomeOf, verdict } from "#drill/verdict.ts";
import { answer, anycast, done, route, second, seen } from "./seen.ts";

const OUTAGE: Partial<Collected> = {
  steps: [done(10, "kill", "region/eu-west"), done(30, "heal", "region/eu-west")],
  marks: [answer(-2, ["eu-west"]), answer(14.5, ["us-east"]), answer(38, ["eu-west"])],
  seconds: [second(0, { http: { "eu-west": [97, 0, 3] }, queries: 40 })],
};

function judge(
  what: Partial<Collected>,
  expect: Scenario["expect"] = {},
  ending: Ending = { kind: "over" },
  leftOver: readonly string[] = [],
) {
  const collected = seen(what);
  const measures = measure(collected, expect);
  const judged = { collected, measures, slo: serviceLevel(collected), ending, leftOver };
  return { outcome: outcomeOf(judged), says: verdict(judged) };
}

for (const { name, result, expected } of [
  {
    name: "an outage that went as it should",
    result: judge(OUTAGE, { changedAnswer: { p99: 7_000 }, lostRequests: { max: 0.05 } }),
    expected: {
      outcome: "passed",
      says: "eu-west was killed; DNS led clients elsewhere within 4.50 s; they came back 8.00 s after it was healed; of 100 requests 3 (3.0 %) were lost, of 40 queries none. All 2 expectations were met.",
    },
  },
  {
    name: "one that nobody noticed",
    result: judge({ ...OUTAGE, marks: [answer(-2, ["eu-west"])] }, { changedAnswer: { p99: 7_000 } }),
    expected: {
      outcome: "failed",
      says: "eu-west was killed; DNS led nobody elsewhere; of 100 requests 3 (3.0 %) were lost, of 40 queries none. Not as expected: changed answer was 20.0 s where p99 ≤ 7.00 s was expected.",
    },
  },
  {
    name: "anycast, and nothing lost",
    result: judge({
      steps: [done(10, "kill-exabgp", "exabgp/eu-west")],
      marks: [anycast(0, "eu-west"), anycast(10.4, "us-east")],
      routes: [route(0, "router-eu", "eu-west")],
      seconds: [second(0, { http: { a: [10, 0, 0] }, queries: 5 })],
    }),
    expected: {
      outcome: "passed",
      says: "The ExaBGP of eu-west was killed; anycast clients were served elsewhere within 400 ms; none of 10 requests and 5 queries was lost.",
    },
  },
  {
    name: "one that was aborted",
    result: judge(OUTAGE, {}, { kind: "aborted", why: "somebody stopped it" }),
    expected: {
      outcome: "aborted",
      says: "The drill was aborted and everything healed, because somebody stopped it. eu-west was killed; DNS led clients elsewhere within 4.50 s; they came back 8.00 s after it was healed; of 100 requests 3 (3.0 %) were lost, of 40 queries none.",
    },
  },
  {
    name: "one that broke",
    result: judge({}, {}, { kind: "broken", why: "ns3 did not start" }),
    expected: { outcome: "broken", says: "The drill could not be run to its end: ns3 did not start" },
  },
  {
    name: "a stage that is not as it was",
    result: judge({ ...OUTAGE, steps: [] }, {}, { kind: "over" }, ["ns2 is gone"]),
    expected: {
      outcome: "broken",
      says: "Of 100 requests 3 (3.0 %) were lost, of 40 queries none. Not as it was before: ns2 is gone.",
    },
  },
  {
    name: "a machine that was too busy",
    result: judge({ seconds: [second(0, { http: { a: [100, 0, 0] }, late: 3 })] }),
    expected: {
      outcome: "passed",
      says: "None of 100 requests and 0 queries was lost. The machine was too busy for the load: 3 of its starts came late, so the numbers are in doubt.",
    },
  },
]) {
  test(`verdict() of ${name}`, () => assert.deepEqual(result, expected));
}

test("stepSays() has a sentence for every action, with nothing left open", () => {
  const options = { ms: 2_000, share: 0.3, factor: 2, times: 3, upMs: 1, downMs: 1 };
  for (const action of ACTIONS) {
    const says = stepSays({ action, target: "region/eu-west", options });
    assert.match(says, /eu-west/);
    assert.doesNotMatch(says, /undefined|NaN/);
  }
});
