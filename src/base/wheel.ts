/**
 * Timer wheel: time limits of many connections, of which nearly all never come.
 *
 * Owns:    a ring of buckets; entries are linked through themselves, so arming and cancelling cost the same for one and for
 *          100,000. A limit that lies further ahead than the ring is long goes round until its time has come. A limit that
 *          every octet postpones costs the wheel nothing: its owner keeps the time of the last one, and arms the entry
 *          again for what is left when it comes.
 * Never:   reads a clock or starts a timer: whoever owns it says how late it is.
 * Units:   steady ms.
 * @module
 */

/** How late an entry may come. */
export const WHEEL_TICK_MS = 50;
/** 25.6 s around. */
const BUCKETS = 512;

/** What has a time limit. All fields are the wheel's own. */
export class WheelEntry {
  /** -1: not armed. */
  bucket = -1;
  dueMs = 0;
  next: WheelEntry | undefined;
  previous: WheelEntry | undefined;
}

export type Wheel<Entry extends WheelEntry> = {
  /** The entry comes once, at `dueMs` or up to a tick later. One that is armed already is moved. */
  arm(entry: Entry, dueMs: number): void;
  cancel(entry: Entry): void;
  /** Hands out all that are due by now; they are not armed any more. */
  advance(nowMs: number): void;
  armed(): number;
};

export function createWheel<Entry extends WheelEntry>(nowMs: number, fire: (entry: Entry) => void): Wheel<Entry> {
  const heads: (Entry | undefined)[] = new Array(BUCKETS).fill(undefined);
  let tick = Math.floor(nowMs / WHEEL_TICK_MS);
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

  function arm(entry: Entry, dueMs: number): void {
    cancel(entry);
    const dueTick = Math.min(Math.max(Math.ceil(dueMs / WHEEL_TICK_MS), tick + 1), tick + BUCKETS - 1);
    const bucket = dueTick % BUCKETS;
    const head = heads[bucket];
    entry.bucket = bucket;
    entry.dueMs = dueMs;
    entry.next = head;
    if (head !== undefined) head.previous = entry;
    heads[bucket] = entry;
    armed++;
  }

  return {
    arm,
    cancel,
    advance(nowMs) {
      const target = Math.floor(nowMs / WHEEL_TICK_MS);
      // Each bucket once is enough, however long nobody asked.
      tick = armed === 0 ? target : Math.max(tick, target - BUCKETS);
      while (tick < target) {
        tick++;
        const bucket = tick % BUCKETS;
        for (let entry = heads[bucket]; entry !== undefined; entry = heads[bucket]) {
          if (entry.dueMs > nowMs) arm(entry, entry.dueMs);
          else {
            cancel(entry);
            fire(entry);
          }
        }
      }
    },
    armed: () => armed,
  };
}
