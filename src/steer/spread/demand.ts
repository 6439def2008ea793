/**
 * How much load each class of clients brings: learnt from the answers that were given and the load that regions report.
 *
 * An answer stands for anything between one client and a resolver with millions behind it, so what an answer is worth is
 * estimated, by class. A region's load is made of the answers that caches still hold, and each class's worth is corrected by
 * how far the regions that it is at lie above or below what was expected of them (Vardi, "Network tomography", J. Am. Stat.
 * Assoc. 91, 1996: expectation maximisation, here with a step short of the whole). What was ordered and has not come yet is
 * expected later, too, so a shift is never taken for a change of demand.
 *
 * Owns:    the estimates. Units: requests per second; answers per second; seconds.
 * @module
 */

export type ClassAnswers = {
  readonly service: number;
  readonly class: number;
  readonly region: number;
  /** Since the step before. */
  readonly answers: number;
};

export type ClassDemand = {
  readonly service: number;
  readonly class: number;
  readonly rps: number;
  /** Where its clients are now, by region, in requests per second. */
  readonly at: ReadonlyMap<number, number>;
};

export type Demand = {
  /**
   * @param loads by region: what is reported, or undefined where nobody reports
   * @param ttlSeconds how long caches hold answers, and `stretching`, the share of load behind those that hold them longer
   */
  note(
    answers: readonly ClassAnswers[],
    loads: readonly (number | undefined)[],
    seconds: number,
    ttlSeconds: number,
    stretching: number,
  ): void;
  classes(): readonly ClassDemand[];
  /** Load of a region that this node sends nobody to: of clients whom others sent there. */
  unexplained(region: number): number;
  /** Caches have been filled under our eyes. */
  isSettled(): boolean;
};

/**
 * Part of a correction that is taken on in one step: all of it within half a TTL, and less than this at once. What caches do
 * is never known exactly, and a faster hand would take the difference for demand.
 */
const MAX_STEP = 0.15;
/** A correction of one step, at most. */
const MAX_RATIO = 1.5;
/** Of steps with so few answers nothing is learnt. */
const FEW_ANSWERS_PER_SECOND = 0.02;
/** How much longer than the TTL a resolver that stretches it keeps an answer. */
const STRETCH = 4;

/** Steps that are remembered. */
const STEPS = 320;

/** Answers at the end of each of the last steps, as they add up. */
type Rates = Float64Array;
type Known = { readonly service: number; readonly class: number; readonly rates: Map<number, Rates>; worth: number };

/** New numbers of classes mean a new one of these. */
export function createDemand(): Demand {
  const known = new Map<string, Known>();
  const unexplained = new Map<number, number>();
  /** Seconds at the end of each of the last steps. */
  const times = new Float64Array(STEPS);
  let elapsed = 0;
  let steps = 0;
  let ttl = 0;
  let settledAfter = Number.POSITIVE_INFINITY;
  let stretching = 0;

  /** Answers per second whose clients are at a region now: what caches hold is the mean of the last TTL. */
  const present = (rates: Rates): number =>
    (1 - stretching) * mean(rates, ttl) + stretching * mean(rates, ttl * STRETCH);

  function mean(rates: Rates, overSeconds: number): number {
    let back = 1;
    while (back < Math.min(steps, STEPS - 1) && elapsed - times[(steps - back) % STEPS]! < overSeconds) back++;
    const then = (steps - back) % STEPS;
    return (rates[steps % STEPS]! - rates[then]!) / (elapsed - times[then]!);
  }

  const total = (one: Known): number => [...one.rates.values()].reduce((sum, rates) => sum + present(rates), 0);

  /** Load by region that the answers so far should have brought. */
  function expected(): Map<number, number> {
    const loads = new Map<number, number>();
    for (const { rates, worth } of known.values())
      for (const [region, rate] of rates) loads.set(region, (loads.get(region) ?? 0) + worth * present(rate));
    return loads;
  }

  /** What an answer is worth, on average. */
  function meanWorth(loads: readonly (number | undefined)[]): number {
    const answers = [...known.values()].reduce((sum, one) => sum + total(one), 0);
    const load = loads.reduce<number>((sum, rps) => sum + (rps ?? 0), 0);
    return answers > 0 ? load / answers : 0;
  }

  function count(answers: readonly ClassAnswers[]): void {
    const now = steps % STEPS;
    const before = (steps - 1) % STEPS;
    for (const { rates } of known.values()) for (const each of rates.values()) each[now] = each[before]!;
    for (const { service, class: number, region, answers: given } of answers) {
      const key = `${service} ${number}`;
      const one = known.get(key) ?? { service, class: number, rates: new Map<number, Rates>(), worth: 0 };
      const rates = one.rates.get(region) ?? new Float64Array(STEPS);
      known.set(key, one);
      one.rates.set(region, rates);
      rates[now]! += given;
    }
  }

  function learn(loads: readonly (number | undefined)[], step: number): void {
    const mean = meanWorth(loads);
    for (const one of known.values()) if (one.worth === 0) one.worth = mean;
    const from = expected();
    const ratio = (region: number): number => {
      const load = loads[region];
      const should = from.get(region) ?? 0;
      if (load === undefined || should <= 0) return 1;
      return Math.min(MAX_RATIO, Math.max(1 / MAX_RATIO, load / should));
    };
    for (const one of known.values()) {
      const all = total(one);
      if (all < FEW_ANSWERS_PER_SECOND) continue;
      let correction = 0;
      for (const [region, rates] of one.rates) correction += (present(rates) / all) * ratio(region);
      one.worth *= correction ** step;
    }
    const answered = new Map<number, number>();
    for (const { rates } of known.values())
      for (const [region, each] of rates) answered.set(region, (answered.get(region) ?? 0) + present(each));
    for (const [region, load] of loads.entries())
      unexplained.set(region, (answered.get(region) ?? 0) < FEW_ANSWERS_PER_SECOND ? (load ?? 0) : 0);
  }

  return {
    note(answers, loads, seconds, ttlSeconds, share) {
      elapsed += seconds;
      steps++;
      times[steps % STEPS] = elapsed;
      ttl = ttlSeconds;
      stretching = share;
      settledAfter = Math.max(2 * seconds, ttlSeconds);
      count(answers);
      const step = Math.min(MAX_STEP, (2 * seconds) / ttlSeconds);
      if (loads.some((load) => load !== undefined && load > 0)) learn(loads, step);
    },
    classes: () =>
      [...known.values()].map((one) => ({
        service: one.service,
        class: one.class,
        rps: one.worth * total(one),
        at: new Map([...one.rates].map(([region, rates]) => [region, one.worth * present(rates)])),
      })),
    unexplained: (region) => unexplained.get(region) ?? 0,
    isSettled: () => elapsed >= settledAfter,
  };
}
