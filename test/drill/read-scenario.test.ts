/** Drills are read whole: everything wrong is told at once, where it stands, with what to do. */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import fc from "fast-check";
import { formatProblem, type Problem } from "#base/problem.ts";
import { drillId, loadScenario, readScenario } from "#drill/read-scenario.ts";
import { ACTIONS, type Scenario } from "#drill/scenario.ts";

const root = join(import.meta.dirname, "../..");

function read(text: string): { scenario: Scenario | undefined; problems: string[] } {
  const problems: Problem[] = [];
  const scenario = readScenario("d.yaml", text, problems);
  return { scenario, problems: problems.map(formatProblem) };
}
const SMALL = "name: n\nshows: s\nsteps:\n  - { at: 5s, do: kill, target: region/a }\n";

test("readScenario() fills in defaults", () => {
  const { scenario, problems } = read(SMALL);
  assert.deepEqual(problems, []);
  assert.deepEqual(scenario, {
    file: "d.yaml",
    name: "n",
    shows: "s",
    needs: [],
    stages: ["local", "compose"],
    world: {},
    load: {
      name: "www.demo.example",
      dns: { clients: 300, qps: 60, stretchTtl: 0.09 },
      http: { rps: 60, keepAlive: true, retries: 1 },
      anycast: { rps: 0 },
    },
    calmMs: 5_000,
    steps: [{ atMs: 5_000, action: "kill", target: "region/a", options: {}, place: "d.yaml:4:5" }],
    durationMs: 10_000,
    guards: { errorRate: undefined, maxDurationMs: 180_000, minHealthyRegions: undefined, isAlone: true },
    expect: {},
    continents: ["NA", "EU", "AS"],
  });
});

test("readScenario() reads bounds in the unit of the measure, and options by the names that stages know", () => {
  const { scenario, problems } = read(
    `${SMALL}  - { at: 6s, do: flap, target: region/b, up: 1s, down: 200ms, times: 3 }
  - { at: 7s, do: slow, target: region/b, by: 2s }
  - { at: 7s, do: error-rate, target: backend/b/1, share: 30% }
  - { at: 8s, do: heal, target: region/b }
expect: { changedAnswer: { p99: 7s }, lostRequests: 0.5%, wrongAnswers: 0, spilled: { min: 20%, max: 90% }, dnsDrain: 30s }
`,
  );
  assert.deepEqual(problems, []);
  assert.deepEqual(scenario!.expect, {
    changedAnswer: { p99: 7_000 },
    dnsDrain: { max: 30_000 },
    lostRequests: { max: 0.005 },
    wrongAnswers: { max: 0 },
    spilled: { min: 0.2, max: 0.9 },
  });
  assert.deepEqual(
    scenario!.steps.map(({ options }) => options),
    [{}, { upMs: 1_000, downMs: 200, times: 3 }, { ms: 2_000 }, { share: 0.3 }, {}],
  );
});

