/**
 * One worker thread of the DNS engine as the main thread sees it: it starts the thread, starts it again when it ends
 * without being told to, and reopens its listeners on the same ports.
 *
 * Owns:    the thread, and its counters, observations and acknowledgement word, which live on when the thread does not.
 * @module
 */
import { Worker } from "node:worker_threads";
import { acknowledged } from "#app/acknowledge.ts";
import type { DnsWorkerData, DnsWorld, FromDnsWorker, ToDnsWorker } from "#app/dns-worker-protocol.ts";
import { letsGoMuch } from "#app/let-go.ts";
import type { UdpEngineName } from "#app/udp-engine.ts";
import { backoffMs } from "#base/backoff.ts";
import type { Clock } from "#base/clock.ts";
import type { Rng } from "#base/rng.ts";
import { createCounterSlots, DNS_COUNTERS } from "#state/counters.ts";
import { createObservations, type Observations } from "#state/observations.ts";
import type { ListenAddress } from "#state/snapshot.ts";

/** A worker that was well for this long is started again at once; one that keeps falling over is given time. */
const WELL_AFTER_MS = 10_000;
const BACKOFF_BASE_MS = 100;
const BACKOFF_CAP_MS = 5_000;

/** Why a listener could not be opened; `code` is the system's, such as EADDRINUSE. */
export class ListenFault extends Error {
  readonly code: string;
  constructor(code: string, says: string) {
    super(says);
    this.name = "ListenFault";
    this.code = code;
  }
}

export type DnsMember = {
  readonly name: string;
  readonly kind: "udp" | "tcp";
  readonly counters: Float64Array;
  readonly observations: Observations;
  readonly restarts: () => number;
  /** False from the end of its thread until the next one has all of its listeners open. */
  readonly isServing: () => boolean;
  /** @returns the port; @throws ListenFault */
  open(key: string, listen: ListenAddress): Promise<number>;
  closeListener(key: string, drainMs: number): Promise<void>;
  serve(world: DnsWorld): void;
  /** Resolves when the worker serves `revision` or a later one. @throws what the worker says, or that it took too long */
  acknowledged(revision: number, timeoutMs: number): Promise<void>;
  stop(drainMs: number): Promise<void>;
};

const largeOf = ({ bundle, maps, rtt }: DnsWorld) => [...bundle.dns.zones, ...maps, rtt];

export function createDnsMember(options: {
  name: string;
  kind: "udp" | "tcp";
  engine: UdpEngineName;
  world: DnsWorld;
  healthTable: Uint32Array;
  seed: number;
  clock: Clock;
  rng: Rng;
  onRestart(reason: string): void;
}): DnsMember {
  const { kind, name, engine, healthTable, seed, clock, rng, onRestart } = options;
  const counters = createCounterSlots(DNS_COUNTERS.length);
  const observations = createObservations();
  const ack = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  /** What is open, with the ports that it was given. */
  const listeners = new Map<string, ListenAddress>();
  /** Those that the thread of now has open. */
  const open = new Set<string>();
  const opening = new Map<string, { resolve(port: number): void; reject(fault: ListenFault): void }>();
  const closing = new Map<string, () => void>();
  let world = options.world;
  let fault: { revision: number; says: string } | undefined;
  let restarts = 0;
  let fallsInARow = 0;
  let startedAtMs = 0;
  let isStopping = false;
  let lastError = "";
  let whenEnded: (() => void) | undefined;
  let worker = start();

  function start(): Worker {
    const data: DnsWorkerData = { kind, engine, world, counters, observations, healthTable, ack, seed };
    const started = new Worker(new URL("./dns-worker.ts", import.meta.url), {
      name,
      workerData: data,
    });
    startedAtMs = clock.monotonicMs();
    started.on("message", hear);
    started.on("error", (error) => {
      lastError = error instanceof Error ? error.message : String(error);
    });
    started.on("exit", ended);
    return started;
  }
  const say = (message: ToDnsWorker) => worker.postMessage(message);

  function hear(message: FromDnsWorker): void {
    switch (message.type) {
      case "opened":
        open.add(message.key);
        opening.get(message.key)?.resolve(message.port);
        opening.delete(message.key);
        break;
      case "open-failed":
        opening.get(message.key)?.reject(new ListenFault(message.code, message.says));
        opening.delete(message.key);
        break;
      case "closed":
        open.delete(message.key);
        closing.get(message.key)?.();
        closing.delete(message.key);
        break;
      case "serve-failed":
        fault = message;
        Atomics.notify(ack, 0); // wakes `acknowledged`, which finds the fault
        break;
      default:
        message satisfies never;
    }
  }

  function ended(): void {
    open.clear();
    for (const { reject } of opening.values()) reject(new ListenFault("EWORKER", `The worker ended: ${lastError}`));
    opening.clear();
    for (const resolve of closing.values()) resolve();
    closing.clear();
    if (isStopping) {
      whenEnded?.();
      return;
    }
    fallsInARow = clock.monotonicMs() - startedAtMs >= WELL_AFTER_MS ? 0 : fallsInARow + 1;
    restarts++;
    onRestart(lastError === "" ? "The thread ended" : lastError);
    lastError = "";
    if (fallsInARow <= 1) revive();
    else clock.after(backoffMs(fallsInARow - 2, BACKOFF_BASE_MS, BACKOFF_CAP_MS, rng), revive);
  }

  function revive(): void {
    if (isStopping) {
      whenEnded?.();
      return;
    }
    worker = start();
    for (const [key, listen] of listeners) {
      // A listener that cannot be had again ends the thread, so that it is tried again, later each time.
      openOn(key, listen).catch((reason: ListenFault) => {
        lastError = reason.message;
        void worker.terminate();
      });
    }
  }

  const openOn = (key: string, listen: ListenAddress): Promise<number> =>
    new Promise((resolve, reject) => {
      opening.set(key, { resolve, reject });
      say({ type: "open", key, listen });
    });

  return {
    name,
    kind,
    counters,
    observations,
    restarts: () => restarts,
    isServing: () => [...listeners.keys()].every((key) => open.has(key)),
    async open(key, listen) {
      const port = await openOn(key, listen);
      listeners.set(key, { address: listen.address, port });
      return port;
    },
    async closeListener(key, drainMs) {
      if (!listeners.delete(key)) return;
      const closed = new Promise<void>((resolve) => closing.set(key, resolve));
      say({ type: "close", key, drainMs });
      await closed;
    },
    serve(next) {
      const isLess = letsGoMuch(largeOf(world), largeOf(next));
      world = next;
      say({ type: "serve", world: next, letsGoMuch: isLess });
    },
    acknowledged: (revision, timeoutMs) =>
      acknowledged(ack, {
        name,
        revision,
        timeoutMs,
        faultOf: () => (fault?.revision === revision ? fault.says : undefined),
      }),
    async stop(drainMs) {
      isStopping = true;
      const end = new Promise<void>((resolve) => {
        whenEnded = resolve;
      });
      if (worker.threadId === -1) return; // it has ended already and waits for its backoff
      say({ type: "close", key: undefined, drainMs });
      await end;
    },
  };
}
