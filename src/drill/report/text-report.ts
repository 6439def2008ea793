/**
 * A report as text for a terminal: at most 100 columns, in ASCII but for the words of others, and without control
 * characters but the line's end, whatever those words were.
 * @module
 */
import { warningsOf } from "#drill/report/headline.ts";
import { plotRows, type Series } from "#drill/report/plots.ts";
import type { DrillReport } from "#drill/report/shape.ts";
import { clockText, secondsAt, stepLabel, type Timeline, timelineOf } from "#drill/report/timeline.ts";
import {
  boundText,
  countOf,
  dateText,
  durationText,
  leadingText,
  leadingValue,
  MEASURE_WORDS,
  metText,
  shareText,
  VERDICT,
} from "#drill/report/words.ts";

const WIDTH = 100;
/** Of the small plots; what is left of a line after the label. */
const PLOT_WIDTH = 58;
const PLACE_WIDTH = 13;
const SERIES_WIDTH = 22;
/** From nothing to all: each looks darker than the one before. */
const SHADES = " .:-=+*#%@";
const NAMED_EVENTS = 12;

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out (C0, DEL, C1: they steer terminals)
const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]+/g;
const ASCII: Readonly<Record<string, string>> = {
  "≤": "<=",
  "≥": ">=",
  "−": "-",
  "–": "-",
  "·": "-",
  "\u202f": " ",
  "\u00a0": " ",
};
const tidy = (text: string): string =>
  text.replace(/[≤≥−–·\u202f\u00a0]/g, (sign) => ASCII[sign]!).replace(CONTROLS, " ");

const cut = (text: string, width: number): string => (text.length <= width ? text : `${text.slice(0, width - 3)}...`);

/** Words to lines; a word longer than a line is cut. */
function wrap(text: string, indent = ""): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of tidy(text)
    .split(" ")
    .filter((part) => part !== "")) {
    const next = line === "" ? word : `${line} ${word}`;
    if (indent.length + next.length > WIDTH && line !== "") {
      lines.push(indent + line);
      line = cut(word, WIDTH - indent.length);
    } else line = cut(next, WIDTH - indent.length);
  }
  return line === "" ? lines : [...lines, indent + line];
}

/** Columns as wide as their widest cell; the last one takes what is left. */
export function aligned(rows: readonly (readonly string[])[]): string[] {
  const cells = rows.map((row) => row.map(tidy));
  const widths = (cells[0] ?? []).map((_, column) =>
    Math.min(40, Math.max(...cells.map((row) => row[column]!.length))),
  );
  const last = widths.length - 1;
  const cellText = (cell: string, column: number): string =>
    column === last ? cell : cut(cell, widths[column]!).padEnd(widths[column]!);
  return cells.map((row) => cut(`  ${row.map(cellText).join("  ")}`.trimEnd(), WIDTH));
}

function measureLines({ measures }: DrillReport): string[] {
  const rows = measures.map((result) => {
    const leading = leadingValue(result);
    const { word } = metText(result.isMet);
    return [
      MEASURE_WORDS[result.measure].name,
      leadingText(result),
      leading?.name ?? "no sample",
      result.bound === null ? "" : boundText(result.bound, result.unit),
      result.isMet === null ? "" : word,
      countOf(result.samples.length),
    ];
  });
  return rows.length === 0 ? [] : ["", "Measures", ...aligned([["", "", "", "allowed", "", "samples"], ...rows])];
}

/** Sums of the seconds that fall on each column, of the most that any row has. */
function shadesOf(values: Series["values"], most: number, length: number): string {
  const width = Math.min(PLOT_WIDTH, length);
  const columns = Array.from({ length: width }, () => ({ sum: 0, count: 0 }));
  values.slice(0, length).forEach((value, second) => {
    const column = columns[Math.floor((second * width) / length)]!;
    column.sum += value ?? 0;
    column.count++;
  });
  return columns
    .map(({ sum, count }) => {
      const share = count === 0 || most === 0 ? 0 : sum / count / most;
      // What is there at all is seen: one lost request among hundreds too.
      const shade = sum > 0 ? Math.max(1, Math.round(share * (SHADES.length - 1))) : 0;
      return SHADES[Math.min(shade, SHADES.length - 1)];
    })
    .join("");
}

