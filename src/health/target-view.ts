/**
 * Makes the view of a row.
 * @module
 */
import type { Clock } from "#base/clock.ts";
import { formatDurationMs } from "#base/units.ts";
import { type Electorate, isVoteUp } from "#health/electorate.ts";
import { sayMembers } from "#health/region-events.ts";
import { type AddressRow, isTakenOut, type RegionRow, type Row } from "#health/rows.ts";
import { type OverrideView, roundMs, type TargetView, type VoteView } from "#health/view.ts";
import { VERDICT } from "#state/health-table.ts";
import type { OverrideSpec } from "#state/snapshot.ts";

const VERDICT_NAME = {
  [VERDICT.unknown]: "unknown",
  [VERDICT.up]: "up",
  [VERDICT.down]: "down",
  [VERDICT.held]: "held",
} as const;

function serving(row: Row): TargetView["serving"] {
  const { override, state } = row;
  if (override?.verb === "drain") return state.verdict === VERDICT.down || state.isHeldForFailback ? "down" : "drain";
  if (isTakenOut(override)) return "down";
  if (override !== undefined) return "up";
  return state.verdict === VERDICT.down || state.isHeldForFailback ? "down" : "up";
}

function regionCause(row: RegionRow): string {
  const { failback } = row;
  const seconds = (ms: number): string => formatDurationMs(Math.round(ms / 1_000) * 1_000);
  const members = sayMembers(row);
  if (failback.phase === "hold")
    return `${members}; held for ${seconds(failback.holdMs)} after ${seconds(failback.outageMs)} down`;
  if (failback.phase === "approval") return `${members}; waits for approval`;
  return members;
}

function addressCause({ watched, state, regions }: AddressRow, electorate: Electorate): string | null {
  if (watched === undefined)
    return state.verdict === VERDICT.down ? electorate.refusalOf(regions.map(({ spec }) => spec.id)) : null;
  const { isHeld, isUp, votesUp, votesDown, cause } = watched;
  if (!isHeld) return cause;
  return `${votesUp} for up and ${votesDown} for down are not enough: it stays ${isUp ? "up" : "down"}`;
}

function probeView(row: AddressRow, unixOf: (steadyMs: number) => number): TargetView["lastProbe"] {
  const watched = row.watched;
  if (watched?.lastResult === undefined) return null;
  const { ok, phases, says, errorClass } = watched.lastResult;
  return {
    atMs: unixOf(watched.lastResultMs),
    isPass: ok,
    durationMs: Math.round(phases.totalMicros) / 1_000,
    errorClass,
    isConnected: phases.connectMicros > 0,
    says,
  };
}

function wordView(row: RegionRow, { reports }: Electorate, nowMs: number): VoteView[] {
  const word = reports.wordOf(row.spec.id.slice("region/".length));
  if (word === undefined) return [];
  return [
    {
      voter: row.spec.id,
      isOwn: false,
      isUp: word.isServing,
      state: word.isServing ? "serving" : "not-serving",
      standing: reports.isIgnored ? "ignored" : "counts",
      ageMs: Math.round(nowMs - word.heardMs),
      sinceMs: Math.round(nowMs - word.sinceMs),
      errorClass: word.isServing ? "" : "not-serving",
      says: word.says,
      status: null,
      phasesMs: { connect: 0, tls: 0, answer: 0, total: 0 },
    },
  ];
}

function voteViews(row: Row, electorate: Electorate, nowMs: number): VoteView[] {
  if (row.kind === "region") return wordView(row, electorate, nowMs);
  if (row.watched?.kind === "backend") return [];
  const votes = row.watched === undefined ? [] : electorate.votesOn(row.watched, nowMs);
  const ofVantages = votes.map((vote): VoteView => {
    const { errorClass, says, status, phasesMicros } = vote.evidence;
    const [connect, tls, answer, total] = phasesMicros.map((micros) => micros / 1_000) as [
      number,
      number,
      number,
      number,
    ];
    return {
      voter: vote.vantage,
      isOwn: vote.isOwn,
      isUp: isVoteUp(vote.state),
      state: vote.state,
      standing: vote.standing,
      ageMs: Math.round(nowMs - vote.evidenceMs),
      sinceMs: Math.round(nowMs - vote.sinceMs),
      errorClass,
      says,
      status,
      phasesMs: { connect, tls, answer, total },
    };
  });
  return [...ofVantages, ...row.regions.flatMap((region) => wordView(region, electorate, nowMs))];
}

/** @param withMatches adds the ids that an override matches */
export function viewRow(
  row: Row,
  clock: Clock,
  electorate: Electorate,
  withMatches: (spec: OverrideSpec) => OverrideView,
): TargetView {
  const unixOf = (steadyMs: number): number => Math.round(steadyMs - clock.monotonicMs() + clock.nowMs());
  const { state, override } = row;
  const isRegion = row.kind === "region";
  const sinceMs = isRegion ? row.failback.sinceMs : row.watched?.sinceMs;
  const check = isRegion
    ? row.families.flat().find((member) => member.spec.check !== undefined)?.spec.check
    : row.spec.check;
  return {
    target: row.spec.id,
    kind: row.kind,
    verdict: VERDICT_NAME[state.verdict],
    serving: serving(row),
    state: isRegion ? row.failback.phase : (row.watched?.machine.name ?? "unprobed"),
    sinceMs: sinceMs === undefined ? null : unixOf(sinceMs),
    nextFlipAtMs: state.flipAtSeconds === 0 ? null : state.flipAtSeconds * 1_000,
    cause: isRegion ? regionCause(row) : addressCause(row, electorate),
    rttMs: roundMs(state.rttMicros),
    excessRttMs: state.rttMicros === 0 ? null : state.excessRttTenthsMs / 10,
    loadPercent: row.loadPermille === 0 ? null : row.loadPermille / 10,
    rampPercent: state.rampPercent,
    weightPercent: state.weightPercent,
    isStale: state.isStale,
    isLowConfidence: state.isLowConfidence,
    votes: voteViews(row, electorate, clock.monotonicMs()),
    quorum: isRegion || row.watched?.kind !== "address" ? null : electorate.quorum,
    isFrozen: isRegion
      ? row.families.flat().some((member) => member.watched?.isFrozen)
      : (row.watched?.isFrozen ?? false),
    awaitsApproval: isRegion && row.failback.phase === "approval",
    check: check ?? null,
    failures: isRegion ? 0 : (row.watched?.machine.failures ?? 0),
    streak: isRegion ? 0 : (row.watched?.machine.streak ?? 0),
    lastProbe: isRegion ? null : probeView(row, unixOf),
    override: override === undefined ? null : withMatches(override),
  };
}
