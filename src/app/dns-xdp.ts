/**
 * The AF_XDP side of the DNS engine: our program on the interface, and a worker thread for each of its queues.
 *
 * Owns:    which addresses go to the queues. An address does so only while its ordinary sockets are open, which serve
 *          what the program lets pass; it leaves the queues before they close.
 * Never:   touches a frame.
 * @module
 */
import type { DnsMember } from "#app/dns-member.ts";
import type { DnsWorld, XdpQueue } from "#app/dns-worker-protocol.ts";
import { ListenFault } from "#app/openings.ts";
import { RhumbError } from "#base/errors.ts";
import { endpointText } from "#base/ip.ts";
import type { XdpAttachment } from "#dns/transport/xdp/attach.ts";
import { createCounterSlots } from "#state/counters.ts";
import type { ListenAddress } from "#state/snapshot.ts";
import { XDP_COUNTERS, type XdpCounter, type XdpStats } from "#state/xdp.ts";

export type DnsXdp = {
  readonly members: readonly DnsMember[];
  /** Opens the socket of each queue. Until `route` nothing comes to it. @throws RhumbError RHUMB_DNS_XDP */
  open(): Promise<void>;
  /** Exactly these addresses go to the queues from now on. */
  route(addresses: readonly ListenAddress[]): void;
  stats(): XdpStats;
  /** The kernel serves alone again, then the threads end. */
  close(stop: (member: DnsMember) => Promise<void>): Promise<void>;
};

/**
 * @param options.attachment taken over: `close` closes it
 * @param options.start starts the thread of a queue
 */
export function createDnsXdp(options: {
  attachment: XdpAttachment;
  world: DnsWorld;
  start(name: string, queue: XdpQueue, world: DnsWorld): DnsMember;
}): DnsXdp {
  const { attachment } = options;
  const { name, mode, programId, queues: count } = attachment.interface;
  const queues = Array.from({ length: count }, (_, number): XdpQueue => {
    return { interface: attachment.interface, number, counters: createCounterSlots(XDP_COUNTERS.length) };
  });
  const nameOf = (queue: XdpQueue) => `dns-xdp-${name}-${queue.number}`;
  const members = queues.map((queue) => options.start(nameOf(queue), queue, options.world));
  const routed = new Map<string, ListenAddress>();

  function route(addresses: readonly ListenAddress[]): void {
    const wanted = new Map(addresses.map((listen) => [endpointText(listen.address, listen.port), listen]));
    for (const [key, listen] of routed) {
      if (wanted.has(key)) continue;
      attachment.leave(listen);
      routed.delete(key);
    }
    for (const [key, listen] of wanted) {
      if (routed.has(key)) continue;
      attachment.serve(listen);
      routed.set(key, listen);
    }
  }

  return {
    members,
    async open() {
      await Promise.all(
        members.map(async (member, number) => {
          try {
            await member.open(nameOf(queues[number]!), { address: name, port: number });
          } catch (fault) {
            if (!(fault instanceof ListenFault)) throw fault;
            throw new RhumbError("RHUMB_DNS_XDP", `${name}, queue ${number}: ${fault.message}`, { cause: fault });
          }
        }),
      );
    },
    route,
    stats: () => ({
      interface: name,
      mode,
      programId,
      queues: queues.map(({ number, counters }) => ({
        queue: number,
        counters: Object.fromEntries(XDP_COUNTERS.map((counter, index) => [counter, counters[index]!])) as Record<
          XdpCounter,
          number
        >,
      })),
    }),
    async close(stop) {
      route([]);
      await Promise.all(members.map(stop));
      attachment.close();
    },
  };
}
