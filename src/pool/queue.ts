/**
 * The queue of a pool in one worker: who waits for a place, first come first served.
 *
 * Owns:    the worker's share of the shared word `queued`, and its sleep on the word `freed` (`state/backend-table.ts`).
 * Bounds:  `spec.max` over all workers; a wait is over after `spec.timeoutMs`.
 *
 * A place is granted by taking it, which is atomic, so none is granted twice whoever is woken. A place that this worker
 * gives back goes to who waits here; that one came free in another worker is learnt by `Atomics.waitAsync`, and where this
 * thread's event loop does not turn, by `tick()`.
 * Units:   steady ms.
 * @module
 */
import { NO_PLACE, type PlaceRequest } from "#pool/place.ts";
import { BACKEND_WORD, backendWord } from "#state/backend-table.ts";
import type { PoolSpec } from "#state/balancer.ts";

/** `tick()` asks again so often although no place was announced: backends come back, limits are raised. */
const ASK_AGAIN_MS = 50;

type Waiter = {
  readonly request: PlaceRequest;
  readonly untilMs: number;
  readonly done: (row: number) => void;
};

export type Queue = {
  /** @param done comes once, later. @returns how to stop waiting */
  wait(request: PlaceRequest, nowMs: number, done: (row: number) => void): () => void;
  /** A place was given back by this worker. */
  freed(nowMs: number): void;
  tick(nowMs: number): void;
  /** Backends have changed: who waits asks again. */
  serve(nowMs: number): void;
  /** Who waits here. */
  size(): number;
  apply(spec: PoolSpec["queue"], firstRow: number | undefined): void;
  close(): void;
};

export type QueueOptions = {
  readonly spec: PoolSpec["queue"];
  /** The pool's first backend, whose words count for the pool; undefined: it has none, and nobody may wait. */
  readonly firstRow: number | undefined;
  readonly table: Int32Array;
  /** Takes a place. @returns the row or one of `NO_PLACE` */
  readonly take: (request: PlaceRequest, nowMs: number) => number;
  readonly nowMs: () => number;
  /** Who waits here has changed by so many at the pool's first row. */
  readonly count: (firstRow: number, change: number) => void;
};

export function createQueue({ table, take, nowMs: readMs, count, ...initial }: QueueOptions): Queue {
  let { spec, firstRow } = initial;
  const waiters = new Set<Waiter>();
  /** Waits that were refused, until their callers are told. */
  let refused: ((row: number) => void)[] = [];
  let isServing = false;
  let isAsleep = false;
  let isClosed = false;
  /** The word `freed` as it was before who waits was last asked, and when that was. */
  let askedAtFreed = 0;
  let askedAtMs = Number.NEGATIVE_INFINITY;

  const queuedAt = (row: number): number => backendWord(row, BACKEND_WORD.queued);
  const freedAt = (row: number): number => backendWord(row, BACKEND_WORD.freed);
  const readFreed = (): number => (firstRow === undefined ? 0 : Atomics.load(table, freedAt(firstRow)));

  function enter(row: number, change: number): number {
    count(row, change);
    return Atomics.add(table, queuedAt(row), change);
  }
  function leave(waiter: Waiter): boolean {
    if (!waiters.delete(waiter)) return false;
    if (firstRow !== undefined) enter(firstRow, -1);
    return true;
  }
  function end(waiter: Waiter, row: number): void {
    if (leave(waiter)) waiter.done(row);
  }

  function serve(nowMs: number): void {
    if (isServing) return; // a callback gave a place back: the loop below comes to it
    isServing = true;
    try {
      do {
        askedAtFreed = readFreed();
        askedAtMs = nowMs;
        for (const waiter of waiters) {
          const row = take(waiter.request, nowMs);
          if (row !== NO_PLACE.full) end(waiter, row);
          // What is full to who has tried nothing yet is full to all behind; who retries may not go everywhere.
          else if (waiter.request.tried.length === 0) break;
        }
      } while (waiters.size > 0 && readFreed() !== askedAtFreed);
    } finally {
      isServing = false;
    }
  }

  function sleep(): void {
    if (isAsleep || isClosed || waiters.size === 0 || firstRow === undefined) return;
    isAsleep = true;
    const { value } = Atomics.waitAsync(table, freedAt(firstRow), askedAtFreed);
    Promise.resolve(value).then(wake);
  }
  /** A sleep cannot be given up, but all that sleep on a word can be woken. */
  const wakeAll = (row: number): void => void Atomics.notify(table, freedAt(row));
  function wake(): void {
    isAsleep = false;
    if (waiters.size === 0) return;
    serve(readMs());
    sleep();
  }
  function tellRefused(): void {
    const told = refused;
    refused = [];
    for (const done of told) done(NO_PLACE.queueFull);
  }
  function refuse(done: (row: number) => void): () => void {
    refused.push(done);
    queueMicrotask(tellRefused);
    return () => {
      refused = refused.filter((other) => other !== done);
    };
  }

  return {
    wait(request, nowMs, done) {
      if (firstRow === undefined || isClosed || spec.max === 0) return refuse(done);
      if (enter(firstRow, 1) >= spec.max) {
        enter(firstRow, -1);
        return refuse(done);
      }
      const waiter: Waiter = { request, untilMs: nowMs + spec.timeoutMs, done };
      waiters.add(waiter);
      if (waiters.size === 1) {
        // Who gave a place back before we were counted has told nobody: ask once more before sleeping.
        askedAtMs = Number.NEGATIVE_INFINITY;
        if (!isAsleep) queueMicrotask(wake);
        isAsleep = true;
      }
      return () => void leave(waiter);
    },
    freed(nowMs) {
      if (firstRow === undefined || Atomics.load(table, queuedAt(firstRow)) === 0) return;
      Atomics.add(table, freedAt(firstRow), 1);
      if (waiters.size > 0) serve(nowMs);
      if (Atomics.load(table, queuedAt(firstRow)) > waiters.size) wakeAll(firstRow);
    },
    tick(nowMs) {
      if (refused.length > 0) tellRefused();
      for (const waiter of waiters) {
        if (waiter.untilMs > nowMs) break;
        end(waiter, NO_PLACE.queueTimeout);
      }
      if (waiters.size > 0 && (nowMs - askedAtMs >= ASK_AGAIN_MS || readFreed() !== askedAtFreed)) serve(nowMs);
    },
    serve,
    size: () => waiters.size,
    apply(next, nextRow) {
      spec = next;
      if (nextRow === firstRow) return;
      if (firstRow !== undefined) {
        enter(firstRow, -waiters.size);
        wakeAll(firstRow);
      }
      firstRow = nextRow;
      if (firstRow !== undefined) enter(firstRow, waiters.size);
      askedAtMs = Number.NEGATIVE_INFINITY;
    },
    close() {
      isClosed = true;
      for (const waiter of waiters) end(waiter, NO_PLACE.none);
      tellRefused();
      if (firstRow !== undefined) wakeAll(firstRow);
    },
  };
}
