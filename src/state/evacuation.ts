/**
 * A region is evacuated in order (D8, D15), and comes back in the reverse order. Every node sees the same record and does
 * its own part of the step that it names.
 *
 * Writer:  the node that leads it (whose API was asked) writes the next step; where that one is silent, whoever is asked to
 *          `stop`, `return` or `resume` leads from then on. Readers: health of all DNS nodes, the region's balancers (drain),
 *          `bgp/` of the region's nodes.
 * Units:   ms; the Unix clock in `…AtMs`; weights in percent, shares 0 to 1.
 * @module
 */

/**
 * In this order when a region is left; back through them in reverse on return, where `weight` goes up by `ramp`.
 *
 * | step | what holds while it stands | it is over when |
 * |---|---|---|
 * | `serving` | nothing: the region is as health says | |
 * | `weight` | DNS gives the region to nobody new (a drain to the step's weight) | all DNS nodes have said that they apply it |
 * | `tail` | the same: cached answers run out | the region's measured requests are below `tailShare` of what they were, or time is over |
 * | `balancer` | the region's balancers drain too: connections are told to go | in flight is 0, or time is over |
 * | `withdraw` | the region's prefixes are withdrawn, in a planned way | they are, or it was refused |
 * | `evacuated` | all of it | somebody says `return` |
 */
export const EVACUATION_STEPS = ["serving", "weight", "tail", "balancer", "withdraw", "evacuated"] as const;
export type EvacuationStep = (typeof EVACUATION_STEPS)[number];

/** Record kind `evacuation`, key: the region. Kept to its end; `serving` ends it (a tombstone, for a day). */
export type Evacuation = {
  readonly region: string;
  readonly direction: "leave" | "return";
  readonly step: EvacuationStep;
  /** Percent of the region's usual share while `step` is `weight`. */
  readonly weight: number;
  /** Somebody has said `stop`: it stands where it is until `resume` or `return`. */
  readonly isStopped: boolean;
  readonly reason: string;
  readonly owner: string;
  /** Node that leads. */
  readonly leader: string;
  readonly startedAtMs: number;
  /** Since when it is in this step, and at this weight. */
  readonly stepAtMs: number;
  /** Commands of operators that it has had: what one of them has said is not undone by a node that had not heard of it. */
  readonly orders: number;
  readonly terms: {
    /** On the way down, last one 0. */
    readonly weights: readonly number[];
    /** On the way back, last one 100. */
    readonly ramp: readonly number[];
    /** Between two weights. */
    readonly weightWaitMs: number;
    /** Requests of the region, of what they were at the start, below which the tail is over. */
    readonly tailShare: number;
    readonly tailTimeoutMs: number;
    readonly drainTimeoutMs: number;
    /** False: the region has no anycast prefix, or they stay. */
    readonly withdraws: boolean;
    /** An operator does not want to wait for nodes that say nothing. */
    readonly isForced: boolean;
  };
  /** Requests per second of the region when it began; null: nobody reports. */
  readonly startRps: number | null;
  /** When its weight became 0; null: it has not yet. */
  readonly zeroAtMs: number | null;
  /** The measured drain curve: its requests, of what they were at the start, so long after its weight became 0. */
  readonly curve: readonly { readonly afterSeconds: number; readonly share: number }[];
  /** What has happened, oldest first. */
  readonly history: readonly { readonly atMs: number; readonly step: EvacuationStep; readonly says: string }[];
};

/** What every node does while this record is the newest: DNS nodes, the region's balancers, and who announces its prefixes. */
export type EvacuationDuty = {
  /** Of its usual share that DNS gives to the region; 100: all of it. */
  readonly weightPercent: number;
  readonly isDraining: boolean;
  readonly isWithdrawn: boolean;
};

/** The one place that says so. On the way back a step undoes: in `withdraw` prefixes are announced, in `balancer` clients stay. */
export function dutyOf({ direction, step, weight, terms }: Evacuation): EvacuationDuty {
  const at = EVACUATION_STEPS.indexOf(step) - (direction === "return" ? 1 : 0);
  const isReached = (name: EvacuationStep): boolean => at >= EVACUATION_STEPS.indexOf(name);
  return {
    weightPercent: step === "serving" ? 100 : step === "weight" ? weight : 0,
    isDraining: isReached("balancer"),
    isWithdrawn: terms.withdraws && isReached("withdraw"),
  };
}

export type EvacuationView = Evacuation & {
  /** One sentence: what it waits for. */
  readonly says: string;
  readonly nowRps: number | null;
  readonly inFlight: number | null;
};

/** Whether what another node signed is of the right shape, as far as others rely on it. */
export function isEvacuation(body: Partial<Evacuation>): body is Evacuation {
  const { region, direction, step, weight, isStopped, stepAtMs, orders, terms, history, curve } = body;
  return (
    typeof region === "string" &&
    (direction === "leave" || direction === "return") &&
    EVACUATION_STEPS.some((one) => one === step) &&
    [weight, stepAtMs, orders, terms?.weightWaitMs, terms?.tailTimeoutMs].every(Number.isFinite) &&
    weight! >= 0 &&
    weight! <= 100 &&
    typeof isStopped === "boolean" &&
    [terms?.weights, terms?.ramp, history, curve].every(Array.isArray)
  );
}
