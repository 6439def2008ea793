/**
 * Results → tables: for the terminal and for docs/performance.md, the same rows. Pure.
 * @module
 */
import type { LoadResult, LoadResults, SubjectResult } from "./dns-results.ts";
import type { Machine } from "./machine.ts";
import { fillBlocks, fixed, markdownLines, markdownMachine, textLines, whole } from "./tables.ts";

type Column = { readonly head: string; cell(subject: SubjectResult): string; isIn?(load: LoadResult): boolean };
const some =
  (has: (subject: SubjectResult) => boolean) =>
  ({ subjects }: LoadResult) =>
    Object.values(subjects).some(has);
const COLUMNS: readonly Column[] = [
  { head: "server", cell: ({ title }) => title },
  { head: "CPU µs", cell: ({ medians }) => fixed(2)(medians.cpuMicros) },
  { head: "user", cell: ({ medians }) => fixed(2)(medians.userMicros) },
  { head: "system", cell: ({ medians }) => fixed(2)(medians.systemMicros) },
  { head: "answers/s", cell: ({ medians }) => whole(medians.answersPerSecond) },
  { head: "core used", cell: ({ medians }) => `${whole(medians.busy * 100)} %` },
  { head: "lost", cell: ({ medians }) => whole(medians.lost) },
  {
    head: "p50 µs",
    cell: ({ medians }) => whole(medians.p50Micros),
    isIn: some(({ medians }) => medians.p50Micros !== undefined),
  },
  {
    head: "p99 µs",
    cell: ({ medians }) => whole(medians.p99Micros),
    isIn: some(({ medians }) => medians.p99Micros !== undefined),
  },
  { head: "MiB", cell: ({ residentMib }) => whole(residentMib) },
  {
    head: "same answers",
    cell: ({ agreement }) => (agreement === undefined ? "–" : `${(agreement * 100).toFixed(1)} %`),
    isIn: some(({ agreement }) => agreement !== undefined),
  },
  { head: "start s", cell: ({ startMs }) => fixed(1)(startMs / 1_000) },
  { head: "leaves kept", cell: ({ leaves }) => whole(leaves), isIn: some(({ leaves }) => leaves !== undefined) },
];

/** Heads and rows of a load's table, in the order of its subjects. */
function cellsOf(load: LoadResult): string[][] {
  const columns = COLUMNS.filter(({ isIn }) => isIn?.(load) ?? true);
  return [
    columns.map(({ head }) => head),
    ...Object.values(load.subjects).map((subject) => columns.map((column) => column.cell(subject))),
  ];
}

/** What a reader needs besides the numbers. */
function noteOf(load: LoadResult): string {
  const rounds = Math.max(0, ...Object.values(load.subjects).map(({ samples }) => samples.length));
  const parts = [`${rounds} ${rounds === 1 ? "round" : "rounds"} of ${load.seconds} s, medians`];
  if (load.latencyRate !== undefined) parts.push(`latency at ${whole(load.latencyRate)} queries/s`);
  const missing = Object.keys(load.leftOut);
  if (missing.length > 0) parts.push(`left out: ${missing.join(", ")}`);
  return `${parts.join("; ")}.`;
}

/** A table for the terminal. */
export function textTable(load: LoadResult): string {
  const reasons = Object.entries(load.leftOut).map(([name, reason]) => `  left out: ${name}: ${reason}`);
  return [`\n${load.title} (${noteOf(load)})`, ...textLines(cellsOf(load)), ...reasons, ""].join("\n");
}

/** One line for each of ours and each measure: what it is in multiples of the others. */
export function textRatios(ratios: Readonly<Record<string, number>>): string {
  const lines = new Map<string, string[]>();
  for (const [name, value] of Object.entries(ratios)) {
    const slash = name.indexOf("/");
    const list = lines.get(name.slice(0, slash)) ?? [];
    lines.set(name.slice(0, slash), [...list, `${value.toFixed(2)} × ${name.slice(slash + 1)}`]);
  }
  return [...lines].map(([name, list]) => `  ${name.padEnd(24)} ${list.join(", ")}\n`).join("");
}

export const markdownTable = (load: LoadResult): string =>
  [...markdownLines(cellsOf(load)), "", noteOf(load)].join("\n");

/** Fills in the machine and the loads that were measured; blocks of others stay as they are. */
export const fillPage = (page: string, machine: Machine, results: LoadResults): string =>
  fillBlocks(page, {
    machine: markdownMachine(machine),
    ...Object.fromEntries(Object.entries(results).map(([name, load]) => [name, markdownTable(load)])),
  });
