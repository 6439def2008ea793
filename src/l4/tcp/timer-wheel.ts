/**
 * Timer wheel: time limits of many connections for the price of one timer.
 *
 * Owns:    512 slots of 100 ms. A limit that lies further ahead goes round until its time has come.
 * Never:   fires early; late by up to two ticks. Busy connections do not touch the wheel: their owner keeps the time of the
 *          last octet (`nowMs`, a field) and, when an entry falls due too soon, starts it again for what is left.
 * @module
 */
import type { Clock, Timer } from "#base/clock.ts";

export const WHEEL_TICK_MS = 100;
const SLOTS = 512; // a power of two: a slot is the tick's low bits

export type WheelEntry = {
  /** The wheel's own: tick at which the entry is due; -1 while it is not in the wheel. */
  dueTick: number;
  onDue(): void;
};

export class TimerWheel {
  /** Steady time of the last tick, in ms; it moves while there are entries. */
  nowMs: number;
  readonly #clock: Clock;
  readonly #originMs: number;
  readonly #slots: readonly Set<WheelEntry>[] = Array.from({ length: SLOTS }, () => new Set<WheelEntry>());
  #entries = 0;
  #tick = 0;
  #timer: Timer | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#originMs = clock.monotonicMs();
    this.nowMs = this.#originMs;
  }

  /** Steady time in ms: of the last tick, or by the clock while nothing ticks. */
  readMs(): number {
    if (this.#timer === undefined) this.#readClock();
    return this.nowMs;
  }

  /** Calls `entry.onDue()` once after `delayMs`. An entry that was started already is moved. */
  start(entry: WheelEntry, delayMs: number): void {
    this.stop(entry);
    if (this.#timer === undefined) {
      this.readMs();
      this.#tick = this.#reached(); // slept until now: nothing was missed
      this.#arm();
    }
    // One tick more, because the time that is known lies up to one tick back.
    entry.dueTick = this.#tick + 1 + Math.ceil(delayMs / WHEEL_TICK_MS);
    this.#slots[entry.dueTick % SLOTS]!.add(entry);
    this.#entries++;
  }

  stop(entry: WheelEntry): void {
    if (entry.dueTick < 0) return;
    this.#slots[entry.dueTick % SLOTS]!.delete(entry);
    entry.dueTick = -1;
    this.#entries--;
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    for (const slot of this.#slots) {
      for (const entry of slot) entry.dueTick = -1;
      slot.clear();
    }
    this.#entries = 0;
  }

  #readClock(): void {
    this.nowMs = this.#clock.monotonicMs();
  }
  #reached(): number {
    return Math.floor((this.nowMs - this.#originMs) / WHEEL_TICK_MS);
  }
  #arm(): void {
    this.#timer = this.#clock.after(WHEEL_TICK_MS, () => this.#turn());
  }

  #turn(): void {
    this.#readClock();
    const reached = this.#reached();
    // After a long standstill each slot is looked at once.
    const first = Math.max(this.#tick + 1, reached - SLOTS + 1);
    this.#tick = reached;
    for (let tick = first; tick <= reached; tick++) {
      for (const entry of this.#slots[tick % SLOTS]!) {
        if (entry.dueTick > reached) continue;
        this.stop(entry);
        entry.onDue();
      }
    }
    if (this.#entries > 0) this.#arm();
    else this.#timer = undefined;
  }
}
