/**
 * Queries per second over the last few seconds, for people who look at /status.
 * @module
 */
import type { Clock, Timer } from "#base/clock.ts";
import type { DnsCounter } from "#state/counters.ts";

const STEP_MS = 1_000;
const STEPS = 10;

export type QueryRate = {
  total(): number;
  /** Null before the first step. */
  perSecond(): number | null;
  close(): void;
};

export function createQueryRate(clock: Clock, read: () => Readonly<Record<DnsCounter, number>>): QueryRate {
  const samples: { atMs: number; total: number }[] = [];
  let timer: Timer;
  const total = (): number => {
    const counters = read();
    return counters.queries_udp + counters.queries_tcp;
  };
  const step = (): void => {
    samples.push({ atMs: clock.monotonicMs(), total: total() });
    if (samples.length > STEPS) samples.shift();
    timer = clock.after(STEP_MS, step);
  };
  step();
  return {
    total,
    perSecond() {
      const first = samples[0]!;
      const last = samples.at(-1)!;
      if (last === first) return null;
      return ((last.total - first.total) * 1_000) / (last.atMs - first.atMs);
    },
    close: () => timer.cancel(),
  };
}
