/**
 * Differences of lists by the names of their entries.
 * @module
 */

/** Lists of a snapshot by what their entries are called. */
export type Named = ReadonlyMap<string, unknown>;

export const byName = <T>(list: readonly T[], nameOf: (entry: T) => string): Named =>
  new Map(list.map((entry) => [nameOf(entry), entry]));
export const equal = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

export function changedKeys(before: unknown, after: unknown): string {
  const [old, now] = [before as Record<string, unknown>, after as Record<string, unknown>];
  const keys = new Set([...Object.keys(old), ...Object.keys(now)]);
  return [...keys].filter((key) => !equal(old[key], now[key])).join(", ");
}

export function diffNamed(noun: string, before: Named, after: Named): string[] {
  const lines: string[] = [];
  for (const name of after.keys()) if (!before.has(name)) lines.push(`${noun} ${name} added`);
  for (const [name, old] of before) {
    if (!after.has(name)) lines.push(`${noun} ${name} removed`);
    else if (!equal(old, after.get(name))) lines.push(`${noun} ${name} changed: ${changedKeys(old, after.get(name))}`);
  }
  return lines;
}
