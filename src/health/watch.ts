/**
 * From probe results to verdicts of addresses: scheduler → state machine → vote → quorum → blast budget.
 *
 * Owns:    one `Watched` per identity (check × address), its evidence and its verdict.
 *
 * A balancer's backend starts as the last resort that nobody knows: the first pass makes it up (one success is enough, as
 * at the start of Envoy), the usual count of failures makes it down, and until then it is not known. It lies outside the
 * blast budget, which is about regions: of a pool whose backends all fail, its panic threshold takes care.
 *
 * Never:   writes the table or knows regions beyond their names; the engine is told by `onChange` and `onVerdict`.
 * Units:   steady ms.
 * @module
 */
import type { Clock } from "#base/clock.ts";
import type { Rng } from "#base/rng.ts";
import { mayTurnDown, type Spent, withinWindow } from "#health/blast-budget.ts";
import { firstMachine, isUp, type Machine, next, nextFlipMs } from "#health/machine.ts";
import { isInconclusive, type ProbeResult, type StartProbe } from "#health/probes/probe.ts";
import { decide } from "#health/quorum.ts";
import { addRtt, createRtt, type Rtt } from "#health/rtt.ts";
import { confirmSpacingMs, createScheduler, JITTER, type Monitor, type Scheduler } from "#health/scheduler.ts";
import type { CheckSpec } from "#state/snapshot.ts";

/** Evidence older than this many intervals (and one time-out) is stale. */
const STALE_INTERVALS = 3;

export type Watched = {
  readonly key: string;
  readonly address: string;
  readonly check: CheckSpec;
  readonly isBackend: boolean;
  readonly monitor: Monitor;
  readonly rtt: Rtt;
  /** Ids of the regions that have this address. */
  regions: readonly string[];
  machine: Machine;
  /** The verdict: what the quorum decided and the blast budget let through. */
  isUp: boolean;
  sinceMs: number;
  /** False while the verdict is but the first guess. */
  isKnown: boolean;
  isStale: boolean;
  isLowConfidence: boolean;
  isFrozen: boolean;
  conclusiveMs: number;
  lastResult: ProbeResult | undefined;
  lastResultMs: number;
  /** What the verdict rests on. */
  cause: string;
};

export type Wanted = {
  readonly check: CheckSpec;
  readonly address: string;
  readonly isBackend: boolean;
  readonly regions: readonly string[];
};
/** What a new monitor starts from, when something is known of its address. */
export type Seed = {
  readonly isUp: boolean;
  readonly sinceMs: number;
  readonly conclusiveMs: number;
  readonly rtt?: Rtt;
};

export type WatchOptions = {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly start: StartProbe;
  readonly maxRunning: number | undefined;
  readonly onChange: (watched: Watched) => void;
  readonly onVerdict: (watched: Watched, from: "up" | "down" | "unknown", cause: string) => void;
  /** The number of frozen targets has changed. */
  readonly onFreeze: (watched: Watched, frozen: number) => void;
  /** The number of stale targets of a check has changed; `watched` is the one that did it. */
  readonly onStale: (watched: Watched, stale: number) => void;
};

export type Watch = {
  apply(wanted: ReadonlyMap<string, Wanted>, seedOf: (key: string) => Seed | undefined, quorum: number): void;
  get(key: string): Watched | undefined;
  all(): Iterable<Watched>;
  /** Steady ms of the earliest flip of its verdict, or QUIET. */
  flipMs(watched: Watched): number;
  /** Thaws and marks stale; call it about once a second. */
  tick(): void;
  readonly frozen: number;
  readonly scheduler: Scheduler;
  /** Finished probes by kind and error class. */
  results(): readonly { readonly kind: string; readonly errorClass: string; readonly count: number }[];
  close(): void;
};

