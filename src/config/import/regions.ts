/**
 * Regions that an import makes: what has the same place, addresses and check is one region, however often it is named.
 * @module
 */
import { compact, type Draft } from "#config/import/draft.ts";
import type { At, Notes } from "#config/import/notes.ts";
import { createNames } from "#config/import/words.ts";

export type RegionDraft = {
  readonly at: readonly [number, number];
  readonly continent?: string | undefined;
  readonly country?: string | undefined;
  readonly v4: readonly string[];
  readonly v6: readonly string[];
  readonly check?: string | undefined;
  readonly upThreshold?: string | undefined;
};
export type Regions = { readonly add: (wanted: string, region: RegionDraft, at: At) => string };

/** Rows of the health table that regions and their addresses may take: what is more would not start. */
const MAX_ROWS = 60_000;

export function createRegions(draft: Draft, notes: Notes): Regions {
  const names = createNames();
  const known = new Map<string, string>();
  let rows = 0;
  return {
    add(wanted, region, at) {
      const key = JSON.stringify([wanted, region]);
      const name = known.get(key) ?? names.fresh(wanted);
      known.set(key, name);
      if (draft.dns.regions.has(name)) return name;
      rows += 1 + region.v4.length + region.v6.length;
      if (rows > MAX_ROWS)
        notes.leftOut(at, "There are more regions than a node can watch", "Import it in parts, for several nodes");
      else draft.dns.regions.set(name, { value: compact(region), at });
      return name;
    },
  };
}
