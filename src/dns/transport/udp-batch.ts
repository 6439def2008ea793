/**
 * UDP by the batch: one `recvmmsg` brings what the kernel has queued, up to 64 datagrams, and one `sendmmsg` takes the
 * answers. What a datagram costs is then what the kernel's network stack costs, and the answer itself.
 *
 * Owns:    one socket and the loop of its thread, which blocks in `recvmmsg` while nobody asks. Between two batches the
 *          thread's messages get their turn, so it takes new worlds and can be stopped.
 * Never:   knows DNS beyond handing octets to `respond`; allocates per datagram. An answer that cannot be sent is counted:
 *          its asker will ask again.
 * @module
 */
import { constants } from "node:os";
import { systemError } from "#base/native/load.ts";
import type { Libc } from "#dns/transport/libc.ts";
import { createMessageVector } from "#dns/transport/message-vector.ts";
import { type NativeSocket, openNativeSocket } from "#dns/transport/native-socket.ts";
import { answerInTurns, WAIT_MS } from "#dns/transport/turns.ts";
import type { Observe, UdpTransport } from "#dns/transport/udp.ts";
import { DNS_COUNTER } from "#state/counters.ts";
import { createClient, type Respond, TRANSPORT } from "#state/respond.ts";
import type { ListenAddress } from "#state/snapshot.ts";

/** Datagrams of one batch at most. A batch is what has come in: one when it is quiet, some ten under full load. */
const BATCH_DATAGRAMS = 64;
// linux/socket.h
const MSG_DONTWAIT = 0x40;
const MSG_WAITFORONE = 0x10000;
const NO_TIMEOUT = 0n;

const { EAGAIN, EINTR, ENOBUFS, ENOMEM, ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, ENETDOWN } = constants.errno;
/** Nothing came, or the fate of an earlier reply: the next call may bring something. */
const PASSING: ReadonlySet<number> = new Set([
  EAGAIN,
  EINTR,
  ENOBUFS,
  ENOMEM,
  ECONNREFUSED,
  EHOSTUNREACH,
  ENETUNREACH,
  ENETDOWN,
]);

/**
 * Opens one socket with SO_REUSEPORT, so that the kernel spreads clients over all sockets of the address, and begins to
 * answer. An error of `recvmmsg` that does not pass is thrown into the event loop, and so ends the thread.
 *
 * @param options.listen port 0: any free one; a wildcard address: replies leave from the address that was asked
 * @param options.onBatch called before the first query of each batch is answered: time to read a clock
 * @param options.counters the worker's block of `DNS_COUNTERS`; `batches`, `send_partial`, `dropped_port` and `send_errors` are
 *   counted here
 * @throws the system's error, such as EADDRINUSE
 */
export function openUdpBatch(options: {
  libc: Libc;
  listen: ListenAddress;
  respond: Respond;
  counters: Float64Array;
  onBatch?: () => void;
  observe?: Observe;
  waitMs?: number;
}): UdpTransport {
  const { libc, respond, counters, onBatch, observe } = options;
  const socket = openNativeSocket(libc, options.listen, { waitMs: options.waitMs ?? WAIT_MS });
  const { descriptor, isIpv6, isWildcard } = socket;
  const vector = createMessageVector(libc, { slots: BATCH_DATAGRAMS, isIpv6, isWildcard });
  const { requests, responses, receiveAt, sendAt } = vector;
  const client = createClient();
  client.transport = TRANSPORT.udp;

  /** @returns datagrams that were read */
  function answerBatch(flags: number): number {
    vector.rearm();
    const count = libc.recvmmsg(descriptor, receiveAt, BATCH_DATAGRAMS, flags, NO_TIMEOUT);
    if (count <= 0) {
      if (count < 0) passOrThrow(libc.errno());
      return 0;
    }
    counters[DNS_COUNTER.batches]! += 1;
    onBatch?.();
    let ready = 0;
    for (let slot = 0; slot < count; slot++) {
      vector.readSource(slot, client);
      // Nobody can hear an answer sent to port 0.
      if (client.port === 0) {
        counters[DNS_COUNTER.dropped_port]! += 1;
        continue;
      }
      const length = vector.requestOctets(slot);
      const response = responses[ready]!;
      const responseOctets = respond(requests[slot]!, length, client, response);
      if (observe !== undefined) observe(client, requests[slot]!, length, response, responseOctets);
      if (responseOctets === 0) continue;
      vector.addressResponse(slot, ready, responseOctets);
      ready++;
    }
    if (ready > 0) sendAll(ready);
    return count;
  }

  function sendAll(count: number): void {
    let from = 0;
    let flags = MSG_DONTWAIT;
    while (from < count) {
      const sent = libc.sendmmsg(descriptor, sendAt[from]!, count - from, flags);
      if (sent > 0) {
        from += sent;
        if (from < count) counters[DNS_COUNTER.send_partial]! += 1;
        continue;
      }
      const errno = libc.errno();
      if (errno === EINTR) continue;
      if (errno === EAGAIN && flags === MSG_DONTWAIT) {
        flags = 0; // no room: wait for it, once and for as long as the socket's time-out says
        continue;
      }
      // Without room for that long the rest would fare alike; any other fault is about this one asker.
      const lost = errno === EAGAIN ? count - from : 1;
      counters[DNS_COUNTER.send_errors]! += lost;
      from += lost;
    }
  }

  const turns = answerInTurns((canWait) => answerBatch(canWait ? MSG_WAITFORONE : MSG_DONTWAIT));
  return {
    port: socket.port,
    native: socket,
    async close() {
      turns.stop();
      socket.close();
    },
  };
}

/** @returns why this machine cannot do it, found out by trying; undefined: it can */
export function findBatchFault(libc: Libc): string | undefined {
  let socket: NativeSocket | undefined;
  try {
    socket = openNativeSocket(libc, { address: "127.0.0.1", port: 0 }, { waitMs: WAIT_MS });
    const vector = createMessageVector(libc, { slots: 1, isIpv6: false, isWildcard: false });
    const received = libc.recvmmsg(socket.descriptor, vector.receiveAt, 1, MSG_DONTWAIT, NO_TIMEOUT);
    if (received < 0 && libc.errno() !== EAGAIN) throw systemError("recvmmsg", libc.errno());
    const sent = libc.sendmmsg(socket.descriptor, vector.sendAt[0]!, 0, MSG_DONTWAIT);
    if (sent < 0) throw systemError("sendmmsg", libc.errno());
    return undefined;
  } catch (error) {
    return (error as Error).message;
  } finally {
    socket?.close();
  }
}

/** An error that comes back with every call must not pass for "nothing there": the thread would spin for ever. */
function passOrThrow(errno: number): void {
  if (!PASSING.has(errno)) throw systemError("recvmmsg", errno);
}
