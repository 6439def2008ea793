/**
 * Samples → medians → ratios. Pure.
 *
 * Units:   µs of CPU for each answer, answers per second, MiB. A ratio below 1 is good for `cpu`, `p50` and `p99`, above 1
 *          for `rate`.
 * @module
 */
import type { LatencySample, Sample } from "./dns-measure.ts";
import { median } from "./machine.ts";

export type Medians = {
  readonly answersPerSecond: number;
  readonly cpuMicros: number;
  readonly userMicros: number;
  readonly systemMicros: number;
  readonly busy: number;
  readonly lost: number;
  readonly p50Micros?: number;
  readonly p99Micros?: number;
};
export type SubjectResult = {
  readonly title: string;
  readonly isOurs: boolean;
  readonly medians: Medians;
  readonly residentMib: number;
  /** Where clients are told apart: share of the first queries that it answers as the first server of the table does. */
  readonly agreement?: number;
  readonly startMs: number;
  /** Leaves that the client map keeps, where the server says so. */
  readonly leaves?: number;
  readonly samples: readonly Sample[];
  readonly latencySamples: readonly LatencySample[];
};
export type LoadResult = {
  readonly title: string;
  readonly seconds: number;
  /** Queries per second at which latency was measured. */
  readonly latencyRate?: number;
  readonly subjects: Readonly<Record<string, SubjectResult>>;
  /** Who could not take part, and why. */
  readonly leftOut: Readonly<Record<string, string>>;
};
export type LoadResults = Readonly<Record<string, LoadResult>>;

export function mediansOf(samples: readonly Sample[], latencies: readonly LatencySample[]): Medians {
  const of = (key: keyof Sample) => median(samples.map((sample) => sample[key]));
  const medians: Medians = {
    answersPerSecond: of("answersPerSecond"),
    // Of the sums: user and system are split by sampling, and their medians come from different rounds.
    cpuMicros: median(samples.map(({ userMicros, systemMicros }) => userMicros + systemMicros)),
    userMicros: of("userMicros"),
    systemMicros: of("systemMicros"),
    busy: of("busy"),
    lost: of("lost"),
  };
  if (latencies.length === 0) return medians;
  const late = (key: keyof LatencySample) => median(latencies.map((sample) => sample[key]));
  return { ...medians, p50Micros: late("p50Micros"), p99Micros: late("p99Micros") };
}

const MEASURES = [
  ["cpu", "cpuMicros"],
  ["rate", "answersPerSecond"],
  ["p50", "p50Micros"],
  ["p99", "p99Micros"],
] as const;
/** What varies within a load, as `1m` of `batch@1m`. */
const variantOf = (name: string) => name.split("@")[1];

/**
 * `batch.cpu/gdnsd` for the load `static`, `steered.batch.cpu/gdnsd-geoip` for the others. Each of ours against every
 * other server of the same variant and against `best`, the other server that is best in that measure; and in loads that
 * vary, each server against its own first variant, `zone-size.batch@1m.cpu/batch@10`.
 */
export function ratiosOf(results: LoadResults): Record<string, number> {
  const ratios: Record<string, number> = {};
  for (const [load, { subjects }] of Object.entries(results)) {
    const prefix = load === "static" ? "" : `${load}.`;
    const names = Object.keys(subjects);
    for (const [measure, key] of MEASURES) {
      const put = (name: string, other: string, value = subjects[name]!.medians[key], base?: number) => {
        const against = base ?? subjects[other]!.medians[key];
        if (value === undefined || against === undefined || against === 0) return;
        ratios[`${prefix}${name}.${measure}/${other}`] = Math.round((value / against) * 1_000) / 1_000;
      };
      for (const name of names) {
        const variant = variantOf(name);
        if (subjects[name]!.isOurs) {
          const others = names.filter((other) => other !== name && variantOf(other) === variant);
          for (const other of others) put(name, other);
          const rivals = others.filter((other) => !subjects[other]!.isOurs);
          const values = rivals.flatMap((other) => subjects[other]!.medians[key] ?? []);
          const best = measure === "rate" ? Math.max(...values) : Math.min(...values);
          if (values.length > 0) put(name, "best", undefined, best);
        }
        const first = names.find((other) => other.split("@")[0] === name.split("@")[0]);
        if (variant !== undefined && first !== undefined && first !== name) put(name, first);
      }
    }
  }
  return ratios;
}
