/**
 * A coarse timer wheel: time-outs of many connections, of which nearly all never come.
 *
 * Owns:    the ring of buckets; entries are linked through themselves, so arming and cancelling cost the same for one
 *          and for 100,000. An entry that is due later than the ring is long comes back early, and who owns it arms it
 *          again: so does one whose deadline moved since. Touching a connection is then one store, without the wheel.
 * Units:   steady ms.
 * @module
 */

/** How late a time-out may come. */
export const TICK_MS = 50;
/** 25.6 s around. */
const BUCKETS = 512;

export type WheelEntry = {
  /** -1: not armed. */
  bucket: number;
  next: WheelEntry | undefined;
  previous: WheelEntry | undefined;
};

export type Wheel<Entry extends WheelEntry> = {
  /** Moves it if it is armed. It comes at `atMs` or up to a tick later, or after one round if that is sooner. */
  arm(entry: Entry, atMs: number): void;
  cancel(entry: Entry): void;
  /** Hands out all that are due by now; they are not armed any more. */
  advance(nowMs: number): void;
  armed(): number;
};

export function createWheel<Entry extends WheelEntry>(nowMs: number, fire: (entry: Entry) => void): Wheel<Entry> {
  const heads: (Entry | undefined)[] = new Array(BUCKETS).fill(undefined);
  let tick = Math.floor(nowMs / TICK_MS);
  let armed = 0;

  function cancel(entry: Entry): void {
    if (entry.bucket < 0) return;
    if (entry.previous === undefined) heads[entry.bucket] = entry.next as Entry | undefined;
    else entry.previous.next = entry.next;
    if (entry.next !== undefined) entry.next.previous = entry.previous;
    entry.bucket = -1;
    entry.next = undefined;
    entry.previous = undefined;
    armed--;
  }

  return {
    arm(entry, atMs) {
      cancel(entry);
      const ticks = Math.min(Math.max(Math.ceil(atMs / TICK_MS), tick + 1), tick + BUCKETS - 1);
      const bucket = ticks % BUCKETS;
      const head = heads[bucket];
      entry.bucket = bucket;
      entry.next = head;
      if (head !== undefined) head.previous = entry;
      heads[bucket] = entry;
      armed++;
    },
    cancel,
    advance(nowMs) {
      const target = Math.floor(nowMs / TICK_MS);
      tick = Math.max(tick, target - BUCKETS); // each bucket once is enough, however long nobody asked
      while (tick < target) {
        tick++;
        const bucket = tick % BUCKETS;
        for (let entry = heads[bucket]; entry !== undefined; entry = heads[bucket]) {
          cancel(entry);
          fire(entry);
        }
      }
    },
    armed: () => armed,
  };
}
