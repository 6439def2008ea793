/**
 * Time comes in as an argument: production hands in `systemClock`, tests a clock they move by hand.
 * @module
 */
export type Timer = { cancel(): void };
export type Clock = {
  /** Unix time, in ms. */
  nowMs(): number;
  /** Monotonic time, in ms, for durations. */
  monotonicMs(): number;
  /** Calls `callback` once after `delayMs`. The timer does not keep the process alive. */
  after(delayMs: number, callback: () => void): Timer;
};

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
};

/**
 * A clock that is read once per turn of the event loop: a transport hands over datagrams in batches, and asking the
 * system for the time costs as much as finding an answer does. In a turn that lasts long the time lags behind by that.
 */
export function createTurnClock(read: () => number = Date.now): Pick<Clock, "nowMs"> {
  let isFresh = false;
  let nowMs = 0;
  const expire = (): void => {
    isFresh = false;
  };
  return {
    nowMs() {
      if (!isFresh) {
        nowMs = read();
        isFresh = true;
        setImmediate(expire).unref();
      }
      return nowMs;
    },
  };
}

/**
 * A clock that is read at most once per step, by who does many things in one turn of the event loop: `step()` says that
 * the time may have changed.
 */
export function createStepClock(read: () => number = Date.now): Pick<Clock, "nowMs"> & { step(): void } {
  let isFresh = false;
  let nowMs = 0;
  return {
    nowMs() {
      if (!isFresh) {
        nowMs = read();
        isFresh = true;
      }
      return nowMs;
    },
    step() {
      isFresh = false;
    },
  };
}

/** A clock that stands still until it is moved; due timers run in order of their time. For tests and simulations. */
export type ManualClock = Clock & { advance(ms: number): void };

export function createManualClock(startMs = 1_800_000_000_000): ManualClock {
  let now = startMs;
  let sequence = 0;
  const pending: { at: number; sequence: number; callback: () => void }[] = [];
  return {
    nowMs: () => now,
    monotonicMs: () => now - startMs,
    after(delayMs, callback) {
      const entry = { at: now + Math.max(0, delayMs), sequence: sequence++, callback };
      pending.push(entry);
      return {
        cancel() {
          const index = pending.indexOf(entry);
          if (index >= 0) pending.splice(index, 1);
        },
      };
    },
    advance(ms) {
      const end = now + ms;
      for (;;) {
        let next: (typeof pending)[number] | undefined;
        for (const entry of pending) {
          if (entry.at > end) continue;
          if (!next || entry.at < next.at || (entry.at === next.at && entry.sequence < next.sequence)) next = entry;
        }
        if (!next) break;
        pending.splice(pending.indexOf(next), 1);
        now = Math.max(now, next.at);
        next.callback();
      }
      now = end;
    },
  };
}
