/**
 * Target registry: which row of the health table belongs to which target.
 *
 * Owns:    id → row. A target keeps its row for the life of the process, through any number of reloads.
 * Writer:  `config/compile.ts`. Rows of targets that vanished are not given to others: a reader that still holds the
 *          old snapshot would take the newcomer's health for that of the old one.
 * @module
 */

/** 65,536 rows of 16 octets: 1 MiB of shared memory, and six times the largest configuration we know of. */
export const TARGET_CAPACITY = 65_536;

export type TargetRegistry = {
  /** @returns the row of `id`, a new one if it has none; undefined when the table is full */
  row(id: string): number | undefined;
  readonly capacity: number;
  /** Rows handed out so far. */
  count(): number;
};

export function createTargetRegistry(capacity = TARGET_CAPACITY): TargetRegistry {
  const rows = new Map<string, number>();
  return {
    capacity,
    count: () => rows.size,
    row(id) {
      const known = rows.get(id);
      if (known !== undefined) return known;
      if (rows.size >= capacity) return undefined;
      rows.set(id, rows.size);
      return rows.size - 1;
    },
  };
}
