/**
 * Whether the other regions can carry what a region carries, before it is left (N−1).
 *
 * Units:   requests per second.
 * @module
 */
export type CarrierFact = {
  readonly region: string;
  readonly isUp: boolean;
  readonly capacityRps: number | null;
  /** What clients want of it; null: nobody reports. */
  readonly offeredRps: number | null;
};

/**
 * @param levelWithout share of capacity that the spread plan fills without it; above 1 there is more demand; null: no plan
 * @returns why they cannot carry it; undefined: they can, or nobody knows their capacity
 */
export function whyNotCarried(
  region: string,
  regions: readonly CarrierFact[],
  levelWithout: number | null,
): string | undefined {
  if (levelWithout !== null && levelWithout > 1)
    return `without ${region} the others would be filled to ${Math.round(levelWithout * 100)} % of their capacity`;
  const rest = regions.filter((one) => one.region !== region && one.isUp);
  if (rest.some(({ capacityRps }) => capacityRps === null)) return undefined;
  const sum = (numbers: readonly (number | null)[]): number =>
    numbers.reduce<number>((total, one) => total + (one ?? 0), 0);
  const wanted = sum(regions.filter(({ isUp }) => isUp).map(({ offeredRps }) => offeredRps));
  const capacity = sum(rest.map(({ capacityRps }) => capacityRps));
  if (wanted <= capacity) return undefined;
  const [wantedText, capacityText] = [Math.round(wanted), Math.round(capacity)];
  return `clients want ${wantedText} requests per second, and without ${region} there is a capacity of ${capacityText}`;
}
