/**
 * One worker thread of the balancer as the main thread sees it: it starts the thread, starts it again when it ends
 * without being told to, and opens its listeners again.
 *
 * Owns:    the thread, and its counters and acknowledgement word, which live on when the thread does not.
 * @module
 */
import { Worker } from "node:worker_threads";
import { acknowledged } from "#app/acknowledge.ts";
import type {
  BalancerWorkerData,
  BalancerWorkerKind,
  BalancerWorld,
  FromBalancerWorker,
  ToBalancerWorker,
} from "#app/balancer/protocol.ts";
import { MAX_LISTENERS } from "#app/balancer/protocol.ts";
import type { BoundFd } from "#app/balancer/sockets.ts";
import { backoffMs } from "#base/backoff.ts";
import type { Clock } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import type { Rng } from "#base/rng.ts";
import { createBackendCounters } from "#state/backend-table.ts";
import { createCounterSlots, LISTENER_COUNTERS } from "#state/counters.ts";
import type { ListenAddress } from "#state/snapshot.ts";

/** A worker that was well for this long is started again at once; one that keeps falling over is given time. */
const WELL_AFTER_MS = 10_000;
const BACKOFF_BASE_MS = 100;
const BACKOFF_CAP_MS = 5_000;

/** What a listener's sockets of one worker are. UDP has one, which the worker binds by itself. */
export type MemberSockets = readonly BoundFd[] | ListenAddress;

export type BalancerMember = {
  readonly name: string;
  readonly kind: BalancerWorkerKind;
  readonly backendCounters: Float64Array;
  readonly listenerCounters: Float64Array;
  readonly restarts: () => number;
  /** False from the end of its thread until the next one has all of its listeners open. */
  readonly isServing: () => boolean;
  /** Sockets that it serves, by listener. */
  readonly sockets: ReadonlyMap<string, MemberSockets>;
  serve(world: BalancerWorld): void;
  /** Resolves when the worker serves `revision` or a later one. @throws what the worker says, or that it took too long */
  acknowledged(revision: number, timeoutMs: number): Promise<void>;
  /** @returns the port. @throws Error with the system's `code` */
  open(listener: string, sockets: MemberSockets): Promise<number>;
  /** The worker has closed, or closes, this listener's sockets because of what it was told to serve. */
  closed(listener: string): void;
  stopBackend(row: number): void;
  /** Resolves when the thread has ended. */
  drain(drainMs: number): Promise<void>;
};

export function createBalancerMember(options: {
  name: string;
  kind: BalancerWorkerKind;
  servesTcp: boolean;
  world: BalancerWorld;
  rows: number;
  backendTable: Int32Array;
  limits: SharedArrayBuffer;
  clock: Clock;
  rng: Rng;
  log: Log;
  /** The thread is gone, and what it held with it. @returns the sockets for the thread that takes its place */
  onEnd(member: BalancerMember, reason: string): Promise<ReadonlyMap<string, MemberSockets>>;
}): BalancerMember {
  const { kind, name, servesTcp, clock, rng } = options;
  const backendCounters = createBackendCounters(options.rows);
  const listenerCounters = createCounterSlots(MAX_LISTENERS * LISTENER_COUNTERS.length);
  const ack = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  let sockets = new Map<string, MemberSockets>();
  const opening = new Map<string, { resolve(port: number): void; reject(fault: Error): void }>();
  let opened = new Set<string>();
  let world = options.world;
  let fault: { revision: number; says: string } | undefined;
  let restarts = 0;
  let fallsInARow = 0;
  let startedAtMs = 0;
  let isDraining = false;
  let lastError = "";
  const ended = Promise.withResolvers<void>();
  let worker = start();

  function start(): Worker {
    const { backendTable, limits } = options;
    const data: BalancerWorkerData = {
      kind,
      servesTcp,
      world,
      backendTable,
      backendCounters,
      listenerCounters,
      limits,
      ack,
    };
    Atomics.store(ack, 0, 0);
    const started = new Worker(new URL("./worker.ts", import.meta.url), { name, workerData: data });
    startedAtMs = clock.monotonicMs();
    started.on("message", hear);
    started.on("error", (error) => {
      lastError = error instanceof Error ? (error.stack ?? error.message) : String(error);
    });
    started.on("exit", () => void end());
    return started;
  }
  const say = (message: ToBalancerWorker) => worker.postMessage(message);

  function hear(message: FromBalancerWorker): void {
    switch (message.type) {
      case "opened":
        opened.add(message.listener);
        opening.get(message.listener)?.resolve(message.port);
        opening.delete(message.listener);
        break;
      case "open-failed":
        opening.get(message.listener)?.reject(Object.assign(new Error(message.says), { code: message.code }));
        opening.delete(message.listener);
        break;
      case "serve-failed":
        fault = message;
        Atomics.notify(ack, 0); // wakes `acknowledged`, which finds the fault
        break;
      case "log":
        options.log[message.level]({ ...message.fields, worker: name }, message.says);
        break;
      default:
        message satisfies never;
    }
  }

  async function end(): Promise<void> {
    for (const { reject } of opening.values()) reject(new Error(`The worker ended: ${lastError}`));
    opening.clear();
    opened = new Set();
    if (isDraining) return ended.resolve();
    fallsInARow = clock.monotonicMs() - startedAtMs >= WELL_AFTER_MS ? 0 : fallsInARow + 1;
    restarts++;
    const reason = lastError === "" ? "The thread ended" : lastError;
    lastError = "";
    const wanted = await options.onEnd(member, reason);
    const revive = (): void => {
      if (isDraining) return ended.resolve();
      worker = start();
      sockets = new Map();
      for (const [listener, each] of wanted)
        member.open(listener, each).catch((error: Error) => {
          // A listener that cannot be had again ends the thread, so that it is tried again, later each time.
          lastError = error.message;
          void worker.terminate();
        });
    };
    if (fallsInARow <= 1) revive();
    else clock.after(backoffMs(fallsInARow - 2, BACKOFF_BASE_MS, BACKOFF_CAP_MS, rng), revive);
  }

  const openOne = (listener: string, fd: number | undefined, at: ListenAddress): Promise<number> => {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    opening.set(listener, { resolve, reject });
    say({ type: "open", listener, fd, at });
    return promise;
  };

  const member: BalancerMember = {
    name,
    kind,
    backendCounters,
    listenerCounters,
    get sockets() {
      return sockets;
    },
    restarts: () => restarts,
    isServing: () => worker.threadId !== -1 && [...sockets.keys()].every((listener) => opened.has(listener)),
    serve(next) {
      world = next;
      say({ type: "serve", world: next });
    },
    acknowledged: (revision, timeoutMs) =>
      acknowledged(ack, {
        name,
        revision,
        timeoutMs,
        faultOf: () => (fault?.revision === revision ? fault.says : undefined),
      }),
    async open(listener, wanted) {
      sockets.set(listener, wanted);
      let port = 0;
      if ("address" in wanted) {
        port = await openOne(listener, undefined, wanted);
        sockets.set(listener, { ...wanted, port }); // for the thread that may take this one's place
        return port;
      }
      for (const { fd, at } of wanted) port = await openOne(listener, fd, at);
      return port;
    },
    closed(listener) {
      sockets.delete(listener);
      opened.delete(listener);
    },
    stopBackend: (row) => say({ type: "stop-backend", row }),
    async drain(drainMs) {
      isDraining = true;
      if (worker.threadId === -1) return; // it has ended already, and is not started again
      say({ type: "drain", drainMs });
      await ended.promise;
    },
  };
  return member;
}
