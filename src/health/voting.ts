/**
 * Exchange of votes with the other vantages, and of words with the regions: what comes in, what goes out, what is told.
 *
 * Owns:    this vantage's messages, coalesced over 10 ms; whether it trusts itself; events of quarantine, brake, disagreement.
 * Never:   moves messages between nodes (`cluster/` does, joined by `app/`), or decides on an endpoint.
 *
 * A first failure is a change that is told at once: the other vantages then look for themselves instead of waiting for
 * their own next probe (ruling 10).
 *
 * Units:   steady ms inside, ms of age in messages.
 * @module
 */
import type { Clock } from "#base/clock.ts";
import { createDisagreements } from "#health/disagreement.ts";
import { type Electorate, evidenceOf, isVoteUp } from "#health/electorate.ts";
import type { VantageView } from "#health/view.ts";
import type { VoteChange } from "#health/vote-book.ts";
import type { Watch, Watched } from "#health/watch.ts";
import type { RhumbEvent } from "#state/events.ts";
import type { RegionReport } from "#state/reports.ts";
import type { EndpointVote, VantageVotes, VoteState } from "#state/votes.ts";

const COALESCE_MS = 10;

export type VotingStats = {
  readonly vantages: readonly VantageView[];
  readonly disagreements: { readonly report: number; readonly vantages: number };
  readonly areReportsIgnored: boolean;
};

export type Voting = {
  whole(): VantageVotes;
  onVotes(listener: (votes: VantageVotes) => void): () => void;
  /** An endpoint has a new result: tells the others if it changes this vantage's vote. */
  note(one: Watched): void;
  takeVotes(message: VantageVotes, delayMs?: number): void;
  dropVantage(vantage: string): void;
  takeReport(report: RegionReport, isFresh: boolean): void;
  /** After a change of configuration: other vantages, another quorum. */
  reconsiderAll(): void;
  /** Judges vantages and reports; call it about once a second. */
  tick(): void;
  vantages(): readonly VantageView[];
  stats(): VotingStats;
  close(): void;
};

