/**
 * Counters of state changes: a gauge hides what happens between two scrapes, these do not.
 * @module
 */
export type Transition = {
  readonly kind: "address" | "region";
  readonly from: string;
  readonly to: string;
  /** Class of the error, `probes`, `hold-ended`, `approved`, `override-ended`. */
  readonly cause: string;
  readonly count: number;
};

export type TransitionCounters = {
  count(kind: Transition["kind"], from: string, to: string, cause: string): void;
  list(): readonly Transition[];
};

export function createTransitionCounters(): TransitionCounters {
  const byKey = new Map<string, { -readonly [Key in keyof Transition]: Transition[Key] }>();
  return {
    count(kind, from, to, cause) {
      const key = `${kind} ${from} ${to} ${cause}`;
      const entry = byKey.get(key);
      if (entry === undefined) byKey.set(key, { kind, from, to, cause, count: 1 });
      else entry.count++;
    },
    list: () => [...byKey.values()].map((entry) => ({ ...entry })),
  };
}
