/**
 * A report as text for a terminal: at most 100 columns, and no control characters but the line's end.
 * @module
 */
import type { DrillReport } from "#drill/report/shape.ts";
import { VERDICT } from "#drill/report/words.ts";

export function textReport(report: DrillReport): string {
  return `${VERDICT[report.outcome].word}: ${report.says}\n`;
}