export function createVoting(options: {
  readonly clock: Clock;
  readonly electorate: Electorate;
  readonly watch: Watch;
  readonly tell: (event: Omit<RhumbEvent, "atMs">) => void;
  /** Names of the configured regions. */
  readonly regions: () => readonly string[];
  /** What the vantages alone make of a region. */
  readonly isUpByProbes: (region: string) => boolean;
  /** The word of the region is another, or counts otherwise, or may turn. */
  readonly onWord: (region: string) => void;
  /** The brake was put on: that the region went down was its report's fault alone. */
  readonly annul: (region: string) => void;
}): Voting {
  const { clock, electorate, watch, tell, regions, isUpByProbes, onWord, annul } = options;
  const { reports } = electorate;
  const listeners = new Set<(votes: VantageVotes) => void>();
  /** What the others were told of last; absent: up. */
  const told = new Map<string, VoteState>();
  const changed = new Set<Watched>();
  const disagreements = createDisagreements({ clock, electorate, watch, tell, regions, isUpByProbes });
  let sequence = clock.nowMs();
  let isSendPlanned = false;
  let isSoundTold = true;
  /** Vantages of which it was told that they are not to be trusted. */
  const alarmed = new Set<string>();
  let isBrakeTold = false;

  const areReferencesUp = (): boolean => {
    const references = [...watch.all()].filter(({ kind, machine }) => kind === "reference" && machine.hasEvidence);
    return references.filter(({ isUp }) => !isUp).length * 2 <= references.length;
  };
  const isSound = (): boolean => areReferencesUp() && !electorate.isConfined(electorate.vantage);

  const voteOf = (one: Watched, nowMs: number): EndpointVote => ({
    endpoint: one.key,
    state: one.machine.name,
    ageMs: Math.round(nowMs - one.conclusiveMs),
    sinceMs: Math.round(nowMs - one.machine.sinceMs),
    evidence: evidenceOf(one.evidence),
  });
  const messageOf = (votes: readonly EndpointVote[], isWhole: boolean): VantageVotes => ({
    vantage: electorate.vantage,
    sequence: ++sequence,
    isWhole,
    isSound: isSound(),
    votes,
  });

  const send = (): void => {
    isSendPlanned = false;
    const nowMs = clock.monotonicMs();
    const votes = [...changed].map((one) => voteOf(one, nowMs));
    changed.clear();
    const message = messageOf(votes, false);
    isSoundTold = message.isSound;
    for (const listener of listeners) listener(message);
  };
  const planSend = (): void => {
    if (isSendPlanned || listeners.size === 0) return;
    isSendPlanned = true;
    clock.after(COALESCE_MS, send);
  };

  const reconsiderAll = (): void => {
    for (const one of watch.addresses()) watch.reconsider(one);
  };
  const take = (changes: readonly VoteChange[]): void => {
    for (const { endpoint } of changes) {
      const one = watch.get(endpoint);
      if (one !== undefined) watch.reconsider(one);
    }
  };

  const tellVantages = (): void => {
    const distrusted = new Map<string, string>();
    for (const { vantage, isOwn, isSound: isTrusting, confined } of electorate.vantages(areReferencesUp())) {
      if (confined !== undefined) distrusted.set(vantage, confined.says);
      else if (isOwn && !isTrusting)
        distrusted.set(vantage, "most of its references fail; for want of others its votes count");
    }
    const say = (vantage: string, severity: "warning" | "resolved", says: string): void =>
      tell({ kind: "health.quarantine", severity, subject: `vantage/${vantage}`, says });
    for (const vantage of alarmed) {
      if (distrusted.has(vantage)) continue;
      alarmed.delete(vantage);
      say(vantage, "resolved", `The vantage ${vantage} is trusted again, or no longer asked`);
    }
    for (const [vantage, why] of distrusted) {
      if (alarmed.has(vantage)) continue;
      alarmed.add(vantage);
      const name = vantage === electorate.vantage ? `${vantage} (this node)` : vantage;
      say(vantage, "warning", `The vantage ${name} is not to be trusted: ${why}`);
    }
  };

  const judgeReports = (): void => {
    const nowMs = clock.monotonicMs();
    const wasIgnored = reports.isIgnored;
    const isChanged = reports.tick(regions(), isUpByProbes, nowMs);
    if (isChanged) reconsiderAll();
    if (isChanged) for (const region of regions()) onWord(region);
    if (reports.isIgnored && !wasIgnored) for (const region of reports.lonely) annul(region);
    if (reports.isIgnored === isBrakeTold) return;
    isBrakeTold = reports.isIgnored;
    tell({
      kind: "health.reports-ignored",
      severity: isBrakeTold ? "alarm" : "resolved",
      subject: "health",
      says: isBrakeTold
        ? `${reports.lonely.join(", ")}: ${reports.lonely.length} of ${regions().length} regions say that they do not serve while their probes pass. Reports do not count now. Was a bad check or configuration pushed everywhere?`
        : "Reports of regions count again",
      data: { regions: reports.lonely.length },
    });
  };

  const vantages = (): readonly VantageView[] => {
    const nowMs = clock.monotonicMs();
    const counts = new Map<string, { up: number; down: number; stale: number }>();
    for (const one of watch.addresses())
      for (const { vantage, state, standing } of electorate.votesOn(one, nowMs)) {
        const count = counts.get(vantage) ?? { up: 0, down: 0, stale: 0 };
        counts.set(vantage, count);
        count[standing === "stale" ? "stale" : isVoteUp(state) ? "up" : "down"]++;
      }
    return electorate.vantages(areReferencesUp()).map(({ vantage, isOwn, isSound: isTrusting, heardMs, confined }) => ({
      vantage,
      isOwn,
      isSound: isTrusting,
      silentMs: isOwn ? 0 : heardMs === undefined ? null : Math.round(nowMs - heardMs),
      quarantine: confined?.says ?? null,
      votes: counts.get(vantage) ?? { up: 0, down: 0, stale: 0 },
    }));
  };

  return {
    whole() {
      const nowMs = clock.monotonicMs();
      const votes: EndpointVote[] = [];
      for (const one of watch.addresses()) if (one.machine.hasEvidence) votes.push(voteOf(one, nowMs));
      return messageOf(votes, true);
    },
    onVotes(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    note(one) {
      if (one.kind !== "address") return;
      const { name } = one.machine;
      if (name === (told.get(one.key) ?? "up")) return;
      if (name === "up") told.delete(one.key);
      else told.set(one.key, name);
      changed.add(one);
      planSend();
    },
    takeVotes(message, delayMs) {
      const { vantage, isWhole } = message;
      const isWatched = (endpoint: string): boolean => watch.get(endpoint)?.kind === "address";
      const changes = electorate.take(message, isWatched, clock.monotonicMs(), delayMs);
      take(changes);
      if (electorate.isConfined(vantage)) return;
      for (const { endpoint, before, after } of changes) {
        const isBad = after === "failing" || after === "down";
        const wasGood = before === "up" || (before === undefined && !isWhole);
        if (isBad && wasGood) watch.alert(watch.get(endpoint)!);
      }
    },
    reconsiderAll,
    dropVantage: (vantage) => take(electorate.drop(vantage)),
    takeReport(report, isFresh) {
      if (!regions().includes(report.region) || !reports.take(report, isFresh, clock.monotonicMs())) return;
      judgeReports();
      reconsiderAll();
      onWord(report.region);
    },
    tick() {
      for (const key of told.keys()) if (watch.get(key) === undefined) told.delete(key);
      if (electorate.judge(watch.addresses(), areReferencesUp(), clock.monotonicMs())) reconsiderAll();
      tellVantages();
      judgeReports();
      disagreements.tick();
      if (isSound() !== isSoundTold) planSend();
    },
    vantages,
    stats() {
      const areReportsIgnored = reports.isIgnored;
      return { vantages: vantages(), disagreements: disagreements.counts(), areReportsIgnored };
    },
    close: () => listeners.clear(),
  };
}
