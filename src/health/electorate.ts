/**
 * Who votes on an endpoint, and how the votes stand: this node's own, those of other vantages, and the word of its region.
 *
 * Owns:    the book of votes, the quarantine, the words of regions; which of them count.
 * Never:   decides on an endpoint (`quorum.ts`), or keeps verdicts (`watch.ts`).
 * Units:   steady ms.
 * @module
 */
import { isUp, type Machine, QUIET } from "#health/machine.ts";
import type { ProbeResult } from "#health/probes/probe.ts";
import { type Ballot, type Confined, judgeVantages, LEAST_VANTAGES, type Present } from "#health/quarantine.ts";
import { earliestTurnMs, quorumWithout, type Tally } from "#health/quorum.ts";
import { createReportVotes, type ReportVotes } from "#health/report-votes.ts";
import { createVoteBook, type VoteChange } from "#health/vote-book.ts";
import type { CheckSpec, HealthSnapshot } from "#state/snapshot.ts";
import type { EndpointVote, VantageVotes, VoteEvidence, VoteState } from "#state/votes.ts";

/** Evidence older than this many intervals (and one time-out) is stale. */
const STALE_INTERVALS = 3;
export const freshForMs = ({ intervalMs, timeoutMs }: CheckSpec): number => STALE_INTERVALS * intervalMs + timeoutMs;
/** Votes that do not change come with the whole of a vantage, every few seconds, however often it probes. */
const HEARD_WITHIN_MS = 15_000;
const foreignFreshForMs = (check: CheckSpec): number => Math.max(HEARD_WITHIN_MS, freshForMs(check));

/** What of a watched endpoint matters here. */
export type Endpoint = {
  readonly key: string;
  readonly check: CheckSpec;
  /** Ids such as `region/eu-west`. */
  readonly regions: readonly string[];
  readonly machine: Machine;
  /** When the last probe ended that said something, and what. */
  readonly conclusiveMs: number;
  readonly evidence: ProbeResult | undefined;
};

export type VoteStanding = "counts" | "stale" | "quarantined";
/** One voter's vote on one endpoint, for people and for decisions. */
export type StandingVote = {
  readonly vantage: string;
  readonly isOwn: boolean;
  readonly state: VoteState;
  readonly standing: VoteStanding;
  readonly evidenceMs: number;
  readonly sinceMs: number;
  readonly evidence: VoteEvidence;
};

export type Count = {
  readonly tally: Tally;
  readonly quorum: number;
};

export type VantageStanding = {
  readonly vantage: string;
  readonly isOwn: boolean;
  readonly isSound: boolean;
  /** When it was last heard; undefined: never. Of this node: now. */
  readonly heardMs: number | undefined;
  readonly confined: Confined | undefined;
};

export type Electorate = {
  apply(snapshot: HealthSnapshot, isWatched: (endpoint: string) => boolean): void;
  readonly vantage: string;
  /** Votes that decide, quarantine considered. */
  readonly quorum: number;
  /** Nobody else votes, and no region speaks: own evidence is all there is. */
  readonly isAlone: boolean;
  take(message: VantageVotes, isWatched: (endpoint: string) => boolean, nowMs: number, delayMs?: number): VoteChange[];
  drop(vantage: string): VoteChange[];
  count(one: Endpoint, nowMs: number): Count;
  votesOn(one: Endpoint, nowMs: number): StandingVote[];
  /** What the regions say of themselves that counts: yes when any does, no when all do. */
  wordOf(regions: readonly string[]): Tally["word"];
  /** Steady ms at which that may turn, or QUIET. */
  wordTurnMs(regions: readonly string[], nowMs: number): number;
  /** Steady ms at which the votes may overturn the verdict. @param ownFlipMs when this node's own vote may turn */
  turnMs(one: Endpoint, isVerdictUp: boolean, ownFlipMs: number, nowMs: number): number;
  /** What they say of not serving. */
  refusalOf(regions: readonly string[]): string;
  isConfined(vantage: string): boolean;
  /** Judges who is in quarantine. @returns whether somebody came or went */
  judge(endpoints: Iterable<Endpoint>, isOwnSound: boolean, nowMs: number): boolean;
  vantages(isOwnSound: boolean): readonly VantageStanding[];
  readonly reports: ReportVotes;
};

