/**
 * `peak_ewma`: of two different members at random, the one with the lower expected wait (Finagle's and Linkerd's balancer).
 *
 *     wait = average µs × (connections + 1) / weight
 *
 * The average follows a slower answer at once and a faster one in the course of `DECAY_MS`, and fades without samples
 * (`latency.ts`). A member without history counts as `DEFAULT_RTT_MICROS`, and after the first pick, until its answer
 * comes, as worse than all others: a new member is tried by one client, not by all. Finagle asks for connections in
 * flight there; ours are counts of all workers and last long, so each worker waits for its own first answer instead.
 * @module
 */
import type { Algorithm, AlgorithmOptions, Members } from "#balance/algorithm.ts";
import { loadOf } from "#balance/available.ts";
import { createLatencies } from "#balance/latency.ts";
import { createTwoChoices } from "#balance/p2c.ts";

export const DEFAULT_RTT_MICROS = 30_000;
/** Far above every real wait, with room to count connections above it. */
const PENALTY_MICROS = 1e12;

export type PeakEwma = Algorithm & {
  /** Expected wait in µs. */
  wait(index: number, nowMs: number): number;
};

export function createPeakEwma(options: AlgorithmOptions): PeakEwma {
  const latencies = createLatencies(true);
  let members: Members;
  function wait(index: number, nowMs: number): number {
    const turns = (loadOf(members, index) + 1) / members.effective[index]!;
    if (latencies.hasHistory(index)) return latencies.average(index) * latencies.fading(index, nowMs) * turns;
    return latencies.isAwaited(index, nowMs) ? PENALTY_MICROS * turns : DEFAULT_RTT_MICROS * turns;
  }
  return {
    ...createTwoChoices(options, {
      update(next) {
        members = next;
        latencies.update(next.keys);
      },
      isLess: (a, b, nowMs) => wait(a, nowMs) < wait(b, nowMs),
      picked: latencies.asked,
    }),
    observe: latencies.observe,
    wait,
  };
}
