/**
 * What benchmarks share: the machine they ran on, CPU time of a process, medians, the report file.
 * @module
 */
import { readFileSync, writeFileSync } from "node:fs";
import { arch, cpus, platform, release, totalmem } from "node:os";

export type Machine = { cpu: string; cores: number; memoryMiB: number; system: string; node: string };

export const describeMachine = (): Machine => ({
  cpu: cpus()[0]?.model ?? "unknown",
  cores: cpus().length,
  memoryMiB: Math.round(totalmem() / 1_048_576),
  system: `${platform()} ${release()} ${arch()}`,
  node: process.version,
});

/** Linux counts CPU time in ticks of 1/100 s (`getconf CLK_TCK`). */
export const TICK_MS = 10;
export type CpuTime = { userMs: number; systemMs: number };

/** CPU time of a process with all of its threads so far: fields 14 and 15 of proc_pid_stat(5). */
export function cpuTimeOf(pid: number): CpuTime {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" "); // the name in field 2 may hold blanks
  return { userMs: Number(fields[11]) * TICK_MS, systemMs: Number(fields[12]) * TICK_MS };
}

export const cpuBetween = (before: CpuTime, after: CpuTime): CpuTime => ({
  userMs: after.userMs - before.userMs,
  systemMs: after.systemMs - before.systemMs,
});

/** Resident memory of processes; what they share is counted once (Pss of proc_pid_smaps(5)). */
export function residentOctets(pids: readonly number[]): number {
  const kib = pids.map((pid) => Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1]));
  return kib.reduce((sum, value) => sum + value, 0) * 1_024;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >>> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

export type Report = { machine: Machine; rounds: unknown; ratios: Record<string, number> };

export function writeReport(file: string, report: Report): void {
  writeFileSync(file, `${JSON.stringify(report, undefined, 2)}\n`);
  process.stdout.write(`Wrote ${file}\n`);
}

/** `--quick` and `--json FILE`; anything else is a wrong use and ends the process with 2. */
export function readArguments(usage: string): { isQuick: boolean; json: string | undefined } {
  const rest = process.argv.slice(2);
  let isQuick = false;
  let json: string | undefined;
  for (let index = 0; index < rest.length; index++) {
    if (rest[index] === "--quick") isQuick = true;
    else if (rest[index] === "--json" && rest[index + 1] !== undefined) json = rest[++index];
    else {
      const isHelp = rest[index] === "--help";
      (isHelp ? process.stdout : process.stderr).write(`Usage: ${usage} [--quick] [--json FILE]\n`);
      process.exit(isHelp ? 0 : 2);
    }
  }
  return { isQuick, json };
}
