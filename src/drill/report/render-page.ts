/** The page of a report: one HTML file. @module */
import type { DrillReport } from "#drill/report/shape.ts";

export function renderPage(report: DrillReport): string {
  return `<!doctype html><title>${report.outcome}</title>`;
}
