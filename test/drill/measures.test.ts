/** Measures are pure: what was seen in, numbers out. */
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import type { Collected } from "#drill/collected.ts";
import { drainCurve, serviceLevel } from "#drill/measure-requests.ts";
import { measure, mergeMeasures, resultOf } from "#drill/measures.ts";
import type { Measure } from "#drill/scenario.ts";
import { answer, anycast, at, done, event, REGIONS, route, second, seen } from "./seen.ts";

const NEVER = "(not in all that time)";
const OUTAGE = [done(10, "kill", "region/eu-west"), done(30, "heal", "region/eu-west")];
const BEFORE = answer(-2, ["eu-west"]);

/** Requests of EU: 10 a second to eu-west until `from`, then elsewhere. */
const movingRequests = (from: number, until = 60) =>
  Array.from({ length: until }, (_, index) =>
    second(index, { http: index < from ? { "eu-west": [10, 0, 0] } : { "us-east": [10, 0, 0] } }),
  );

const CASES: {
  name: string;
  measure: Measure;
  seen: Partial<Collected>;
  samples: readonly (readonly [string, number])[];
}[] = [
  {
    name: "is from the fault to the first node that says so",
    measure: "detection",
    seen: { steps: OUTAGE, events: [event(14, "ns2", "region/eu-west"), event(13.5, "ns1", "region/eu-west")] },
    samples: [["kill region/eu-west", 3_500]],
  },
  {
    name: "takes no alarm of another region, of an earlier time, nor what resolves one",
    measure: "detection",
    seen: {
      steps: OUTAGE,
      events: [
        event(9, "ns1", "region/eu-west"),
        event(12, "ns1", "region/us-east"),
        event(13, "ns1", "region/eu-west", "resolved"),
        event(15, "ns1", "region/eu-west"),
      ],
    },
    samples: [["kill region/eu-west", 5_000]],
  },
  {
    name: "is not asked of what somebody does on purpose, nor of a backend, nor of a little slowness",
    measure: "detection",
    seen: {
      steps: [
        done(5, "drain", "region/us-east"),
        done(6, "kill", "backend/eu-west/1"),
        done(7, "slow", "region/eu-west", { ms: 200 }),
        done(8, "error-rate", "region/ap-south", { share: 0.2 }),
      ],
    },
    samples: [],
  },
  {
    name: "is of each node and continent that was sent there",
    measure: "changedAnswer",
    seen: {
      steps: OUTAGE,
      marks: [
        BEFORE,
        answer(-2, ["eu-west"], { node: "ns2" }),
        answer(-2, ["us-east"], { continent: "NA" }),
        answer(14, ["us-east"]),
        answer(15, ["us-east"], { node: "ns2" }),
      ],
    },
    samples: [
      ["kill region/eu-west at ns1 for EU", 4_000],
      ["kill region/eu-west at ns2 for EU", 5_000],
    ],
  },
  {
    name: "counts neither an empty answer nor an error as elsewhere",
    measure: "changedAnswer",
    seen: {
      steps: OUTAGE,
      marks: [BEFORE, answer(11, []), answer(12, ["us-east"], { rcode: "SERVFAIL" }), answer(16, ["us-east"])],
    },
    samples: [["kill region/eu-west at ns1 for EU", 6_000]],
  },
  {
    name: "wants that the region is in no place of the answer",
    measure: "changedAnswer",
    seen: { steps: OUTAGE, marks: [BEFORE, answer(11, ["us-east", "eu-west"]), answer(13, ["us-east"])] },
    samples: [["kill region/eu-west at ns1 for EU", 3_000]],
  },
  {
    name: "of a fault where no client was is nothing",
    measure: "changedAnswer",
    seen: { steps: OUTAGE, marks: [answer(-2, ["us-east"]), answer(12, ["ap-south"])] },
    samples: [],
  },
  {
    name: "of a fault that was healed before it was seen is how long it stood",
    measure: "changedAnswer",
    seen: {
      steps: [done(10, "kill", "region/eu-west"), done(12, "heal", "region/eu-west")],
      marks: [BEFORE, answer(13, ["us-east"])],
    },
    samples: [[`kill region/eu-west at ns1 for EU ${NEVER}`, 2_000]],
  },
  {
    name: "of a fault that nobody healed and nobody saw lasts to the end",
    measure: "changedAnswer",
    seen: { steps: [done(10, "kill", "region/eu-west")], marks: [BEFORE] },
    samples: [[`kill region/eu-west at ns1 for EU ${NEVER}`, 50_000]],
  },
  {
    name: "of nodes that disagree is a sample each, the one that never moves among them",
    measure: "changedAnswer",
    seen: {
      steps: OUTAGE,
      marks: [BEFORE, answer(-2, ["eu-west"], { node: "ns2" }), answer(14, ["us-east"])],
    },
    samples: [
      ["kill region/eu-west at ns1 for EU", 4_000],
      [`kill region/eu-west at ns2 for EU ${NEVER}`, 20_000],
    ],
  },
  {
    name: "of a slow region that gets slower is of the second step alone",
    measure: "changedAnswer",
    seen: {
      steps: [
        done(5, "slow", "region/eu-west", { ms: 200 }),
        done(15, "slow", "region/eu-west", { ms: 2_000 }),
        done(35, "heal", "region/eu-west"),
      ],
      marks: [BEFORE, answer(22, ["us-east"])],
    },
    samples: [["slow region/eu-west at ns1 for EU", 7_000]],
  },
  {
    name: "is from the heal, of those who had left",
    measure: "returnedAnswer",
    seen: {
      steps: OUTAGE,
      marks: [BEFORE, answer(-2, ["eu-west"], { node: "ns2" }), answer(14, ["us-east"]), answer(38, ["eu-west"])],
    },
    samples: [["heal region/eu-west at ns1 for EU", 8_000]],
  },
  {
    name: "of those who do not come back lasts to the end",
    measure: "returnedAnswer",
    seen: { steps: OUTAGE, marks: [BEFORE, answer(14, ["us-east"])] },
    samples: [[`heal region/eu-west at ns1 for EU ${NEVER}`, 30_000]],
  },
  {
    name: "is of the routers that led there; one without a route leads nowhere yet",
    measure: "bgpConvergence",
    seen: {
      steps: [done(10, "withdraw", "region/eu-west"), done(30, "heal", "region/eu-west")],
      routes: [
        route(-1, "router-eu", "eu-west"),
        route(-1, "router-na", "us-east"),
        route(-1, "router-as", "eu-west"),
        route(10.1, "router-eu", null),
        route(10.2, "router-eu", "us-east"),
      ],
    },
    samples: [
      ["withdraw region/eu-west at router-eu", 200],
      [`withdraw region/eu-west at router-as ${NEVER}`, 20_000],
    ],
  },
  {
    name: "is the first success elsewhere, of clients who were served there",
    measure: "anycastFailover",
    seen: {
      steps: [done(10, "kill-exabgp", "exabgp/eu-west")],
      marks: [
        anycast(0, "eu-west"),
        anycast(0, "us-east", true, "NA"),
        anycast(10.2, "", false),
        anycast(10.9, "us-east"),
      ],
    },
    samples: [["kill-exabgp exabgp/eu-west for EU", 900]],
  },
  {
    name: "ends with the first second from which on nobody goes there",
    measure: "dnsDrain",
    seen: { steps: OUTAGE, seconds: movingRequests(18) },
    samples: [["kill region/eu-west", 9_000]],
  },
  {
    name: "of a region that one client keeps going to is as long as the fault",
    measure: "dnsDrain",
    seen: {
      steps: OUTAGE,
      seconds: movingRequests(18).map((each) => (each.atMs === at(29) ? movingRequests(60)[29]! : each)),
    },
    samples: [[`kill region/eu-west ${NEVER}`, 20_000]],
  },
  {
    name: "of a region that nobody used is nothing",
    measure: "dnsDrain",
    seen: { steps: [done(10, "kill", "region/ap-south")], seconds: movingRequests(18) },
    samples: [],
  },
  {
    name: "ends with the last second that lost a request at the region while the fault stood",
    measure: "outage",
    seen: {
      steps: OUTAGE,
      seconds: [
        ...movingRequests(18).filter(({ atMs }) => atMs < at(10)),
        second(10, { http: { "eu-west": [5, 0, 5] } }),
        second(12, { http: { "eu-west": [9, 0, 1], "us-east": [9, 0, 0] } }),
        second(13, { http: { "eu-west": [10, 0, 0], "us-east": [9, 0, 9] } }),
        second(40, { http: { "eu-west": [9, 0, 1] } }),
      ],
    },
    samples: [["kill region/eu-west", 3_000]],
  },
  {
    name: "of a region that lost nothing is none",
    measure: "outage",
    seen: { steps: OUTAGE, seconds: movingRequests(18) },
    samples: [["kill region/eu-west", 0]],
  },
  {
    name: "of a region that nobody used is not known",
    measure: "outage",
    seen: { steps: [done(10, "kill", "region/ap-south")], seconds: movingRequests(18) },
    samples: [],
  },
  ...(["detection", "changedAnswer", "dnsDrain"] as const).map((which) => ({
    name: "is not expected of a region whose other balancer takes over",
    measure: which,
    seen: {
      regions: REGIONS.map((region) => ({ ...region, hasStandBy: region.id === "eu-west" })),
      steps: [done(10, "kill", "balancer/eu-west")],
      marks: [BEFORE],
      seconds: movingRequests(60),
    },
    samples: [],
  })),
  {
    name: "is seen all the same where clients are sent away though another balancer takes over",
    measure: "changedAnswer",
    seen: {
      regions: REGIONS.map((region) => ({ ...region, hasStandBy: true })),
      steps: [done(10, "kill", "balancer/eu-west")],
      marks: [BEFORE, answer(14, ["us-east"])],
    },
    samples: [["kill balancer/eu-west at ns1 for EU", 4_000]],
  },
  {
    name: "is what failed after all retries, of all",
    measure: "lostRequests",
    seen: {
      seconds: [second(0, { http: { "eu-west": [90, 5, 5], "": [0, 0, 20] } }), second(1, { http: { a: [80, 0, 0] } })],
    },
    samples: [["all clients", 0.125]],
  },
  { name: "of no requests is nothing", measure: "lostRequests", seen: { seconds: [second(0)] }, samples: [] },
  {
    name: "is what failed at the anycast address",
    measure: "lostAnycast",
    seen: { seconds: [second(0, { anycast: { "eu-west": { ok: 9, lost: 0 }, "": { ok: 0, lost: 1 } } })] },
    samples: [["all clients", 0.1]],
  },
  {
    name: "is what no server answered",
    measure: "lostQueries",
    seen: { seconds: [second(0, { queries: 10, lostQueries: 1 }), second(1, { queries: 10 })] },
    samples: [["all clients", 0.05]],
  },
  {
    name: "are addresses of no region",
    measure: "wrongAnswers",
    seen: { marks: [BEFORE, answer(3, [""]), answer(4, ["eu-west"])] },
    samples: [["all nodes", 1]],
  },
  {
    name: "are those of a drained region once the node had left it, until it is healed",
    measure: "wrongAnswers",
    seen: {
      steps: [done(10, "drain", "region/eu-west"), done(30, "heal", "region/eu-west")],
      marks: [
        BEFORE,
        answer(11, ["us-east"]),
        answer(12, ["eu-west"]),
        answer(13, ["us-east"]),
        answer(31, ["eu-west"]),
      ],
    },
    samples: [["all nodes", 1]],
  },
  {
    name: "are not those of a region that health has taken back early",
    measure: "wrongAnswers",
    seen: { steps: OUTAGE, marks: [BEFORE, answer(14, ["us-east"]), answer(20, ["eu-west"])] },
    samples: [["all nodes", 0]],
  },
  {
    name: "are those without an address or with an error",
    measure: "emptyAnswers",
    seen: { marks: [BEFORE, answer(1, []), answer(2, ["eu-west"], { rcode: "SERVFAIL" }), answer(3, ["eu-west"])] },
    samples: [["all nodes", 2]],
  },
  {
    name: "are moves of a continent at the node that moved most",
    measure: "failovers",
    seen: {
      marks: [
        BEFORE,
        answer(-2, ["eu-west"], { node: "ns2" }),
        answer(-2, ["us-east"], { continent: "NA" }),
        answer(14, ["us-east"]),
        answer(14, ["us-east"], { node: "ns2" }),
        answer(15, []),
        answer(16, ["us-east"]),
        answer(38, ["eu-west"]),
      ],
    },
    samples: [
      ["EU", 2],
      ["NA", 0],
    ],
  },
  {
    name: "is the busiest five seconds",
    measure: "overCapacity",
    seen: {
      seconds: Array.from({ length: 10 }, (_, index) =>
        second(index, { http: { "eu-west": [index < 5 ? 5 : 12, 0, 0] } }),
      ),
    },
    samples: [
      ["us-east", 0],
      ["eu-west", 1.2],
      ["ap-south", 0],
    ],
  },
  {
    name: "is the least share elsewhere once it is due, of the continents at home there",
    measure: "spilled",
    seen: {
      steps: [done(10, "overload", "region/eu-west", { factor: 2 }), done(40, "heal", "region/eu-west")],
      seconds: Array.from({ length: 60 }, (_, index) => [
        second(index, { answers: index < 20 ? { "eu-west": 10 } : { "eu-west": 6, "us-east": 4 } }),
        second(index, { continent: "NA", answers: { "us-east": 10 } }),
      ]).flat(),
    },
    samples: [["overload region/eu-west", 0.4]],
  },
];

