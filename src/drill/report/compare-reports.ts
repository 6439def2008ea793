/**
 * Several runs of one drill beside each other, as text: what each measure was first and last, and where it lay between.
 * @module
 */
import type { DrillReport } from "#drill/report/shape.ts";
import { aligned } from "#drill/report/text-report.ts";
import { countOf, leadingValue, MEASURE_WORDS, type MeasureResult, shareText, valueText } from "#drill/report/words.ts";
import { MEASURES } from "#drill/scenario.ts";

type Line = {
  readonly name: string;
  readonly unit: MeasureResult["unit"];
  readonly values: readonly (number | undefined)[];
};

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function linesOf(reports: readonly DrillReport[]): readonly Line[] {
  const lines = MEASURES.map((measure): Line => {
    const results = reports.map(({ measures }) => measures.find((result) => result.measure === measure));
    return {
      name: MEASURE_WORDS[measure].name,
      unit: results.find((result) => result !== undefined)?.unit ?? "count",
      values: results.map((result) => (result === undefined ? undefined : leadingValue(result)?.value)),
    };
  });
  const served: Line = { name: "Service level", unit: "share", values: reports.map(({ slo }) => slo.availability) };
  return [...lines.filter(({ values }) => values.some((value) => value !== undefined)), served];
}

/** With its sign; shares differ by points of percent. */
function changeText(from: number | undefined, to: number | undefined, unit: MeasureResult["unit"]): string {
  if (from === undefined || to === undefined) return "-";
  if (from === to) return "same";
  const size = Math.abs(to - from);
  return `${to > from ? "+" : "-"}${unit === "share" ? `${shareText(size).replace(" %", "")} points` : valueText(size, unit)}`;
}

/** @returns undefined where they are not of one drill on one stage: then there is nothing to compare */
export function compareReports(reports: readonly DrillReport[]): string | undefined {
  const [first] = reports;
  const isSame = ({ drill }: DrillReport): boolean =>
    drill.name === first!.drill.name && drill.stage === first!.drill.stage;
  if (reports.length < 2 || !reports.every(isSame)) return undefined;
  const inOrder = [...reports].sort((a, b) => a.startedAtMs - b.startedAtMs);
  const hasSpread = reports.length > 2;
  const rows = linesOf(inOrder).map(({ name, unit, values }) => {
    const known = values.filter((value) => value !== undefined);
    const text = (value: number | undefined): string => (value === undefined ? "-" : valueText(value, unit));
    const spread = [median(known), Math.min(...known), Math.max(...known)].map(text);
    return [
      name,
      text(values[0]),
      text(values.at(-1)),
      changeText(values[0], values.at(-1), unit),
      ...(hasSpread ? spread : []),
    ];
  });
  const head = ["", "first", "last", "change", ...(hasSpread ? ["median", "least", "most"] : [])];
  const passed = reports.filter(({ outcome }) => outcome === "passed").length;
  const title = `${first!.drill.name}, stage ${first!.drill.stage}: ${countOf(passed)} of ${countOf(reports.length)} runs passed`;
  return `${aligned([[title]])
    .join("\n")
    .trim()}\n${aligned([head, ...rows]).join("\n")}\n`;
}
