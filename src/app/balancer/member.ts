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
import type { RequestNews } from "#app/balancer/request-news.ts";
import type { BoundFd } from "#app/balancer/sockets.ts";
import type { EngineKinds } from "#app/balancer/worker-kind.ts";
import { createOpenings } from "#app/openings.ts";
import { createSupervisedWorker, type WorkerEnd } from "#app/supervised-worker.ts";
import type { Clock } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import type { Rng } from "#base/rng.ts";
import type { CacheStats, Purge } from "#l7/cache/cache.ts";
import type { ConnectionSamples } from "#net/connection-sampler.ts";
import { createBackendCounters } from "#state/backend-table.ts";
import { MAX_LISTENERS } from "#state/balancer.ts";
import { createCounterSlots, LISTENER_COUNTERS } from "#state/counters.ts";
import { createLatencyBlock } from "#state/latency.ts";
import type { ListenAddress } from "#state/snapshot.ts";

type Answer = Extract<FromBalancerWorker, { type: "purged" | "cache-stats" }>;

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
  /** Drops what it has of this in its HTTP cache. @returns how many responses; 0 of a thread that ends meanwhile */
  purge(what: Purge): Promise<number>;
  /** As `purge`, and nobody wants to know what came of it. */
  forget(what: Purge): void;
  cacheStats(): Promise<readonly CacheStats[]>;
  /** Resolves when the thread has ended. */
  drain(drainMs: number): Promise<void>;
};

export function createBalancerMember(options: {
  name: string;
  kind: BalancerWorkerKind;
  kinds: EngineKinds;
  world: BalancerWorld;
  rows: number;
  backendTable: Int32Array;
  limits: SharedArrayBuffer;
  rateLimits: SharedArrayBuffer;
  hear(news: RequestNews): void;
  readonly connectionTimes: ((samples: ConnectionSamples) => void) | undefined;
  /** A write has changed what stands at this URL. */
  invalidated(url: string, by: BalancerMember): void;
  clock: Clock;
  rng: Rng;
  log: Log;
  /** The thread is gone, and what it held with it. @returns the sockets for the thread that takes its place */
  onFall(member: BalancerMember, end: WorkerEnd): ReadonlyMap<string, MemberSockets>;
}): BalancerMember {
  const { kind, name, kinds, backendTable, limits, rateLimits, log } = options;
  const backendCounters = createBackendCounters(options.rows);
  const listenerCounters = createCounterSlots(MAX_LISTENERS * LISTENER_COUNTERS.length);
  const latencies = createLatencyBlock(options.rows);
  const openings = createOpenings();
  /** Questions to the thread of now. */
  let asked = new Map<number, (message: Answer | undefined) => void>();
  let questions = 0;
  let sockets = new Map<string, MemberSockets>();
  let { world } = options;

  const worker = createSupervisedWorker<FromBalancerWorker, ToBalancerWorker>({
    name,
    file: new URL("./worker.ts", import.meta.url),
    workerData: (ack): BalancerWorkerData => ({
      kind,
      kinds,
      world,
      backendTable,
      backendCounters,
      listenerCounters,
      latencies,
      limits,
      rateLimits,
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
        case "purged":
        case "cache-stats":
          asked.get(message.id)?.(message);
          break;
        case "access":
        case "spans":
          options.hear(message);
          break;
        case "invalidated":
          options.invalidated(message.url, member);
          break;
        case "connection-times":
          options.connectionTimes?.(message);
          break;
        case "log":
          log[message.level]({ ...message.fields, worker: name }, message.says);
          break;
        default:
          message satisfies never;
      }
    },
    onEnd({ says }) {
      openings.lost(says);
      const unanswered = asked;
      asked = new Map();
      for (const answer of unanswered.values()) answer(undefined);
    },
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

  async function ask(question: (id: number) => ToBalancerWorker): Promise<Answer | undefined> {
    if (!worker.isRunning()) return undefined;
    const id = questions++;
    const { promise, resolve } = Promise.withResolvers<Answer | undefined>();
    asked.set(id, resolve);
    worker.say(question(id));
    const answer = await promise;
    asked.delete(id);
    return answer;
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
    async purge(what) {
      const answer = await ask((id) => ({ type: "purge", id, what }));
      return answer?.type === "purged" ? answer.count : 0;
    },
    forget: (what) => worker.say({ type: "purge", id: undefined, what }),
    async cacheStats() {
      const answer = await ask((id) => ({ type: "cache-stats", id }));
      return answer?.type === "cache-stats" ? answer.stats : [];
    },
    drain: (drainMs) => worker.stop({ type: "drain", drainMs }),
  };
  return member;
}
