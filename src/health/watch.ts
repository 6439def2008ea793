/**
 * From probe results to verdicts of addresses: scheduler → state machine → vote → quorum → blast budget.
 *
 * Owns:    one `Watched` per identity (check × address), its evidence and its verdict.
 *
 * Three kinds are watched. Addresses of regions: all vantages vote on them, and so does the region itself. Backends: this
 * balancer's business alone. References: they tell whether this vantage sees the world; nobody steers to them.
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
import { type Count, type Electorate, freshForMs, isVoteUp } from "#health/electorate.ts";
import { firstMachine, isUp, type Machine, next, nextFlipMs } from "#health/machine.ts";
import { isInconclusive, type ProbeResult, type StartProbe } from "#health/probes/probe.ts";
import { type Basis, decide, isScarce, SCARCE_AFTER_MS } from "#health/quorum.ts";
import { addRtt, createRtt, type Rtt } from "#health/rtt.ts";
import { confirmSpacingMs, createScheduler, JITTER, type Monitor, type Scheduler } from "#health/scheduler.ts";
import type { CheckSpec } from "#state/snapshot.ts";

export type WatchedKind = "address" | "backend" | "reference";

export type Watched = {
  readonly key: string;
  readonly address: string;
  readonly check: CheckSpec;
  readonly kind: WatchedKind;
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
  /** The verdict stays although some vote is against it. */
  isHeld: boolean;
  basis: Basis;
  /** Votes of vantages for up and down that counted. */
  votesUp: number;
  votesDown: number;
  /** Since when there are too few votes. */
  scarceSinceMs: number | undefined;
  /** What the vantages alone make of it, whatever its region says. */
  isUpByProbes: boolean;
  isFrozen: boolean;
  conclusiveMs: number;
  /** The last result that said something. */
  evidence: ProbeResult | undefined;
  lastResult: ProbeResult | undefined;
  lastResultMs: number;
  /** What the verdict rests on. */
  cause: string;
};

export type Wanted = {
  readonly check: CheckSpec;
  readonly address: string;
  readonly kind: WatchedKind;
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
  readonly electorate: Electorate;
  readonly maxRunning: number | undefined;
  readonly onChange: (watched: Watched) => void;
  readonly onVerdict: (watched: Watched, from: "up" | "down" | "unknown", cause: string) => void;
  /** The number of frozen targets has changed. */
  readonly onFreeze: (watched: Watched, frozen: number) => void;
  /** The number of stale targets of a check has changed; `watched` is the one that did it. */
  readonly onStale: (watched: Watched, stale: number) => void;
};

