/**
 * The pair as deploy/keepalived/ has it: the real keepalived, two real balancers, and a client that asks the VIP all the
 * time. Times are told, not asserted.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { withoutKernel } from "../l4/nft/kernel.ts";
import { projectFolder, run } from "./running.ts";
import { folderWith, without } from "./tools.ts";
import { createVipLab, NODES, type NodeName, VIPS, type VipLab } from "./vip-lab.ts";

const skip = withoutKernel("keepalived", "bash", "timeout");
const timeout = 180_000;
const [VIP, SECOND] = VIPS;
const other = (node: NodeName): NodeName => NODES.find((one) => one !== node)!;

async function labFor(t: TestContext): Promise<VipLab> {
  const lab = await createVipLab();
  t.after(lab.close);
  return lab;
}

/** Both nodes, from nothing to one that has the VIP and answers. */
async function startPair(
  t: TestContext,
  { priorities = [100, 100], advertSeconds = 1 }: { priorities?: [number, number]; advertSeconds?: number } = {},
): Promise<VipLab> {
  const lab = await labFor(t);
  await Promise.all(NODES.map(lab.startRhumb));
  await Promise.all(
    NODES.map((node, index) =>
      lab.startKeepalived(node, "pair.conf", { VIP: `${VIP}/24`, PRIORITY: priorities[index]!, ADVERT: advertSeconds }),
    ),
  );
  await settled(lab, VIP);
  await lab.startClient([VIP]);
  await answers(lab, VIP, 20);
  return lab;
}

/** One node has the VIP, and both know their part. @returns that node */
async function settled(lab: VipLab, vip: string, wanted?: NodeName): Promise<NodeName> {
  await lab.until(`${wanted ?? "one node"} alone has ${vip}`, () => {
    const now = lab.holders(vip);
    return now.length === 1 && (wanted === undefined || now[0] === wanted);
  });
  return lab.holders(vip)[0]!;
}

/** Waits for so many answers in a row, from now on. */
async function answers(lab: VipLab, vip: string, count: number): Promise<void> {
  const from = lab.asked.length;
  await lab.until(`${count} answers of ${vip} in a row`, () => {
    const last = lab.asked
      .slice(from)
      .filter((asked) => asked.vip === vip)
      .slice(-count);
    return last.length === count && last.every(({ answer }) => answer !== undefined);
  });
}

/** What the client met since `from`: faults by kind, and the longest time between two answers. */
function since(lab: VipLab, vip: string, from: number) {
  const asked = lab.asked.slice(from).filter((one) => one.vip === vip);
  const faults: Record<string, number> = {};
  let longestMs = 0;
  let lastMs = asked[0]!.atMs;
  for (const { atMs, fault } of asked) {
    if (fault !== undefined) {
      faults[fault] = (faults[fault] ?? 0) + 1;
      continue;
    }
    longestMs = Math.max(longestMs, atMs - lastMs);
    lastMs = atMs;
  }
  return { faults, says: `longest time without an answer: ${Math.round(longestMs)} ms; ${JSON.stringify(faults)}` };
}

test("a balancer process that is killed loses the VIP, which stays where it went when the process is back", {
  skip,
  timeout,
}, async (t) => {
  const lab = await startPair(t);
  const first = await settled(lab, VIP);
  const from = lab.asked.length;
  await lab.signalRhumb(first, "SIGKILL");
  await settled(lab, VIP, other(first));
  await answers(lab, VIP, 20);
  t.diagnostic(`killed: ${since(lab, VIP, from).says}`);

  const back = lab.asked.length;
  await lab.startRhumb(first);
  // Its keepalived has left FAULT and taken its part again.
  await lab.until("the killed node waits again", () => lab.notified(first).at(-1)?.includes("BACKUP") === true);
  await answers(lab, VIP, 100);
  assert.deepEqual(lab.holders(VIP), [other(first)]);
  assert.deepEqual(since(lab, VIP, back).faults, {});
});

test("the peer of a node that is cut off takes the VIP; joined again, one of them has it", {
  skip,
  timeout,
}, async (t) => {
  const lab = await startPair(t);
  const first = await settled(lab, VIP);
  const from = lab.asked.length;
  // Nobody withdraws anything: that a node is silent is found out by three adverts that are missing.
  lab.shell("switch", `ip link set ${first} nomaster`);
  await lab.until("the peer has the VIP as well", () => lab.holders(VIP).length === 2);
  await answers(lab, VIP, 20);
  t.diagnostic(`cut off: ${since(lab, VIP, from).says}`);
  lab.shell("switch", `ip link set ${first} master br0`);
  await settled(lab, VIP);
  await answers(lab, VIP, 100);
  assert.equal(lab.holders(VIP).length, 1);
});

test("drain, stop, start: nobody is refused, and a preferred node gets the VIP back", { skip, timeout }, async (t) => {
  const lab = await startPair(t, { priorities: [120, 100], advertSeconds: 0.3 });
  await settled(lab, VIP, "lb1");
  const from = lab.asked.length;
  lab.rhumb("lb1", "drain", "start", "--reason", "upgrade");
  await settled(lab, VIP, "lb2");
  // By its word alone: FAULT would have let go of the VIP before the peer had it.
  assert.deepEqual(
    lab.notified("lb1").filter((line) => line.includes("FAULT")),
    [],
  );
  await lab.signalRhumb("lb1", "SIGTERM");
  await lab.startRhumb("lb1");
  await settled(lab, VIP, "lb1");
  await answers(lab, VIP, 20);
  const { faults, says } = since(lab, VIP, from);
  t.diagnostic(`drained, stopped, started, back: ${says}`);
  assert.equal(faults["ECONNREFUSED"], undefined, says);
});

