/**
 * Samples → medians → ratios and targets. Pure.
 *
 * Units:   times in µs, memory in octets, `rate` and `capacity` per second. A ratio is ours in multiples of another's.
 * @module
 */
import type { Sample } from "./balancer-measure.ts";
import { median } from "./machine.ts";

export type Subject = {
  readonly title: string;
  readonly isOurs: boolean;
  readonly samples: readonly Sample[];
};
export type LoadResult = {
  readonly title: string;
  /** What a reader needs besides the numbers. */
  readonly note: string;
  readonly subjects: Readonly<Record<string, Subject>>;
  /** Who could not take part, and why. */
  readonly leftOut: Readonly<Record<string, string>>;
};
export type LoadResults = Readonly<Record<string, LoadResult>>;

/** @returns undefined where nobody measured that */
export function medianOf({ samples }: Subject, key: string): number | undefined {
  const values = samples.flatMap((sample) => sample[key] ?? []);
  return values.length === 0 ? undefined : median(values);
}

/** What a comparison is about: which figures of which load make a ratio, and which of these have a target. */
export type Tables = {
  /** Each of ours against each other, under the name `OURS.MEASURE/OTHER`. */
  readonly measures: readonly { readonly load: string; readonly measure: string; readonly key: string }[];
  /** Against a fixed amount. */
  readonly amounts: readonly {
    readonly load: string;
    readonly subject: string;
    readonly key: string;
    readonly name: string;
    readonly amount: number;
  }[];
  readonly targets: Readonly<Record<string, Target>>;
};
export type Target = { readonly is: "at most" | "at least"; readonly limit: number };

/** A difference of two measured latencies that is less says nothing; it counts as this much. */
const SMALLEST_ADDED_MICROS = 20;

const rounded = (value: number): number => Math.round(value * 1_000) / 1_000;

export function ratiosOf(results: LoadResults, { measures, amounts }: Tables): Record<string, number> {
  const ratios: Record<string, number> = {};
  for (const { load, measure, key } of measures) {
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
  for (const { load, subject, key, name, amount } of amounts) {
    const ours = results[load]?.subjects[subject];
    const value = ours && medianOf(ours, key);
    if (value !== undefined) ratios[name] = rounded(value / amount);
  }
  return ratios;
}

/** A line for each ratio; those with a target say whether it is met. */
export function textTargets(ratios: Readonly<Record<string, number>>, { targets }: Tables): string {
  const lines = Object.entries(ratios).map(([name, value]) => {
    const target = targets[name];
    const line = `  ${name.padEnd(32)} ${value.toFixed(2).padStart(6)}`;
    if (!target) return line;
    const isMet = target.is === "at most" ? value <= target.limit : value >= target.limit;
    return `${line}   target: ${target.is} ${target.limit}${isMet ? "" : ": NOT met"}`;
  });
  return `${lines.join("\n")}\n`;
}
