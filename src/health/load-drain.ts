/**
 * How answers become load: what was answered lately, seen through the caches that keep it.
 *
 * Owns:    the history of answer shares by region, and the drain curve that is believed of the resolvers. A resolver that
 *          asked at a random moment within its TTL still holds the old answer with probability 1 − t/TTL after t, so a region's
 *          clients are those of its answers averaged over the last TTL; some resolvers stretch TTLs, and count by a longer
 *          mean. Which TTL and how many stretch it is learnt: a few curves predict side by side, and the one whose predictions
 *          of the measured shares were best is believed (multiple-model estimation).
 * Never:   reads a clock: one call of `note` is one second.
 * Units:   shares of all answers and of all load, 0 to 1; seconds.
 * @module
 */

/** One way in which caches may let go of old answers. */
export type DrainCurve = {
  /** Caches that keep to the TTL hold an answer for at most this long. */
  readonly ttlSeconds: number;
  /** Share of the load behind resolvers that keep answers longer. */
  readonly stretching: number;
};

/** How much longer than the TTL a stretching resolver keeps an answer: from the measurements below it is mostly within this. */
const STRETCH = 4;
/**
 * Candidates: TTL as configured or not, and the share of those who stretch it. The first is the prior: 8.7 % of resolvers
 * extend TTLs (Schomp et al., "On measuring the client-side DNS infrastructure", IMC 2013, find a like share).
 */
const CANDIDATES: readonly (readonly [times: number, stretching: number])[] = [
  [1, 0.09],
  [1, 0.3],
  [0.5, 0.09],
  [2, 0.09],
  [2, 0.3],
  [4, 0.09],
];
/** A curve takes over only when its errors are this much smaller. */
const BETTER = 0.6;
/** Errors count for this long, in seconds of motion: in still water all curves predict the same. */
const MEMORY_SECONDS = 600;
/** Clients behind an answer differ between regions, but not more than this from the mean. */
const MAX_GAIN = 3;
/** Shares that have moved less than this over a TTL say nothing about the curve. */
const MOTION = 0.1;
/** And they have to have moved for so many TTLs in all. */
const MIN_TTLS = 1;

export type Drain = {
  /**
   * One second has passed.
   *
   * @param answers that were given in it, by region
   * @param shares of the answers of the last seconds; undefined: there were too few to say
   * @param load shares of measured load; undefined where some of it is not known
   */
  note(answers: readonly number[], shares: readonly number[] | undefined, load: readonly number[] | undefined): void;
  /**
   * How much the region's share of all load is going to change when caches have let go of old answers, if answers go on as
   * they are given now: what has been ordered and has not come yet. 0 where nothing is known.
   */
  ordered(index: number): number;
  curve(): DrainCurve;
};

/** The last `seconds` of vectors, with their running sums, so that any mean costs two look-ups. */
function createHistory(width: number, seconds: number) {
  const sums = Array.from({ length: seconds + 1 }, () => new Float64Array(width));
  let count = 0;
  return {
    push(values: readonly number[]): void {
      const before = sums[count % sums.length]!;
      count++;
      const row = sums[count % sums.length]!;
      for (let index = 0; index < width; index++) row[index] = before[index]! + values[index]!;
    },
    /** Share of one among all, of as many seconds as there are, up to `over`. */
    share(index: number, over: number): number {
      const span = Math.max(1, Math.min(Math.round(over), count, sums.length - 1));
      const now = sums[count % sums.length]!;
      const then = sums[(count - span) % sums.length]!;
      let all = 0;
      for (let each = 0; each < width; each++) all += now[each]! - then[each]!;
      return all === 0 ? 0 : (now[index]! - then[index]!) / all;
    },
    size: () => count,
  };
}

/** @param ttlSeconds the longest TTL of the services that are steered */
export function createDrain(regions: number, ttlSeconds: number): Drain {
  const curves = CANDIDATES.map(([times, stretching]) => ({ ttlSeconds: ttlSeconds * times, stretching }));
  const history = createHistory(regions, Math.ceil(Math.max(...curves.map((each) => each.ttlSeconds)) * STRETCH));
  const errors = curves.map(() => 0);
  /** How much load an answer brings in each region, beside the mean: what is left when nothing moves. */
  const gains = Array.from({ length: regions }, () => 1);
  let latest: readonly number[] | undefined;
  let believed = 0;
  let motionSeconds = 0;

  const through = ({ ttlSeconds: ttl, stretching }: DrainCurve, index: number): number =>
    (1 - stretching) * history.share(index, ttl) + stretching * history.share(index, ttl * STRETCH);

  function learn(load: readonly number[]): void {
    let motion = 0;
    for (let index = 0; index < regions; index++)
      motion = Math.max(motion, Math.abs(latest![index]! - through(curves[believed]!, index)));
    if (motion < MOTION) {
      for (let index = 0; index < regions; index++) {
        const share = through(curves[believed]!, index);
        if (share > MOTION) gains[index]! += (load[index]! / share - gains[index]!) / ttlSeconds;
      }
      return;
    }
    for (const [number, curve] of curves.entries()) {
      let error = 0;
      for (let index = 0; index < regions; index++)
        error += (load[index]! - gains[index]! * through(curve, index)) ** 2;
      errors[number]! += error - errors[number]! / MEMORY_SECONDS;
    }
    motionSeconds++;
    const best = errors.indexOf(Math.min(...errors));
    if (motionSeconds > MIN_TTLS * ttlSeconds && errors[best]! < errors[believed]! * BETTER) believed = best;
  }

  return {
    note(answers, shares, load) {
      history.push(answers);
      latest = shares;
      // Caches that were filled before the first look are not in the history.
      if (shares !== undefined && load !== undefined && history.size() > 2 * ttlSeconds) learn(load);
    },
    ordered(index) {
      if (latest === undefined) return 0;
      const gain = Math.min(MAX_GAIN, Math.max(1 / MAX_GAIN, gains[index]!));
      return gain * (latest[index]! - through(curves[believed]!, index));
    },
    curve: () => curves[believed]!,
  };
}
