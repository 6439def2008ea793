/**
 * Selection algorithms alone, in process: CPU time per pick for 10 to 10,000 backends, octets of heap per pick, and the
 * time that a change of members takes.
 *
 * Usage: node bench/balance.ts [--quick] [--json FILE]
 *        A pick includes taking the place and giving back an older one, as a pool does.
 */

import type { Members } from "#balance/algorithm.ts";
import { ALGORITHM_TABLE, type AlgorithmKey, createAlgorithm } from "#balance/table.ts";
import { hashText, mix32 } from "#base/hash.ts";
import { createSeededRng } from "#base/rng.ts";
import { describeMachine, median, readArguments, writeReport } from "./lib/machine.ts";

const { isQuick, json } = readArguments("npm run bench -- balance");
const SIZES = [10, 100, 1_000, 10_000] as const;
const picks = isQuick ? 50_000 : 400_000;
const NOTHING: readonly number[] = [];

function membersOf(size: number): Members {
  const weights = Float64Array.from({ length: size }, (_, index) => 1 + (index % 3));
  return {
    size,
    keys: Array.from({ length: size }, (_, index) => `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}:80`),
    weights,
    effective: weights.slice(),
    loads: new Int32Array(new SharedArrayBuffer(4 * size * 8)),
    loadAt: Uint32Array.from({ length: size }, (_, index) => index * 8),
  };
}
const userNs = (before: NodeJS.CpuUsage): number => process.cpuUsage(before).user * 1_000;

type Cost = { readonly pickNs: number; readonly octets: number; readonly updateMs: number; readonly refreshMs: number };

function measure(name: AlgorithmKey, size: number): Cost {
  const members = membersOf(size);
  const algorithm = createAlgorithm(name, { rng: createSeededRng(1), balanceFactorPercent: 0 });
  const started = process.cpuUsage();
  algorithm.update(members);
  const updateMs = userNs(started) / 1e6;
  const held = new Int32Array(4_096).fill(-1);
  let key = hashText(name) | 0;
  let at = 0;
  const run = (count: number): number => {
    const before = process.cpuUsage();
    for (let left = count; left > 0; left--) {
      key = mix32(key + 1) | 0;
      const nowMs = at >>> 4;
      const index = algorithm.pick(key, nowMs, NOTHING);
      Atomics.add(members.loads, members.loadAt[index]!, 1);
      algorithm.loadChanged?.(index);
      algorithm.observe?.(index, 1_000 + (key & 1_023), nowMs);
      const place = at++ & 4_095;
      const ended = held[place]!;
      held[place] = index;
      if (ended < 0) continue;
      Atomics.sub(members.loads, members.loadAt[ended]!, 1);
      algorithm.loadChanged?.(ended);
    }
    return userNs(before) / count;
  };
  // Rendezvous looks at every member: fewer rounds say as much.
  const rounds = name === "rendezvous" ? Math.max(2_000, Math.round((picks * 10) / size)) : picks;
  run(rounds);
  const pickNs = median([run(rounds), run(rounds), run(rounds), run(rounds), run(rounds)]);
  globalThis.gc?.();
  const heap = process.memoryUsage().heapUsed;
  run(rounds);
  const octets = Math.max(0, process.memoryUsage().heapUsed - heap) / rounds;
  const refreshes = 5;
  const before = process.cpuUsage();
  for (let left = refreshes; left > 0; left--) algorithm.refresh();
  return { pickNs, octets, updateMs, refreshMs: userNs(before) / refreshes / 1e6 };
}

const columns = SIZES.map((size) => String(size).padStart(8)).join("");
process.stdout.write(
  `${"ns per pick, of".padEnd(26)}${columns}   10,000/100   octets   update   refresh (ms, 10,000)\n`,
);
const results: Record<string, Record<number, Cost>> = {};
const ratios: Record<string, number> = {};
for (const name of Object.keys(ALGORITHM_TABLE) as AlgorithmKey[]) {
  const costs = Object.fromEntries(SIZES.map((size) => [size, measure(name, size)])) as Record<number, Cost>;
  results[name] = costs;
  const large = costs[10_000]!;
  ratios[`${name}.10000/100`] = large.pickNs / costs[100]!.pickNs;
  process.stdout.write(
    `${name.padEnd(26)}${SIZES.map((size) => costs[size]!.pickNs.toFixed(0).padStart(8)).join("")}${ratios[`${name}.10000/100`]!.toFixed(2).padStart(13)}${large.octets.toFixed(1).padStart(9)}${large.updateMs.toFixed(1).padStart(9)}${large.refreshMs.toFixed(2).padStart(10)}\n`,
  );
}
if (json !== undefined) writeReport(json, { machine: describeMachine(), rounds: { picks, results }, ratios });
