import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readlinkSync } from "node:fs";
import { connect } from "node:net";
import test, { type TestContext } from "node:test";
import { silentLog } from "#base/log.ts";
import type { Action, Step } from "#drill/scenario.ts";
import { createLocalStage } from "#drill/stage/local.ts";
import type { Stage } from "#drill/stage.ts";
import { until } from "../../system/balancer-bed.ts";
import { folderWith } from "../../system/tools.ts";

/** Short ones: what is looked at is that it happens, not how soon. From Asia to America a probe takes 400 ms. */
const WORLD = { interval: "1s", timeout: "900ms", failback: { hold: "0s", up: 2 } };
const step = (action: Action, target: string, options: Step["options"] = {}): Step => ({
  atMs: 0,
  action,
  target,
  options,
  place: "test",
});

/** Processes that run in a folder: all of a stage's do. */
function processesIn(folder: string): string[] {
  return readdirSync("/proc").filter((pid) => {
    try {
      return readlinkSync(`/proc/${pid}/cwd`).startsWith(folder);
    } catch {
      return false; // not a process, or one that has ended
    }
  });
}
const isOpen = async (address: string, port: number): Promise<boolean> => {
  const socket = connect({ host: address, port });
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
};

async function withStage(context: TestContext, needs: Parameters<typeof createLocalStage>[0]["needs"] = []) {
  const folder = folderWith(context, {});
  const stage = createLocalStage({ world: WORLD, folder, log: silentLog, needs });
  context.after(() => stage.stop());
  await stage.start();
  return { stage, folder };
}

/** What the backend at the end of the clients' way says; its fault where nobody answers. */
async function get(stage: Stage, region: string): Promise<string> {
  const { addresses, port } = stage.regions.find(({ id }) => id === region)!;
  const way = stage.clients[0]!.ways[`${addresses[0]}:${port}`]!;
  try {
    const response = await fetch(`http://${way.address}:${way.port}/`, { signal: AbortSignal.timeout(1_000) });
    return `${response.status} ${(await response.text()).trim()}`;
  } catch (error) {
    return (error as Error).name;
  }
}

test("the stage local serves, is disturbed and healed, and leaves nothing behind", async (t) => {
  const { stage, folder } = await withStage(t);
  assert.deepEqual(await stage.differences(), []);
  for (const { id } of stage.regions) assert.match(await get(stage, id), new RegExp(`^200 ${id}/[12]$`));

  for (const { of, serves } of [
    { of: step("kill", "region/eu-west"), serves: /^TypeError$/ },
    { of: step("pause", "region/eu-west"), serves: /^TimeoutError$/ },
    { of: step("partition", "region/eu-west"), serves: /^TimeoutError$/ },
    { of: step("error-rate", "region/eu-west", { share: 1 }), serves: /^5\d\d/ },
    { of: step("kill", "backend/eu-west/1"), serves: /^200 eu-west\/2$/ },
  ]) {
    const undo = await stage.perform(of);
    await until(
      () => get(stage, "eu-west"),
      (says) => serves.test(says),
      t,
    );
    assert.match(await get(stage, "us-east"), /^200/);
    await undo();
    await until(
      () => stage.differences(),
      (left) => left.length === 0,
      t,
    );
    assert.match(await get(stage, "eu-west"), /^200 eu-west/);
  }

  const { addresses, port } = stage.regions[0]!;
  await stage.stop();
  assert.deepEqual(processesIn(folder), []);
  assert.equal(await isOpen(addresses[0]!, port), false);
  for (const { address, port: at } of Object.values(stage.clients[0]!.ways))
    assert.equal(await isOpen(address, at), false);
});

test("the stage local has probes of one node fail, and moves nobody for it", async (t) => {
  const { stage } = await withStage(t);
  const undo = await stage.perform(step("sick-vantage", "vantage/ns2"));
  assert.ok((await stage.differences()).some((says) => says.includes("ns2>eu-west")));
  const node = stage.nodes[0]!;
  const votes = async (): Promise<Record<string, number>> => {
    const response = await fetch(`${node.api}/vantages`, { headers: { authorization: `Bearer ${node.token}` } });
    const list = (await response.json()) as { vantage: string; votes: { down: number } }[];
    return Object.fromEntries(list.map(({ vantage, votes }) => [vantage, votes.down]));
  };
  await until(votes, (down) => down["ns2"] === 3, t);
  assert.deepEqual({ ...(await votes()), ns2: 0 }, { ns1: 0, ns2: 0, ns3: 0 });
  await undo();
  await until(
    () => stage.differences(),
    (left) => left.length === 0,
    t,
  );
});

test("the stage local ends with its runner, though that is killed", async (t) => {
  const folder = folderWith(t, {
    "runner.ts": `import { createLocalStage } from ${JSON.stringify(new URL("../../../src/drill/stage/local.ts", import.meta.url).href)};
const log = { debug() {}, info() {}, warn() {}, error() {} };
const stage = createLocalStage({ world: ${JSON.stringify(WORLD)}, folder: process.argv[2], log, needs: [] });
await stage.start();
console.log("started");
setInterval(() => {}, 1_000);
`,
  });
  const runner: ChildProcess = spawn(process.execPath, [`${folder}/runner.ts`, folder], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  t.after(() => runner.kill("SIGKILL"));
  await once(runner.stdout!, "data");
  assert.ok(processesIn(folder).length >= 13, "six nodes, six backends, the relays");
  runner.kill("SIGKILL");
  await until(
    () => Promise.resolve(processesIn(folder)),
    (left) => left.length === 0,
    t,
  );
});
