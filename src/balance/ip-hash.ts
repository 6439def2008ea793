/**
 * `ip_hash`: hash modulo the number of members. The simplest, and the one that reshuffles: with one member more or less
 * nearly all clients go elsewhere (of 4 → 5, four fifths). A member that is down, or has weight 0, keeps its slot, so that
 * only its own clients move. Weights are ignored, but 0.
 * @module
 */
import type { Algorithm, AlgorithmOptions } from "#balance/algorithm.ts";
import { createHashed } from "#balance/hashed.ts";

export function createIpHash(options: AlgorithmOptions): Algorithm {
  let slots = new Int32Array(0);
  return createHashed(
    {
      build(_members, order) {
        slots = order.slice();
      },
      at: (hash) => slots[(hash >>> 0) % slots.length] ?? -1,
    },
    options,
  );
}
