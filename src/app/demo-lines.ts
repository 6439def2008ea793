/**
 * The live lines of the demo world: one per region, with what happens next.
 * @module
 */
import type { TargetView } from "#health/view.ts";

const seconds = (ms: number): string => `${Math.max(0, Math.ceil(ms / 1_000))} s`;

/** @param view of a region, `members` of its addresses */
export function regionLine(view: TargetView, members: readonly TargetView[], nowMs: number): string {
  const name = view.target.replace(/^region\//, "").padEnd(10);
  const since = view.sinceMs === null ? "" : ` for ${seconds(nowMs - view.sinceMs)}`;
  return `${name} ${`${view.serving}${since}`.padEnd(14)} ${whatNext(view, members, nowMs)}`;
}

function whatNext(view: TargetView, members: readonly TargetView[], nowMs: number): string {
  const next = view.nextFlipAtMs === null ? "" : seconds(view.nextFlipAtMs - nowMs);
  if (view.override) {
    const { verb, owner, reason, untilMs } = view.override;
    return `override ${verb} by ${owner} (${reason})${untilMs === null ? "" : `, ends in ${seconds(untilMs - nowMs)}`}`;
  }
  const failing = members.find((member) => member.state === "failing");
  const recovering = members.find((member) => member.state === "recovering");
  if (failing?.lastProbe?.isPass) return `passes again; ${failing.failures} failures not yet forgiven`;
  if (failing) return `${failing.failures} failed: ${failing.lastProbe?.says ?? ""}; down in ${next} if that goes on`;
  if (view.state === "hold") return `passes again; held back, returns in ${next}`;
  if (view.state === "approval") return "passes again; waits for `rhumb failback approve`";
  if (view.state === "ramp") return `returning with ${view.rampPercent} % of its clients; more in ${next}`;
  if (recovering) return `${recovering.streak} passed in a row; counts as up in ${next} at the earliest`;
  const last = members[0]?.lastProbe;
  if (view.verdict === "down") return `its clients go elsewhere: ${last?.says ?? view.cause ?? ""}`;
  return last ? `last probe ${last.durationMs.toFixed(1)} ms: ${last.says}` : "first probe to come";
}
