/**
 * UDP over `node:dgram`: one socket, one synchronous answer per datagram.
 *
 * Owns:    the socket and a ring of reply buffers. `send` is asynchronous when the kernel's buffer is full, so a buffer
 *          goes back into the ring only when its callback ran.
 * Never:   knows DNS beyond handing octets to `respond`; throws after it was opened. A reply that cannot be sent is
 *          counted: its asker will ask again.
 * @module
 */
import { createSocket, type RemoteInfo } from "node:dgram";
import { isIPv6 } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Libc } from "#dns/transport/libc.ts";
import { openNativeSocket } from "#dns/transport/native-socket.ts";
import { readSource } from "#dns/transport/source-address.ts";
import {
  CAN_SHARE_PORT,
  type Observe,
  RESPONSE_SLOT_OCTETS,
  SOCKET_BUFFER_OCTETS,
  type UdpTransport,
} from "#dns/transport/udp.ts";
import { DNS_COUNTER } from "#state/counters.ts";
import { createClient, type Respond, TRANSPORT } from "#state/respond.ts";
import type { ListenAddress } from "#state/snapshot.ts";

/** Replies that may wait for the kernel at once: 1.25 MiB. More waiting than this means that the link is full. */
const SLOTS = 1_024;
/**
 * Turns of the event loop that closing may take to read what is queued. libuv reads up to 32 datagrams a turn, so this
 * is more than the queue holds; a flood must not keep the socket open.
 */
const DRAIN_TURNS = 256;

/**
 * Opens one socket with SO_REUSEPORT, so that the kernel spreads clients over all sockets of the address.
 *
 * @param options.listen port 0: any free one
 * @param options.libc makes the socket natively, so that it can be filtered
 * @param options.observe told of every datagram
 * @param options.counters the worker's block of `DNS_COUNTERS`; `dropped_port` and `send_errors` are counted here
 * @throws (rejects with) the system's error, such as EADDRINUSE
 */
export async function openUdpDgram(options: {
  listen: ListenAddress;
  respond: Respond;
  counters: Float64Array;
  libc?: Libc;
  observe?: Observe;
}): Promise<UdpTransport> {
  const { respond, counters, listen, libc, observe } = options;
  const isIpv6 = isIPv6(listen.address);
  const native = libc && openNativeSocket(libc, listen);
  const socket = createSocket({
    type: isIpv6 ? "udp6" : "udp4",
    ipv6Only: isIpv6,
    reusePort: CAN_SHARE_PORT,
    // Replies go to addresses, never to names: without this each send would take a detour through dns.lookup.
    lookup: (address, _options, callback) => callback(null, address, isIpv6 ? 6 : 4),
  });
  await new Promise<void>((resolve, reject) => {
    socket.once("error", reject);
    const where = native ? { fd: native.descriptor } : { address: listen.address, port: listen.port };
    socket.bind(where, () => {
      socket.off("error", reject);
      resolve();
    });
  });
  // A native socket was given its buffers, perhaps more than an ordinary one may ask for.
  for (const grow of native
    ? []
    : [() => socket.setRecvBufferSize(SOCKET_BUFFER_OCTETS), () => socket.setSendBufferSize(SOCKET_BUFFER_OCTETS)]) {
    try {
      grow();
    } catch {
      // Not granted: the system's default serves as well, with less room for bursts.
    }
  }

  const client = createClient();
  client.transport = TRANSPORT.udp;
  const slab = new Uint8Array(SLOTS * RESPONSE_SLOT_OCTETS);
  const slots = Array.from({ length: SLOTS }, (_, index) =>
    slab.subarray(index * RESPONSE_SLOT_OCTETS, (index + 1) * RESPONSE_SLOT_OCTETS),
  );
  const free = Uint16Array.from({ length: SLOTS }, (_, index) => index);
  let freeCount = SLOTS;
  const release = slots.map((_slot, index) => (error: Error | null) => {
    free[freeCount++] = index;
    if (error) counters[DNS_COUNTER.send_errors]! += 1;
  });

  let received = 0;
  /** Until two turns of the event loop have brought nothing: the first may have begun before the socket was polled. */
  async function drain(): Promise<void> {
    for (let turn = 0, idle = 0, before = received; turn < DRAIN_TURNS && idle < 2; turn++) {
      await nextTurn();
      idle = received === before ? idle + 1 : 0;
      before = received;
    }
  }
  socket.on("message", (message: Buffer, from: RemoteInfo) => {
    received++;
    // Nobody can hear an answer sent to port 0, and `send` throws on it.
    if (from.port === 0) {
      counters[DNS_COUNTER.dropped_port]! += 1;
      return;
    }
    if (freeCount === 0) {
      counters[DNS_COUNTER.send_errors]! += 1;
      return;
    }
    readSource(from.address, isIpv6, client);
    client.port = from.port;
    const index = free[freeCount - 1]!;
    const length = respond(message, message.length, client, slots[index]!);
    observe?.(client, message, message.length, slots[index]!, length);
    if (length === 0) return;
    freeCount--;
    socket.send(slots[index]!, 0, length, from.port, from.address, release[index]!);
  });
  // ICMP errors of earlier replies come back on the socket; they concern one asker, not the server.
  socket.on("error", () => {
    counters[DNS_COUNTER.send_errors]! += 1;
  });

  return {
    port: socket.address().port,
    native,
    async close() {
      await drain();
      await new Promise<void>((resolve) => socket.close(() => resolve()));
    },
  };
}
