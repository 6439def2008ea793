/**
 * The backends of one configuration of a pool as columns: what algorithms see (`Members`), and the way from rows of the
 * backend table to indexes and back.
 *
 * Never:   changes after it is made, but for `effective`.
 * @module
 */
import type { Members } from "#balance/algorithm.ts";
import { stateOf } from "#pool/eligible.ts";
import { backendHash } from "#pool/sticky-memory.ts";
import { BACKEND_STATE, BACKEND_WORD, backendWord } from "#state/backend-table.ts";
import type { PoolSpec } from "#state/balancer.ts";

export type PoolMembers = Members & {
  readonly rows: readonly number[];
  /** Connections that each may have; 0: no limit. */
  readonly limits: Int32Array;
  /** Of each the `backendHash` of its key. */
  readonly hashes: readonly number[];
  /** @returns -1: no backend of this configuration */
  indexOf(row: number): number;
  indexOfHash(hash: number): number;
  /** Writes the indexes of these rows into `into`. @returns false: there are none */
  indexesOf(rows: readonly number[], into: number[]): boolean;
  /** Of the available ones with room that are allowed, the one with the least load for its weight in the first tier; or -1. */
  leastLoaded(isAllowed: (index: number) => boolean): number;
  /** Whether a client that it had may come back to it. */
  keepsClients(index: number, spec: PoolSpec): boolean;
};

export function createPoolMembers({ backends }: PoolSpec, table: Int32Array): PoolMembers {
  const rows = backends.map(({ target }) => target);
  const hashes = backends.map(({ key }) => backendHash(key));
  const indexByRow = new Map(rows.map((row, index) => [row, index]));
  const indexByHash = new Map(hashes.map((hash, index) => [hash, index]));
  const effective = new Float64Array(backends.length);
  const limits = Int32Array.from(backends, ({ maxConnections }) => maxConnections);
  const tiers = Int32Array.from(backends, ({ priority }) => priority);
  const loadAt = Uint32Array.from(rows, (row) => backendWord(row, BACKEND_WORD.active));
  return {
    size: backends.length,
    keys: backends.map(({ key }) => key),
    weights: Float64Array.from(backends, ({ weight }) => weight),
    effective,
    loads: table,
    loadAt,
    rows,
    limits,
    hashes,
    indexOf: (row) => indexByRow.get(row) ?? -1,
    indexOfHash: (hash) => indexByHash.get(hash) ?? -1,
    indexesOf(wanted, into) {
      if (wanted.length === 0) return false;
      into.length = 0;
      for (const row of wanted) {
        const index = indexByRow.get(row);
        if (index !== undefined) into.push(index);
      }
      return into.length > 0;
    },
    leastLoaded(isAllowed) {
      let least = -1;
      let leastLoad = 0;
      for (let index = 0; index < backends.length; index++) {
        if (effective[index]! <= 0 || (least >= 0 && tiers[index]! > tiers[least]!)) continue;
        const active = table[loadAt[index]!]!; // not by Atomics, 4 times as fast: who takes the place looks again
        if ((limits[index]! > 0 && active >= limits[index]!) || !isAllowed(index)) continue;
        const load = (active + 1) / effective[index]!;
        if (least >= 0 && tiers[index] === tiers[least] && load >= leastLoad) continue;
        least = index;
        leastLoad = load;
      }
      return least;
    },
    keepsClients(index, { sticky }) {
      const state = stateOf(table, backends[index]!);
      if (state === BACKEND_STATE.active) return true;
      if (state === BACKEND_STATE.drain) return sticky?.duringDrain === true;
      return state !== BACKEND_STATE.maint && state !== BACKEND_STATE.none && effective[index]! > 0;
    },
  };
}
