/**
 * Rules between the records of a zone. What breaks DNS is an error and the zone is refused; what is legal but doubtful
 * is a warning and is served.
 *
 * Owns:   the list of rules. Reads records, changes none: `tidy.ts` drops and lowers what is warned about here.
 * @module
 */
import type { Problem } from "#base/problem.ts";
import { checkApex } from "#dns/zone/check-apex.ts";
import { checkDelegations } from "#dns/zone/check-delegations.ts";
import { checkNodes } from "#dns/zone/check-nodes.ts";
import { checkSteering } from "#dns/zone/check-steering.ts";
import { checkTargets } from "#dns/zone/check-targets.ts";
import type { RecordStore } from "#dns/zone/record-store.ts";
import { indexZone, type ZoneIndex } from "#dns/zone/zone-index.ts";
import type { Report, ZoneRule } from "#dns/zone/zone-rule.ts";

const RULES: readonly ZoneRule[] = [checkNodes, checkDelegations, checkTargets, checkSteering];

/** Problems of one severity that are listed; one wrong $ORIGIN makes one of every record. */
const MAX_LISTED = 1_000;

/** Of the name hash where a zone is only checked: names that collide on purpose slow down nobody but their writer. */
const CHECK_SEED = 0x5eed;

/**
 * The problems of a zone at once, in the order of its lines; of very many the first, and how many more there are.
 *
 * @param apex wire name of the zone
 * @param file named where a problem has no line of its own
 */
export const checkZone = (
  records: RecordStore,
  apex: Uint8Array,
  file: string = records.length > 0 ? records.at(0).file : "",
): Problem[] => checkIndex(indexZone(records, apex, CHECK_SEED), apex, file);

/** `checkZone()` of records that are indexed already. */
export function checkIndex(index: ZoneIndex, apex: Uint8Array, file: string): Problem[] {
  const problems: Problem[] = [];
  const counts = { error: 0, warning: 0 };
  const reportAs =
    (severity: Problem["severity"]): Report["error"] =>
    (at, says, fix) => {
      if (++counts[severity] > MAX_LISTED) return;
      problems.push({ file: at.file, line: at.line, column: at.column, path: "", severity, says, fix });
    };
  const report: Report = { error: reportAs("error"), warning: reportAs("warning") };
  checkApex(index, report, apex, file);
  for (const rule of RULES) rule(index, report);
  problems.sort(byPlace);
  for (const severity of ["error", "warning"] as const) {
    const more = counts[severity] - MAX_LISTED;
    if (more <= 0) continue;
    const says = `There are ${more} more ${severity === "error" ? "errors" : "warnings"} like these in the zone`;
    problems.push({ file, line: 1, column: 1, path: "", severity, says, fix: "Mend the first ones and check again" });
  }
  return problems;
}

function byPlace(left: Problem, right: Problem): number {
  if (left.file !== right.file) return left.file < right.file ? -1 : 1;
  return left.line - right.line || left.column - right.column;
}
