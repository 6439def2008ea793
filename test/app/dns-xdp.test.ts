import assert from "node:assert/strict";
import test from "node:test";
import type { DnsMember } from "#app/dns-member.ts";
import type { DnsWorld, XdpQueue } from "#app/dns-worker-protocol.ts";
import { createDnsXdp } from "#app/dns-xdp.ts";
import { ListenFault } from "#app/openings.ts";
import type { ListenAddress } from "#state/snapshot.ts";
import { XDP_COUNTER } from "#state/xdp.ts";

const at = (address: string): ListenAddress => ({ address, port: 53 });

/** An interface with two queues, and what happened to it in order. */
function createBed(open: (queue: number) => number = () => 0) {
  const happened: string[] = [];
  const queues: XdpQueue[] = [];
  const xdp = createDnsXdp({
    attachment: {
      interface: { name: "eth0", index: 2, queues: 2, mode: "native", programId: 57, socketMap: 9 },
      serve: ({ address }) => happened.push(`serve ${address}`),
      leave: ({ address }) => happened.push(`leave ${address}`),
      close: () => happened.push("detach"),
    },
    world: {} as DnsWorld,
    start(name, queue) {
      queues.push(queue);
      const member = {
        name,
        async open() {
          happened.push(`open ${name}`);
          return open(queue.number);
        },
      };
      return member as unknown as DnsMember;
    },
  });
  return { xdp, happened, queues };
}

test("createDnsXdp() has a worker for each queue, and sends nothing to them before they are open", async () => {
  const { xdp, happened, queues } = createBed();
  assert.deepEqual(happened, []);
  await xdp.open();
  xdp.route([at("192.0.2.1")]);
  assert.deepEqual(happened, ["open dns-xdp-eth0-0", "open dns-xdp-eth0-1", "serve 192.0.2.1"]);
  queues[1]!.counters[XDP_COUNTER.received] = 7;
  const stats = xdp.stats();
  assert.deepEqual([stats.interface, stats.mode, stats.programId], ["eth0", "native", 57]);
  assert.deepEqual(
    stats.queues.map(({ queue, counters }) => [queue, counters.received]),
    [
      [0, 0],
      [1, 7],
    ],
  );
});

test("createDnsXdp() routes what is new and leaves what is gone, and touches nothing else", () => {
  const { xdp, happened } = createBed();
  xdp.route([at("192.0.2.1"), at("2001:db8::1")]);
  happened.length = 0;
  xdp.route([at("2001:db8::1"), at("192.0.2.2")]);
  xdp.route([at("2001:db8::1"), at("192.0.2.2")]);
  assert.deepEqual(happened, ["leave 192.0.2.1", "serve 192.0.2.2"]);
});

test("createDnsXdp() gives the addresses back to the kernel before its workers end, and takes the program off last", async () => {
  const { xdp, happened } = createBed();
  xdp.route([at("192.0.2.1")]);
  happened.length = 0;
  await xdp.close(async ({ name }) => void happened.push(`stop ${name}`));
  assert.deepEqual(happened, ["leave 192.0.2.1", "stop dns-xdp-eth0-0", "stop dns-xdp-eth0-1", "detach"]);
});

test("createDnsXdp() names the queue that cannot be opened", async () => {
  const { xdp } = createBed((queue) => {
    if (queue === 1) throw new ListenFault("EBUSY", "bind EBUSY");
    return queue;
  });
  await assert.rejects(xdp.open(), { code: "RHUMB_DNS_XDP", message: /eth0, queue 1: bind EBUSY/ });
});
