/** Several drills: needs first, one stage for equal worlds, never two at once, and the stage is stopped in any case. */
import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { silentLog } from "#base/log.ts";
import { LOCK_FILE, takeLock } from "#drill/lock.ts";
import { silentProgress } from "#drill/progress.ts";
import { type RunsOptions, runDrills } from "#drill/run-drills.ts";
import { folderWith } from "../system/tools.ts";
import { type FakeStage, fakeStage, scenario } from "./fake-stage.ts";
import { step } from "./seen.ts";

type Fakes = { readonly options: RunsOptions; readonly opened: FakeStage[]; readonly folder: string };

async function fakes(
  context: TestContext,
  more: Partial<RunsOptions> & { readonly stageMore?: Parameters<typeof fakeStage>[1] } = {},
): Promise<Fakes> {
  const folder = folderWith(context, {});
  const opened: FakeStage[] = [];
  const { stageMore, ...rest } = more;
  const options: RunsOptions = {
    scenarios: [scenario()],
    stage: "local",
    repeat: 1,
    out: join(folder, "out"),
    version: "0",
    progress: silentProgress,
    signal: new AbortController().signal,
    log: silentLog,
    missingNeeds: async () => [],
    openStage: async () => {
      const fake = await fakeStage(context, stageMore);
      opened.push(fake);
      return fake.stage;
    },
    lockFile: join(folder, "lock"),
    settleMs: 0,
    ...rest,
  };
  return { options, opened, folder };
}
const short = { steps: [step(0, "kill", "region/eu-west")], durationMs: 1_000, expect: {} } as const;

test("runDrills() names all needs that are missing, each with its drills and its fix, before anything starts", async (context) => {
  const { options, opened } = await fakes(context, {
    scenarios: [
      scenario({ needs: ["redis"], file: "drills/one.yaml" }),
      scenario({ needs: ["redis", "exabgp"], file: "drills/two.yaml" }),
      scenario(),
    ],
    missingNeeds: async (needs) => needs.map((need) => ({ need, fix: `install ${need}` })),
  });
  await assert.rejects(runDrills(options), {
    code: "RHUMB_DRILL_NEEDS",
    message: /redis for one, two: install redis; exabgp for two: install exabgp/,
  });
  assert.equal(opened.length, 0);
});

test("runDrills() asks containers for Docker, and not for what is in them", async (context) => {
  const asked: string[] = [];
  const { options } = await fakes(context, {
    scenarios: [scenario({ ...short, needs: ["redis", "exabgp"], stages: ["compose"] })],
    stage: "compose",
    missingNeeds: async (needs) => {
      asked.push(...needs);
      return [];
    },
  });
  await runDrills(options);
  assert.deepEqual(asked, ["docker"]);
});

test("runDrills() refuses a stage that a drill is not for, and steps that the stage cannot do, with all of them", async (context) => {
  const elsewhere = await fakes(context, { scenarios: [scenario({ stages: ["compose"] })] });
  await assert.rejects(runDrills(elsewhere.options), {
    code: "RHUMB_DRILL_CANNOT",
    message: /is for the stage compose/,
  });
  const { options, opened } = await fakes(context, {
    stageMore: { can: ({ action }) => (action === "heal" ? undefined : "not here") },
    scenarios: [scenario({ steps: [step(0, "kill", "node/a"), step(1, "drain", "region/b")] })],
  });
  await assert.rejects(runDrills(options), {
    code: "RHUMB_DRILL_CANNOT",
    message: /kill node\/a: not here; .*drain region\/b: not here/,
  });
  assert.deepEqual(opened[0]!.log, [], "the stage was never started");
});

/** Nodes forget it at once. */
const harmless = { ...short, steps: [step(200, "lose-node", "node/ns2"), step(900, "heal", "node/ns2")] };

