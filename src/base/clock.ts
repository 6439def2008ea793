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
 * Where a clock that is read for many keeps its number. Undefined at first, so that V8 keeps the pointer to the number that
 * was read: a field that has held numbers only is stored flat, and each read of it makes a new object for the callee.
 */
type Reading = { nowMs: number | undefined };

/**
 * A clock that is read once per turn of the event loop: a transport hands over datagrams in batches, and asking the
 * system for the time costs as much as finding an answer does. In a turn that lasts long the time lags behind by that.
 */
export function createTurnClock(read: () => number = Date.now): Pick<Clock, "nowMs"> {
  const clock = createStepClock(read, () => setImmediate(clock.step).unref());
  return clock;
}

/**
 * A clock that is read at most once per step, by who does many things in one turn of the event loop: `step()` says that
 * the time may have changed.
 *
 * @param onRead called after each reading
 */
export function createStepClock(
  read: () => number = Date.now,
  onRead?: () => void,
): Pick<Clock, "nowMs"> & { step(): void } {
  const last: Reading = { nowMs: undefined };
  let isFresh = false;
  return {
    nowMs() {
      if (!isFresh) {
        const nowMs = read();
        if (nowMs !== last.nowMs) last.nowMs = nowMs;
        isFresh = true;
        onRead?.();
      }
      return last.nowMs!;
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
