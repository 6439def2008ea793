/**
 * Who stands out among the backends of a pool by its rate of success: Envoy's two tests. Pure.
 * @module
 */
export type Tally = { readonly successes: number; readonly failures: number };

const volume = ({ successes, failures }: Tally): number => successes + failures;
const successPercent = (tally: Tally): number => (100 * tally.successes) / volume(tally);

/**
 * Those whose rate lies more than `stdevFactor` standard deviations (of the population) below the mean of all.
 *
 * @param stdevFactor in thousandths: 1900
 * @param minHosts backends with enough volume that there must be
 * @param minVolume below it a backend is left out on both sides
 * @returns indexes into `tallies`
 */
export function belowMean(
  tallies: readonly Tally[],
  { stdevFactor, minHosts, minVolume }: Readonly<Record<"stdevFactor" | "minHosts" | "minVolume", number>>,
): readonly number[] {
  const judged = withVolume(tallies, minHosts, minVolume);
  const rates = judged.map((index) => successPercent(tallies[index]!));
  const mean = rates.reduce((sum, rate) => sum + rate, 0) / rates.length;
  const variance = rates.reduce((sum, rate) => sum + (rate - mean) ** 2, 0) / rates.length;
  const limit = mean - (stdevFactor / 1_000) * Math.sqrt(variance);
  return judged.filter((_, at) => rates[at]! < limit);
}

/** Those that fail at least `thresholdPercent` of what they are given. */
export function aboveFailurePercentage(
  tallies: readonly Tally[],
  { thresholdPercent, minHosts, minVolume }: Readonly<Record<"thresholdPercent" | "minHosts" | "minVolume", number>>,
): readonly number[] {
  return withVolume(tallies, minHosts, minVolume).filter(
    (index) => 100 - successPercent(tallies[index]!) >= thresholdPercent,
  );
}

function withVolume(tallies: readonly Tally[], minHosts: number, minVolume: number): readonly number[] {
  const judged = [...tallies.keys()].filter((index) => volume(tallies[index]!) >= Math.max(1, minVolume));
  return judged.length >= minHosts ? judged : [];
}
