/**
 * One thread of the DNS engine: a UDP worker with one socket, or the TCP worker with all listeners.
 *
 * Owns:    the sockets of its thread, and the responder that all of them call. A new revision swaps the responder
 *          between two packets, so no query is lost and none sees half of a configuration.
 * Reads:   the health table and, from the world it was handed, zones and maps in shared memory.
 * Writes:  its counters, and its acknowledgements.
 * @module
 */
import { parentPort, workerData } from "node:worker_threads";
import { acknowledge } from "#app/acknowledge.ts";
import { createComposer } from "#app/dns-compose.ts";
import type { DnsWorkerData, DnsWorld, FromDnsWorker, ToDnsWorker, XdpQueue } from "#app/dns-worker-protocol.ts";
import { guardQueue } from "#app/guard-queue.ts";
import { collectGarbage } from "#app/let-go.ts";
import { createStepClock, createTurnClock, systemClock } from "#base/clock.ts";
import { RhumbError } from "#base/errors.ts";
import { type Admission, createAdmission } from "#dns/guard/admission.ts";
import { loadLibc } from "#dns/transport/libc.ts";
import { createTcpCensus, openTcp, type TcpTransport } from "#dns/transport/tcp.ts";
import type { UdpTransport } from "#dns/transport/udp.ts";
import { openUdpBatch } from "#dns/transport/udp-batch.ts";
import { openUdpDgram } from "#dns/transport/udp-dgram.ts";
import { openUdpXdp } from "#dns/transport/udp-xdp.ts";
import { loadXdpCalls } from "#dns/transport/xdp/calls.ts";
import type { Respond } from "#state/respond.ts";
import type { ListenAddress } from "#state/snapshot.ts";

const data = workerData as DnsWorkerData;
const port = parentPort!;
const tell = (message: FromDnsWorker) => port.postMessage(message);
const { kind, engine, counters } = data;
const udp = new Map<string, UdpTransport>();
const tcp = new Map<string, TcpTransport>();
const census = createTcpCensus();
/** Engines that batch stay in one turn of the event loop for many batches, so they say themselves when time passes. */
const batchClock = kind === "udp" && engine !== "dgram" ? createStepClock() : undefined;
const compose = createComposer(data, batchClock ?? createTurnClock());
const loaded = kind === "udp" ? loadLibc() : undefined;
const libc = typeof loaded === "string" ? undefined : loaded;

let world: DnsWorld = data.world!;
/** Nothing is open yet when this one is in place. */
let current: Respond = () => 0;
const respond: Respond = (request, length, client, out) => current(request, length, client, out);

function serve(next: DnsWorld): void {
  try {
    current = compose(next);
    world = next;
    for (const transport of tcp.values()) transport.setLimits(next.bundle.dns.tcp);
    acknowledge(data.ack, next.revision);
  } catch (error) {
    tell({
      type: "serve-failed",
      revision: next.revision,
      says: error instanceof Error ? error.message : String(error),
    });
  }
}

/** Its place in the queue's worker is that of a socket; the queue has no filter, so floods are not thinned there. */
function openQueue({ interface: face, number, counters: xdpCounters }: XdpQueue): UdpTransport {
  const calls = loadXdpCalls();
  if (typeof calls === "string") throw new Error(calls);
  const onBatch = batchClock!.step;
  const { close } = openUdpXdp({ calls, face, queue: number, respond, counters, xdpCounters, onBatch });
  return { port: number, native: undefined, close };
}

function openUdp(listen: ListenAddress, observe: Admission["note"] | undefined): Promise<UdpTransport> | UdpTransport {
  const options = { listen, respond, counters, ...(observe ? { observe } : {}) };
  if (batchClock === undefined) return openUdpDgram({ ...options, ...(libc ? { libc } : {}) });
  if (libc === undefined) throw new Error(`The batch engine was chosen, and ${loaded}`);
  return openUdpBatch({ ...options, libc, onBatch: batchClock.step });
}

async function open(key: string, listen: ListenAddress): Promise<void> {
  try {
    if (data.queue) {
      udp.set(key, openQueue(data.queue));
      tell({ type: "opened", key, port: data.queue.number });
    } else if (kind === "udp") {
      const { isEnabled } = world.bundle.dns.guard.admission;
      const admission = isEnabled ? createAdmission({ seed: data.seed }) : undefined;
      const transport = await openUdp(listen, admission?.note);
      udp.set(key, admission ? guardQueue(transport, admission, counters, listen.address) : transport);
      tell({ type: "opened", key, port: transport.port });
    } else {
      const limits = world.bundle.dns.tcp;
      const transport = await openTcp({ listen, respond, counters, limits, clock: systemClock, census });
      tcp.set(key, transport);
      tell({ type: "opened", key, port: transport.port });
    }
  } catch (error) {
    // The main thread makes the sentence: it is told the reason alone.
    const reason = error instanceof RhumbError && error.cause instanceof Error ? error.cause : error;
    const { code = "UNKNOWN", message } = reason as NodeJS.ErrnoException;
    tell({ type: "open-failed", key, code, says: message });
  }
}

async function close(key: string, drainMs: number): Promise<void> {
  const closing = [udp.get(key)?.close(), tcp.get(key)?.close({ drainMs })];
  udp.delete(key);
  tcp.delete(key);
  await Promise.all(closing);
  tell({ type: "closed", key });
}

port.on("message", (message: ToDnsWorker) => {
  switch (message.type) {
    case "serve":
      serve(message.world);
      if (message.letsGoMuch) collectGarbage();
      break;
    case "open":
      void open(message.key, message.listen);
      break;
    case "close":
      if (message.key !== undefined) {
        void close(message.key, message.drainMs);
        break;
      }
      // Without its sockets and this port nothing keeps the thread, so it ends.
      void Promise.all([...udp.keys(), ...tcp.keys()].map((key) => close(key, message.drainMs))).then(() =>
        port.close(),
      );
      break;
    default:
      message satisfies never;
  }
});

delete data.world;
serve(world);
