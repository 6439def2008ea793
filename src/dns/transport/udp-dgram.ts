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
import { type NativeSocket, openNativeSocket } from "#dns/transport/native-socket.ts";
import { readSource } from "#dns/transport/source-address.ts";
import { DNS_COUNTER } from "#state/counters.ts";
import { type Client, createClient, type Respond, TRANSPORT } from "#state/respond.ts";
import type { ListenAddress } from "#state/snapshot.ts";

/** Payload ceiling of any UDP answer (`dns/respond.ts`), rounded up to whole cache lines. */
const SLOT_OCTETS = 1_280;
/** Replies that may wait for the kernel at once: 1.25 MiB. More waiting than this means that the link is full. */
const SLOTS = 1_024;
/**
 * Asked of the kernel, which grants at most `net.core.rmem_max` and `wmem_max`. A burst of 4 MiB is some 5,000 queries
 * (the kernel charges about 800 octets for a small datagram): longer than a garbage collection, shorter than the time
 * after which a resolver has given up.
 */
export const SOCKET_BUFFER_OCTETS = 4_194_304;
/**
 * Turns of the event loop that closing may take to read what is queued. libuv reads up to 32 datagrams a turn, so this
 * is more than the queue holds; a flood must not keep the socket open.
 */
const DRAIN_TURNS = 256;

/** Told of each datagram that was read and answered; `responseLength` 0: there was no answer. */
export type Observe = (
  client: Client,
  request: Uint8Array,
  length: number,
  response: Uint8Array,
  responseLength: number,
) => void;

export type UdpTransport = {
  readonly port: number;
  /** Undefined where the socket is an ordinary one. */
  readonly native: NativeSocket | undefined;
  /**
   * Answers what the kernel has queued, then closes; resolves when the socket is closed. Replies that wait for the
   * kernel are lost.
   */
  close(): Promise<void>;
};

/** Whether several sockets may share an address and have clients spread over them; elsewhere there is one worker. */
export const CAN_SHARE_PORT = !["darwin", "win32"].includes(process.platform);

/**
 * Opens one socket with SO_REUSEPORT, so that the kernel spreads clients over all sockets of the address.
 *
 * @param options.listen port 0: any free one
 * @param options.observe asks for a native socket where there can be one; what it is told decides about its filter
 * @param options.counters the worker's block of `DNS_COUNTERS`; `dropped_port` and `send_errors` are counted here
 * @throws (rejects with) the system's error, such as EADDRINUSE
 */
export async function openUdpDgram(options: {
  listen: ListenAddress;
  respond: Respond;
  counters: Float64Array;
  observe?: Observe;
}): Promise<UdpTransport> {
  const { respond, counters, listen, observe } = options;
  const isIpv6 = isIPv6(listen.address);
  const native = observe ? openNativeSocket(listen) : undefined;
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
  for (const grow of [
    () => socket.setRecvBufferSize(SOCKET_BUFFER_OCTETS),
    () => socket.setSendBufferSize(SOCKET_BUFFER_OCTETS),
  ]) {
    try {
      grow();
    } catch {
      // Not granted: the system's default serves as well, with less room for bursts.
    }
  }

  const client = createClient();
  client.transport = TRANSPORT.udp;
  const slab = new Uint8Array(SLOTS * SLOT_OCTETS);
  const slots = Array.from({ length: SLOTS }, (_, index) =>
    slab.subarray(index * SLOT_OCTETS, (index + 1) * SLOT_OCTETS),
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
    if (native) observe?.(client, message, message.length, slots[index]!, length);
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
