/**
 * A report goes to a folder as two files, and comes back from one: `report.json`, which holds all that was measured, and
 * `report.html`, which is made from it and needs nothing else.
 * @module
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { RhumbError } from "#base/errors.ts";
import { renderPage } from "#drill/report/render-page.ts";
import { reportSchema } from "#drill/report/schema.ts";
import type { DrillReport } from "#drill/report/shape.ts";

/** Problems that an error names; a file of another kind has hundreds. */
const NAMED_PROBLEMS = 3;

/** @returns the paths of the files, which are replaced where they exist */
export function writeReport(report: DrillReport, folder: string): { json: string; html: string } {
  mkdirSync(folder, { recursive: true });
  const json = join(folder, "report.json");
  const html = join(folder, "report.html");
  writeFileSync(json, `${JSON.stringify(report)}\n`);
  writeFileSync(html, renderPage(report));
  return { json, html };
}

/** @throws RHUMB_DRILL_REPORT with the file and the first things that are wrong in it */
export function readReport(file: string): DrillReport {
  let input: unknown;
  try {
    input = JSON.parse(readFileSync(file, "utf8"));
  } catch (cause) {
    throw new RhumbError("RHUMB_DRILL_REPORT", `${file}: ${(cause as Error).message}`, { cause });
  }
  const result = reportSchema.safeParse(input);
  if (result.success) return result.data;
  const problems = result.error.issues.map(({ path, message }) => `${path.join(".") || "all of it"}: ${message}`);
  const more = problems.length - NAMED_PROBLEMS;
  const says = problems.slice(0, NAMED_PROBLEMS).join("; ") + (more > 0 ? `; and ${more} more` : "");
  throw new RhumbError("RHUMB_DRILL_REPORT", `${file}: ${says}`);
}
