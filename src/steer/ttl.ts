/**
 * The TTL of a steered answer: the time to its next possible change, within `ttl.min` and `ttl.max` (ruling 5).
 *
 * Units:   seconds; the clock comes in as Unix ms.
 * @module
 */

/**
 * @param flipAtSeconds Unix second of the earliest announced change that this answer depends on; 0: none is announced
 * @param isShortLived the answer is a makeshift (failing open), and is to be asked for again soon
 * @param jitterHash 32 bits of (service, client, slot): up to 10 % downwards, so that caches do not expire together;
 *   equal on all nodes, and for A and AAAA
 * @returns whole seconds; a flip that is overdue gives `minSeconds`
 */
export function ttlSeconds(
  minSeconds: number,
  maxSeconds: number,
  flipAtSeconds: number,
  isShortLived: boolean,
  nowMs: number,
  jitterHash: number,
): number {
  let seconds = maxSeconds;
  if (isShortLived) seconds = minSeconds;
  else if (flipAtSeconds !== 0) seconds = Math.floor(flipAtSeconds - nowMs / 1_000);
  if (seconds > maxSeconds) seconds = maxSeconds;
  if (seconds <= minSeconds) return minSeconds;
  const widest = Math.floor(seconds / 10) + 1;
  const jittered = seconds - (((jitterHash >>> 22) * widest) >>> 10);
  return jittered < minSeconds ? minSeconds : jittered;
}

/** @returns the earliest of the flips that count, 0 when none of them is announced */
export function earliestFlip(flips: Float64Array, dependsOn: readonly number[]): number {
  let earliest = 0;
  for (let index = 0; index < dependsOn.length; index++) {
    const flip = flips[dependsOn[index]!]!;
    if (flip !== 0 && (earliest === 0 || flip < earliest)) earliest = flip;
  }
  return earliest;
}
