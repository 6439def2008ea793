/**
 * One time limit for many connections with one timer: all wait equally long, so the first that entered is the first due.
 * @module
 */
import type { Clock, Timer } from "#base/clock.ts";

export type Deadlines<Item> = {
  /** Starts the time of `item`, from the beginning when it was running. */
  start(item: Item): void;
  stop(item: Item): void;
  /** Whoever waits longest. */
  oldest(): Item | undefined;
  /** Holds from now on, also for those who wait already. */
  setLimit(limitMs: number): void;
};

/** @param onExpire called for each item whose time is over; it was stopped before */
export function createDeadlines<Item>(clock: Clock, limitMs: number, onExpire: (item: Item) => void): Deadlines<Item> {
  const startedAtMs = new Map<Item, number>(); // in the order of their start
  let timer: Timer | undefined;

  function arm(): void {
    if (timer) return;
    for (const at of startedAtMs.values()) {
      timer = clock.after(Math.max(1, at + limitMs - clock.monotonicMs()), expire);
      return;
    }
  }
  function expire(): void {
    timer = undefined;
    const dueMs = clock.monotonicMs() - limitMs;
    for (const [item, at] of startedAtMs) {
      if (at > dueMs) break;
      startedAtMs.delete(item);
      onExpire(item);
    }
    arm();
  }

  return {
    start(item) {
      startedAtMs.delete(item);
      startedAtMs.set(item, clock.monotonicMs());
      arm();
    },
    stop(item) {
      startedAtMs.delete(item);
      if (startedAtMs.size > 0 || !timer) return;
      timer.cancel();
      timer = undefined;
    },
    oldest() {
      for (const item of startedAtMs.keys()) return item;
      return undefined;
    },
    setLimit(nextMs) {
      limitMs = nextMs;
      timer?.cancel();
      timer = undefined;
      arm();
    },
  };
}
