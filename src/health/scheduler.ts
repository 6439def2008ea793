/**
 * When probes run: interval with jitter, staggered start, confirmation bursts, time-outs, limits, life cycle.
 *
 * Owns:    one `Monitor` per identity (check × address); all rows of the health table that need it share it.
 * Never:   judges results. It hands them on, and is told by `confirm()` and `calm()` when to look closer.
 *
 * - Jitter only shortens: the next probe starts after 90 to 100 % of the interval. New monitors start at most 5 ms apart from
 *   each other and all within one interval, so that a small site has evidence at once and a large one an even load.
 * - A confirmation burst starts probes 500 ms apart (or nine tenths of the interval, if that is less), whatever became of
 *   those before.
 * - A time-out that is due while this process stood still (timer-heap.ts) is put off by as long as the stall took, once; a
 *   probe that fails after a stall within its life is handed on as class `stalled`, which counts neither way, and is
 *   repeated. A pass counts as ever. So a busy or paused node never turns targets down; it lets them go stale.
 * - At most `maxRunning` probes run at a time (and `maxScripts` scripts), the others wait in order.
 * @module
 */
import type { Clock } from "#base/clock.ts";
import type { Rng } from "#base/rng.ts";
import type { ProbeResult, RunningProbe, StartProbe } from "#health/probes/probe.ts";
import { createTimerHeap, type HeapItem, type TimerHeap } from "#health/timer-heap.ts";
import type { CheckSpec } from "#state/snapshot.ts";

const CONFIRM_SPACING_MS = 500;
/** Share of the interval that jitter may cut off. */
export const JITTER = 0.1;
const STAGGER_MS = 5;

const SCHEDULER_SETTINGS = {
  maxRunning: { default: 2_000, min: 1, max: 100_000, unit: "probes" },
  maxScripts: { default: 8, min: 1, max: 256, unit: "processes" },
} as const;

type Run = HeapItem & { running: RunningProbe | undefined; startedMs: number; isOver: boolean; wasPutOff: boolean };

export type Monitor = HeapItem & {
  readonly key: string;
  readonly address: string;
  readonly check: CheckSpec;
  readonly runs: Set<Run>;
  lastStartMs: number;
  /** Confirmation probes still to start. */
  burstLeft: number;
  isWaiting: boolean;
  isStopped: boolean;
};

export type SchedulerStats = {
  readonly monitors: number;
  readonly running: number;
  readonly waiting: number;
  readonly started: number;
  readonly finished: number;
  readonly inconclusive: number;
  readonly stalls: number;
};

export type Scheduler = {
  /** Starts a monitor. @param order,total place among those that start together, for the stagger */
  add(key: string, address: string, check: CheckSpec, order: number, total: number): Monitor;
  /** Stops it at once; running probes are cancelled, and no result of it comes any more. */
  remove(monitor: Monitor): void;
  confirm(monitor: Monitor, count: number): void;
  calm(monitor: Monitor): void;
  /** Timers for the engine's own plans, on the same heap. */
  readonly heap: TimerHeap;
  stats(): SchedulerStats;
  close(): void;
};

export type SchedulerOptions = {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly start: StartProbe;
  readonly onResult: (monitor: Monitor, result: ProbeResult) => void;
  readonly maxRunning?: number;
  readonly maxScripts?: number;
};

export const confirmSpacingMs = (check: CheckSpec): number =>
  Math.min(CONFIRM_SPACING_MS, check.intervalMs * (1 - JITTER));

