/**
 * What an idle connection costs in memory: resident memory of a fresh balancer before and with thousands of connections
 * that have each asked once, divided by their number. A connection has two sides: the client's and the backend's.
 * @module
 */
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { MAX_CONNECTIONS, startBed } from "./balancer-bed.ts";
import { LOAD_CORE, type Sample } from "./balancer-measure.ts";
import type { BalancerRecipe } from "./balancer-recipe.ts";
import type { LoadResult, Subject } from "./balancer-results.ts";
import { residentOctets } from "./machine.ts";
import { startPinned } from "./pinned.ts";

const WANTED = 10_000;
/** Fewer where one process may not open as many descriptors. */
export const IDLE_CONNECTIONS = Math.min(WANTED, Math.floor((MAX_CONNECTIONS * 0.95) / 100) * 100);
/** After this long, what a start or the last connections left behind is put away. */
const SETTLE_MS = 1_000;
const OPEN_TIMEOUT_MS = 60_000;
const CLIENT = join(import.meta.dirname, "balancer-idle-client.ts");
const MIB = 1_048_576;

async function measureIdle(port: number, pids: readonly number[]): Promise<Sample> {
  const before = residentOctets(pids);
  const command = [process.execPath, CLIENT, String(port), String(IDLE_CONNECTIONS)];
  const options = { core: LOAD_CORE, timeoutMs: OPEN_TIMEOUT_MS, isReady: (words: string) => /^open /m.test(words) };
  const client = await startPinned(command, options);
  try {
    await sleep(SETTLE_MS);
    const now = residentOctets(pids);
    return { octets: (now - before) / IDLE_CONNECTIONS, beforeMib: before / MIB, withMib: now / MIB };
  } finally {
    await client.stop();
  }
}

/** @param folder for all files. @param rounds each with fresh processes */
export async function runIdle(
  recipes: readonly BalancerRecipe[],
  { folder, title, rounds }: { folder: string; title: string; rounds: number },
): Promise<LoadResult> {
  const subjects: Record<string, Subject & { samples: Sample[] }> = {};
  let leftOut: Record<string, string> = {};
  for (let round = 1; round <= rounds; round++) {
    process.stdout.write(`\r${title}: round ${round} of ${rounds}   `);
    const bed = await startBed(mkdtempSync(join(folder, "idle-")), recipes);
    leftOut = { ...leftOut, ...bed.leftOut };
    try {
      await sleep(SETTLE_MS);
      for (const { recipe, port, pids } of bed.runners) {
        const { name, title: said, isOurs } = recipe;
        subjects[name] ??= { title: said, isOurs, samples: [] };
        subjects[name].samples.push(await measureIdle(port, pids));
      }
    } finally {
      await bed.stop();
    }
  }
  process.stdout.write("\n");
  const count = IDLE_CONNECTIONS.toLocaleString("en");
  const reason = IDLE_CONNECTIONS < WANTED ? ": all that the limit of open files allows" : "";
  return { title, note: `with ${count} connections${reason}, medians`, subjects, leftOut };
}
