/**
 * Until when the connections of a backend that is to get rid of them may go on.
 *
 * Owns:    one deadline per row. Time is handed in.
 * Never:   resets a connection; it says whose time is over.
 * Units:   steady ms.
 * @module
 */
/** Who is asked again because connections are still there is asked after so long. */
const AGAIN_MS = 1_000;

export type Drains = {
  /** From now on `drainMs`; a deadline that runs already stays. */
  start(row: number, drainMs: number, nowMs: number): void;
  cancel(row: number): void;
  /** Undefined: it may keep its connections, or was told to end them. */
  dueMs(row: number): number | undefined;
  /**
   * Calls `expire` with each row whose time is over.
   * @param expire returns whether the row is to come again soon, because it is not done with
   */
  tick(nowMs: number, expire: (row: number) => boolean): void;
};

export function createDrains(): Drains {
  const dueOf = new Map<number, number>();
  return {
    start(row, drainMs, nowMs) {
      if (!dueOf.has(row)) dueOf.set(row, nowMs + drainMs);
    },
    cancel(row) {
      dueOf.delete(row);
    },
    dueMs: (row) => dueOf.get(row),
    tick(nowMs, expire) {
      for (const [row, dueMs] of [...dueOf]) {
        if (dueMs > nowMs) continue;
        dueOf.delete(row);
        if (expire(row)) dueOf.set(row, nowMs + AGAIN_MS);
      }
    },
  };
}