for (const { name, measure: which, seen: what, samples } of CASES) {
  test(`${which} ${name}`, () => {
    const result = measure(seen(what), {}).find((each) => each.measure === which);
    assert.deepEqual(
      (result?.samples ?? []).map(({ of, value }) => [of, Math.round(value * 1e6) / 1e6]),
      samples,
    );
  });
}

test("drainCurve() is the share of what was usual, second by second after the first fault", () => {
  const curve = drainCurve(seen({ steps: OUTAGE, seconds: movingRequests(12) }));
  assert.deepEqual(curve.slice(0, 5), [
    { afterMs: 0, share: 1 },
    { afterMs: 1_000, share: 1 },
    { afterMs: 2_000, share: 1 },
    { afterMs: 3_000, share: 0 },
    { afterMs: 4_000, share: 0 },
  ]);
  assert.equal(curve.at(-1)!.afterMs, 20_000);
  assert.deepEqual(drainCurve(seen({ seconds: movingRequests(12) })), []);
});

test("serviceLevel() counts each request once", () => {
  const level = serviceLevel(seen({ seconds: [second(0, { http: { a: [6, 2, 2] }, lostQueries: 3 })] }));
  assert.deepEqual(level, { requests: 10, ok: 8, lost: 2, availability: 0.8, lostQueries: 3 });
  assert.equal(serviceLevel(seen()).availability, 1);
});

