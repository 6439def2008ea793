/**
 * `p2c`: of two different members at random, the one with fewer connections for its weight (Mitzenmacher 2001). O(1), and
 * several balancers that see the same counts do not all choose the same member.
 *
 * Weights count in the comparison alone: a member gets at most twice its share by head, so in large pools weights that
 * differ much want `weighted_least_connections`.
 * @module
 */
import type { Algorithm, AlgorithmOptions, Members } from "#balance/algorithm.ts";
import { createAvailable, loadOf } from "#balance/available.ts";

export const createP2c = (options: AlgorithmOptions): Algorithm => {
  let members: Members;
  return createTwoChoices(options, {
    update(next) {
      members = next;
    },
    isLess: (a, b) => loadOf(members, a) * members.effective[b]! < loadOf(members, b) * members.effective[a]!,
  });
};

/**
 * Two different members at random, of which `second` is taken if it is less than the first.
 *
 * @param judge `isLess` is asked after each draw; `picked` is told who was taken
 */
export function createTwoChoices(
  { rng }: AlgorithmOptions,
  judge: {
    update(members: Members): void;
    isLess(a: number, b: number, nowMs: number): boolean;
    picked?(index: number, nowMs: number): void;
  },
): Algorithm {
  const available = createAvailable();
  let members: Members;
  return {
    update(next) {
      members = next;
      judge.update(next);
      available.resize(next.size);
      available.refresh(next);
    },
    refresh: () => available.refresh(members),
    pick(_key, nowMs, tried) {
      const count = tried.length === 0 ? available.count : available.setAside(tried);
      if (count === 0) return -1;
      const { list } = available;
      const a = Math.floor(rng() * count);
      let index = list[a]!;
      if (count > 1) {
        let b = Math.floor(rng() * (count - 1));
        if (b >= a) b++;
        if (judge.isLess(list[b]!, index, nowMs)) index = list[b]!;
      }
      judge.picked?.(index, nowMs);
      return index;
    },
  };
}
