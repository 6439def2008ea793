/**
 * @param sorted ascending
 * @param share 0 to 1
 * @returns the nearest rank (no interpolation: it is a value that was measured); 0 of nothing
 */
export const nearestRank = (sorted: ArrayLike<number>, share: number): number =>
  sorted.length === 0 ? 0 : sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]!;
