/**
 * A worker thread that is started again when it ends without being told to.
 *
 * Owns:    the thread, and its acknowledgement word, which lives on when the thread does not.
 * Rule:    a thread that was well is started again at once; one that keeps falling over is given time.
 * @module
 */
import { Worker } from "node:worker_threads";
import { acknowledged } from "#app/acknowledge.ts";
import { backoffMs } from "#base/backoff.ts";
import type { Clock } from "#base/clock.ts";
import type { Rng } from "#base/rng.ts";

const WELL_AFTER_MS = 10_000;
const BACKOFF_BASE_MS = 100;
const BACKOFF_CAP_MS = 5_000;

/** What every worker may say: the revision could not be taken over; the one before it is still served. */
export type ServeFailed = { readonly type: "serve-failed"; readonly revision: number; readonly says: string };

/** Why a thread ended. */
export type WorkerEnd = { readonly says: string; readonly stack: string | undefined };

export type SupervisedWorker<To> = {
  readonly restarts: () => number;
  /** False from the end of its thread until the next one is started. */
  readonly isRunning: () => boolean;
  say(message: To): void;
  /** Resolves when the worker serves `revision` or a later one. @throws what the worker says, or that it took too long */
  acknowledged(revision: number, timeoutMs: number): Promise<void>;
  /** Ends the thread, so that the next one tries again what this one could not do, later each time. */
  giveUp(says: string): void;
  /** Says `last`, and resolves when the thread has ended. */
  stop(last: To): Promise<void>;
};

export function createSupervisedWorker<From extends { readonly type: string }, To>(options: {
  readonly name: string;
  readonly file: URL;
  /** What a thread is started with. */
  workerData(ack: Int32Array): unknown;
  hear(message: Exclude<From, ServeFailed>): void;
  /** The thread is gone, told to or not. */
  onEnd(end: WorkerEnd): void;
  /** It was not told to. */
  onFall(end: WorkerEnd): void;
  /** Another thread has taken its place. */
  onRestart(): void;
  readonly clock: Clock;
  readonly rng: Rng;
}): SupervisedWorker<To> {
  const { name, clock } = options;
  const ack = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  const ended = Promise.withResolvers<void>();
  let fault: ServeFailed | undefined;
  let restarts = 0;
  let fallsInARow = 0;
  let startedAtMs = 0;
  let isStopping = false;
  let why: WorkerEnd | undefined;
  let worker = start();

  function start(): Worker {
    Atomics.store(ack, 0, 0);
    startedAtMs = clock.monotonicMs();
    why = undefined;
    const started = new Worker(options.file, { name, workerData: options.workerData(ack) });
    started.on("message", hear);
    started.on("error", (error) => {
      why = error instanceof Error ? { says: error.message, stack: error.stack } : noStack(String(error));
    });
    started.on("exit", end);
    return started;
  }

  function hear(message: From | ServeFailed): void {
    if (isServeFailed(message)) {
      fault = message;
      Atomics.notify(ack, 0); // wakes `acknowledged`, which finds the fault
    } else options.hear(message as Exclude<From, ServeFailed>);
  }

  function end(): void {
    const reason = why ?? noStack("The thread ended");
    options.onEnd(reason);
    if (isStopping) {
      ended.resolve();
      return;
    }
    fallsInARow = clock.monotonicMs() - startedAtMs >= WELL_AFTER_MS ? 0 : fallsInARow + 1;
    restarts++;
    options.onFall(reason);
    if (fallsInARow <= 1) restart();
    else clock.after(backoffMs(fallsInARow - 2, BACKOFF_BASE_MS, BACKOFF_CAP_MS, options.rng), restart);
  }

  function restart(): void {
    if (isStopping) return;
    worker = start();
    options.onRestart();
  }

  return {
    restarts: () => restarts,
    isRunning: () => worker.threadId !== -1,
    say: (message) => worker.postMessage(message),
    acknowledged: (revision, timeoutMs) =>
      acknowledged(ack, {
        name,
        revision,
        timeoutMs,
        faultOf: () => (fault?.revision === revision ? fault.says : undefined),
      }),
    giveUp(says) {
      why = noStack(says);
      void worker.terminate();
    },
    async stop(last) {
      isStopping = true;
      if (worker.threadId === -1) return; // it has ended already, and is not started again
      worker.postMessage(last);
      await ended.promise;
    },
  };
}

const noStack = (says: string): WorkerEnd => ({ says, stack: undefined });
const isServeFailed = (message: { readonly type: string }): message is ServeFailed => message.type === "serve-failed";
