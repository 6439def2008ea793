/**
 * One worker thread of the DNS engine as the main thread sees it, which opens its listeners again, on the same ports, when
 * another thread takes its place.
 *
 * Owns:    its counters and observations, which live on when the thread does not.
 * @module
 */
import type { DnsWorkerData, DnsWorld, FromDnsWorker, ToDnsWorker, XdpQueue } from "#app/dns-worker-protocol.ts";
import { letsGoMuch } from "#app/let-go.ts";
import { createOpenings } from "#app/openings.ts";
import { createSupervisedWorker, type WorkerEnd } from "#app/supervised-worker.ts";
import type { UdpEngineName } from "#app/udp-engine.ts";
import type { Clock } from "#base/clock.ts";
import type { Rng } from "#base/rng.ts";
import { createCounterSlots, DNS_COUNTERS } from "#state/counters.ts";
import { createObservations, type Observations } from "#state/observations.ts";
import type { ListenAddress } from "#state/snapshot.ts";

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
  queue?: XdpQueue | undefined;
  world: DnsWorld;
  healthTable: Uint32Array;
  spread: Int32Array | undefined;
  seed: number;
  clock: Clock;
  rng: Rng;
  onFall(end: WorkerEnd): void;
}): DnsMember {
  const { kind, name, engine, queue, healthTable, spread, seed, clock, rng, onFall } = options;
  const counters = createCounterSlots(DNS_COUNTERS.length);
  const observations = createObservations();
  /** What is open, with the ports that it was given. */
  const listeners = new Map<string, ListenAddress>();
  const openings = createOpenings();
  const closing = new Map<string, () => void>();
  let { world } = options;

  const worker = createSupervisedWorker<FromDnsWorker, ToDnsWorker>({
    name,
    file: new URL("./dns-worker.ts", import.meta.url),
    workerData: (ack): DnsWorkerData => ({
      kind,
      engine,
      queue,
      world,
      counters,
      observations,
      healthTable,
      spread,
      ack,
      seed,
    }),
    hear(message) {
      switch (message.type) {
        case "opened":
          openings.opened(message.key, message.port);
          break;
        case "open-failed":
          openings.failed(message.key, message.code, message.says);
          break;
        case "closed":
          openings.closed(message.key);
          closing.get(message.key)?.();
          closing.delete(message.key);
          break;
        default:
          message satisfies never;
      }
    },
    onEnd({ says }) {
      openings.lost(says);
      for (const resolve of closing.values()) resolve();
      closing.clear();
    },
    onFall,
    onRestart() {
      for (const [key, listen] of listeners) open(key, listen).catch((fault: Error) => worker.giveUp(fault.message));
    },
    clock,
    rng,
  });

  function open(key: string, listen: ListenAddress): Promise<number> {
    const asked = openings.asked(key);
    worker.say({ type: "open", key, listen });
    return asked;
  }

  return {
    name,
    kind,
    counters,
    observations,
    restarts: worker.restarts,
    isServing: () => worker.isRunning() && [...listeners.keys()].every(openings.isOpen),
    async open(key, listen) {
      const port = await open(key, listen);
      listeners.set(key, { address: listen.address, port });
      return port;
    },
    async closeListener(key, drainMs) {
      if (!listeners.delete(key)) return;
      const closed = new Promise<void>((resolve) => closing.set(key, resolve));
      worker.say({ type: "close", key, drainMs });
      await closed;
    },
    serve(next) {
      const isLess = letsGoMuch(largeOf(world), largeOf(next));
      world = next;
      worker.say({ type: "serve", world: next, letsGoMuch: isLess });
    },
    acknowledged: worker.acknowledged,
    stop: (drainMs) => worker.stop({ type: "close", key: undefined, drainMs }),
  };
}