export type Watch = {
  apply(wanted: ReadonlyMap<string, Wanted>, seedOf: (key: string) => Seed | undefined): void;
  get(key: string): Watched | undefined;
  all(): Iterable<Watched>;
  /** Addresses of regions: what votes are about. */
  addresses(): Iterable<Watched>;
  /** The votes on it, or who counts, have changed. */
  reconsider(watched: Watched): void;
  /** Another vantage has seen it fail: this one looks at once, if it sees it up. */
  alert(watched: Watched): void;
  /** Neither this node nor any other has fresh evidence. */
  isBlind(watched: Watched): boolean;
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

const countAlone = ({ machine }: Watched): Count => ({
  tally: { up: isUp(machine) ? 1 : 0, down: isUp(machine) ? 0 : 1, word: undefined },
  quorum: 1,
});

/** Probes after a failure that bring a verdict, if all fail. */
const confirmationsOf = (check: CheckSpec): number =>
  Math.max(check.thresholds.down - 1, Math.ceil(check.downSpanMs / confirmSpacingMs(check))) + 1;

/** Why a verdict is about to be `up`, for people and for counters. */
function causeOf(
  one: Watched,
  up: boolean,
  electorate: Electorate,
  nowMs: number,
): { says: string; errorClass: string } {
  const own = {
    says: one.lastResult?.says ?? "",
    errorClass: up ? "probes" : (one.lastResult?.errorClass ?? "probes"),
  };
  if (one.kind !== "address" || electorate.isAlone) return own;
  if (one.basis === "region") return { says: electorate.refusalOf(one.regions), errorClass: "region" };
  const votes = electorate.votesOn(one, nowMs).filter(({ standing }) => standing === "counts");
  const agreeing = votes.filter(({ state }) => isVoteUp(state) === up);
  const { says, errorClass } = agreeing[0]?.evidence ?? own;
  const who = agreeing.map(({ vantage }) => vantage).join(", ");
  return {
    says: votes.length > 1 ? `${agreeing.length} of ${votes.length} vantages (${who}): ${says}` : says,
    errorClass: up ? "probes" : errorClass || "probes",
  };
}

export function createWatch(options: WatchOptions): Watch {
  const { clock, electorate, onChange, onVerdict, onFreeze, onStale } = options;
  const watched = new Map<string, Watched>();
  const frozen = new Set<Watched>(); // in the order in which they were frozen
  const staleOfCheck = new Map<string, number>();
  const counts = new Map<string, { kind: string; errorClass: string; count: number }>();
  let spent: readonly Spent[] = [];
  /** How many the blast budget is about. */
  let budgeted = 0;

  const isJudgedAlone = ({ kind }: Watched): boolean => kind !== "address" || electorate.isAlone;

  const countResult = (kind: string, errorClass: string): void => {
    const key = `${kind} ${errorClass}`;
    const entry = counts.get(key);
    if (entry === undefined) counts.set(key, { kind, errorClass, count: 1 });
    else entry.count++;
  };

  const turn = (one: Watched, up: boolean, nowMs: number): void => {
    const from = one.isKnown ? (one.isUp ? "up" : "down") : "unknown";
    one.isKnown = true;
    one.isUp = up;
    one.sinceMs = nowMs;
    const { says, errorClass } = causeOf(one, up, electorate, nowMs);
    one.cause = says;
    onVerdict(one, from, errorClass);
  };
  const turnDown = (one: Watched, nowMs: number): boolean => {
    if (one.kind === "address") {
      spent = withinWindow(spent, nowMs);
      if (!mayTurnDown(spent, one.regions, budgeted)) return false;
      spent = [...spent, { atMs: nowMs, regions: one.regions }];
    }
    turn(one, false, nowMs);
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
  /** @returns whether anything that is shown of it has changed */
  const settle = (one: Watched, nowMs: number): boolean => {
    if (isJudgedAlone(one) && !one.machine.hasEvidence) return false;
    const { tally, quorum } = isJudgedAlone(one) ? countAlone(one) : electorate.count(one, nowMs);
    one.scarceSinceMs = isScarce(tally, quorum) ? (one.scarceSinceMs ?? nowMs) : undefined;
    const scarceMs = one.scarceSinceMs === undefined ? 0 : nowMs - one.scarceSinceMs;
    one.isUpByProbes = decide({ ...tally, word: undefined }, quorum, one.isUpByProbes, scarceMs).isUp;
    const { isUp, basis, isHeld } = decide(tally, quorum, one.isUp, scarceMs);
    const isLowConfidence = basis === "scarce" || basis === "last";
    const isChanged =
      isLowConfidence !== one.isLowConfidence ||
      isHeld !== one.isHeld ||
      tally.up !== one.votesUp ||
      tally.down !== one.votesDown ||
      isUp !== one.isUp;
    one.basis = basis;
    one.isLowConfidence = isLowConfidence;
    one.isHeld = isHeld;
    one.votesUp = tally.up;
    one.votesDown = tally.down;
    if (isUp === one.isUp) setFrozen(one, false);
    else if (isUp) turn(one, true, nowMs);
    else setFrozen(one, !turnDown(one, nowMs));
    if (basis === "quorum" && one.kind === "address") one.isKnown = true;
    return isChanged;
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
    one.evidence = result;
    setStale(one, false);
    if (one.kind !== "backend") one.isKnown = true;
    if (result.ok && result.rttMicros > 0) addRtt(one.rtt, result.rttMicros, nowMs);
    one.machine = next(one.machine, result.ok ? "pass" : "fail", nowMs, one.check);
    if (!result.ok && one.machine.name === "failing") {
      if (monitor.burstLeft === 0) watch.scheduler.confirm(monitor, confirmationsOf(one.check));
    } else if (one.machine.name !== "failing") watch.scheduler.calm(monitor);
    if (!one.isKnown && result.ok) turn(one, true, nowMs);
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
      kind: want.kind,
      monitor: scheduler.add(key, want.address, want.check, order, total),
      rtt: seed?.rtt ?? createRtt(nowMs),
      regions: want.regions,
      machine: firstMachine(seed?.isUp === false ? "down" : "up", sinceMs),
      isUp: seed?.isUp ?? true,
      sinceMs,
      isKnown: seed !== undefined,
      isStale: false,
      isLowConfidence: false,
      isHeld: false,
      basis: "last",
      votesUp: 0,
      votesDown: 0,
      scarceSinceMs: undefined,
      isUpByProbes: seed?.isUp ?? true,
      isFrozen: false,
      conclusiveMs: seed?.conclusiveMs ?? nowMs,
      evidence: undefined,
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

  /** When this node's own vote may turn, at the earliest. */
  const ownFlipMs = (one: Watched, nowMs: number): number => {
    const { monitor, check } = one;
    const plannedMs = monitor.heapIndex >= 0 ? monitor.dueMs : nowMs;
    if (!one.isKnown && one.kind === "backend") return monitor.runs.size > 0 ? nowMs : plannedMs;
    // A probe on its way may fail and start a burst, which brings the next start forward.
    const hurriedMs = monitor.runs.size > 0 ? monitor.lastStartMs + confirmSpacingMs(check) : plannedMs;
    return nextFlipMs(one.machine, check, {
      nowMs,
      outstanding: monitor.runs.size,
      nextStartMs: isUp(one.machine) ? Math.min(plannedMs, hurriedMs) : plannedMs,
      confirmSpacingMs: confirmSpacingMs(check),
      minIntervalMs: check.intervalMs * (1 - JITTER),
    });
  };

  const watch: Watch = {
    scheduler,
    apply(wanted, seedOf) {
      for (const one of [...watched.values()]) if (!wanted.has(one.key)) removeOne(one);
      const added = [...wanted].filter(([key]) => !watched.has(key));
      added.forEach(([key, want], order) => {
        add(key, want, seedOf(key), order, added.length);
      });
      for (const [key, want] of wanted) watched.get(key)!.regions = want.regions;
      budgeted = [...watch.addresses()].length;
    },
    get: (key) => watched.get(key),
    all: () => watched.values(),
    addresses: () => watched.values().filter(({ kind }) => kind === "address"),
    isBlind: (one) => one.isStale && (isJudgedAlone(one) || one.votesUp + one.votesDown === 0),
    reconsider(one) {
      settle(one, clock.monotonicMs());
      onChange(one); // also where nothing has turned yet: it may be about to
    },
    alert(one) {
      const { machine, monitor, check } = one;
      if (machine.name === "up" && monitor.burstLeft === 0) scheduler.confirm(monitor, confirmationsOf(check) + 1);
    },
    flipMs(one) {
      const nowMs = clock.monotonicMs();
      if (one.isFrozen) return nowMs; // it turns down as soon as the budget lets it
      const ownMs = ownFlipMs(one, nowMs);
      if (isJudgedAlone(one)) return ownMs;
      const turnMs = electorate.turnMs(one, one.isUp, ownMs, nowMs);
      const { scarceSinceMs, votesUp, votesDown } = one;
      if (scarceSinceMs === undefined) return turnMs;
      // A single vote decides when the others have been away for long enough.
      const isAgainst = (one.isUp ? votesDown : votesUp) > 0;
      return Math.min(turnMs, Math.max(isAgainst ? nowMs : ownMs, scarceSinceMs + SCARCE_AFTER_MS));
    },
    tick() {
      const nowMs = clock.monotonicMs();
      for (const one of [...frozen]) {
        if (!turnDown(one, nowMs)) continue;
        setFrozen(one, false);
        onChange(one);
      }
      for (const one of watched.values()) {
        const isStale = nowMs - one.conclusiveMs > freshForMs(one.check);
        const isStaleChanged = isStale !== one.isStale;
        if (isStaleChanged) setStale(one, isStale);
        // Votes grow old without a word.
        const isVoteChanged = !isJudgedAlone(one) && settle(one, nowMs);
        if (isStaleChanged || isVoteChanged) onChange(one);
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
