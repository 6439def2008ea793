/**
 * What drills measured, over all runs of each: `npm run bench -- drills [--repeat N] [--reports FOLDER]… [--markdown PAGE]`.
 *
 * With `--repeat` it runs the drills that have a target so often on the stage local first; reports of earlier runs, of
 * containers too, are taken from the folders given. Every run that ended with a verdict counts, passed or not.
 * @module
 */
import { spawnSync } from "node:child_process";
import { existsSync, globSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import type { DrillReport } from "#drill/report/shape.ts";
import { readReport } from "#drill/report/write-report.ts";
import { fillBlocks, markdownLines, textLines } from "./lib/tables.ts";

const root = dirname(import.meta.dirname);
/** Those of which a time or a loss is promised. */
const MEASURED = ["region-outage", "black-hole", "anycast-withdrawal", "exabgp-crash", "evacuation", "rolling-upgrade"];
const TIMES: Readonly<Record<string, string>> = {
  detection: "fault to verdict",
  changedAnswer: "fault to changed answers, each node",
  anycastFailover: "fault to first anycast success elsewhere",
};

const { values } = parseArgs({
  options: {
    repeat: { type: "string" },
    reports: { type: "string", multiple: true, default: [] },
    markdown: { type: "string" },
    help: { type: "boolean", short: "h", default: false },
  },
});
if (values.help) {
  process.stdout.write(
    "Usage: npm run bench -- drills [--repeat N] [--reports FOLDER]… [--markdown docs/performance.md]\n\n" +
      `--repeat N       run ${MEASURED.join(", ")} N times each on the stage local first\n` +
      "--reports FOLDER take the reports of earlier runs below it too (default: run/drills)\n" +
      "--markdown PAGE  put the tables into its blocks drill-times and drill-losses\n",
  );
  process.exit(0);
}

const folders = values.reports.length > 0 ? values.reports : [join(root, "run/drills")];
if (values.repeat !== undefined) {
  const out = join(root, "run/drills");
  const words = ["drill", "run", ...MEASURED, "--stage", "local", "--repeat", values.repeat, "--out", out];
  spawnSync(process.execPath, [join(root, "bin/rhumb"), ...words], { stdio: "inherit", cwd: root });
  if (!folders.includes(out)) folders.push(out);
}

const reports = folders
  .flatMap((folder) => globSync(join(folder, "*/report.json")))
  .filter((file) => existsSync(file))
  .map(readReport)
  .filter(({ outcome }) => outcome === "passed" || outcome === "failed");
const groups = [...Map.groupBy(reports, ({ drill }) => `${drill.name}, ${drill.stage}`)].sort(([a], [b]) =>
  a < b ? -1 : 1,
);

const samplesOf = (runs: readonly DrillReport[], measure: string): number[] =>
  runs
    .flatMap(({ measures }) => measures.filter((one) => one.measure === measure))
    // What never came within a run has its whole length as value.
    .flatMap(({ samples }) => samples.filter(({ of }) => !of.includes("(not in all that time)")))
    .map(({ value }) => value)
    .sort((a, b) => a - b);
const quantile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)]!;
const seconds = (ms: number): string => (ms / 1_000).toFixed(ms < 1_000 ? 3 : 2);

const times = groups.flatMap(([name, runs]) =>
  Object.entries(TIMES).flatMap(([measure, says]) => {
    const all = samplesOf(runs, measure);
    if (all.length === 0) return [];
    const cells = [quantile(all, 0.5), quantile(all, 0.99), all.at(-1)!].map(seconds);
    return [[name, says, `${runs.length}`, `${all.length}`, ...cells]];
  }),
);
const lostOf = (runs: readonly DrillReport[], measure: string): string => {
  const most = samplesOf(runs, measure).at(-1);
  return most === undefined ? "–" : `${(most * 100).toFixed(most === 0 ? 0 : 2)} %`;
};
const countOf = (runs: readonly DrillReport[], measure: string): string => {
  const all = samplesOf(runs, measure);
  return all.length === 0 ? "–" : `${all.reduce((sum, one) => sum + one, 0)}`;
};
const losses = groups.map(([name, runs]) => [
  name,
  `${runs.filter(({ outcome }) => outcome === "passed").length} of ${runs.length}`,
  `${runs.reduce((sum, { slo }) => sum + slo.requests, 0)}`,
  lostOf(runs, "lostRequests"),
  lostOf(runs, "lostQueries"),
  countOf(runs, "wrongAnswers"),
  countOf(runs, "emptyAnswers"),
]);
const timeTable = [["drill, stage", "seconds from", "runs", "samples", "p50", "p99", "most"], ...times];
const lossTable = [
  ["drill, stage", "passed", "requests", "requests lost, at most", "queries lost, at most", "wrong", "empty"],
  ...losses,
];
for (const table of [timeTable, lossTable]) process.stdout.write(`${textLines(table).join("\n")}\n\n`);
if (values.markdown !== undefined) {
  const page = readFileSync(values.markdown, "utf8");
  const blocks = {
    "drill-times": markdownLines(timeTable).join("\n"),
    "drill-losses": markdownLines(lossTable).join("\n"),
  };
  writeFileSync(values.markdown, fillBlocks(page, blocks));
}