for (const { name, values, bound, isMet } of [
  { name: "no bound is not judged", values: [5], bound: undefined, isMet: null },
  { name: "a bound of nothing is missed: nothing was measured", values: [], bound: { max: 5 }, isMet: false },
  { name: "the bound itself is within", values: [5], bound: { p99: 5, max: 5, min: 5 }, isMet: true },
  { name: "max is of the largest", values: [1, 6], bound: { max: 5 }, isMet: false },
  { name: "min is of the least", values: [1, 6], bound: { min: 2 }, isMet: false },
  { name: "p99 of few samples is the largest", values: [1, 6], bound: { p99: 5 }, isMet: false },
  {
    name: "p99 of a hundred leaves one out",
    values: Array.from({ length: 100 }, (_, index) => (index === 0 ? 99 : 1)),
    bound: { p99: 5 },
    isMet: true,
  },
]) {
  test(`resultOf(): ${name}`, () => {
    const samples = values.map((value) => ({ of: "", value }));
    assert.equal(resultOf("changedAnswer", samples, bound).isMet, isMet);
  });
}

test("resultOf() picks values that were measured, in order of rank", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(10_000), { minLength: 1, maxLength: 50 }), (values) => {
      const { p50, p99, most } = resultOf(
        "changedAnswer",
        values.map((value) => ({ of: "", value })),
        undefined,
      );
      assert.ok(values.includes(p50!) && values.includes(p99!));
      assert.ok(p50! <= p99! && p99! <= most!);
      assert.equal(most, Math.max(...values));
      assert.ok(values.filter((value) => value <= p50!).length >= values.length / 2);
    }),
  );
});

test("measure() leaves out what nobody expected and nothing was seen of", () => {
  const results = measure(seen({ seconds: [second(0, { http: { a: [1, 0, 0] } })] }), { changedAnswer: { p99: 1 } });
  assert.deepEqual(
    results.map((result) => [result.measure, result.isMet]),
    [
      ["changedAnswer", false],
      ["lostRequests", null],
    ],
  );
});

test("mergeMeasures() judges the samples of all runs together", () => {
  const run = (value: number) => [resultOf("changedAnswer", [{ of: "", value }], { p99: 5 })];
  const runs = [...Array.from({ length: 99 }, () => run(4)), run(9)];
  assert.deepEqual(
    mergeMeasures(runs).map(({ measure: name, samples, p99, most, isMet }) => [name, samples.length, p99, most, isMet]),
    [["changedAnswer", 100, 4, 9, true]],
  );
});
