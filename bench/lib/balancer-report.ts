/**
 * Results → tables: for the terminal and for docs/performance.md, the same rows. Pure.
 * @module
 */
import { type LoadResult, type LoadResults, medianOf, ratiosOf, type Tables } from "./balancer-results.ts";
import type { Machine } from "./machine.ts";
import { fillBlocks, fixed, markdownLines, markdownMachine, textLines, whole } from "./tables.ts";

type Column = { readonly head: string; readonly key: string; text(value: number | undefined): string };
const percent = (value: number | undefined): string => (value === undefined ? "–" : `${whole(value * 100)} %`);

const CPU: readonly Column[] = [
  { head: "CPU µs", key: "cpuMicros", text: fixed(1) },
  { head: "user", key: "userMicros", text: fixed(1) },
  { head: "system", key: "systemMicros", text: fixed(1) },
];
const REST: readonly Column[] = [
  { head: "core used", key: "busy", text: percent },
  { head: "errors", key: "errors", text: whole },
];
const REQUESTS: readonly Column[] = [...CPU, { head: "requests/s", key: "rate", text: whole }, ...REST];
const LATENCIES: readonly Column[] = [
  { head: "p50 µs", key: "p50", text: whole },
  { head: "p99 µs", key: "p99", text: whole },
  { head: "added p50", key: "addedP50", text: whole },
  { head: "added p99", key: "addedP99", text: whole },
  { head: "of the pace", key: "answered", text: percent },
  { head: "load's core used", key: "loadCore", text: percent },
  { head: "errors", key: "errors", text: whole },
];
const CONNECTIONS: readonly Column[] = [...CPU, { head: "connections/s", key: "rate", text: whole }, ...REST];
const COLUMNS: Readonly<Record<string, readonly Column[]>> = {
  request: REQUESTS,
  http1: REQUESTS,
  https: REQUESTS,
  http2: REQUESTS,
  websocket: [...CPU, { head: "messages/s", key: "rate", text: whole }, ...REST],
  connection: CONNECTIONS,
  handshake: CONNECTIONS,
  resumed: CONNECTIONS,
  bulk: [{ head: "MiB/s", key: "rate", text: whole }, { ...CPU[0]!, head: "CPU µs/MiB", text: whole }, ...REST],
  half: LATENCIES,
  "half-tls": LATENCIES,
  idle: [
    { head: "octets each", key: "octets", text: whole },
    { head: "MiB before", key: "beforeMib", text: whole },
    { head: "MiB with them", key: "withMib", text: whole },
  ],
  kernel: [
    { head: "connections/s", key: "rate", text: whole },
    { head: "balancer's core used", key: "busy", text: percent },
    { head: "per second of that core", key: "capacity", text: whole },
    { head: "errors", key: "errors", text: whole },
  ],
};

function cellsOf(load: string, { subjects }: LoadResult): string[][] {
  const columns = COLUMNS[load] ?? [];
  return [
    ["balancer", ...columns.map(({ head }) => head)],
    ...Object.values(subjects).map((subject) => [
      subject.title,
      ...columns.map(({ key, text }) => text(medianOf(subject, key))),
    ]),
  ];
}

function noteOf({ note, subjects, leftOut }: LoadResult): string {
  const rounds = Math.max(0, ...Object.values(subjects).map(({ samples }) => samples.length));
  const missing = Object.keys(leftOut);
  const counted = `${rounds} ${rounds === 1 ? "round" : "rounds"} ${note}`;
  return `${missing.length > 0 ? `${counted}; left out: ${missing.join(", ")}` : counted}.`;
}

export function textTable(load: string, result: LoadResult): string {
  const reasons = Object.entries(result.leftOut).map(([name, reason]) => `  left out: ${name}: ${reason}`);
  return [`\n${result.title} (${noteOf(result)})`, ...textLines(cellsOf(load, result)), ...reasons, ""].join("\n");
}

/** The ratios that have a target. */
function targetLines(results: LoadResults, tables: Tables): string {
  const ratios = ratiosOf(results, tables);
  const rows = Object.entries(tables.targets).flatMap(([name, { is, limit }]) =>
    ratios[name] === undefined ? [] : [[`\`${name}\``, ratios[name].toFixed(2), `${is} ${limit}`]],
  );
  return markdownLines([["ratio", "here", "target"], ...rows]).join("\n");
}

/**
 * Fills in what was measured: blocks `BENCH-machine`, `BENCH-targets` and `BENCH-LOAD`.
 * @param bench `l4` or `l7`
 */
export const fillPage = (
  page: string,
  bench: string,
  { machine, results, tables }: { machine: Machine; results: LoadResults; tables: Tables },
): string =>
  fillBlocks(page, {
    [`${bench}-machine`]: markdownMachine(machine),
    [`${bench}-targets`]: targetLines(results, tables),
    ...Object.fromEntries(
      Object.entries(results).map(([name, result]) => [
        `${bench}-${name}`,
        [...markdownLines(cellsOf(name, result)), "", noteOf(result)].join("\n"),
      ]),
    ),
  });