export function createScheduler(options: SchedulerOptions): Scheduler {
  const { clock, rng, start, onResult } = options;
  const maxRunning = options.maxRunning ?? SCHEDULER_SETTINGS.maxRunning.default;
  const maxScripts = options.maxScripts ?? SCHEDULER_SETTINGS.maxScripts.default;
  const heap = createTimerHeap(clock);
  const waiting: { readonly all: Monitor[]; readonly scripts: Monitor[] } = { all: [], scripts: [] };
  const monitors = new Set<Monitor>();
  let running = 0;
  let scripts = 0;
  let started = 0;
  let finished = 0;
  let inconclusive = 0;

  const plan = (monitor: Monitor, nowMs: number): void => {
    if (monitor.isStopped) return;
    let delayMs: number;
    if (monitor.burstLeft > 0) {
      monitor.burstLeft--;
      delayMs = confirmSpacingMs(monitor.check);
    } else {
      delayMs = monitor.check.intervalMs * (1 - JITTER * rng());
    }
    heap.set(monitor, nowMs + delayMs);
  };

  const leave = (monitor: Monitor, run: Run): void => {
    run.isOver = true;
    heap.remove(run);
    monitor.runs.delete(run);
    running--;
    if (monitor.check.kind === "script") scripts--;
  };

  const serveWaiting = (): void => {
    while (running < maxRunning) {
      const canScript = scripts < maxScripts && waiting.scripts.length > 0;
      const monitor = canScript ? waiting.scripts.shift() : waiting.all.shift();
      if (monitor === undefined) return;
      monitor.isWaiting = false;
      if (!monitor.isStopped) launch(monitor, clock.monotonicMs());
    }
  };

  const finish = (monitor: Monitor, run: Run, result: ProbeResult): void => {
    if (run.isOver) return;
    heap.noticeStall(clock.monotonicMs());
    leave(monitor, run);
    finished++;
    const isSpoilt = !result.ok && run.startedMs < heap.stallEndedMs;
    if (isSpoilt) {
      inconclusive++;
      monitor.burstLeft = Math.max(monitor.burstLeft, 1);
      hurry(monitor);
      onResult(monitor, {
        ...result,
        errorClass: "stalled",
        says: `${result.says} (this process stood still meanwhile)`,
      });
    } else {
      if (result.errorClass === "self") inconclusive++;
      onResult(monitor, result);
    }
    if (waiting.all.length + waiting.scripts.length > 0) serveWaiting();
  };

  const launch = (monitor: Monitor, nowMs: number): void => {
    const run: Run = {
      dueMs: 0,
      heapIndex: -1,
      running: undefined,
      startedMs: nowMs,
      isOver: false,
      wasPutOff: false,
      fire(firedMs) {
        if (!run.wasPutOff && run.startedMs < heap.stallEndedMs) {
          run.wasPutOff = true;
          heap.set(run, firedMs + Math.min(heap.stallLastedMs, monitor.check.timeoutMs));
          return;
        }
        run.running?.expire();
      },
    };
    monitor.lastStartMs = nowMs;
    monitor.runs.add(run);
    running++;
    if (monitor.check.kind === "script") scripts++;
    started++;
    heap.set(run, nowMs + monitor.check.timeoutMs);
    plan(monitor, nowMs);
    const probe = start(monitor.address, monitor.check, (result) => finish(monitor, run, result));
    if (!run.isOver) run.running = probe;
  };

  const hurry = (monitor: Monitor): void => {
    if (monitor.isStopped || monitor.isWaiting) return;
    const nowMs = clock.monotonicMs();
    const dueMs = Math.max(nowMs, monitor.lastStartMs + confirmSpacingMs(monitor.check));
    if (monitor.heapIndex >= 0 && monitor.dueMs <= dueMs) return;
    monitor.burstLeft--;
    heap.set(monitor, dueMs);
  };

  const remove = (monitor: Monitor): void => {
    if (monitor.isStopped) return;
    monitor.isStopped = true;
    monitors.delete(monitor);
    heap.remove(monitor);
    for (const run of [...monitor.runs]) {
      leave(monitor, run);
      run.running?.cancel();
    }
    serveWaiting();
  };

  return {
    heap,
    add(key, address, check, order, total) {
      const monitor: Monitor = {
        key,
        address,
        check,
        dueMs: 0,
        heapIndex: -1,
        runs: new Set(),
        lastStartMs: Number.NEGATIVE_INFINITY,
        burstLeft: 0,
        isWaiting: false,
        isStopped: false,
        fire(nowMs) {
          const isFull = running >= maxRunning || (check.kind === "script" && scripts >= maxScripts);
          if (!isFull) return launch(monitor, nowMs);
          monitor.isWaiting = true;
          (check.kind === "script" ? waiting.scripts : waiting.all).push(monitor);
        },
      };
      monitors.add(monitor);
      const stepMs = Math.min(STAGGER_MS, check.intervalMs / Math.max(1, total));
      heap.set(monitor, clock.monotonicMs() + order * stepMs);
      return monitor;
    },
    remove,
    confirm(monitor, count) {
      monitor.burstLeft = count;
      hurry(monitor);
    },
    calm(monitor) {
      monitor.burstLeft = 0;
    },
    stats: () => ({
      monitors: monitors.size,
      running,
      waiting: waiting.all.length + waiting.scripts.length,
      started,
      finished,
      inconclusive,
      stalls: heap.stalls,
    }),
    close() {
      waiting.all.length = 0;
      waiting.scripts.length = 0;
      for (const monitor of monitors) remove(monitor);
      heap.close();
    },
  };
}