test("runDrills() shares a stage between equal worlds, takes another one for another, and stops each", async (context) => {
  const other = scenario({ ...harmless, world: { interval: "1s" }, file: "drills/other.yaml" });
  const { options, opened } = await fakes(context, { scenarios: [scenario(harmless), other, scenario(harmless)] });
  const ran = await runDrills(options);
  assert.deepEqual(
    ran.map(({ report }) => report.drill.file),
    ["drills/small.yaml", "drills/small.yaml", "drills/other.yaml"],
  );
  const lose = ["lose-node node/ns2", "undo lose-node node/ns2"];
  assert.deepEqual(
    opened.map(({ log }) => log),
    [
      ["start", ...lose, ...lose, "stop"],
      ["start", ...lose, "stop"],
    ],
  );
  for (const { json, html, report } of ran) {
    assert.equal((JSON.parse(readFileSync(json, "utf8")) as { startedAtMs: number }).startedAtMs, report.startedAtMs);
    assert.ok(existsSync(html));
  }
  assert.equal(new Set(ran.map(({ json }) => json)).size, 3);
});

test("runDrills() gives the next drill a fresh stage when one is not as it was", async (context) => {
  const { options, opened } = await fakes(context, {
    scenarios: [scenario(harmless)],
    repeat: 2,
    openStage: async () => {
      const fake = await fakeStage(context);
      if (opened.length === 0) fake.left = ["something"];
      opened.push(fake);
      return fake.stage;
    },
  });
  const ran = await runDrills(options);
  assert.deepEqual(
    ran.map(({ report }) => report.outcome),
    ["broken", "passed"],
  );
  assert.deepEqual(
    opened.map(({ log }) => log.at(-1)),
    ["stop", "stop"],
  );
});

test("runDrills() makes the stage anew after a drill in which a region fails, and runs those last", async (context) => {
  const drained = scenario({
    ...short,
    file: "drills/drained.yaml",
    steps: [step(200, "drain", "region/eu-west"), step(900, "heal", "region/eu-west")],
  });
  const killed = scenario({ ...short, file: "drills/killed.yaml" });
  const { options, opened } = await fakes(context, { scenarios: [killed, drained, killed] });
  const ran = await runDrills(options);
  assert.deepEqual(
    ran.map(({ report }) => report.drill.file),
    ["drills/drained.yaml", "drills/killed.yaml", "drills/killed.yaml"],
  );
  const kill = ["kill region/eu-west", "undo kill region/eu-west"];
  assert.deepEqual(
    opened.map(({ log }) => log),
    [
      ["start", "drain region/eu-west", "undo drain region/eu-west", ...kill, "stop"],
      ["start", ...kill, "stop"],
    ],
  );
});

test("runDrills() stops a stage that does not start, and gives the lock back", async (context) => {
  const { options, opened } = await fakes(context);
  const broken: RunsOptions = {
    ...options,
    openStage: async () => {
      const fake = await fakeStage(context);
      opened.push(fake);
      return {
        ...fake.stage,
        start: async () => {
          throw new Error("ns2 did not start");
        },
      };
    },
  };
  await assert.rejects(runDrills(broken), /ns2 did not start/);
  assert.deepEqual(opened[0]!.log, ["stop"]);
  takeLock(options.lockFile!)();
});

test("runDrills() runs nothing more once somebody has stopped it", async (context) => {
  const stop = new AbortController();
  const { options } = await fakes(context, {
    signal: stop.signal,
    repeat: 5,
    stageMore: { perform: async () => stop.abort() },
  });
  const ran = await runDrills(options);
  assert.deepEqual(
    ran.map(({ report }) => report.outcome),
    ["aborted"],
  );
});

test("runDrills() leaves the stage to who wants to look at it, and stops it then", async (context) => {
  const { options, opened } = await fakes(context, { scenarios: [scenario(short)] });
  await runDrills({ ...options, keep: async () => void opened[0]!.log.push("looked") });
  assert.deepEqual(opened[0]!.log.slice(-2), ["looked", "stop"]);
});

test("takeLock() is had by one process that lives", (context) => {
  const file = join(folderWith(context, {}), "lock");
  const free = takeLock(file);
  assert.throws(() => takeLock(file), { code: "RHUMB_DRILL_BUSY", message: new RegExp(`process ${process.pid}`) });
  free();
  takeLock(file)();
  // Beyond the largest process id that Linux gives (4194304): nobody has it.
  writeFileSync(file, "4194305\n");
  takeLock(file)();
  assert.ok(!LOCK_FILE.startsWith(process.cwd()), "it is of the machine, not of a checkout");
});
