import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import test from "node:test";
import { sourceKey } from "#dns/guard/admission.ts";
import { compileAdmission } from "#dns/guard/admission-program.ts";
import { openNativeSocket } from "#dns/transport/native-socket.ts";
import { openUdpDgram } from "#dns/transport/udp-dgram.ts";
import { createCounterSlots, DNS_COUNTERS } from "#state/counters.ts";
import { createClient } from "#state/respond.ts";
import { loadedLibc, withoutLibc } from "./native.ts";
import { echo } from "./udp-client.ts";

/** Elsewhere there is no filter, and an ordinary socket serves: the rest of the suite shows that. */
const libc = loadedLibc();

test("loadLibc() works", { skip: withoutLibc }, () => assert.ok(libc));

test("openNativeSocket() throws the system's error for a port that is taken, and for an address of others", async (t) => {
  if (!libc) return t.skip("no native sockets on this system");
  const owner = createSocket("udp4");
  owner.bind(0, "127.0.0.1");
  await once(owner, "listening");
  const { port } = owner.address();
  assert.throws(() => openNativeSocket(libc, { address: "127.0.0.1", port }), { code: "EADDRINUSE" });
  assert.throws(() => openNativeSocket(libc, { address: "192.0.2.1", port: 0 }), { code: "EADDRNOTAVAIL" });
  owner.close();
});

for (const { address, blocked } of [
  { address: "127.0.0.1", blocked: "127.0.9.1" },
  { address: "::1", blocked: "::1" },
]) {
  test(`openUdpDgram() with a filter keeps out whom the plan keeps out, and counts them (${address})`, async () => {
    const counters = createCounterSlots(DNS_COUNTERS.length);
    const observed: number[] = [];
    const transport = await openUdpDgram({
      listen: { address, port: 0 },
      respond: echo,
      counters,
      ...(libc ? { libc } : {}),
      observe: (_client, request) => observed.push(request[0]!),
    });
    assert.equal(transport.native !== undefined, libc !== undefined);
    const { native } = transport;
    const type = address === "::1" ? "udp6" : "udp4";
    const friend = createSocket(type);
    const stranger = createSocket(type);
    for (const [socket, from] of [
      [friend, address],
      [stranger, blocked],
    ] as const) {
      const listening = once(socket, "listening");
      socket.bind(0, from);
      await listening;
    }
    const ask = async (socket: typeof friend, mark: number) => {
      const answer = once(socket, "message");
      socket.send(Buffer.alloc(40, mark), transport.port, address);
      assert.equal(((await answer)[0] as Buffer)[0], mark);
    };
    await ask(stranger, 1);
    if (native) {
      const client = createClient();
      client.isIpv6 = type === "udp6";
      client.address.set(client.isIpv6 ? [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1] : [127, 0, 0, 1]);
      const only = (key: number) =>
        compileAdmission(
          { shares: Float64Array.of(0, 1, 0, 1), sources: Uint32Array.of(key), names: new Uint32Array(0) },
          client.isIpv6,
        );
      // On IPv6 there is one loopback address: it is kept out by a plan that knows another network.
      assert.ok(native.attachFilter(only(client.isIpv6 ? 12_345 : sourceKey(client))));
      const before = native.queue().dropped;
      stranger.send(Buffer.alloc(40, 2), transport.port, address);
      if (!client.isIpv6) await ask(friend, 3);
      else while (native.queue().dropped === before) await new Promise((resolve) => setImmediate(resolve));
      assert.equal(native.queue().dropped - before, 1);
      assert.equal(observed.includes(2), false);
      native.detachFilter();
    }
    await ask(stranger, 4);
    assert.equal(observed.at(-1), 4);
    friend.close();
    stranger.close();
    await transport.close();
  });
}
