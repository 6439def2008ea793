/** The stage `local` with two balancers and the real keepalived: who has the address, who gets it, and what is left. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import test from "node:test";
import { silentLog } from "#base/log.ts";
import { createLocalStage } from "#drill/stage/local.ts";
import type { Stage } from "#drill/stage.ts";
import { withoutKernel } from "../../l4/nft/kernel.ts";
import { until } from "../../system/balancer-bed.ts";
import { folderWith } from "../../system/tools.ts";
import { step } from "../seen.ts";

const skip = withoutKernel("keepalived", "bash", "timeout");
/** Probes of the region must not be what is tested: a region that is out for a moment makes differences. */
const WORLD = { interval: "1s", timeout: "900ms", downSpan: "30s", failback: { hold: "0s", up: 2 } };

/** Of this or any other runner: a test runs alone. */
const left = (): string[] => [
  ...readdirSync("/run").filter((name) => name.startsWith("rhumb-drill-")),
  ...spawnSync("ip", ["netns", "list"], { encoding: "utf8" })
    .stdout.split("\n")
    .filter((line) => line.startsWith("rhumb-drill-")),
];

async function get(stage: Stage): Promise<string> {
  const { addresses, port } = stage.regions.find(({ id }) => id === "eu-west")!;
  const way = stage.clients[1]!.ways[`${addresses[0]}:${port}`]!;
  try {
    const response = await fetch(`http://${way.address}:${way.port}/`, { signal: AbortSignal.timeout(1_000) });
    return `${response.status} ${(await response.text()).trim()}`;
  } catch (error) {
    return (error as Error).name;
  }
}

test("keepalived gives the address of a balancer that is killed or hangs to the other one", {
  skip,
  timeout: 240_000,
}, async (t) => {
  const before = left();
  const stage = createLocalStage({
    world: WORLD,
    folder: folderWith(t, {}),
    log: silentLog,
    needs: ["root", "keepalived"],
  });
  t.after(() => stage.stop());
  await stage.start();
  assert.deepEqual(await stage.differences(), []);
  assert.match(await get(stage), /^200 eu-west\/[12]$/);

  for (const action of ["kill", "pause"] as const) {
    const undo = await stage.perform(step(0, action, "balancer/eu-west"));
    await until(
      () => get(stage),
      (says) => !says.startsWith("200"),
      t,
    );
    await until(
      () => get(stage),
      (says) => says.startsWith("200"),
      t,
    );
    await undo();
    await until(
      () => stage.differences(),
      (differences) => differences.length === 0,
      t,
    );
  }
  // Both balancers are told, and both take it back.
  const drained = await stage.perform(step(0, "drain", "backend/eu-west/1"));
  await until(
    async () => new Set([await get(stage), await get(stage), await get(stage), await get(stage)]),
    (served) => served.size === 1 && served.has("200 eu-west/2"),
    t,
  );
  await drained();

  await stage.stop();
  assert.deepEqual(left(), before);
});

test("the pair's networks, daemons and files end with the runner, though that is killed", {
  skip,
  timeout: 240_000,
}, async (t) => {
  const before = left();
  const folder = folderWith(t, {
    "runner.ts": `import { createLocalStage } from ${JSON.stringify(new URL("../../../src/drill/stage/local.ts", import.meta.url).href)};
const log = { debug() {}, info() {}, warn() {}, error() {} };
const needs = ["root", "keepalived"];
await createLocalStage({ world: ${JSON.stringify(WORLD)}, folder: process.argv[2], log, needs }).start();
console.log("started");
setInterval(() => {}, 1_000);
`,
  });
  const runner = spawn(process.execPath, [`${folder}/runner.ts`, folder], { stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => runner.kill("SIGKILL"));
  await once(runner.stdout, "data");
  const keepalived = (): string[] =>
    readdirSync("/proc").filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("/run/rhumb-drill-");
      } catch {
        return false; // not a process, or one that has ended
      }
    });
  assert.ok(keepalived().length >= 2);
  runner.kill("SIGKILL");
  await until(
    () => Promise.resolve([...left().filter((name) => !before.includes(name)), ...keepalived()]),
    (names) => names.length === 0,
    t,
  );
});