const NO_PHASES = [0, 0, 0, 0] as const;

export function evidenceOf(result: ProbeResult | undefined): VoteEvidence {
  if (result === undefined) return { errorClass: "", says: "", status: null, phasesMicros: NO_PHASES };
  const { connectMicros, tlsMicros, answerMicros, totalMicros } = result.phases;
  return {
    errorClass: result.ok ? "" : result.errorClass,
    says: result.says,
    status: result.status ?? null,
    phasesMicros: [connectMicros, tlsMicros, answerMicros, totalMicros],
  };
}

export const isVoteUp = (state: EndpointVote["state"]): boolean => state === "up" || state === "failing";
const nameOfRegion = (id: string): string => id.slice(id.indexOf("/") + 1);

export function createElectorate(): Electorate {
  const book = createVoteBook();
  const reports = createReportVotes();
  let vantage = "";
  let configured: ReadonlySet<string> = new Set();
  let quorum = 1;
  let confined: ReadonlyMap<string, Confined> = new Map();

  const quorumNow = (): number => quorumWithout(quorum, Math.max(1, configured.size), confined.size);
  const isOwnFresh = ({ machine, conclusiveMs, check }: Endpoint, nowMs: number): boolean =>
    machine.hasEvidence && nowMs - conclusiveMs <= freshForMs(check);

  const wordOf = (regions: readonly string[]): Tally["word"] => {
    if (reports.size === 0 || reports.isIgnored) return undefined;
    const words = regions.map((id) => reports.wordOf(nameOfRegion(id))?.isServing);
    if (words.includes(true)) return "yes";
    return words.length > 0 && words.every((word) => word === false) ? "no" : undefined;
  };

  const votesOn = (one: Endpoint, nowMs: number): StandingVote[] => {
    const standing = (name: string, isFresh: boolean): VoteStanding =>
      confined.has(name) ? "quarantined" : isFresh ? "counts" : "stale";
    const { machine, conclusiveMs, evidence } = one;
    const all: StandingVote[] = [];
    if (machine.hasEvidence)
      all.push({
        vantage,
        isOwn: true,
        state: machine.name,
        standing: standing(vantage, isOwnFresh(one, nowMs)),
        evidenceMs: conclusiveMs,
        sinceMs: machine.sinceMs,
        evidence: evidenceOf(evidence),
      });
    for (const { name, votes } of book.vantages()) {
      const booked = votes.get(one.key);
      if (booked === undefined) continue;
      const { evidenceMs, sinceMs, vote } = booked;
      const isFresh = nowMs - evidenceMs <= foreignFreshForMs(one.check);
      const { state, evidence } = vote;
      all.push({
        vantage: name,
        isOwn: false,
        state,
        standing: standing(name, isFresh),
        evidenceMs,
        sinceMs,
        evidence,
      });
    }
    return all;
  };

  const wordTurnMs = (regions: readonly string[], nowMs: number): number =>
    reports.isIgnored
      ? QUIET
      : Math.min(QUIET, ...regions.map((id) => reports.turnsAtMs(nameOfRegion(id), nowMs) ?? QUIET));

  return {
    reports,
    wordOf,
    wordTurnMs,
    get vantage() {
      return vantage;
    },
    get quorum() {
      return quorumNow();
    },
    get isAlone() {
      return configured.size <= 1 && reports.size === 0;
    },
    apply(snapshot, isWatched) {
      vantage = snapshot.vantage;
      configured = new Set(snapshot.vantages);
      quorum = snapshot.quorum;
      book.keep(isWatched, (name) => configured.has(name) && name !== vantage);
      confined = new Map([...confined].filter(([name]) => configured.has(name)));
    },
    take(message, isWatched, nowMs, delayMs) {
      if (message.vantage === vantage || !configured.has(message.vantage)) return [];
      return book.take(message, isWatched, nowMs, delayMs);
    },
    drop: (name) => book.drop(name),
    count(one, nowMs) {
      let up = 0;
      let down = 0;
      if (isOwnFresh(one, nowMs) && !confined.has(vantage)) {
        if (isUp(one.machine)) up++;
        else down++;
      }
      const freshMs = foreignFreshForMs(one.check);
      for (const { name, votes } of book.vantages()) {
        const booked = votes.get(one.key);
        if (booked === undefined || confined.has(name) || nowMs - booked.evidenceMs > freshMs) continue;
        if (isVoteUp(booked.vote.state)) up++;
        else down++;
      }
      return { tally: { up, down, word: wordOf(one.regions) }, quorum: quorumNow() };
    },
    votesOn,
    turnMs(one, isVerdictUp, ownFlipMs, nowMs) {
      // Asked after each probe, of every address: it walks the book itself, and makes no list of votes for people.
      const turns: number[] = [];
      let against = 0;
      const { machine, check } = one;
      if (machine.hasEvidence && !confined.has(vantage) && isOwnFresh(one, nowMs)) {
        if (isVoteUp(machine.name) === isVerdictUp) turns.push(ownFlipMs);
        else against++;
      }
      const freshMs = foreignFreshForMs(check);
      for (const { name, votes } of book.vantages()) {
        const booked = votes.get(one.key);
        if (booked === undefined || confined.has(name) || nowMs - booked.evidenceMs > freshMs) continue;
        const { state } = booked.vote;
        if (isVoteUp(state) !== isVerdictUp) against++;
        else if (state === "up") turns.push(QUIET);
        else if (state === "down") turns.push(nowMs + (check.thresholds.up - 1) * check.intervalMs * 0.9);
        else turns.push(nowMs);
      }
      return Math.min(earliestTurnMs(against, quorumNow(), turns), wordTurnMs(one.regions, nowMs));
    },
    refusalOf(regions) {
      const words = regions.map((id) => reports.wordOf(nameOfRegion(id))).filter((word) => word?.isServing === false);
      return `the region says that it does not serve: ${words[0]?.says ?? ""}`;
    },
    isConfined: (name) => confined.has(name),
    judge(endpoints, isOwnSound, nowMs) {
      if (configured.size < LEAST_VANTAGES && confined.size === 0) return false;
      const ballots: Ballot[] = [];
      const heard = new Map<string, boolean>([[vantage, isOwnSound]]);
      for (const { name, isSound } of book.vantages()) heard.set(name, isSound);
      const present = new Set<string>();
      for (const one of endpoints) {
        // Each second for all of them: without the evidence that people are shown.
        const votes: Ballot["votes"][number][] = [];
        if (isOwnFresh(one, nowMs)) votes.push({ vantage, isUp: isUp(one.machine), sinceMs: one.machine.sinceMs });
        const freshMs = foreignFreshForMs(one.check);
        for (const { name, votes: booked } of book.vantages()) {
          const known = booked.get(one.key);
          if (known === undefined || nowMs - known.evidenceMs > freshMs) continue;
          votes.push({ vantage: name, isUp: isVoteUp(known.vote.state), sinceMs: known.sinceMs });
        }
        for (const vote of votes) present.add(vote.vantage);
        ballots.push({ region: one.regions[0] ?? one.key, intervalMs: one.check.intervalMs, votes });
      }
      const who: Present[] = [...present].sort().map((name) => ({ vantage: name, isSound: heard.get(name) ?? true }));
      const before = confined;
      confined = judgeVantages(before, ballots, who, configured.size, nowMs);
      return before.size !== confined.size || [...confined.keys()].some((name) => !before.has(name));
    },
    vantages(isOwnSound) {
      const heard = new Map([...book.vantages()].map((entry) => [entry.name, entry]));
      const names = configured.size === 0 ? [vantage] : [...configured];
      return names.map((name) => {
        const isOwn = name === vantage;
        const entry = heard.get(name);
        const isSound = isOwn ? isOwnSound : (entry?.isSound ?? true);
        return { vantage: name, isOwn, isSound, heardMs: entry?.heardMs, confined: confined.get(name) };
      });
    },
  };
}
