/** @module */

/** @param values at least one; their order is not kept. @returns the lower of the two in the middle */
export function medianOf(values: number[]): number {
  values.sort((a, b) => a - b);
  return values[(values.length - 1) >> 1]!;
}
