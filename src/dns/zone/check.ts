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

/** Of the name hash where a zone is only checked: names that collide on purpose slow down nobody but their writer. */
const CHECK_SEED = 0x5eed;

/**
 * All problems of a zone at once, in the order of its lines.
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
  const reportAs =
    (severity: Problem["severity"]): Report["error"] =>
    (at, says, fix) => {
      problems.push({ file: at.file, line: at.line, column: at.column, path: "", severity, says, fix });
    };
  const report: Report = { error: reportAs("error"), warning: reportAs("warning") };
  checkApex(index, report, apex, file);
  for (const rule of RULES) rule(index, report);
  return problems.sort(byPlace);
}

function byPlace(left: Problem, right: Problem): number {
  if (left.file !== right.file) return left.file < right.file ? -1 : 1;
  return left.line - right.line || left.column - right.column;
}
