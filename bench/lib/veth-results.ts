/**
 * Medians of the stage veth → ratios and tables, for the terminal and for docs/performance.md. Pure.
 * @module
 */
import type { Machine } from "./machine.ts";
import { fillBlocks, fixed, markdownLines, markdownMachine, textLines, whole } from "./tables.ts";
import type { VethMedians } from "./veth-measure.ts";

export type VethSubjectResult = {
  readonly title: string;
  readonly isOurs: boolean;
  /** One for each offered rate, in the order of `VethResult.rates`. */
  readonly medians: readonly VethMedians[];
};
export type VethResult = {
  readonly title: string;
  readonly rounds: number;
  readonly seconds: number;
  /** Queries a second that were asked for; a load that cannot send them offers less. */
  readonly rates: readonly number[];
  readonly subjects: Readonly<Record<string, VethSubjectResult>>;
  readonly leftOut: Readonly<Record<string, string>>;
};
export type VethResults = Readonly<Record<string, VethResult>>;

/** Where a server answers most: its rate there is what it can do, and its CPU there is that of a full core. */
export const bestOf = ({ medians }: VethSubjectResult): VethMedians =>
  medians.reduce((best, each) => (each.answersPerSecond > best.answersPerSecond ? each : best));

/** `static.xdp.rate/knot-xdp` and `static.xdp.cpu/gdnsd`: each of ours against every other server. */
export function vethRatios(results: VethResults): Record<string, number> {
  const ratios: Record<string, number> = {};
  for (const [load, { subjects }] of Object.entries(results)) {
    for (const [name, subject] of Object.entries(subjects)) {
      for (const [other, against] of Object.entries(subjects)) {
        if (!subject.isOurs || other === name) continue;
        const ratio = (key: "answersPerSecond" | "cpuMicros") =>
          Math.round((bestOf(subject)[key] / bestOf(against)[key]) * 1_000) / 1_000;
        ratios[`${load}.${name}.rate/${other}`] = ratio("answersPerSecond");
        ratios[`${load}.${name}.cpu/${other}`] = ratio("cpuMicros");
      }
    }
  }
  return ratios;
}

const short = (rate: number): string => `${rate / 1_000}k`;

/** A row for each server: what it answered of each rate, and what share it lost. */
function rateCells({ rates, subjects }: VethResult): string[][] {
  const offered = rates.map((_, index) => {
    const sent = Object.values(subjects).map(({ medians }) => medians[index]!.sentPerSecond);
    return `${whole(Math.min(...sent) / 1_000)}k to ${whole(Math.max(...sent) / 1_000)}k`;
  });
  return [
    ["answers/s of", ...rates.map(short)],
    ...Object.values(subjects).map(({ title, medians }) => [
      title,
      ...medians.map(
        ({ answersPerSecond, lostShare }) => `${whole(answersPerSecond)} (−${fixed(1)(lostShare * 100)} %)`,
      ),
    ]),
    ["offered", ...offered],
  ];
}

/** A row for each server: CPU time for each answer at each rate, and at its best rate how it divides. */
function cpuCells({ rates, subjects }: VethResult): string[][] {
  return [
    ["CPU µs at", ...rates.map(short), "at its best", "user", "system", "core used"],
    ...Object.values(subjects).map((subject) => {
      const best = bestOf(subject);
      return [
        subject.title,
        ...subject.medians.map(({ cpuMicros }) => fixed(2)(cpuMicros)),
        ...[best.cpuMicros, best.userMicros, best.systemMicros].map(fixed(2)),
        `${whole(best.busy * 100)} %`,
      ];
    }),
  ];
}

function noteOf({ rounds, seconds, leftOut }: VethResult): string {
  const missing = Object.keys(leftOut);
  return `${rounds} rounds of ${seconds} s, medians${missing.length > 0 ? `; left out: ${missing.join(", ")}` : ""}.`;
}

export function vethText(load: VethResult): string {
  const reasons = Object.entries(load.leftOut).map(([name, reason]) => `  left out: ${name}: ${reason}`);
  if (Object.keys(load.subjects).length === 0) return [`\n${load.title}`, ...reasons, ""].join("\n");
  const tables = [...textLines(rateCells(load)), "", ...textLines(cpuCells(load))];
  return [`\n${load.title} (${noteOf(load)})`, ...tables, ...reasons, ""].join("\n");
}

/** Fills in the machine and the loads of this stage: blocks `veth-machine`, `veth-static`, … */
export const fillVethPage = (page: string, machine: Machine, results: VethResults): string =>
  fillBlocks(page, {
    "veth-machine": markdownMachine(machine),
    ...Object.fromEntries(
      Object.entries(results).map(([name, load]) => [
        `veth-${name}`,
        [...markdownLines(rateCells(load)), "", ...markdownLines(cpuCells(load)), "", noteOf(load)].join("\n"),
      ]),
    ),
  });
