/**
 * Which rows of the table are to be written, and when: what was found out about backends → batches.
 *
 * Owns:    what each row was told last. Pure but for that.
 * Rate:    a row at once when its state or its count of failures changes, else once a minute for the time of its last check;
 *          `MAX_BATCH_ROWS` a batch, so that a thousand rows that fail at once do not become one long lock.
 * Units:   Unix ms.
 * @module
 */
import type { UpstreamHealth, UpstreamRow } from "#state/upstreams.ts";

export const MAX_BATCH_ROWS = 500;
/** How old `last_checked_at` may get while all is quiet. */
export const CHECKED_STEP_MS = 60_000;

export type RowUpdate = {
  readonly id: string;
  readonly status: "HEALTHY" | "UNHEALTHY";
  readonly failures: number;
  readonly checkedAtMs: number;
};

export type WriteBack = {
  /** Of backends that have no row nothing is kept. */
  note(health: readonly UpstreamHealth[], rows: readonly UpstreamRow[]): void;
  /** What to write next, at most `MAX_BATCH_ROWS`, by id: two writers then lock rows in one order. */
  next(): readonly RowUpdate[];
  written(updates: readonly RowUpdate[]): void;
};

export function createWriteBack(): WriteBack {
  let wanted = new Map<string, RowUpdate>();
  const told = new Map<string, RowUpdate>();
  const isDue = (update: RowUpdate): boolean => {
    const before = told.get(update.id);
    return (
      before === undefined ||
      before.status !== update.status ||
      before.failures !== update.failures ||
      update.checkedAtMs - before.checkedAtMs >= CHECKED_STEP_MS
    );
  };
  return {
    note(health, rows) {
      const ids = new Map(rows.map(({ id, pool, address, port }) => [`${pool} ${address} ${port}`, id]));
      wanted = new Map();
      for (const { pool, address, port, isHealthy, failures, checkedAtMs } of health) {
        const id = ids.get(`${pool} ${address} ${port}`);
        if (id === undefined) continue;
        wanted.set(id, { id, status: isHealthy ? "HEALTHY" : "UNHEALTHY", failures, checkedAtMs });
      }
      for (const id of told.keys()) if (!wanted.has(id)) told.delete(id);
    },
    next() {
      const due: RowUpdate[] = [];
      for (const update of wanted.values()) {
        if (!isDue(update)) continue;
        due.push(update);
        if (due.length === MAX_BATCH_ROWS) break;
      }
      return due.sort((a, b) => (a.id < b.id ? -1 : 1));
    },
    written(updates) {
      for (const update of updates) told.set(update.id, update);
    },
  };
}
