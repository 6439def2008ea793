/**
 * Kernel mode against our own relay, in the same network: a connection for each request.
 *
 * Load and web servers fill one core long before the kernel's forwarding fills the other. So what is compared is
 * `capacity`: connections for each second that the balancer's core was busy, in either mode.
 *
 * Units:   `busy` is the share of the core that was not idle, whoever used it (`/proc/stat`): packets are forwarded in
 *          interrupts, which belong to no process. So nothing else may run on that core.
 * @module
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { backendCommand } from "./balancer-backend.ts";
import { isInstalled, MAX_CONNECTIONS } from "./balancer-bed.ts";
import { BALANCER_CORE, LOAD_CORE, readWrk, type Sample, wrkCommand } from "./balancer-measure.ts";
import type { LoadResult } from "./balancer-results.ts";
import { CONNECTION, type RunOptions } from "./balancer-traffic.ts";
import { BACKENDS, createLab, type L4Lab, type Place, RELAY, VIP } from "./l4-lab.ts";
import { rhumbCommand } from "./l4-recipes.ts";
import { type Pinned, runPinned, startPinned } from "./pinned.ts";

const PORT = 80;
const SUBJECTS = [
  { place: "relay", address: RELAY, title: "rhumb epoll, mode proxy", pool: "" },
  { place: "kernel", address: VIP, title: "rhumb, mode nft", pool: "mode: nft, " },
] as const;

/** What this machine lacks, if anything. */
export function whyNoKernel(): string | undefined {
  const missing = ["ip", "nft", "conntrack", "bash"].filter((program) => !isInstalled(program));
  if (missing.length > 0) return `${missing.join(", ")} is not installed`;
  return process.getuid?.() === 0 ? undefined : "it needs root";
}

/** Ticks of 10 ms that a core was busy so far, and all ticks: proc_stat(5). */
function ticksOf(core: number): { busy: number; all: number } {
  const fields = new RegExp(`^cpu${core} (.*)$`, "m").exec(readFileSync("/proc/stat", "utf8"))![1]!;
  const ticks = fields.split(" ").map(Number).slice(0, 8); // user, nice, system, idle, iowait, irq, softirq, steal
  const all = ticks.reduce((sum, value) => sum + value, 0);
  return { busy: all - ticks[3]! - ticks[4]! - ticks[7]!, all };
}

async function measureKernel(lab: L4Lab, address: string, seconds: number, output: string): Promise<Sample> {
  const command = lab.within("client", wrkCommand(`http://${address}:${PORT}`, { ...CONNECTION, seconds }));
  const before = ticksOf(BALANCER_CORE);
  const { requests, seconds: took, errors } = readWrk(await runPinned(LOAD_CORE, command, output));
  const after = ticksOf(BALANCER_CORE);
  const rate = requests / took;
  const busy = (after.busy - before.busy) / (after.all - before.all);
  return { rate, busy, capacity: rate / busy, errors };
}

export async function runKernel(options: RunOptions & { folder: string; title: string }): Promise<LoadResult> {
  const { title, rounds, seconds, output } = options;
  const folder = mkdtempSync(join(options.folder, "kernel-"));
  const lab = createLab();
  const started: Pinned[] = [];
  /** Until the client can connect to it. */
  const start = async (place: Place, core: number, address: string, command: readonly string[]): Promise<void> => {
    const probe = lab.within("client", ["timeout", "1", "bash", "-c", `: < /dev/tcp/${address}/${PORT}`]);
    const isReady = () => spawnSync(probe[0]!, probe.slice(1), { stdio: "ignore" }).status === 0;
    started.push(await startPinned(lab.within(place, command), { core, isReady }));
  };
  try {
    const backends = Object.values(BACKENDS).map((address) => `${address}:${PORT}`);
    for (const [place, address] of Object.entries(BACKENDS) as [keyof typeof BACKENDS, string][]) {
      const command = backendCommand(join(folder, place), [`${address}:${PORT}`], MAX_CONNECTIONS);
      await start(place, LOAD_CORE, address, command);
    }
    for (const { place, address, pool } of SUBJECTS) {
      const own = join(folder, place);
      mkdirSync(own);
      const site = {
        folder: own,
        listen: `${address}:${PORT}`,
        backends,
        maxConnections: MAX_CONNECTIONS,
        certificate: undefined,
      };
      await start(place, BALANCER_CORE, address, rhumbCommand(site, "epoll", pool));
    }
    const samples = SUBJECTS.map((): Sample[] => []);
    for (const { address } of SUBJECTS) await measureKernel(lab, address, 1, output); // warms up
    for (let round = 1; round <= rounds; round++) {
      process.stdout.write(`\r${title}: round ${round} of ${rounds}   `);
      for (const [index, { address }] of SUBJECTS.entries())
        samples[index]!.push(await measureKernel(lab, address, seconds, output));
    }
    process.stdout.write("\n");
    return {
      title,
      note: `of ${seconds} s with ${CONNECTION.connections} connections at a time, medians`,
      subjects: Object.fromEntries(
        SUBJECTS.map(({ place, title: said }, index) => [
          place,
          { title: said, isOurs: place === "kernel", samples: samples[index]! },
        ]),
      ),
      leftOut: {},
    };
  } finally {
    await Promise.all(started.map((each) => each.stop()));
    lab.remove();
  }
}
