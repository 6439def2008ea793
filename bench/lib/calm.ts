/**
 * Rounds that count only where the machine was calm. A virtual machine's host takes cores away for milliseconds, and other
 * programs do: who is measured then shows that in its 99th percentile, whoever it is. So rounds are short, every subject
 * has its turn, and a round during which cores were taken is measured again.
 *
 * Never:   looks at what was measured: whether a round counts is settled by the machine's counters alone.
 * Units:   ticks of `/proc/stat`, shares of all cores' time.
 * @module
 */
import { readFileSync } from "node:fs";
import type { Sample } from "./balancer-measure.ts";
import { cpuTimeOf, TICK_MS } from "./machine.ts";

/** A round counts if the host took less than this share of it. */
export const MAX_STOLEN = 0.01;
/**
 * And programs that are no part of the measurement less than this. The kernel counts whole machines by samples of 10 ms
 * and processes exactly, so that in half a second the difference is uncertain by some ticks.
 */
export const MAX_FOREIGN = 0.06;

/** Of one core, or of all, since the machine started. */
export type CoreTicks = {
  readonly tasks: number;
  readonly interrupts: number;
  readonly stolen: number;
  readonly all: number;
};

/** Lines `cpu` and `cpuN` of `/proc/stat` (proc_stat(5)): user nice system idle iowait irq softirq steal guest guest_nice. */
export function readCores(text: string): ReadonlyMap<string, CoreTicks> {
  const cores = new Map<string, CoreTicks>();
  for (const line of text.split("\n")) {
    const [name, ...fields] = line.split(/\s+/);
    if (!name?.startsWith("cpu")) continue;
    const [user, nice, system, idle, wait, irq, softirq, stolen] = fields.map(Number) as [
      ...[number, number, number, number],
      ...[number, number, number, number],
    ];
    const [tasks, interrupts] = [user + nice + system, irq + softirq]; // guests are in user already
    cores.set(name, { tasks, interrupts, stolen, all: tasks + interrupts + idle + wait + stolen });
  }
  return cores;
}

/** What the machine did during a round, as shares: of one core's time (`loadCore`), of all cores' time (the others). */
export type Weather = { readonly stolen: number; readonly foreign: number; readonly loadCore: number };
export const isCalm = ({ stolen, foreign }: Weather): boolean => stolen < MAX_STOLEN && foreign < MAX_FOREIGN;

type Observed = { readonly cores: ReadonlyMap<string, CoreTicks>; readonly ownTicks: number };

/** @param ownTicks CPU time of all that takes part. @param loadCore number of the core whose use is told */
export function weatherBetween(before: Observed, after: Observed, loadCore: number): Weather {
  const spent = (core: string, key: keyof CoreTicks) => after.cores.get(core)![key] - before.cores.get(core)![key];
  const all = Math.max(1, spent("cpu", "all"));
  const of = `cpu${loadCore}`;
  return {
    stolen: spent("cpu", "stolen") / all,
    foreign: Math.max(0, spent("cpu", "tasks") - (after.ownTicks - before.ownTicks)) / all,
    loadCore: (spent(of, "tasks") + spent(of, "interrupts")) / Math.max(1, spent(of, "all")),
  };
}

/** CPU time of ourselves and of programs that we started and that have ended: fields 14 to 17 of proc_pid_stat(5). */
function ticksOfUs(): number {
  const stat = readFileSync("/proc/self/stat", "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return [11, 12, 13, 14].reduce((sum, field) => sum + Number(fields[field]), 0);
}

/** @param pids of the servers that take part */
export function observe(pids: readonly number[]): Observed {
  const servers = pids.map(cpuTimeOf).reduce((sum, { userMs, systemMs }) => sum + (userMs + systemMs) / TICK_MS, 0);
  return { cores: readCores(readFileSync("/proc/stat", "utf8")), ownTicks: servers + ticksOfUs() };
}

/** One who is measured, and what a round with it gave. */
export type CalmSubject = {
  readonly name: string;
  measure(): Promise<{ readonly sample: Sample; readonly weather: Weather }>;
};
export type CalmRounds = {
  /** Of calm rounds, by name. */
  readonly samples: ReadonlyMap<string, readonly Sample[]>;
  /** Rounds that were measured, the ones that do not count included. */
  readonly measured: number;
  readonly counted: number;
};

/**
 * All in turn, until each has as many calm rounds as wanted, or patience ends.
 * @param nowMs any clock that only goes forwards
 */
export async function runCalmRounds(
  subjects: readonly CalmSubject[],
  options: {
    readonly wanted: number;
    readonly patienceMs: number;
    readonly nowMs: () => number;
    readonly told?: (rounds: Omit<CalmRounds, "samples">) => void;
  },
): Promise<CalmRounds> {
  const { wanted, patienceMs, nowMs, told } = options;
  const samples = new Map(subjects.map(({ name }): [string, Sample[]] => [name, []]));
  const endMs = nowMs() + patienceMs;
  let [measured, counted] = [0, 0];
  const isMissing = ({ name }: CalmSubject): boolean => samples.get(name)!.length < wanted;
  while (subjects.some(isMissing) && nowMs() < endMs) {
    for (const subject of subjects.filter(isMissing)) {
      const { sample, weather } = await subject.measure();
      measured++;
      if (isCalm(weather)) {
        counted++;
        samples.get(subject.name)!.push({ ...sample, loadCore: weather.loadCore });
      }
      told?.({ measured, counted });
    }
  }
  return { samples, measured, counted };
}
