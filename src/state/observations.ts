/**
 * What a DNS worker tells beside its counters, in shared memory: samples of queries, and who was sent where.
 *
 * Owns:    the pair of blocks. Each worker has its own and is the single writer of both; a thread that replaces another
 *          goes on in its blocks. The control thread reads.
 * @module
 */
import { createQueryRing } from "#state/query-ring.ts";
import { createSteeringHits } from "#state/steering-hits.ts";

export type Observations = { readonly samples: SharedArrayBuffer; readonly hits: SharedArrayBuffer };

/** Pages of memory that nothing is written to cost nothing. */
export const createObservations = (): Observations => ({ samples: createQueryRing(), hits: createSteeringHits() });
