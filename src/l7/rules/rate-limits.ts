/**
 * Rates of requests by key, exact over all workers, in shared memory.
 *
 * Owns:    the layout of the table: buckets of entries, each bucket with a lock that is held for less than a µs. A key is 64
 *          bits of SipHash with a secret of the process: nobody can choose keys that collide.
 * Rule:    where a bucket is full, the entry whose burst comes back first gives way: memory is bounded, and who is forgotten
 *          so has little to gain from it.
 * Units:   steady ms of the calling thread, made the process's.
 * @module
 */
export type RateLimits = {
  /**
   * One more request of a key.
   * @param limit tells the limits apart: of a listener and a rule
   * @returns 0: it is within the limit; else after how many ms the next one will be
   */
  take(limit: number, key: string, perSecond: number, burst: number, nowMs: number): number;
};
