/**
 * One worker thread of the balancer as the main thread sees it, which opens its listeners again when another thread takes
 * its place.
 *
 * Owns:    its counters, which live on when the thread does not.
 * @module
 */
import type {
  BalancerWorkerData,
  BalancerWorkerKind,
  BalancerWorld,
  FromBalancerWorker,
  ToBalancerWorker,
} from "#app/balancer/protocol.ts";
import type { BoundFd } from "#app/balancer/sockets.ts";
import { createOpenings } from "#app/openings.ts";
import { createSupervisedWorker, type WorkerEnd } from "#app/supervised-worker.ts";
import type { Clock } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import type { Rng } from "#base/rng.ts";
import { createBackendCounters } from "#state/backend-table.ts";
import { MAX_LISTENERS } from "#state/balancer.ts";
import { createCounterSlots, LISTENER_COUNTERS } from "#state/counters.ts";
import { createLatencyBlock } from "#state/latency.ts";
import type { ListenAddress } from "#state/snapshot.ts";

/** What a listener's sockets of one worker are. UDP has one, which the worker binds by itself. */
export type MemberSockets = readonly BoundFd[] | ListenAddress;

export type BalancerMember = {
  readonly name: string;
  readonly kind: BalancerWorkerKind;
  readonly backendCounters: Float64Array;
  readonly listenerCounters: Float64Array;
  /** How long requests took, by backend. */
  readonly latencies: Float64Array;
  readonly restarts: () => number;
  /** False from the end of its thread until the next one has all of its listeners open. */
  readonly isServing: () => boolean;
  /** Sockets that it serves, by listener. */
  readonly sockets: ReadonlyMap<string, MemberSockets>;
  serve(world: BalancerWorld): void;
  /** Resolves when the worker serves `revision` or a later one. @throws what the worker says, or that it took too long */
  acknowledged(revision: number, timeoutMs: number): Promise<void>;
  /** @returns the port. @throws ListenFault */
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
  plainKind: BalancerWorkerKind;
  world: BalancerWorld;
  rows: number;
  backendTable: Int32Array;
  limits: SharedArrayBuffer;
  clock: Clock;
  rng: Rng;
  log: Log;
  /** The thread is gone, and what it held with it. @returns the sockets for the thread that takes its place */
  onFall(member: BalancerMember, end: WorkerEnd): ReadonlyMap<string, MemberSockets>;
}): BalancerMember {
  const { kind, name, plainKind, backendTable, limits, log } = options;
  const backendCounters = createBackendCounters(options.rows);
  const listenerCounters = createCounterSlots(MAX_LISTENERS * LISTENER_COUNTERS.length);
  const latencies = createLatencyBlock(options.rows);
  const openings = createOpenings();
  let sockets = new Map<string, MemberSockets>();
  let { world } = options;

  const worker = createSupervisedWorker<FromBalancerWorker, ToBalancerWorker>({
    name,
    file: new URL("./worker.ts", import.meta.url),
    workerData: (ack): BalancerWorkerData => ({
      kind,
      plainKind,
      world,
      backendTable,
      backendCounters,
      listenerCounters,
      latencies,
      limits,
      ack,
    }),
    hear(message) {
      switch (message.type) {
        case "opened":
          openings.opened(message.listener, message.port);
          break;
        case "open-failed":
          openings.failed(message.listener, message.code, message.says);
          break;
        case "log":
          log[message.level]({ ...message.fields, worker: name }, message.says);
          break;
        default:
          message satisfies never;
      }
    },
    onEnd: ({ says }) => openings.lost(says),
    onFall(end) {
      sockets = new Map(options.onFall(member, end));
    },
    onRestart() {
      for (const [listener, each] of sockets)
        member.open(listener, each).catch((fault: Error) => worker.giveUp(fault.message));
    },
    clock: options.clock,
    rng: options.rng,
  });

  function openOne(listener: string, fd: number | undefined, at: ListenAddress): Promise<number> {
    const asked = openings.asked(listener);
    worker.say({ type: "open", listener, fd, at });
    return asked;
  }

  const member: BalancerMember = {
    name,
    kind,
    backendCounters,
    listenerCounters,
    latencies,
    get sockets() {
      return sockets;
    },
    restarts: worker.restarts,
    isServing: () => worker.isRunning() && [...sockets.keys()].every(openings.isOpen),
    serve(next) {
      world = next;
      worker.say({ type: "serve", world: next });
    },
    acknowledged: worker.acknowledged,
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
      openings.closed(listener);
    },
    stopBackend: (row) => worker.say({ type: "stop-backend", row }),
    drain: (drainMs) => worker.stop({ type: "drain", drainMs }),
  };
  return member;
}
