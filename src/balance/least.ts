/**
 * The member with the least cost, where costs depend on counts that other threads change: `least_connections`,
 * `weighted_least_connections` and `least_response_time` differ in the cost alone.
 *
 * Costs as last seen lie in a tournament tree. At each pick the root is held against the real count and put right until it
 * is true (at most `CHECKS` times), and some leaves are looked at in turn, so that what other workers have given back is
 * seen at the latest after n / `REFRESHES` picks. That is O(log n), and never a scan of all.
 *
 * Equal costs take turns by weight as a smooth round robin would: each pick moves a member's turn on by 1 / weight.
 * @module
 */
import type { Algorithm, Members } from "#balance/algorithm.ts";
import { createAvailable, indexesBefore, loadOf, shareOf } from "#balance/available.ts";
import { createLatencies, DECAY_MS } from "#balance/latency.ts";
import { spreadPhase } from "#balance/smooth.ts";
import { createTournament } from "#balance/tournament.ts";

const CHECKS = 8;
const REFRESHES = 4;

type Judge = {
  /** @param share weight or, where weights are ignored, what slow start leaves of 1 */
  cost(index: number, load: number, share: number, nowMs: number): number;
  update?(members: Members): void;
  picked?(index: number, nowMs: number): void;
};

/** Fewest connections, or fewest for their weight. */
export const createLeastConnections = (isWeighted: boolean): Algorithm =>
  createLeast({ cost: (_index, load, share) => load / share }, isWeighted).algorithm;

/** Costs of members that are asked for the first time and have not answered: above all others, the scale of which moves. */
const PENALTY = 1e200;
/** The scale moves by e for each `DECAY_MS`, and is set back before numbers become too large. */
const SCALE_LIMIT = 200;

/**
 * Average response time × (connections + 1) / weight. A member without history comes first, and after that first pick last
 * until it has answered.
 *
 * All averages fade at the same rate, so that their order changes by samples alone: instead of all fading, samples grow by
 * e^(t/decay), and the tree holds true without being touched.
 */
export function createLeastResponseTime(): Algorithm {
  const latencies = createLatencies(false);
  /** Averages on the scale that begins at `startMs`; NaN: no history. */
  let scaled = new Float64Array(0);
  let startMs = 0;
  const scale = (index: number): number =>
    latencies.average(index) * Math.exp((latencies.sampledMs(index) - startMs) / DECAY_MS);
  const { algorithm, look } = createLeast(
    {
      cost(index, load, share, nowMs) {
        const turns = (load + 1) / share;
        if (scaled[index]! >= 0) return scaled[index]! * turns;
        return latencies.isAwaited(index, nowMs) ? PENALTY * turns : 0;
      },
      update({ keys }) {
        latencies.update(keys);
        scaled = Float64Array.from(keys, (_, index) => scale(index));
      },
      picked: latencies.asked,
    },
    true,
  );
  return {
    ...algorithm,
    pick(key, nowMs, tried) {
      if (Math.abs(nowMs - startMs) > SCALE_LIMIT * DECAY_MS) {
        startMs = nowMs;
        for (let index = 0; index < scaled.length; index++) scaled[index] = scale(index);
        algorithm.refresh();
      }
      return algorithm.pick(key, nowMs, tried);
    },
    observe(index, micros, nowMs) {
      latencies.observe(index, micros, nowMs);
      scaled[index] = scale(index);
      look(index, nowMs);
    },
  };
}

/** @returns also `look`: the cost of a member has changed */
function createLeast(
  judge: Judge,
  isWeighted: boolean,
): { algorithm: Algorithm; look(index: number, nowMs: number): void } {
  const available = createAvailable();
  const tree = createTournament();
  let members: Members;
  let keys: readonly string[] = [];
  let shares = new Float64Array(0);
  let turns = new Float64Array(0);
  /** Turn and time of the last pick. In an array, where numbers are written without a new object. */
  const now = new Float64Array(2);
  let arrivals = 0;
  let cursor = 0;

  const cost = (index: number): number => judge.cost(index, loadOf(members, index), shares[index]!, now[1]!);
  function look(index: number): void {
    if (!(shares[index]! > 0)) return;
    const seen = cost(index);
    if (seen !== tree.cost(index)) tree.set(index, seen, turns[index]!);
  }
  function refresh(): void {
    available.refresh(members);
    for (let index = 0; index < members.size; index++) {
      const share = shareOf(members, index, isWeighted);
      if (share > 0 && shares[index] === 0) turns[index] = now[0]! + spreadPhase(arrivals++) / share;
      shares[index] = share;
      tree.put(index, share > 0 ? cost(index) : Number.POSITIVE_INFINITY, turns[index]!);
    }
    tree.rebuild();
  }
  const algorithm: Algorithm = {
    update(next) {
      const before = indexesBefore(keys, next.keys);
      shares = Float64Array.from(before, (index) => (index < 0 ? 0 : shares[index]!));
      turns = Float64Array.from(before, (index) => (index < 0 ? 0 : turns[index]!));
      members = next;
      keys = next.keys;
      judge.update?.(next);
      available.resize(next.size);
      tree.resize(next.size);
      refresh();
    },
    refresh,
    pick(_key, nowMs, tried) {
      now[1] = nowMs;
      const { list, count } = available;
      for (let left = Math.min(REFRESHES, count); left > 0; left--) {
        if (cursor >= count) cursor = 0;
        look(list[cursor++]!);
      }
      for (let at = 0; at < tried.length; at++)
        if (shares[tried[at]!]! > 0) tree.set(tried[at]!, Number.POSITIVE_INFINITY, 0);
      let best = tree.best();
      for (let left = CHECKS; best >= 0 && left > 0; left--) {
        const seen = cost(best);
        if (seen === tree.cost(best)) break;
        tree.set(best, seen, turns[best]!);
        best = tree.best();
      }
      for (let at = 0; at < tried.length; at++) {
        const index = tried[at]!;
        if (shares[index]! > 0) tree.set(index, cost(index), turns[index]!);
      }
      if (best < 0) return -1;
      const turn = 1 / shares[best]!;
      now[0] = Math.max(now[0]!, turns[best]!);
      // Who had no turn for long (it was busy) may be behind by one, not by all that it missed.
      turns[best] = Math.max(turns[best]!, now[0]! - turn) + turn;
      judge.picked?.(best, nowMs);
      tree.set(best, cost(best), turns[best]!);
      return best;
    },
    loadChanged: look,
  };
  return {
    algorithm,
    look(index, nowMs) {
      now[1] = nowMs;
      look(index);
    },
  };
}
