/** HTTP caches of all workers → one row a store, by name. @module */
import type { CacheStats } from "#l7/cache/cache.ts";

export function sumCaches(all: readonly CacheStats[]): CacheStats[] {
  const sums = new Map<string, Record<keyof CacheStats, number | string>>();
  for (const one of all) {
    const sum = sums.get(one.store);
    if (sum === undefined) {
      sums.set(one.store, { ...one });
      continue;
    }
    for (const [key, value] of Object.entries(one) as [keyof CacheStats, number | string][])
      if (typeof value === "number") sum[key] = (sum[key] as number) + value;
  }
  return ([...sums.values()] as CacheStats[]).sort((a, b) => (a.store < b.store ? -1 : 1));
}
