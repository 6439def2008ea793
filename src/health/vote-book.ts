/**
 * What the other vantages have said: the last vote of each on each endpoint that is watched here. Pure.
 *
 * Messages may come twice, late, or in another order than they were written: their sequence decides. A vantage that was
 * silent for longer than any record lives begins anew, whatever its sequence: its clock may have been set back.
 *
 * Units:   steady ms of this node. The sender's ages say when evidence was found; the sender's clock is never asked.
 * @module
 */
import { type EndpointVote, type VantageVotes, VOTE_STATES, type VoteState } from "#state/votes.ts";

export type BookedVote = {
  readonly vote: EndpointVote;
  readonly sequence: number;
  /** When the evidence was found. */
  readonly evidenceMs: number;
  /** Since when the vantage has been of this opinion. */
  readonly sinceMs: number;
};

/** An endpoint on which a vantage has another state than before; undefined: none. */
export type VoteChange = {
  readonly endpoint: string;
  readonly before: VoteState | undefined;
  readonly after: VoteState | undefined;
};

export type BookedVantage = {
  readonly name: string;
  readonly isSound: boolean;
  readonly heardMs: number;
  readonly votes: ReadonlyMap<string, BookedVote>;
};

export type VoteBook = {
  /** @param delayMs how long the message has been on its way, where that is known */
  take(message: VantageVotes, isWatched: (endpoint: string) => boolean, nowMs: number, delayMs?: number): VoteChange[];
  /** @returns the endpoints on which it had a vote */
  drop(vantage: string): VoteChange[];
  /** Forgets the endpoints that are no longer watched, and the vantages that are no longer configured. */
  keep(isWatched: (endpoint: string) => boolean, isVantage: (name: string) => boolean): void;
  vantages(): Iterable<BookedVantage>;
};

const SILENCE_MS = 60_000;

/** A node of another version may have words that we do not know. */
const isSensible = ({ state, ageMs, sinceMs, evidence }: EndpointVote): boolean =>
  VOTE_STATES.includes(state) &&
  Number.isFinite(ageMs) &&
  Number.isFinite(sinceMs) &&
  typeof evidence?.says === "string" &&
  evidence.phasesMicros?.length === 4;

type Entry = { name: string; isSound: boolean; heardMs: number; sequence: number; votes: Map<string, BookedVote> };

export function createVoteBook(): VoteBook {
  const entries = new Map<string, Entry>();

  const removed = (votes: Iterable<[string, BookedVote]>): VoteChange[] =>
    [...votes].map(([endpoint, { vote }]) => ({ endpoint, before: vote.state, after: undefined }));

  return {
    take({ vantage, sequence, isWhole, isSound, votes }, isWatched, nowMs, delayMs = 0) {
      let entry = entries.get(vantage);
      if (entry === undefined || (sequence < entry.sequence && nowMs - entry.heardMs > SILENCE_MS)) {
        entry = { name: vantage, isSound, heardMs: nowMs, sequence, votes: entry?.votes ?? new Map() };
        // What it said before its clock was set back gives way to whatever it says now.
        for (const [endpoint, booked] of entry.votes) entry.votes.set(endpoint, { ...booked, sequence: 0 });
        entries.set(vantage, entry);
      }
      entry.heardMs = nowMs;
      if (sequence >= entry.sequence) {
        entry.sequence = sequence;
        entry.isSound = isSound;
      }
      const changes: VoteChange[] = [];
      const writtenMs = nowMs - delayMs;
      const named = isWhole ? new Set<string>() : undefined;
      for (const vote of votes) {
        const { endpoint, state } = vote;
        named?.add(endpoint);
        if (!isSensible(vote)) continue;
        const known = entry.votes.get(endpoint);
        if (!isWatched(endpoint) || (known !== undefined && known.sequence >= sequence)) continue;
        const evidenceMs = writtenMs - Math.max(0, vote.ageMs);
        entry.votes.set(endpoint, { vote, sequence, evidenceMs, sinceMs: writtenMs - Math.max(0, vote.sinceMs) });
        if (known?.vote.state !== state) changes.push({ endpoint, before: known?.vote.state, after: state });
      }
      if (named === undefined) return changes;
      for (const [endpoint, known] of entry.votes) {
        if (named.has(endpoint) || known.sequence >= sequence) continue;
        entry.votes.delete(endpoint);
        changes.push({ endpoint, before: known.vote.state, after: undefined });
      }
      return changes;
    },
    drop(vantage) {
      const entry = entries.get(vantage);
      entries.delete(vantage);
      return removed(entry?.votes ?? []);
    },
    keep(isWatched, isVantage) {
      for (const [name, { votes }] of entries) {
        if (!isVantage(name)) entries.delete(name);
        else for (const endpoint of votes.keys()) if (!isWatched(endpoint)) votes.delete(endpoint);
      }
    },
    vantages: () => entries.values(),
  };
}