test("SIGTERM lets connections finish and gives the VIP away before the process ends", { skip, timeout }, async (t) => {
  const lab = await startPair(t, { advertSeconds: 0.3 });
  const first = await settled(lab, VIP);
  const from = lab.asked.length;
  // Somebody who stays keeps the process in its drain.
  lab.shell("client", `bash -c 'exec 3<>/dev/tcp/${VIP}/80; read -r <&3; exec sleep 60' >/dev/null 2>&1 & sleep 0.3`);
  let hasEnded = false;
  const ended = lab.signalRhumb(first, "SIGTERM").then(() => {
    hasEnded = true;
  });
  await settled(lab, VIP, other(first));
  assert.equal(hasEnded, false);
  await answers(lab, VIP, 20);
  t.diagnostic(`SIGTERM without a drain before: ${since(lab, VIP, from).says}`);
  await ended;
  const restarted = lab.asked.length;
  await lab.startRhumb(first);
  await answers(lab, VIP, 100);
  assert.deepEqual(lab.holders(VIP), [other(first)]);
  assert.deepEqual(since(lab, VIP, restarted).faults, {});
});

test("a process that hangs loses the VIP", { skip, timeout }, async (t) => {
  const lab = await startPair(t);
  const first = await settled(lab, VIP);
  const from = lab.asked.length;
  lab.pauseRhumb(first);
  await settled(lab, VIP, other(first));
  await answers(lab, VIP, 20);
  t.diagnostic(`hanging: ${since(lab, VIP, from).says}`);
  const awake = lab.asked.length;
  lab.resumeRhumb(first);
  await answers(lab, VIP, 100);
  assert.deepEqual(since(lab, VIP, awake).faults, {});
});

test("a process that is replaced keeps the VIP, and nobody notices", { skip, timeout }, async (t) => {
  const lab = await startPair(t, { advertSeconds: 0.3 });
  const first = await settled(lab, VIP);
  const from = lab.asked.length;
  const moves = lab.notified(first).length;
  await lab.signalRhumb(first, "SIGUSR2");
  await answers(lab, VIP, 300);
  assert.deepEqual(lab.holders(VIP), [first]);
  assert.equal(lab.notified(first).length, moves);
  assert.deepEqual(since(lab, VIP, from).faults, {});
});

test("with both out of service by their own word, the VIP stays and is served", { skip, timeout }, async (t) => {
  const lab = await startPair(t, { advertSeconds: 0.3 });
  const first = await settled(lab, VIP);
  lab.rhumb(other(first), "drain", "start");
  lab.rhumb(first, "drain", "start");
  const from = lab.asked.length;
  await answers(lab, VIP, 300);
  assert.deepEqual(since(lab, VIP, from).faults, {});
  assert.equal(lab.holders(VIP).length, 1);
});

test("two VIPs: each node has one; the one that lives has both", { skip, timeout }, async (t) => {
  const lab = await labFor(t);
  await Promise.all(NODES.map(lab.startRhumb));
  await Promise.all(
    NODES.map((node) =>
      lab.startKeepalived(node, "two-vips.conf", {
        VIP_1: `${VIP}/24`,
        VIP_2: `${SECOND}/24`,
        PRIORITY_1: node === "lb1" ? 120 : 100,
        PRIORITY_2: node === "lb1" ? 100 : 120,
        ADVERT: 0.3,
      }),
    ),
  );
  const home = async (): Promise<void> => {
    await settled(lab, VIP, "lb1");
    await settled(lab, SECOND, "lb2");
  };
  await home();
  await lab.startClient([VIP, SECOND]);
  await answers(lab, VIP, 20);
  const from = lab.asked.length;
  await lab.signalRhumb("lb2", "SIGKILL");
  await settled(lab, SECOND, "lb1");
  await answers(lab, SECOND, 20);
  assert.deepEqual(since(lab, VIP, from).faults, {});
  t.diagnostic(`second VIP: ${since(lab, SECOND, from).says}`);
  await lab.startRhumb("lb2");
  await home();
  await answers(lab, SECOND, 20);
});

test("systemd takes the drop-in for nodes with a VIP", { skip: without("systemd-analyze") }, async (t) => {
  const read = (name: string): string => readFileSync(join(projectFolder, "deploy/systemd", name), "utf8");
  const folder = folderWith(t, {
    "rhumb.service": read("rhumb.service").replaceAll("/opt/rhumb", projectFolder),
    "rhumb.service.d/vip.conf": read("rhumb-vip.conf"),
  });
  const words = [
    `SYSTEMD_UNIT_PATH=${folder}:`,
    "systemd-analyze",
    "verify",
    "--man=no",
    join(folder, "rhumb.service"),
  ];
  assert.deepEqual(await run("env", words), { code: 0, out: "", err: "" });
});
