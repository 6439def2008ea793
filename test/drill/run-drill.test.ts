/** The runner against a stage and load processes that are made up: whatever comes, everything is healed and told. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { silentProgress } from "#drill/progress.ts";
import { reportSchema } from "#drill/report/schema.ts";
import { runDrill } from "#drill/run-drill.ts";
import type { Scenario } from "#drill/scenario.ts";
import type { Stage } from "#drill/stage.ts";
import { fakeStage, named, scenario } from "./fake-stage.ts";
import { step } from "./seen.ts";

const drill = (stage: Stage, what: Scenario, signal: AbortSignal = new AbortController().signal) =>
  runDrill({ scenario: what, stage, seed: 1, version: "0", progress: silentProgress, signal, settleMs: 0 });

test("runDrill() does steps in order, counts whole seconds, and reports what a report has to have", async (context) => {
  const fake = await fakeStage(context);
  const report = await drill(fake.stage, scenario());
  assert.equal(report.outcome, "passed", report.says);
  assert.deepEqual(fake.log, ["kill region/eu-west", "undo kill region/eu-west"]);
  assert.deepEqual(reportSchema.parse(report), JSON.parse(JSON.stringify(report)));
  assert.equal(report.startedAtMs % 1_000, 0);
  assert.equal(report.endedAtMs - report.startedAtMs, 2_000);
  assert.deepEqual(
    report.seconds.map(({ atMs, continent }) => [atMs - report.startedAtMs, continent]),
    [
      [0, "EU"],
      [0, "NA"],
      [1_000, "EU"],
      [1_000, "NA"],
    ],
  );
  assert.equal(report.slo.requests, 120);
  assert.deepEqual(
    report.steps.map(({ action, isFault, says }) => [action, isFault, says]),
    [
      ["kill", true, "eu-west was killed"],
      ["heal", false, "eu-west was healed"],
    ],
  );
  // What nodes answered before the load began stands at its start.
  assert.ok(report.answers.length === 2 && report.answers.every(({ atMs }) => atMs === report.startedAtMs));
  assert.deepEqual(
    report.guards.map(({ guard, isBroken }) => [guard, isBroken]),
    [
      ["errorRate", false],
      ["minHealthyRegions", false],
      ["maxDuration", false],
      ["alone", false],
    ],
  );
});

test("runDrill() fails what is not as expected, and what could not be measured", async (context) => {
  const { stage } = await fakeStage(context);
  const report = await drill(stage, scenario({ expect: { lostRequests: { min: 1 }, bgpConvergence: { p99: 1_000 } } }));
  assert.equal(report.outcome, "failed");
  assert.match(report.says, /lost requests was 0 % where ≥ 100 % was expected/);
  assert.match(report.says, /bgp convergence could not be measured/i);
});

test("runDrill() heals what has no heal of its own, last one first", async (context) => {
  const fake = await fakeStage(context);
  const steps = [step(0, "kill", "region/eu-west"), step(100, "slow", "region/us-east", { ms: 9 })];
  await drill(fake.stage, scenario({ steps, durationMs: 1_000, expect: {} }));
  assert.deepEqual(fake.log.slice(2), ["undo slow region/us-east", "undo kill region/eu-west"]);
});

for (const { name, what, more, says } of [
  {
    name: "too many requests fail",
    what: { ...named("lossy"), durationMs: 20_000 },
    says: /aborted.*100 % of requests failed over the last 5 s/,
  },
  {
    name: "it lasts too long",
    what: { durationMs: 20_000, guards: { ...scenario().guards, maxDurationMs: 500 } },
    says: /aborted.*longer than 500 ms/,
  },
  {
    name: "too few regions are up",
    what: { durationMs: 20_000, guards: { ...scenario().guards, minHealthyRegions: 3 } },
    says: /aborted.*only 2 regions are up/,
  },
  {
    name: "a step cannot be done",
    what: { durationMs: 20_000, steps: [step(0, "kill", "region/us-east"), step(10, "kill", "region/eu-west")] },
    more: {
      perform: async ({ target }: { target: string }) => {
        if (target === "region/eu-west") throw new Error("no such process");
      },
    },
    says: /could not be run to its end.*d\.yaml:1:1: kill region\/eu-west: no such process/,
  },
  {
    name: "a load process dies",
    what: { ...named("dying"), durationMs: 20_000 },
    says: /could not be run to its end.*ended with 3: out of luck/,
  },
  {
    name: "a load process says what is no line",
    what: { ...named("babbling"), durationMs: 20_000 },
    says: /could not be run to its end.*not JSON: what\?/,
  },
] as readonly {
  name: string;
  what: Partial<Scenario>;
  more?: Parameters<typeof fakeStage>[1];
  says: RegExp;
}[]) {
  test(`runDrill() ends and heals when ${name}`, { timeout: 15_000 }, async (context) => {
    const fake = await fakeStage(context, more);
    const report = await drill(fake.stage, scenario(what));
    assert.match(report.says, says);
    assert.equal(report.outcome, /aborted/.test(says.source) ? "aborted" : "broken");
    const killed = fake.log.filter((entry) => entry.startsWith("kill ")).length;
    const undone = fake.log.filter((entry) => entry.startsWith("undo ")).length;
    assert.equal(undone, name === "a step cannot be done" ? killed - 1 : killed);
  });
}

test("runDrill() ends and heals when somebody stops it", { timeout: 15_000 }, async (context) => {
  const stop = new AbortController();
  const fake = await fakeStage(context, { perform: async () => stop.abort() });
  const report = await drill(fake.stage, scenario({ durationMs: 20_000 }), stop.signal);
  assert.equal(report.outcome, "aborted");
  assert.deepEqual(fake.log, ["kill region/eu-west", "undo kill region/eu-west"]);
});

test("runDrill() ends when somebody else is at work, and takes no offence at its own hand", {
  timeout: 15_000,
}, async (context) => {
  const override = (target: string) => ({ id: target, target, verb: "drain", owner: "kim" });
  const fake = await fakeStage(context, {
    perform: async ({ target }) => void fake.overrides.push(override(target)),
    undo: async () => void fake.overrides.pop(),
  });
  fake.overrides = [override("region/before")];
  const own = await drill(fake.stage, scenario());
  assert.equal(own.outcome, "passed", own.says);
  const strange = await fakeStage(context, {
    perform: async () => void strange.overrides.push(override("region/us-east")),
  });
  const report = await drill(strange.stage, scenario({ durationMs: 20_000 }));
  assert.match(report.says, /aborted.*override drain of region\/us-east by kim/);
});

test("runDrill() tells what is not as it was", async (context) => {
  const fake = await fakeStage(context, {
    undo: async () => {
      throw new Error("it does not come back");
    },
  });
  fake.left = ["process ns2 is gone"];
  const report = await drill(fake.stage, scenario({ steps: [step(0, "kill", "node/ns2")], durationMs: 1_000 }));
  assert.equal(report.outcome, "broken");
  assert.deepEqual(report.leftOver, ["node/ns2 could not be healed: it does not come back", "process ns2 is gone"]);
  assert.match(report.says, /Not as it was before: node\/ns2/);
});

test("runDrill() keeps events of the run, and none of before", async (context) => {
  const event = (id: string, subject: string) => ({
    id,
    atMs: Date.now(),
    kind: "health.transition",
    severity: "alarm",
    subject,
    says: "is down",
  });
  const fake = await fakeStage(context, {
    perform: async () => {
      fake.events = [event("r-2", "region/eu-west")];
    },
  });
  fake.events = [event("r-1", "region/old")];
  const report = await drill(fake.stage, scenario());
  assert.ok(report.events.some(({ subject, node }) => subject === "region/eu-west" && node === "ns1"));
  assert.ok(report.events.every(({ subject }) => subject !== "region/old"));
});
