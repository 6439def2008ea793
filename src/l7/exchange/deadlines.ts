/**
 * Time limits of a listener's connections and exchanges, on one timer wheel.
 *
 * Owns:    what a limit tells when it comes. Who is told arms it again if octets have postponed it.
 * Units:   steady ms.
 * @module
 */
import { createWheel, type Wheel, WheelEntry } from "#base/wheel.ts";

export type DeadlineOwner = {
  /** It is due, and not armed any more. */
  onDeadline(deadline: Deadline, nowMs: number): void;
};

export class Deadline extends WheelEntry {
  readonly owner: DeadlineOwner;

  constructor(owner: DeadlineOwner) {
    super();
    this.owner = owner;
  }
}

/** Up to `WHEEL_TICK_MS` late. */
export type Deadlines = Wheel<Deadline> & {
  /** When it was advanced last: the time as limits count it, for nothing. */
  nowMs(): number;
};

/** `advance()` is the listener's to call. */
export function createDeadlines(nowMs: number): Deadlines {
  let turnMs = nowMs;
  const wheel = createWheel<Deadline>(nowMs, (deadline) => deadline.owner.onDeadline(deadline, turnMs));
  return {
    ...wheel,
    nowMs: () => turnMs,
    advance(laterMs) {
      turnMs = laterMs;
      wheel.advance(laterMs);
    },
  };
}
