/**
 * What every selection algorithm is, and what it sees of the backends.
 *
 * Owns:    the contract (`test/balance/contract.ts` holds all algorithms to it). No clocks, dice or sockets: time and the
 *          random source are handed in.
 * Units:   latency in µs, time in steady ms, weights as plain numbers (fractions during slow start).
 * @module
 */

/** One group of backends: columns of the same length. The owner changes columns in place and then calls `refresh()`. */
export type Members = {
  readonly size: number;
  /** `10.0.0.1:80`: stable over restarts and nodes; hash algorithms hash it, never an index. */
  readonly keys: readonly string[];
  /** Configured weights: what tables are built from; 0: never picked. */
  readonly weights: Float64Array;
  /** Weight now; 0: not available (down, draining, in maintenance). Slow start makes fractions. */
  readonly effective: Float64Array;
  /** Connections now, over all workers: `loads[loadAt[i]]`, read by `Atomics.load`. Changes without notice. */
  readonly loads: Int32Array;
  readonly loadAt: Uint32Array;
};

/** Each is a ranking: `pick` with nothing tried gives its first item, with the first tried its second, and so on. */
export type Algorithm = {
  /** Another set of members, or other configured weights; what is known of a key that stays is kept. */
  update(members: Members): void;
  /** `members.effective` has changed. */
  refresh(): void;
  /**
   * The best member that is available and not among `tried`, or -1. O(1) or O(log n) with nothing tried.
   * @param key 32-bit hash of the client; looked at by hash algorithms alone
   */
  pick(key: number, nowMs: number, tried: readonly number[]): number;
  /** This worker has taken or given back a place at a member. */
  loadChanged?(index: number): void;
  /** A sample: time to connect or to the first octet. */
  observe?(index: number, micros: number, nowMs: number): void;
};

export type AlgorithmOptions = {
  /** Uniform in [0, 1). */
  readonly rng: () => number;
  /** Bounded load, in percent of the mean; 0: off. */
  readonly balanceFactorPercent: number;
};