export function createWatch(options: WatchOptions): Watch {
  const { clock, onChange, onVerdict, onFreeze, onStale } = options;
  const watched = new Map<string, Watched>();
  const frozen = new Set<Watched>(); // in the order in which they were frozen
  const staleOfCheck = new Map<string, number>();
  const counts = new Map<string, { kind: string; errorClass: string; count: number }>();
  let spent: readonly Spent[] = [];
  /** How many the blast budget is about. */
  let budgeted = 0;
  let quorum = 1;

  const countResult = (kind: string, errorClass: string): void => {
    const key = `${kind} ${errorClass}`;
    const entry = counts.get(key);
    if (entry === undefined) counts.set(key, { kind, errorClass, count: 1 });
    else entry.count++;
  };

  const turn = (one: Watched, up: boolean, cause: string, nowMs: number): void => {
    const from = one.isKnown ? (one.isUp ? "up" : "down") : "unknown";
    one.isKnown = true;
    one.isUp = up;
    one.sinceMs = nowMs;
    one.cause = cause;
    onVerdict(one, from, up ? "probes" : (one.lastResult?.errorClass ?? "probes"));
  };
  const turnDown = (one: Watched, nowMs: number): boolean => {
    if (!one.isBackend) {
      spent = withinWindow(spent, nowMs);
      if (!mayTurnDown(spent, one.regions, budgeted)) return false;
      spent = [...spent, { atMs: nowMs, regions: one.regions }];
    }
    turn(one, false, one.lastResult?.says ?? "", nowMs);
    return true;
  };
  const setFrozen = (one: Watched, isFrozen: boolean): void => {
    if (one.isFrozen === isFrozen) return;
    one.isFrozen = isFrozen;
    if (isFrozen) frozen.add(one);
    else frozen.delete(one);
    onFreeze(one, frozen.size);
  };
  const setStale = (one: Watched, isStale: boolean): void => {
    if (one.isStale === isStale) return;
    one.isStale = isStale;
    const { name } = one.check;
    const stale = (staleOfCheck.get(name) ?? 0) + (isStale ? 1 : -1);
    staleOfCheck.set(name, stale);
    onStale(one, stale);
  };
  const settle = (one: Watched, nowMs: number): void => {
    const vote = { vantage: "self", isUp: isUp(one.machine), isFresh: true };
    const decision = decide([vote], Math.min(quorum, 1), one.isUp, 0);
    one.isLowConfidence = decision.isLowConfidence;
    if (decision.isUp === one.isUp) setFrozen(one, false);
    else if (decision.isUp) turn(one, true, one.lastResult?.says ?? "", nowMs);
    else setFrozen(one, !turnDown(one, nowMs));
  };

  const onResult = (monitor: Monitor, result: ProbeResult): void => {
    const one = watched.get(monitor.key);
    if (one === undefined) return;
    const nowMs = clock.monotonicMs();
    countResult(monitor.check.kind, result.errorClass);
    one.lastResult = result;
    one.lastResultMs = nowMs;
    if (isInconclusive(result)) return;
    one.conclusiveMs = nowMs;
    setStale(one, false);
    if (!one.isBackend) one.isKnown = true;
    if (result.ok && result.rttMicros > 0) addRtt(one.rtt, result.rttMicros, nowMs);
    const { check } = one;
    one.machine = next(one.machine, result.ok ? "pass" : "fail", nowMs, check);
    if (!result.ok && one.machine.name === "failing") {
      const needed = Math.max(check.thresholds.down - 1, Math.ceil(check.downSpanMs / confirmSpacingMs(check)));
      if (monitor.burstLeft === 0) watch.scheduler.confirm(monitor, needed + 1);
    } else if (one.machine.name !== "failing") watch.scheduler.calm(monitor);
    if (!one.isKnown && result.ok) turn(one, true, result.says, nowMs);
    else settle(one, nowMs);
    onChange(one);
  };

  const scheduler = createScheduler({
    clock,
    rng: options.rng,
    start: options.start,
    onResult,
    ...(options.maxRunning === undefined ? {} : { maxRunning: options.maxRunning }),
  });

  const add = (key: string, want: Wanted, seed: Seed | undefined, order: number, total: number): void => {
    const nowMs = clock.monotonicMs();
    const sinceMs = seed?.sinceMs ?? nowMs;
    watched.set(key, {
      key,
      address: want.address,
      check: want.check,
      isBackend: want.isBackend,
      monitor: scheduler.add(key, want.address, want.check, order, total),
      rtt: seed?.rtt ?? createRtt(nowMs),
      regions: want.regions,
      machine: firstMachine(seed?.isUp === false ? "down" : "up", sinceMs),
      isUp: seed?.isUp ?? true,
      sinceMs,
      isKnown: seed !== undefined,
      isStale: false,
      isLowConfidence: false,
      isFrozen: false,
      conclusiveMs: seed?.conclusiveMs ?? nowMs,
      lastResult: undefined,
      lastResultMs: 0,
      cause: seed === undefined ? "not yet probed" : "known from before",
    });
  };
  const removeOne = (one: Watched): void => {
    scheduler.remove(one.monitor);
    watched.delete(one.key);
    setFrozen(one, false);
    setStale(one, false);
  };

  const watch: Watch = {
    scheduler,
    apply(wanted, seedOf, quorumWanted) {
      quorum = quorumWanted;
      for (const one of [...watched.values()]) if (!wanted.has(one.key)) removeOne(one);
      const added = [...wanted].filter(([key]) => !watched.has(key));
      added.forEach(([key, want], order) => {
        add(key, want, seedOf(key), order, added.length);
      });
      for (const [key, want] of wanted) watched.get(key)!.regions = want.regions;
      budgeted = [...watched.values()].filter(({ isBackend }) => !isBackend).length;
    },
    get: (key) => watched.get(key),
    all: () => watched.values(),
    flipMs(one) {
      const { monitor, check } = one;
      const nowMs = clock.monotonicMs();
      if (one.isFrozen) return nowMs; // it turns down as soon as the budget lets it
      const plannedMs = monitor.heapIndex >= 0 ? monitor.dueMs : nowMs;
      if (!one.isKnown && one.isBackend) return monitor.runs.size > 0 ? nowMs : plannedMs;
      // A probe on its way may fail and start a burst, which brings the next start forward.
      const hurriedMs = monitor.runs.size > 0 ? monitor.lastStartMs + confirmSpacingMs(check) : plannedMs;
      return nextFlipMs(one.machine, check, {
        nowMs,
        outstanding: monitor.runs.size,
        nextStartMs: isUp(one.machine) ? Math.min(plannedMs, hurriedMs) : plannedMs,
        confirmSpacingMs: confirmSpacingMs(check),
        minIntervalMs: check.intervalMs * (1 - JITTER),
      });
    },
    tick() {
      const nowMs = clock.monotonicMs();
      for (const one of [...frozen]) {
        if (!turnDown(one, nowMs)) continue;
        setFrozen(one, false);
        onChange(one);
      }
      for (const one of watched.values()) {
        const isStale = nowMs - one.conclusiveMs > STALE_INTERVALS * one.check.intervalMs + one.check.timeoutMs;
        if (isStale === one.isStale) continue;
        setStale(one, isStale);
        onChange(one);
      }
    },
    get frozen() {
      return frozen.size;
    },
    results: () => [...counts.values()].map((entry) => ({ ...entry })),
    close() {
      scheduler.close();
      watched.clear();
      frozen.clear();
    },
  };
  return watch;
}
