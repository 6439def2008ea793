/**
 * `rendezvous`: every client has a score with every member, and the best one wins (highest random weight: Thaler,
 * Ravishankar 1998; weighted as in Schindelhauer, Schomaker 2005): −ln(hash) / weight, least first.
 *
 * No table, shares as exact as the hash, and the least that can move on a change moves: who leaves takes its own clients
 * along, whoever's weight changes gains or loses its own alone. The price: it is the one algorithm that looks at every
 * member at every pick, so it is for pools of up to some hundred.
 * @module
 */

import type { Algorithm, AlgorithmOptions, Members } from "#balance/algorithm.ts";
import { createAvailable, createMarks, orderByKey } from "#balance/available.ts";
import { createLoadBound } from "#balance/load-bound.ts";
import { hashText, mix32 } from "#base/hash.ts";

export function createRendezvous({ balanceFactorPercent }: AlgorithmOptions): Algorithm {
  const available = createAvailable();
  const marks = createMarks();
  const bound = createLoadBound(balanceFactorPercent);
  let members: Members;
  let order: Int32Array = new Int32Array(0);
  let hashes = new Int32Array(0);

  function refresh(): void {
    available.refresh(members, order);
    bound.refresh(members, available);
  }
  function best(key: number, isBounded: boolean): number {
    const { list, count } = available;
    const { weights } = members;
    let winner = -1;
    let least = Number.POSITIVE_INFINITY;
    for (let at = 0; at < count; at++) {
      const index = list[at]!;
      const weight = weights[index]!;
      const part = (mix32(key ^ hashes[index]!) + 0.5) / 4_294_967_296;
      // −ln(x) ≥ 1 − x: most members are out without a logarithm.
      if (1 - part >= least * weight) continue;
      const score = -Math.log(part) / weight;
      if (score >= least || marks.has(index) || (isBounded && bound.isOver(index))) continue;
      least = score;
      winner = index;
    }
    return winner;
  }
  return {
    update(next) {
      members = next;
      order = orderByKey(next.keys);
      hashes = Int32Array.from(next.keys, (key) => hashText(key));
      available.resize(next.size);
      marks.resize(next.size);
      refresh();
    },
    refresh,
    pick(key, _nowMs, tried) {
      marks.set(tried);
      bound.begin();
      const winner = best(key, true);
      // Counts of other workers move meanwhile, and those with room may be the ones that were tried.
      return winner >= 0 ? winner : best(key, false);
    },
    loadChanged: bound.loadChanged,
  };
}
