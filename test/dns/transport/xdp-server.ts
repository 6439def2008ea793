/**
 * The AF_XDP transport in this process, at the server's end of a veth bed, and what a test asks it with.
 */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import type { TestContext } from "node:test";
import { openUdpXdp } from "#dns/transport/udp-xdp.ts";
import { attachXdp, type XdpAttachment } from "#dns/transport/xdp/attach.ts";
import { loadXdpCalls, type XdpCalls } from "#dns/transport/xdp/calls.ts";
import { createCounterSlots, DNS_COUNTERS } from "#state/counters.ts";
import type { Respond } from "#state/respond.ts";
import { XDP_COUNTER, XDP_COUNTERS, type XdpCounter, type XdpMode } from "#state/xdp.ts";
import { CLIENT, INTERFACE, SERVER, type VethBed } from "./veth-bed.ts";

export const PORT = 53;
const WAIT_MS = 1; // the client runs in the same thread

export type XdpServer = {
  readonly attachment: XdpAttachment;
  /** The program stays. */
  closeQueues(): Promise<void>;
  /** Of a queue. */
  count(name: XdpCounter, queue?: number): number;
  /** Once; later calls do nothing. */
  close(): Promise<void>;
};

/**
 * @param options.queues how many of the interface's queues get a socket, from the first on
 * @param options.addresses that go to the queues
 */
export function openXdpServer(
  bed: VethBed,
  options: {
    respond: Respond;
    counters?: Float64Array;
    mode?: XdpMode;
    queues?: number;
    addresses?: readonly string[];
  },
): XdpServer {
  const { mode, queues = 1, addresses = Object.values(SERVER), respond } = options;
  const calls = loadXdpCalls() as XdpCalls;
  const counters = options.counters ?? createCounterSlots(DNS_COUNTERS.length);
  const attachment = bed.inside("server", () => attachXdp({ calls, interface: INTERFACE, ...(mode && { mode }) }));
  const blocks = Array.from({ length: queues }, () => createCounterSlots(XDP_COUNTERS.length));
  const face = attachment.interface;
  const transports = bed.inside("server", () =>
    blocks.map((xdpCounters, queue) => {
      return openUdpXdp({ calls, face, queue, respond, counters, xdpCounters, waitMs: WAIT_MS });
    }),
  );
  for (const address of addresses) attachment.serve({ address, port: PORT });
  const open = new Set(transports);
  let isAttached = true;
  const closeQueues = async (): Promise<void> => {
    for (const transport of open) {
      open.delete(transport);
      await transport.close();
    }
  };
  return {
    attachment,
    closeQueues,
    count: (name, queue = 0) => blocks[queue]![XDP_COUNTER[name]]!,
    async close() {
      await closeQueues();
      if (isAttached) attachment.close();
      isAttached = false;
    },
  };
}

/** Answers every datagram with "kernel", until the test ends. */
export async function openKernelSocket(
  context: Pick<TestContext, "after">,
  bed: VethBed,
  { address, port = PORT }: { address: string; port?: number },
): Promise<void> {
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  context.after(() => socket.close());
  await bed.inside("server", async () => {
    socket.bind(port, address);
    await once(socket, "listening");
  });
  socket.on("message", (_, from) => socket.send("kernel", from.port, from.address));
}

/** Sends one datagram from the client's end. @returns what comes back to it */
export async function askOnce(bed: VethBed, address: string, options: { port?: number; octets?: number } = {}) {
  const { port = PORT, octets = 12 } = options;
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  await bed.inside("client", async () => {
    socket.bind(0, address.includes(":") ? CLIENT[6] : undefined);
    await once(socket, "listening");
    socket.connect(port, address);
    await once(socket, "connect");
  });
  const answer = once(socket, "message");
  socket.send(Buffer.alloc(octets, 1));
  const [message] = (await answer) as [Buffer];
  socket.close();
  return message.toString();
}

/** Answers with a word. */
export const answering =
  (word: string): Respond =>
  (_request, _length, _client, out) =>
    Buffer.from(out.buffer, out.byteOffset, out.byteLength).write(word);
