/**
 * Votes between nodes: what this node's probes say is told to the others, and theirs to `health/`.
 *
 * Owns:    which node speaks for which vantage.
 * Never:   decides; `health/` does, alike on all nodes.
 *
 * A vantage belongs to the node that was first heard to speak for it, for as long as that node's votes live: no other one can
 * cast its votes.
 * @module
 */
import type { Clock, Timer } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import type { Health } from "#health/engine.ts";
import type { Shared } from "#state/shared.ts";
import type { HealthSnapshot } from "#state/snapshot.ts";
import type { VantageVotes } from "#state/votes.ts";

/** All votes are told so often; those that change at once, by a signal. */
const WHOLE_MS = 5_000;
/**
 * Who does not hear signals reads records: after a change the whole is told soon. So long for each vote, so that a node tells
 * at most 200 votes a second, however large its book.
 */
const MS_PER_VOTE = 5;
const MIN_GAP_MS = 1_000;
const MIN_TTL_MS = 15_000;
/** Evidence is fresh for so many intervals of its check (`health/electorate.ts`), and votes live as long. */
const FRESH_INTERVALS = 3;

export function joinVotes(options: {
  readonly shared: Shared;
  readonly health: Pick<Health, "votes" | "onVotes" | "takeVotes" | "dropVantage">;
  readonly node: string;
  readonly clock: Clock;
  readonly log: Log;
}): { apply(snapshot: HealthSnapshot): void; close(): void } {
  const { shared, health, node, clock, log } = options;
  /** Node by vantage. */
  const speakers = new Map<string, string>();
  const refused = new Set<string>();
  let ttlMs = MIN_TTL_MS;
  let timer: Timer | undefined;
  /** Steady ms: when all is told next, and when it may be at the earliest. */
  let dueMs = 0;
  let soonestMs = 0;

  function take(from: string, votes: VantageVotes, delayMs?: number): void {
    const { vantage } = votes;
    const speaker = speakers.get(vantage) ?? from;
    if (speaker === from) {
      speakers.set(vantage, from);
      health.takeVotes(votes, delayMs);
    } else if (!refused.has(`${from} ${vantage}`)) {
      refused.add(`${from} ${vantage}`);
      log.warn(
        { node: from, vantage, speaker },
        "A node votes for the vantage of another one: these votes do not count",
      );
    }
  }

  shared.onRecord("votes", (key, record, isOwn, ageMs) => {
    if (isOwn) return;
    if (record !== undefined) return take(key, record.body, ageMs);
    for (const [vantage, speaker] of speakers) {
      if (speaker !== key) continue;
      speakers.delete(vantage);
      health.dropVantage(vantage);
    }
  });
  shared.onSignal("votes", (from, votes) => take(from, votes));
  const stop = health.onVotes((votes) => {
    shared.signal("votes", votes);
    if (timer !== undefined) planTell(Math.max(0, soonestMs - clock.monotonicMs()));
  });

  /** Earlier than planned, never later. */
  function planTell(waitMs: number): void {
    const atMs = clock.monotonicMs() + waitMs;
    if (timer !== undefined && dueMs <= atMs) return;
    timer?.cancel();
    dueMs = atMs;
    timer = clock.after(waitMs, tellAll);
  }

  function tellAll(): void {
    const votes = health.votes();
    const size = votes.votes.length;
    if (size > 0) shared.publish("votes", node, votes, ttlMs);
    soonestMs = clock.monotonicMs() + Math.min(WHOLE_MS, Math.max(MIN_GAP_MS, size * MS_PER_VOTE));
    timer = undefined;
    planTell(WHOLE_MS);
  }

  return {
    apply({ checks, vantage }) {
      speakers.set(vantage, node);
      const slowestMs = checks.reduce((most, { intervalMs, timeoutMs }) => Math.max(most, intervalMs + timeoutMs), 0);
      ttlMs = Math.max(MIN_TTL_MS, FRESH_INTERVALS * slowestMs);
      if (timer === undefined) tellAll();
    },
    close() {
      timer?.cancel();
      stop();
    },
  };
}
