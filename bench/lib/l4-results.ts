/**
 * Samples → medians → ratios and targets. Pure.
 *
 * Units:   times in µs, memory in octets, `rate` and `capacity` per second. A ratio is ours in multiples of another's.
 * @module
 */
import type { L4Sample } from "./l4-measure.ts";
import { median } from "./machine.ts";

export type L4Subject = {
  readonly title: string;
  readonly isOurs: boolean;
  readonly samples: readonly L4Sample[];
};
export type L4Result = {
  readonly title: string;
  /** What a reader needs besides the numbers. */
  readonly note: string;
  readonly subjects: Readonly<Record<string, L4Subject>>;
  /** Who could not take part, and why. */
  readonly leftOut: Readonly<Record<string, string>>;
};
export type L4Results = Readonly<Record<string, L4Result>>;

/** @returns undefined where nobody measured that */
export function medianOf({ samples }: L4Subject, key: string): number | undefined {
  const values = samples.flatMap((sample) => sample[key] ?? []);
  return values.length === 0 ? undefined : median(values);
}

/** Each of ours against each other, under the name `OURS.MEASURE/OTHER`. */
const MEASURES = [
  { load: "request", measure: "cpu-request", key: "cpuMicros" },
  { load: "connection", measure: "cpu-connection", key: "cpuMicros" },
  { load: "bulk", measure: "bulk-rate", key: "rate" },
  { load: "bulk", measure: "cpu-bulk", key: "cpuMicros" },
  { load: "half", measure: "p99-added", key: "addedP99" },
  { load: "idle", measure: "idle-octets", key: "octets" },
  { load: "kernel", measure: "connections", key: "capacity" },
  { load: "kernel", measure: "rate", key: "rate" },
] as const;
/** Against a fixed amount. */
const AMOUNTS = [
  { load: "half", subject: "epoll", key: "addedP99", name: "epoll.p99-added/1ms", amount: 1_000 },
  { load: "idle", subject: "epoll", key: "octets", name: "epoll.idle-octets/30kB", amount: 30_000 },
] as const;
export const TARGETS: Readonly<Record<string, { readonly is: "at most" | "at least"; readonly limit: number }>> = {
  "epoll.cpu-request/haproxy": { is: "at most", limit: 1.3 },
  "epoll.bulk-rate/haproxy": { is: "at least", limit: 0.5 },
  "kernel.connections/relay": { is: "at least", limit: 3 },
  "epoll.p99-added/haproxy": { is: "at most", limit: 1.3 },
  "epoll.p99-added/1ms": { is: "at most", limit: 1 },
  "epoll.idle-octets/30kB": { is: "at most", limit: 1 },
};

/** A difference of two measured latencies that is less says nothing; it counts as this much. */
const SMALLEST_ADDED_MICROS = 20;

const rounded = (value: number): number => Math.round(value * 1_000) / 1_000;

export function l4RatiosOf(results: L4Results): Record<string, number> {
  const ratios: Record<string, number> = {};
  for (const { load, measure, key } of MEASURES) {
    const subjects = Object.entries(results[load]?.subjects ?? {});
    for (const [name, ours] of subjects.filter(([, { isOurs }]) => isOurs)) {
      for (const [other, theirs] of subjects.filter(([, { isOurs }]) => !isOurs)) {
        const [mine, against] = [medianOf(ours, key), medianOf(theirs, key)];
        if (mine === undefined || against === undefined) continue;
        const floor = key === "addedP99" ? SMALLEST_ADDED_MICROS : Number.MIN_VALUE;
        ratios[`${name}.${measure}/${other}`] = rounded(Math.max(mine, floor) / Math.max(against, floor));
      }
    }
  }
  for (const { load, subject, key, name, amount } of AMOUNTS) {
    const ours = results[load]?.subjects[subject];
    const value = ours && medianOf(ours, key);
    if (value !== undefined) ratios[name] = rounded(value / amount);
  }
  return ratios;
}

/** A line for each ratio; those with a target say whether it is met. */
export function textTargets(ratios: Readonly<Record<string, number>>): string {
  const lines = Object.entries(ratios).map(([name, value]) => {
    const target = TARGETS[name];
    const line = `  ${name.padEnd(32)} ${value.toFixed(2).padStart(6)}`;
    if (!target) return line;
    const isMet = target.is === "at most" ? value <= target.limit : value >= target.limit;
    return `${line}   target: ${target.is} ${target.limit}${isMet ? "" : ": NOT met"}`;
  });
  return `${lines.join("\n")}\n`;
}