for (const { name, text, problems } of [
  {
    name: "an unknown key, with the nearest one",
    text: `${SMALL}expct: {}\n`,
    problems: ["d.yaml:5:1 expct: Unknown key (Did you mean `expect`?)"],
  },
  {
    name: "all problems at once",
    text: "name: n\nsteps:\n  - { at: 5, do: kil, target: region/a }\ncalm: 1h\n",
    problems: [
      "d.yaml:1:1 shows: Is missing; must be a sentence (Add `shows:` with a sentence)",
      "d.yaml:4:7 calm: Must be 0ms to 5m; is 1h (Choose a value from 0ms to 5m)",
      "d.yaml:3:11 steps[0].at: Must be a duration such as 200ms, 5s or 10m; is the number 5 (Write a duration such as 200ms, 5s or 10m)",
      'd.yaml:3:18 steps[0].do: Must be one of kill, pause, partition, slow, error-rate, overload, flap, drain, evacuate, withdraw, kill-exabgp, kill-redis, sick-vantage, stale-map, bad-config, lose-node, skew-clock, upgrade, heal; is "kil" (Did you mean `kill`?)',
    ],
  },
  {
    name: "a target that the action cannot be done to",
    text: "name: n\nshows: s\nsteps: [{ at: 5s, do: kill-redis, target: region/a }]\nneeds: [redis]\n",
    problems: ['d.yaml:3:43 steps[0].target: `kill-redis` cannot be done to "region/a" (Write one of: redis)'],
  },
  {
    name: "a target in no form at all",
    text: "name: n\nshows: s\nsteps: [{ at: 5s, do: drain, target: EU }]\n",
    problems: [
      'd.yaml:3:38 steps[0].target: `drain` cannot be done to "EU" (Write one of: region/eu-west, backend/eu-west/1)',
    ],
  },
  {
    name: "options that are missing, and those of other actions",
    text: "name: n\nshows: s\nsteps: [{ at: 5s, do: slow, target: region/a, times: 3 }]\n",
    problems: [
      "d.yaml:3:9 steps[0]: `slow` wants `by` (Add `by:`; docs/drills.md has an example)",
      "d.yaml:3:54 steps[0].times: `slow` takes no `times` (Remove it)",
    ],
  },
  {
    name: "an action whose need is not declared",
    text: "name: n\nshows: s\nsteps: [{ at: 5s, do: withdraw, target: region/a }]\n",
    problems: ["d.yaml:3:23 steps[0].do: `withdraw` cannot be done without exabgp (Add exabgp to `needs`)"],
  },
  {
    name: "steps out of order, before the calm, and a heal of nothing",
    text: `name: n\nshows: s\nsteps:
  - { at: 1s, do: kill, target: region/a }
  - { at: 9s, do: heal, target: region/b }
  - { at: 8s, do: heal, target: region/a }\n`,
    problems: [
      "d.yaml:4:11 steps[0].at: The first step comes before `calm` (5s) is over (Begin later, or shorten `calm`)",
      'd.yaml:5:33 steps[1].target: Nothing was done to "region/b" that could be healed (Name one of: region/a)',
      "d.yaml:6:11 steps[2].at: This step comes before the one above it (Write steps in order of time)",
    ],
  },
  {
    name: "a load that ends too early, or lasts too long",
    text: `${SMALL}duration: 4s\nguards: { maxDuration: 3s }\n`,
    problems: [
      "d.yaml:5:11 duration: The load ends before the last step (Make it longer)",
      "d.yaml:6:24 guards.maxDuration: The drill lasts 4s, longer than 3s (Raise `guards.maxDuration`, or shorten the drill)",
    ],
  },
  {
    name: "anycast requests without anycast, and an expectation of nothing",
    text: `${SMALL}load: { anycast: { rps: 5 } }\nexpect: { failovers: {} }\n`,
    problems: [
      "d.yaml:5:25 load.anycast.rps: There is no anycast address without ExaBGP (Add exabgp to `needs`)",
      "d.yaml:6:22 expect.failovers: Nothing is expected here (Write `max:`, `p99:` or `min:`, or remove it)",
    ],
  },
  {
    name: "a share beyond its range",
    text: `${SMALL}load: { dns: { stretchTtl: 101% } }\n`,
    problems: ["d.yaml:5:28 load.dns.stretchTtl: Must be 0% to 100%; is 101% (Choose a value from 0% to 100%)"],
  },
  { name: "an empty file", text: "", problems: ["d.yaml:1:1: Must be a map; is nothing (Write a map)"] },
]) {
  test(`readScenario() tells ${name}`, () => {
    const read1 = read(text);
    assert.deepEqual(read1.problems, problems);
    assert.equal(read1.scenario, undefined);
  });
}

test("readScenario() says something of whatever it cannot use, and never throws", () => {
  const step = fc.record(
    {
      at: fc.oneof(fc.constantFrom("5s", "0ms", "-1s", "1d"), fc.anything()),
      do: fc.oneof(fc.constantFrom(...ACTIONS), fc.string()),
      target: fc.oneof(fc.constantFrom("region/a", "backend/a/1", "nodes", "redis"), fc.anything()),
      by: fc.constantFrom("1s", "x", 3),
      share: fc.constantFrom("1%", 0.1),
    },
    { requiredKeys: [] },
  );
  const file = fc.record(
    {
      name: fc.oneof(fc.constant("n"), fc.anything()),
      shows: fc.constant("s"),
      steps: fc.array(step, { maxLength: 4 }),
      expect: fc.dictionary(fc.constantFrom("failovers", "lostRequests", "x"), fc.oneof(fc.constant(0), fc.anything())),
      load: fc.anything(),
    },
    { requiredKeys: ["name", "shows", "steps"] },
  );
  const text = fc.oneof(
    fc.string(),
    file.map((value) => JSON.stringify(value) ?? ""),
  );
  fc.assert(
    fc.property(text, (any) => {
      const { scenario, problems } = read(any);
      assert.equal(scenario === undefined, problems.length > 0);
      for (const problem of problems) assert.match(problem, /^d\.yaml:[1-9]\d*:[1-9]\d*[ :]/);
    }),
  );
});

const shipped = globSync("drills/*.yaml", { cwd: root }).sort();

test("each shipped drill is valid, short, expects something, and is the whole list of what we promise", () => {
  const names = shipped.map(drillId);
  assert.deepEqual(names, [
    "anycast-withdrawal",
    "backend-loss",
    "bad-config",
    "balancer-failover",
    "black-hole",
    "capacity-spill",
    "clock-skew",
    "evacuation",
    "exabgp-crash",
    "flapping-region",
    "node-loss",
    "redis-loss",
    "region-outage",
    "rolling-upgrade",
    "slow-region",
    "split-vantage",
  ]);
  for (const file of shipped) {
    const problems: Problem[] = [];
    const scenario = loadScenario(join(root, file), problems);
    assert.deepEqual(problems, [], file);
    assert.ok(scenario!.durationMs <= 60_000, `${file} lasts longer than a minute`);
    assert.ok(Object.keys(scenario!.expect).length >= 3, `${file} expects little`);
    assert.ok(scenario!.guards.errorRate !== undefined, `${file} has no guard against errors`);
  }
});

test("docs/drills.md tells of each action, measure and shipped drill", () => {
  const page = readFileSync(join(root, "docs/drills.md"), "utf8");
  const silent = [...ACTIONS, ...shipped.map(drillId)].filter((word) => !page.includes(`\`${word}\``));
  assert.deepEqual(silent, []);
});
