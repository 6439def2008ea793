/**
 * The keeper: what health, operators and real traffic say of backends, as the words that workers read at each pick.
 *
 * Owns:    which state each backend is in, slow start, ejections, and until when connections may go on at a backend that
 *          drains, is in maintenance, was removed or (where the pool says so) went down.
 * Writer:  the single writer of the words `state` and `weightMilli` of the backend table, and of its epoch, which moves on
 *          once per batch of changes. It takes back what a dead worker held of `active` and `queued`.
 * Never:   probes or touches connections: `onExpire` asks those who hold them. It has no timers: `tick()` comes from outside.
 *
 * Slow start follows what was away: down, ejected, in maintenance, or not there before. Not the start of the process, when
 * nobody else is there to take the rest; nor a drain, during which the backend stayed warm. An ejection ends early when
 * the backend's check turns from down to up. A pass of a check that never failed says nothing about the traffic that did;
 * were it to end ejections, as it does in Envoy, none would outlast one interval of the check.
 *
 * Units:   steady ms inside; Unix ms in views and events.
 * @module
 */
import type { Clock } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import type { Rng } from "#base/rng.ts";
import { BackendSample } from "#pool/backend-sample.ts";
import { type BackendReason, standingOf } from "#pool/backend-state.ts";
import { causeText, sayTransition } from "#pool/backend-text.ts";
import { createDrains } from "#pool/drains.ts";
import { createOutlier, type Outlier } from "#pool/outlier.ts";
import { createPoolAlarms, type PoolAlarms } from "#pool/pool-alarms.ts";
import { type BackendView, type PoolView, totalsOf } from "#pool/pool-view.ts";
import { effectiveMilli, isRamping, slowStartFactor, takesFractions } from "#pool/slow-start.ts";
import {
  BACKEND_COUNTER,
  BACKEND_COUNTERS,
  BACKEND_EPOCH_WORD,
  BACKEND_STATE,
  BACKEND_STATE_NAMES,
  BACKEND_WORD,
  type BackendState,
  backendCounter,
  backendWord,
} from "#state/backend-table.ts";
import type { BackendSpec, PoolSpec } from "#state/balancer.ts";
import type { Emit, RhumbEvent } from "#state/events.ts";
import { emptyTargetState, readTarget, VERDICT, type Verdict } from "#state/health-table.ts";

const RAMP_STEP_MS = 1_000;

export type KeeperOptions = {
  /** The backend table. */
  readonly table: Int32Array;
  readonly healthTable: Uint32Array;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly emit: Emit;
  readonly log: Log;
  /** The blocks of all workers. */
  readonly counters: () => readonly Float64Array[];
  /** The time of a backend's connections is over: reset what is left. May come again while some are left. */
  readonly onExpire: (row: number) => void;
  /** States or weights were published. */
  readonly onChange?: () => void;
  /** What the verdict on a row of the health table rests on. */
  readonly cause?: (row: number) => string | undefined;
};

export type Keeper = {
  /**
   * Another configuration is about to be served: its backends that are not there yet may be picked. Nobody goes before
   * `apply()`: workers that still serve the one before would have nobody left where all of a pool are replaced.
   */
  prepare(pools: readonly PoolSpec[]): void;
  /** Another configuration serves. A backend that stays keeps its state. */
  apply(pools: readonly PoolSpec[]): void;
  /** Rows of the health table that changed; those of others are passed over. */
  healthChanged(rows: readonly number[]): void;
  /** Call it four times a second. */
  tick(): void;
  /** A worker is dead: what its block says it held is given back, and the block forgets it. */
  takeBack(counters: Float64Array): void;
  view(): readonly PoolView[];
  /** From now on nothing is written or told. */
  close(): void;
};

type Pool = { spec: PoolSpec; readonly outlier: Outlier; readonly alarms: PoolAlarms };
type Backend = {
  readonly row: number;
  readonly target: string;
  spec: BackendSpec;
  readonly pool: Pool;
  state: BackendState;
  reason: BackendReason;
  sinceMs: number;
  sharePercent: number;
  verdict: Verdict;
  /** It was there when the process began. */
  readonly isFromStart: boolean;
  /** It comes from being away: the next time that it is active, it ramps. */
  wasAway: boolean;
  /** Since when it ramps. */
  rampSinceMs: number | undefined;
  /** What is wrong with it was told as a warning. */
  isWarned: boolean;
  readonly sample: BackendSample;
};

