/**
 * `weighted_round_robin`: turns in proportion to weights, spread as evenly as they can be.
 *
 * Up to `SCAN_LIMIT` members this is nginx's smooth weighted round robin (`ngx_http_upstream_get_peer`): every member's
 * credit grows by its weight, the greatest is picked and pays the sum; weights 5, 1, 1 give `a a b a c a a`. It looks at
 * every member at every pick. Above, the member with the earliest deadline is picked: its k-th turn is due at (k + its phase) /
 * weight, where phases are spread over [0, 1) as evenly as they come (`spreadPhase`). That is a tournament tree, O(log n).
 * A scan takes some 10 ns a member, the tree 50 to 250 ns (bench/balance.ts): small pools have the order that operators
 * know, at a price that nobody feels, and large ones do not pay for their size.
 *
 * Both are exact: with whole weights, each cycle of as many picks as the sum of the weights gives every member its weight.
 * The state is per worker and starts at a random place of the cycle, so that workers do not all begin with the same one.
 * @module
 */
import type { Algorithm, AlgorithmOptions, Members } from "#balance/algorithm.ts";
import { createAvailable, createMarks, indexesBefore, shareOf } from "#balance/available.ts";
import { createTournament } from "#balance/tournament.ts";

export const SCAN_LIMIT = 32;

const PHASE_STEPS = 0x10_0000;
/** Multiples of the golden ratio, which never crowd (Weyl), in steps so that sums with whole numbers stay exact. */
export const spreadPhase = (arrival: number): number => (Math.imul(arrival, 0x9e3779b1) >>> 12) / PHASE_STEPS;

/** @param isWeighted false: all weights count as 1, times what slow start leaves of a member */
export function createSmooth(options: AlgorithmOptions, isWeighted = true): Algorithm {
  const byCredit = createCredits(isWeighted);
  const byDeadline = createDeadlines(isWeighted);
  let current: Algorithm | undefined;
  return {
    update(members) {
      const next = members.size <= SCAN_LIMIT ? byCredit : byDeadline;
      next.update(members);
      if (current === undefined)
        for (let skipped = Math.floor(options.rng() * members.size); skipped > 0; skipped--) next.pick(0, 0, []);
      current = next;
    },
    refresh: () => current?.refresh(),
    pick: (key, nowMs, tried) => current!.pick(key, nowMs, tried),
  };
}

function createCredits(isWeighted: boolean): Algorithm {
  const available = createAvailable();
  const marks = createMarks();
  let members: Members;
  let keys: readonly string[] = [];
  let credits = new Float64Array(0);
  let shares = new Float64Array(0);
  function refresh(): void {
    available.refresh(members);
    for (let index = 0; index < members.size; index++) {
      shares[index] = shareOf(members, index, isWeighted);
      // Who comes back after a while must not be paid for it.
      if (shares[index] === 0) credits[index] = 0;
    }
  }
  return {
    update(next) {
      credits = Float64Array.from(indexesBefore(keys, next.keys), (before) => (before < 0 ? 0 : credits[before]!));
      members = next;
      keys = next.keys;
      shares = new Float64Array(next.size);
      available.resize(next.size);
      marks.resize(next.size);
      refresh();
    },
    refresh,
    pick(_key, _nowMs, tried) {
      const { list, count } = available;
      const isRetry = tried.length > 0;
      if (isRetry) marks.set(tried);
      let best = -1;
      let greatest = Number.NEGATIVE_INFINITY;
      let sum = 0;
      for (let at = 0; at < count; at++) {
        const index = list[at]!;
        if (isRetry && marks.has(index)) continue;
        const share = shares[index]!;
        const credit = credits[index]! + share;
        credits[index] = credit;
        sum += share;
        if (credit <= greatest) continue;
        best = index;
        greatest = credit;
      }
      if (best >= 0) credits[best]! -= sum;
      return best;
    },
  };
}

/**
 * A deadline is `cycle + phase / share`, with phase < share: two numbers, so that in every cycle of whole weights the same
 * ones are compared, and nothing adds up to an error over time.
 */
function createDeadlines(isWeighted: boolean): Algorithm {
  const tree = createTournament();
  let members: Members;
  let keys: readonly string[] = [];
  let shares = new Float64Array(0);
  let phases = new Float64Array(0);
  let cycles = new Float64Array(0);
  /** Deadline of the last pick: cycle, and part of one. In an array, where numbers are written without a new object. */
  const now = new Float64Array(2);
  let arrivals = 0;

  /** Carries whole cycles over from the phase, and tells the tree (without its root). */
  function settle(index: number): void {
    const share = shares[index]!;
    while (phases[index]! >= share) {
      phases[index]! -= share;
      cycles[index]! += 1;
    }
    tree.put(index, cycles[index]!, phases[index]! / share);
  }
  function refresh(): void {
    for (let index = 0; index < members.size; index++) {
      const before = shares[index]!;
      const share = shareOf(members, index, isWeighted);
      if (share === before) continue;
      shares[index] = share;
      if (share === 0) {
        tree.put(index, Number.POSITIVE_INFINITY, 0);
        continue;
      }
      // What was left until its turn, as part of a turn, stays.
      const left =
        before > 0 ? (cycles[index]! - now[0]! - now[1]!) * before + phases[index]! : spreadPhase(arrivals++);
      cycles[index] = now[0]!;
      phases[index] = Math.max(0, Math.round((now[1]! * share + left) * PHASE_STEPS) / PHASE_STEPS);
      settle(index);
    }
    tree.rebuild();
  }
  return {
    update(next) {
      const before = indexesBefore(keys, next.keys);
      const carry = (column: Float64Array): Float64Array<ArrayBuffer> =>
        Float64Array.from(before, (index) => (index < 0 ? 0 : column[index]!));
      shares = carry(shares);
      phases = carry(phases);
      cycles = carry(cycles);
      members = next;
      keys = next.keys;
      tree.resize(next.size);
      for (let index = 0; index < next.size; index++) if (shares[index]! > 0) settle(index);
      refresh();
    },
    refresh,
    pick(_key, _nowMs, tried) {
      for (let at = 0; at < tried.length; at++)
        if (shares[tried[at]!]! > 0) tree.set(tried[at]!, Number.POSITIVE_INFINITY, 0);
      const best = tree.best();
      for (let at = 0; at < tried.length; at++) {
        const index = tried[at]!;
        if (shares[index]! > 0) tree.set(index, cycles[index]!, phases[index]! / shares[index]!);
      }
      if (best < 0) return -1;
      if (tried.length === 0) {
        now[0] = cycles[best]!;
        now[1] = phases[best]! / shares[best]!;
      }
      phases[best]! += 1;
      settle(best);
      tree.set(best, tree.cost(best), tree.turn(best));
      return best;
    },
  };
}
