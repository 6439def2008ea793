/**
 * What is told when a region goes down, is held, ramps up and is back.
 * @module
 */
import { formatDurationMs } from "#base/units.ts";
import { type Failback, rampPercent } from "#health/failback.ts";
import type { RegionRow, Row } from "#health/rows.ts";
import type { RhumbEvent } from "#state/events.ts";
import { VERDICT } from "#state/health-table.ts";

const roundedDuration = (ms: number): string => formatDurationMs(Math.round(ms / 1_000) * 1_000);

/** How many of each family are up, such as `1 of 2 IPv4 addresses up`. */
export function sayMembers(row: RegionRow): string {
  return row.families
    .map((family, index) => ({ family, name: index === 0 ? "IPv4" : "IPv6" }))
    .filter(({ family }) => family.length > 0)
    .map(({ family, name }) => {
      const up = family.filter(
        ({ state, override }) => override?.verb !== "down" && state.verdict !== VERDICT.down,
      ).length;
      return `${up} of ${family.length} ${name} addresses up`;
    })
    .join(", ");
}

type Tell = (event: Omit<RhumbEvent, "atMs">) => void;

function endApproval({ spec }: RegionRow, tell: Tell): void {
  const says = `${spec.id} no longer waits for approval`;
  tell({ kind: "health.failback", severity: "resolved", subject: spec.id, says });
}

/** After a restart: what was wrong before still is, and whoever keeps a list of alarms has to hear of it again. */
export function tellRestored(row: Row, tell: Tell): void {
  const say = (kind: RhumbEvent["kind"], severity: RhumbEvent["severity"], says: string): void =>
    tell({ kind, severity, subject: row.spec.id, says: `${row.spec.id} ${says}` });
  if (row.kind === "address") {
    if (row.watched?.isUp === false && row.watched.kind !== "backend")
      say("health.transition", "warning", "was down before the restart");
  } else if (row.failback.phase === "down") say("health.transition", "alarm", "was down before the restart");
  else if (row.failback.phase === "approval") say("health.failback", "warning", "still waits for approval");
}

/** A row leaves: its alarms must not stay open for ever. */
export function tellDropped(row: Row, tell: Tell): void {
  const isDown =
    row.kind === "region"
      ? row.failback.phase === "down"
      : row.watched?.isUp === false && row.watched.kind !== "backend";
  const says = `${row.spec.id} is no longer probed`;
  if (isDown) tell({ kind: "health.transition", severity: "resolved", subject: row.spec.id, says });
  if (row.kind === "region" && row.failback.phase === "approval") endApproval(row, tell);
}

/**
 * Tells of the change from `before` to what the row has now.
 * @param cause `addresses`, `probes`, `hold-ended`, `ramp-ended`, `approved`, `override-ended`, `reports-ignored`
 */
export function tellFailback(row: RegionRow, before: Failback, cause: string, tell: Tell) {
  const { failback: now, spec } = row;
  const data = { from: before.phase, to: now.phase, cause, outageMs: Math.round(now.outageMs) };
  const say = (kind: RhumbEvent["kind"], severity: RhumbEvent["severity"], says: string): void =>
    tell({ kind, severity, subject: spec.id, says: `${spec.id} ${says}`, data });
  if (before.phase === "approval" && now.phase !== "approval") endApproval(row, tell);
  switch (now.phase) {
    case "down":
      return say("health.transition", "alarm", `is down: ${sayMembers(row)}`);
    case "hold": {
      const outage = roundedDuration(now.outageMs);
      return say(
        "health.failback",
        "info",
        `is healthy again after ${outage}, held for ${roundedDuration(now.holdMs)}`,
      );
    }
    case "approval":
      return say("health.failback", "warning", "is healthy again and waits for approval");
    case "ramp": {
      const percent = rampPercent(now, spec.failback);
      if (before.phase === "ramp") return say("health.failback", "info", `takes ${percent} percent of its clients`);
      return say("health.transition", "resolved", `is back in service with ${percent} percent of its clients`);
    }
    case "up":
      if (before.phase === "ramp") return say("health.failback", "info", "takes all of its clients again");
      return say("health.transition", "resolved", "is back in service");
    default:
      return now.phase satisfies never;
  }
}
