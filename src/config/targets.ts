/**
 * Target registry: which row of the health table belongs to which target.
 *
 * Owns:    id → row. A target keeps its row for the life of the process, through any number of reloads.
 * Writer:  `config/compile.ts`. Rows of targets that vanished are not given to others: a reader that still holds the
 *          old snapshot would take the newcomer's health for that of the old one.
 * @module
 */

/** 65,536 rows of 16 octets: 1 MiB of shared memory, and six times the largest configuration we know of. */
const TARGET_CAPACITY = 65_536;

/** Rows for one compilation. They become final when its snapshot is to be applied; a refused one leaves no trace. */
export type TargetDraft = {
  /** @returns the row of `id`, a new one if it has none; undefined when the table is full */
  row(id: string): number | undefined;
  /** Hands the new rows out for good. Drafts are committed one at a time, each made after the last commit. */
  commit(): void;
};
export type TargetRegistry = {
  draft(): TargetDraft;
  readonly capacity: number;
  /** Rows handed out so far. */
  count(): number;
};

export function createTargetRegistry(capacity = TARGET_CAPACITY): TargetRegistry {
  const rows = new Map<string, number>();
  return {
    capacity,
    count: () => rows.size,
    draft() {
      const added = new Map<string, number>();
      const base = rows.size;
      return {
        row(id) {
          const known = rows.get(id) ?? added.get(id);
          if (known !== undefined) return known;
          if (base + added.size >= capacity) return undefined;
          added.set(id, base + added.size);
          return base + added.size - 1;
        },
        commit() {
          for (const [id, row] of added) rows.set(id, row);
        },
      };
    },
  };
}