export function createKeeper(options: KeeperOptions): Keeper {
  const { table, healthTable, clock, rng, emit, log, counters, onExpire, onChange, cause } = options;
  const pools = new Map<string, Pool>();
  const backends = new Map<number, Backend>();
  /** Rows that are no backends any more, until their connections have had their time. */
  const removed = new Set<number>();
  const ramping = new Set<Backend>();
  const unsettled = new Set<Pool>();
  const drains = createDrains();
  const health = emptyTargetState();
  let isDirty = false;
  let isClosed = false;
  let steppedMs = 0;

  const tell = (event: Omit<RhumbEvent, "atMs">): void => {
    emit({ ...event, atMs: clock.nowMs() });
    const level = event.severity === "alarm" || event.severity === "warning" ? "warn" : "info";
    log[level]({ event: event.kind, subject: event.subject, ...event.data }, event.says);
  };
  const unixOf = (steadyMs: number): number => Math.round(steadyMs - clock.monotonicMs() + clock.nowMs());
  const wordOf = (row: number, word: number): number => Atomics.load(table, backendWord(row, word));
  const write = (row: number, word: number, value: number): void => {
    if (wordOf(row, word) === value) return;
    Atomics.store(table, backendWord(row, word), value);
    isDirty = true;
  };
  const causeOf = ({ row, reason, pool }: Backend): string =>
    causeText(reason, pool.outlier.ejection(row), cause?.(row));

  const rampFactor = ({ rampSinceMs, pool: { spec } }: Backend, nowMs: number): number =>
    rampSinceMs === undefined || !takesFractions(spec.algorithm)
      ? 1
      : slowStartFactor(nowMs - rampSinceMs, spec.slowStart);
  const weigh = (backend: Backend, nowMs: number): void => {
    const { row, spec, pool, sharePercent } = backend;
    const milli = effectiveMilli(spec.weight, rampFactor(backend, nowMs), sharePercent, pool.spec.algorithm);
    write(row, BACKEND_WORD.weightMilli, milli);
  };
  const setRamp = (backend: Backend, sinceMs: number | undefined): void => {
    backend.rampSinceMs = sinceMs;
    if (sinceMs === undefined) ramping.delete(backend);
    else ramping.add(backend);
  };

  const mustDrain = ({ state, pool }: Backend): boolean =>
    state === BACKEND_STATE.drain ||
    state === BACKEND_STATE.maint ||
    (state === BACKEND_STATE.down && pool.spec.closesOnDown);
  const planDrain = (backend: Backend, nowMs: number): void => {
    if (mustDrain(backend)) drains.start(backend.row, backend.pool.spec.drainMs, nowMs);
    else drains.cancel(backend.row);
  };

  const tellTransition = (backend: Backend, from: BackendState): void => {
    const { row, target, state, reason, pool, spec } = backend;
    const isBad = state === BACKEND_STATE.down || state === BACKEND_STATE.ejected;
    // At the start of the process, that all is as it should be is no news.
    const isUsual = state === BACKEND_STATE.active || state === BACKEND_STATE.unknown;
    const isFirst = from === BACKEND_STATE.none || from === BACKEND_STATE.unknown;
    if (backend.isFromStart && isUsual && isFirst && !backend.isWarned) return;
    const ejection = pool.outlier.ejection(row);
    const rampMs = backend.rampSinceMs === undefined ? 0 : pool.spec.slowStart.windowMs;
    tell({
      kind: "backend.transition",
      severity: isBad ? "warning" : backend.isWarned ? "resolved" : "info",
      subject: target,
      says: `${target} ${sayTransition(state, causeOf(backend), ejection, rampMs)}`,
      data: {
        pool: pool.spec.name,
        backend: spec.id,
        from: BACKEND_STATE_NAMES[from],
        to: BACKEND_STATE_NAMES[state],
        reason: state === BACKEND_STATE.ejected ? (ejection?.reason ?? reason) : reason,
        ...(state === BACKEND_STATE.ejected && ejection !== undefined
          ? { untilMs: unixOf(ejection.untilMs), times: ejection.times }
          : {}),
      },
    });
    backend.isWarned = isBad;
  };

  const enter = (backend: Backend, state: BackendState, nowMs: number): void => {
    const from = backend.state;
    backend.state = state;
    backend.sinceMs = nowMs;
    const isAway = state === BACKEND_STATE.down || state === BACKEND_STATE.maint || state === BACKEND_STATE.ejected;
    if (isAway) {
      backend.wasAway = true;
      setRamp(backend, undefined);
    } else if (state === BACKEND_STATE.active && backend.wasAway) {
      backend.wasAway = false;
      const { slowStart, algorithm } = backend.pool.spec;
      if (slowStart.windowMs > 0 && takesFractions(algorithm)) setRamp(backend, nowMs);
    }
    planDrain(backend, nowMs);
    unsettled.add(backend.pool);
    tellTransition(backend, from);
  };

  const judge = (backend: Backend, nowMs: number): void => {
    const { row, spec, pool } = backend;
    const { verdict, override, weightPercent } = readTarget(healthTable, row, health);
    if (verdict === VERDICT.up && backend.verdict === VERDICT.down) pool.outlier.checkPassed(row, nowMs);
    backend.verdict = verdict;
    const standing = standingOf({
      verdict,
      override,
      weightPercent,
      isEnabled: spec.isEnabled,
      hasCheck: pool.spec.check !== undefined,
      isEjected: pool.outlier.ejection(row) !== undefined,
    });
    backend.reason = standing.reason;
    backend.sharePercent = standing.sharePercent;
    if (standing.state !== backend.state) enter(backend, standing.state, nowMs);
    weigh(backend, nowMs);
    write(row, BACKEND_WORD.state, standing.state);
  };
  const judgeRows = (rows: readonly number[], nowMs: number): void => {
    for (const row of rows) {
      const backend = backends.get(row);
      if (backend !== undefined) judge(backend, nowMs);
    }
  };

  const publish = (): void => {
    if (!isDirty) return;
    isDirty = false;
    Atomics.add(table, BACKEND_EPOCH_WORD, 1);
    onChange?.();
  };
  /** @returns whether the row comes again because it still has connections */
  const expire = (row: number): boolean => {
    const backend = backends.get(row);
    // Where health is ignored, a backend that is down is as good as any other.
    if (backend?.state === BACKEND_STATE.down && backend.pool.alarms.isPanic) return true;
    if (backend === undefined) write(row, BACKEND_WORD.state, BACKEND_STATE.none);
    onExpire(row);
    // A draining backend may get new connections, from clients that stick to it; the others do not.
    const isOut = backend === undefined || backend.state === BACKEND_STATE.maint;
    const comesAgain = isOut && wordOf(row, BACKEND_WORD.active) > 0;
    if (!comesAgain) removed.delete(row);
    return comesAgain;
  };
  const finish = (nowMs: number): void => {
    for (const pool of unsettled) pool.alarms.settle(pool.spec);
    unsettled.clear();
    publish();
    drains.tick(nowMs, expire);
    // It still gets its `onExpire`: the kernel's connections are in no word, and a worker may just now have taken a place.
    for (const row of removed)
      if (wordOf(row, BACKEND_WORD.active) === 0) write(row, BACKEND_WORD.state, BACKEND_STATE.none);
    publish();
  };

  const createPool = (spec: PoolSpec): Pool => ({
    spec,
    outlier: createOutlier(rng),
    alarms: createPoolAlarms(spec.name, table, tell),
  });
  const createBackend = (spec: BackendSpec, pool: Pool, isFromStart: boolean, nowMs: number): Backend => {
    const backend: Backend = {
      row: spec.target,
      target: `backend/${pool.spec.name}/${spec.key}`,
      spec,
      pool,
      state: BACKEND_STATE.none,
      reason: "not-yet-probed",
      sinceMs: nowMs,
      sharePercent: 100,
      verdict: VERDICT.unknown,
      isFromStart,
      wasAway: !isFromStart,
      rampSinceMs: undefined,
      isWarned: false,
      sample: new BackendSample(spec.target, table),
    };
    backend.sample.look(counters()); // a row that is back has a past
    return backend;
  };

  const enlist = (spec: BackendSpec, pool: Pool, isFromStart: boolean, nowMs: number): Backend => {
    const backend = createBackend(spec, pool, isFromStart, nowMs);
    removed.delete(backend.row);
    backends.set(backend.row, backend);
    return backend;
  };

  const remove = (backend: Backend, nowMs: number): void => {
    const { row, target, pool } = backend;
    backends.delete(row);
    ramping.delete(backend);
    removed.add(row);
    write(row, BACKEND_WORD.state, BACKEND_STATE.maint);
    write(row, BACKEND_WORD.weightMilli, 0);
    drains.start(row, pool.spec.drainMs, nowMs);
    tell({
      kind: "backend.transition",
      severity: backend.isWarned ? "resolved" : "info",
      subject: target,
      says: `${target} was removed`,
      data: { pool: pool.spec.name, backend: backend.spec.id, from: BACKEND_STATE_NAMES[backend.state], to: "none" },
    });
  };

  const observe = (pool: Pool, blocks: readonly Float64Array[], nowMs: number): void => {
    if (!pool.spec.outlier.isEnabled) return;
    const changed: number[] = [];
    for (const { target: row } of pool.spec.backends) {
      const sample = backends.get(row)!.sample.look(blocks);
      if (sample !== undefined && pool.outlier.observe(row, sample, nowMs)) changed.push(row);
    }
    changed.push(...pool.outlier.tick(nowMs));
    judgeRows(changed, nowMs);
  };

  const stepRamps = (nowMs: number): void => {
    if (nowMs - steppedMs < RAMP_STEP_MS) return;
    steppedMs = nowMs;
    for (const backend of ramping) {
      if (!isRamping(nowMs - backend.rampSinceMs!, backend.pool.spec.slowStart)) setRamp(backend, undefined);
      weigh(backend, nowMs);
    }
  };

  const viewBackend = (backend: Backend, blocks: readonly Float64Array[], nowMs: number): BackendView => {
    const { row, spec, target, state, sinceMs, pool } = backend;
    const ejection = pool.outlier.ejection(row);
    const dueMs = drains.dueMs(row);
    return {
      spec,
      target,
      state: BACKEND_STATE_NAMES[state],
      cause: causeOf(backend),
      sinceMs: unixOf(sinceMs),
      weight: wordOf(row, BACKEND_WORD.weightMilli) / 1_000,
      slowStartPercent: Math.round(rampFactor(backend, nowMs) * 100),
      active: wordOf(row, BACKEND_WORD.active),
      failuresInARow: wordOf(row, BACKEND_WORD.failuresInARow),
      ejection:
        ejection === undefined
          ? null
          : { reason: ejection.reason, untilMs: unixOf(ejection.untilMs), times: ejection.times },
      drainUntilMs: dueMs === undefined ? null : unixOf(dueMs),
      totals: totalsOf(blocks, row),
    };
  };

  return {
    prepare(specs) {
      const nowMs = clock.monotonicMs();
      const isStart = backends.size === 0;
      for (const spec of specs) {
        const pool = pools.get(spec.name) ?? createPool(spec);
        pools.set(spec.name, pool);
        for (const one of spec.backends) if (!backends.has(one.target)) judge(enlist(one, pool, isStart, nowMs), nowMs);
      }
      finish(nowMs);
    },
    apply(specs) {
      if (isClosed) return;
      const nowMs = clock.monotonicMs();
      const isStart = backends.size === 0;
      const blocks = counters();
      const names = new Set(specs.map(({ name }) => name));
      const rows = new Set(specs.flatMap((spec) => spec.backends.map(({ target }) => target)));
      for (const backend of [...backends.values()]) if (!rows.has(backend.row)) remove(backend, nowMs);
      for (const [name, pool] of pools) {
        if (names.has(name)) continue;
        pool.alarms.close();
        pools.delete(name);
      }
      for (const spec of specs) {
        const pool = pools.get(spec.name) ?? createPool(spec);
        pools.set(spec.name, pool);
        const isDownRuleNew = pool.spec.closesOnDown !== spec.closesOnDown;
        const isOutlierNew = spec.outlier.isEnabled && !pool.spec.outlier.isEnabled;
        pool.spec = spec;
        const members = spec.backends.map(({ target }) => target);
        pool.outlier.apply(spec.outlier, members, nowMs);
        for (const one of spec.backends) {
          const backend = backends.get(one.target) ?? enlist(one, pool, isStart, nowMs);
          backend.spec = one;
          if (isDownRuleNew && backend.state === BACKEND_STATE.down) planDrain(backend, nowMs);
          if (isOutlierNew) backend.sample.look(blocks); // what was before is not judged
          judge(backend, nowMs);
        }
        unsettled.add(pool);
      }
      finish(nowMs);
    },
    healthChanged(rows) {
      if (isClosed) return;
      const nowMs = clock.monotonicMs();
      judgeRows(rows, nowMs);
      finish(nowMs);
    },
    tick() {
      if (isClosed) return;
      const nowMs = clock.monotonicMs();
      const blocks = counters();
      for (const pool of pools.values()) observe(pool, blocks, nowMs);
      stepRamps(nowMs);
      finish(nowMs);
    },
    takeBack(block) {
      for (let row = 0; row < block.length / BACKEND_COUNTERS.length; row++) {
        for (const name of ["active", "queued"] as const) {
          const at = backendCounter(row, BACKEND_COUNTER[name]);
          const share = block[at]!;
          if (share === 0) continue;
          Atomics.sub(table, backendWord(row, BACKEND_WORD[name]), share);
          block[at] = 0;
        }
      }
    },
    view() {
      const nowMs = clock.monotonicMs();
      const blocks = counters();
      return [...pools.values()].map(({ spec, outlier, alarms }): PoolView => {
        const { ejections, overflows } = outlier.stats();
        const first = spec.backends[0];
        return {
          spec,
          backends: spec.backends.map(({ target }) => viewBackend(backends.get(target)!, blocks, nowMs)),
          isPanic: alarms.isPanic,
          isEmpty: alarms.isEmpty,
          queued: first === undefined ? 0 : wordOf(first.target, BACKEND_WORD.queued),
          ejections,
          ejectionOverflows: overflows,
        };
      });
    },
    close() {
      isClosed = true;
    },
  };
}
