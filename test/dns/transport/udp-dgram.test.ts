import assert from "node:assert/strict";
import { createSocket, type Socket } from "node:dgram";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import test from "node:test";
import { openUdpDgram } from "#dns/transport/udp-dgram.ts";
import { createCounterSlots, DNS_COUNTER, DNS_COUNTERS } from "#state/counters.ts";
import type { Respond } from "#state/respond.ts";
import { dnsTransportContract } from "../../contract/dns-transport.ts";
import { echo, underTest } from "./udp-client.ts";

const openAt = (address: string) =>
  underTest(address, (options) => openUdpDgram({ listen: { address, port: 0 }, ...options }));

dnsTransportContract("openUdpDgram() on IPv4", openAt("127.0.0.1"));
dnsTransportContract("openUdpDgram() on IPv6", openAt("::1"));

test("openUdpDgram() lets several sockets share one port", async () => {
  const counters = createCounterSlots(DNS_COUNTERS.length);
  const first = await openUdpDgram({ listen: { address: "127.0.0.1", port: 0 }, respond: echo, counters });
  const second = await openUdpDgram({ listen: { address: "127.0.0.1", port: first.port }, respond: echo, counters });
  assert.equal(second.port, first.port);
  await Promise.all([first.close(), second.close()]);
});

test("openUdpDgram() rejects with the system's error when the port is taken", async () => {
  const owner = createSocket("udp4");
  owner.bind(0, "127.0.0.1");
  await once(owner, "listening");
  const counters = createCounterSlots(DNS_COUNTERS.length);
  const listen = { address: "127.0.0.1", port: owner.address().port };
  await assert.rejects(openUdpDgram({ listen, respond: echo, counters }), { code: "EADDRINUSE" });
  owner.close();
});

test("openUdpDgram() outlives askers that are gone before their answer comes", async () => {
  const counters = createCounterSlots(DNS_COUNTERS.length);
  const transport = await openUdpDgram({ listen: { address: "127.0.0.1", port: 0 }, respond: echo, counters });
  for (let round = 0; round < 20; round++) {
    const gone = createSocket("udp4");
    await new Promise((resolve) => gone.send(Buffer.alloc(12), transport.port, "127.0.0.1", resolve));
    gone.close(); // the answer meets a closed port and comes back as an ICMP error
  }
  const socket = createSocket("udp4");
  const answer = once(socket, "message");
  socket.send(Buffer.alloc(12, 7), transport.port, "127.0.0.1");
  assert.deepEqual((await answer)[0], Buffer.alloc(12, 7));
  socket.close();
  await transport.close();
});

test("openUdpDgram() drops what claims to come from port 0, and counts it", async () => {
  let socket: Socket | undefined;
  const keep = (message: unknown) => {
    socket = (message as { socket: Socket }).socket;
  };
  subscribe("udp.socket", keep);
  const counters = createCounterSlots(DNS_COUNTERS.length);
  let calls = 0;
  const respond: Respond = (request, length, client, out) => {
    calls++;
    return echo(request, length, client, out);
  };
  const transport = await openUdpDgram({ listen: { address: "127.0.0.1", port: 0 }, respond, counters });
  unsubscribe("udp.socket", keep);
  assert.ok(socket);
  socket.emit("message", Buffer.alloc(12), { address: "127.0.0.1", port: 0, family: "IPv4", size: 12 });
  assert.deepEqual([calls, counters[DNS_COUNTER.dropped_port]], [0, 1]);
  await transport.close();
});
