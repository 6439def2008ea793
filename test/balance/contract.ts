/**
 * Members for tests of selection algorithms, and what each algorithm promises.
 */

import assert from "node:assert/strict";
import type { Algorithm, Members } from "#balance/algorithm.ts";
import { type AlgorithmKey, createAlgorithm } from "#balance/table.ts";
import { hashText } from "#base/hash.ts";
import { createSeededRng, type Rng } from "#base/rng.ts";

/** What shares of clients follow: heads, weights, or nothing (`first`). */
type Promise = {
  readonly shares: "heads" | "weights" | "none";
  /** Every cycle gives every member its exact part. */
  readonly isExact?: true;
  /** The client's key decides; nothing else. */
  readonly hash?: {
    /** Standard deviation of a member's share as part of it, from the table alone. */
    readonly deviation: (weight: number) => number;
    /** Part of the clients of others that may move when one of twenty comes or leaves. */
    readonly strayLimit: number;
  };
};
export const PROMISES: Readonly<Record<AlgorithmKey, Promise>> = {
  round_robin: { shares: "heads", isExact: true },
  weighted_round_robin: { shares: "weights", isExact: true },
  random: { shares: "heads" },
  weighted_random: { shares: "weights" },
  least_connections: { shares: "heads" },
  weighted_least_connections: { shares: "weights" },
  least_response_time: { shares: "weights" },
  peak_ewma: { shares: "weights" },
  p2c: { shares: "weights" },
  ip_hash: { shares: "heads", hash: { deviation: () => 0, strayLimit: 1 } },
  // Arcs between points are as exponential variables: the sum of 160 of them per weight.
  ring_hash: { shares: "weights", hash: { deviation: (weight) => 1 / Math.sqrt(160 * weight), strayLimit: 0 } },
  maglev: { shares: "weights", hash: { deviation: () => 0.002, strayLimit: 0.02 } },
  rendezvous: { shares: "weights", hash: { deviation: () => 0, strayLimit: 0 } },
  first: { shares: "none" },
};
export const NAMES = Object.keys(PROMISES) as AlgorithmKey[];
export const HASH_NAMES = NAMES.filter((name) => PROMISES[name].hash !== undefined);

export const keyOf = (index: number): string => `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}:80`;

/** All available at their full weight, without connections. */
export function membersOf(
  weights: readonly number[],
  keys: readonly string[] = weights.map((_, index) => keyOf(index)),
): Members {
  return {
    size: weights.length,
    keys,
    weights: Float64Array.from(weights),
    effective: Float64Array.from(weights),
    loads: new Int32Array(new SharedArrayBuffer(4 * Math.max(1, weights.length))),
    loadAt: Uint32Array.from(weights.keys()),
  };
}
export const equalMembers = (size: number): Members => membersOf(new Array<number>(size).fill(1));

export function create(name: AlgorithmKey, members: Members, seed = 1, balanceFactorPercent = 0): Algorithm {
  const algorithm = createAlgorithm(name, { rng: createSeededRng(seed), balanceFactorPercent });
  algorithm.update(members);
  return algorithm;
}

/** Takes and gives back places, as a pool does. */
export function take(algorithm: Algorithm, members: Members, index: number, count = 1): void {
  members.loads[members.loadAt[index]!]! += count;
  algorithm.loadChanged?.(index);
}

/** @returns for each index how often it was picked; with random keys */
export function countPicks(algorithm: Algorithm, size: number, picks: number, rng: Rng = createSeededRng(7)): number[] {
  const counts = new Array<number>(size).fill(0);
  for (let pick = 0; pick < picks; pick++) counts[algorithm.pick(randomKey(rng), 0, [])]!++;
  return counts;
}

export const randomKey = (rng: Rng): number => Math.floor(rng() * 4_294_967_296) >>> 0;
/** Keys of clients, spread as a pool's are. */
export const clientKeys = (count: number): number[] =>
  Array.from({ length: count }, (_, index) => hashText(`client ${index}`));

/** The whole ranking for one client, the last -1 left out. */
export function ranking(algorithm: Algorithm, key: number, nowMs = 0): number[] {
  const tried: number[] = [];
  for (;;) {
    const index = algorithm.pick(key, nowMs, tried);
    if (index < 0) return tried;
    assert.ok(!tried.includes(index), `${index} was tried`);
    tried.push(index);
  }
}
