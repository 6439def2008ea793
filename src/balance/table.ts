/**
 * All selection algorithms by the name that they have in the configuration. Whoever adds one adds a line here, a name to
 * `ALGORITHMS` of `state/balancer.ts`, and is held to the contract by the tests.
 * @module
 */
import type { Algorithm, AlgorithmOptions } from "#balance/algorithm.ts";
import { createFirst } from "#balance/first.ts";
import { createIpHash } from "#balance/ip-hash.ts";
import { createLeastConnections, createLeastResponseTime } from "#balance/least.ts";
import { createMaglev } from "#balance/maglev.ts";
import { createP2c } from "#balance/p2c.ts";
import { createPeakEwma } from "#balance/peak-ewma.ts";
import { createRandom } from "#balance/random.ts";
import { createRendezvous } from "#balance/rendezvous.ts";
import { createRingHash } from "#balance/ring-hash.ts";
import { createRoundRobin } from "#balance/round-robin.ts";
import { createSmooth } from "#balance/smooth.ts";

export const ALGORITHM_TABLE = {
  round_robin: createRoundRobin,
  weighted_round_robin: (options) => createSmooth(options),
  random: (options) => createRandom(options, false),
  weighted_random: (options) => createRandom(options, true),
  least_connections: () => createLeastConnections(false),
  weighted_least_connections: () => createLeastConnections(true),
  least_response_time: () => createLeastResponseTime(),
  peak_ewma: createPeakEwma,
  p2c: createP2c,
  ip_hash: createIpHash,
  ring_hash: createRingHash,
  maglev: createMaglev,
  rendezvous: createRendezvous,
  first: () => createFirst(),
} as const satisfies Record<string, (options: AlgorithmOptions) => Algorithm>;
export type AlgorithmKey = keyof typeof ALGORITHM_TABLE;

/** @returns an algorithm without members: call `update()` first */
export const createAlgorithm = (name: AlgorithmKey, options: AlgorithmOptions): Algorithm =>
  ALGORITHM_TABLE[name](options);