function plotLines(report: DrillReport, timeline: Timeline): string[] {
  const row = plotRows(report, timeline).find(({ plots }) => plots[0]?.id.startsWith("requests-"));
  if (row === undefined) return [];
  const lines = row.plots.flatMap(({ title, series, most }) =>
    series.map(({ label, values }, index) => {
      const place = cut(index === 0 ? title : "", PLACE_WIDTH).padEnd(PLACE_WIDTH);
      const name = cut(tidy(label), SERIES_WIDTH).padEnd(SERIES_WIDTH);
      return `  ${place} ${name} ${shadesOf(values, most, timeline.length)}`.trimEnd();
    }),
  );
  const width = Math.min(PLOT_WIDTH, timeline.length);
  const marks = Array.from({ length: width }, () => " ");
  for (const { at, number } of timeline.marks)
    marks[Math.min(width - 1, Math.floor((at * width) / timeline.length))] = String(number % 10);
  return [
    "",
    `Requests per second, by region (0:00 to ${clockText(timeline.length)}, steps below)`,
    ...lines,
    `${" ".repeat(PLACE_WIDTH + SERIES_WIDTH + 4)}${marks.join("")}`.trimEnd(),
  ];
}

const whenText = (timeline: Timeline, atMs: number): string => `${secondsAt(timeline, atMs).toFixed(1)} s`;

function stepLines({ steps }: DrillReport, timeline: Timeline): string[] {
  const rows = steps.map((step, index) => [
    String(index + 1),
    whenText(timeline, step.atMs),
    stepLabel(step),
    step.says,
  ]);
  return rows.length === 0 ? [] : ["", "Steps", ...aligned(rows)];
}

/** What people are told of at once: alarms and warnings, the first of them. */
function eventLines({ events }: DrillReport, timeline: Timeline): string[] {
  const loud = events.filter(({ severity }) => severity !== "info").sort((a, b) => a.atMs - b.atMs);
  if (loud.length === 0) return [];
  const rows = loud
    .slice(0, NAMED_EVENTS)
    .map(({ atMs, node, severity, subject, says }) => [
      whenText(timeline, atMs),
      node,
      severity,
      says.includes(subject) ? says : `${subject}: ${says}`,
    ]);
  const more = loud.length - rows.length;
  const lines = aligned(rows);
  return ["", "Alarms and warnings", ...lines, ...(more > 0 ? [`  and ${countOf(more)} more`] : [])];
}

export function textReport(report: DrillReport): string {
  const timeline = timelineOf(report);
  const { drill, slo, load, startedAtMs, endedAtMs } = report;
  const facts = `${drill.file}, stage ${drill.stage}, ${dateText(startedAtMs)}, ${durationText(endedAtMs - startedAtMs)}`;
  const service = `${shareText(slo.availability)} of ${countOf(slo.requests)} requests answered, ${countOf(slo.lost)} lost; ${countOf(load.rps)} requests/s, ${countOf(load.qps)} lookups/s`;
  const lines = [
    ...wrap(`${VERDICT[report.outcome].word.toUpperCase()}: ${drill.name}`),
    ...wrap(report.says, "  "),
    ...wrap(facts, "  "),
    ...(slo.requests > 0 ? wrap(service, "  ") : []),
    ...warningsOf(report).flatMap((warning) => wrap(`! ${warning}`, "  ")),
    ...measureLines(report),
    ...plotLines(report, timeline),
    ...stepLines(report, timeline),
    ...eventLines(report, timeline),
  ];
  return `${lines.join("\n")}\n`;
}
