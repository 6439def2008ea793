/**
 * Time limits of the net driver's connections: a wheel, and the one timer that turns it while something is armed.
 * @module
 */
import type { Clock, Timer } from "#base/clock.ts";
import { createWheel, WHEEL_TICK_MS, WheelEntry } from "#base/wheel.ts";

/** What has a time limit, and what then happens. */
export type Limited = WheelEntry & { onDue(): void };
export const limited = (onDue: () => void): Limited => Object.assign(new WheelEntry(), { onDue });

export type NetTimers = {
  /** Steady time in ms. */
  nowMs(): number;
  /** Calls `entry.onDue()` once, at `dueMs` or up to two ticks later. One that is armed already is moved. */
  arm(entry: Limited, dueMs: number): void;
  cancel(entry: Limited): void;
  /** Nothing comes any more. */
  close(): void;
};

export function createNetTimers(clock: Clock): NetTimers {
  const nowMs = (): number => clock.monotonicMs();
  const wheel = createWheel<Limited>(nowMs(), (entry) => entry.onDue());
  let timer: Timer | undefined;
  let isClosed = false;

  function turn(): void {
    wheel.advance(nowMs());
    timer = wheel.armed() > 0 && !isClosed ? clock.after(WHEEL_TICK_MS, turn) : undefined;
  }

  return {
    nowMs,
    arm(entry, dueMs) {
      if (isClosed) return;
      if (timer === undefined) {
        wheel.advance(nowMs()); // it stood still while nothing was armed
        timer = clock.after(WHEEL_TICK_MS, turn);
      }
      wheel.arm(entry, dueMs);
    },
    cancel: wheel.cancel,
    close() {
      isClosed = true;
      timer?.cancel();
    },
  };
}
