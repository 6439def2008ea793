/**
 * What is told when a region goes down, is held, ramps up and is back.
 * @module
 */
import { formatDurationMs } from "#base/units.ts";
import { type Failback, rampPercent } from "#health/failback.ts";
import type { RegionRow } from "#health/rows.ts";
import type { RhumbEvent } from "#state/events.ts";

const roundedDuration = (ms: number): string => formatDurationMs(Math.round(ms / 1_000) * 1_000);

/** How many of each family are up, such as `1 of 2 IPv4 addresses up`. */
export function sayMembers(row: RegionRow): string {
  return row.families
    .map((family, index) => ({ family, name: index === 0 ? "IPv4" : "IPv6" }))
    .filter(({ family }) => family.length > 0)
    .map(({ family, name }) => {
      const up = family.filter(({ watched, override }) => override?.verb !== "down" && (watched?.isUp ?? true)).length;
      return `${up} of ${family.length} ${name} addresses up`;
    })
    .join(", ");
}

/** Tells of the change from `before` to what the row has now. */
export function tellFailback(row: RegionRow, before: Failback, tell: (event: Omit<RhumbEvent, "atMs">) => void) {
  const { failback: now, spec } = row;
  const data = { from: before.phase, to: now.phase, outageMs: Math.round(now.outageMs) };
  const say = (kind: RhumbEvent["kind"], severity: RhumbEvent["severity"], says: string): void =>
    tell({ kind, severity, subject: spec.id, says: `${spec.id} ${says}`, data });
  if (before.phase === "approval" && now.phase !== "approval") {
    say("health.failback", "resolved", "no longer waits for approval");
  }
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
