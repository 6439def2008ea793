/** How far clients are: what the kernel says of their connections, of few of them, and not of proxies. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import test from "node:test";
import { createManualClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { createArrivalPlan, createArrivals } from "#net/arrival.ts";
import { createConnectionSampler, LOOKS_PER_TICK, MAX_SAMPLES } from "#net/connection-sampler.ts";
import type { TcpConn } from "#net/driver.ts";
import { loadTcpInfo } from "#net/tcp-info.ts";
import { createClientLimitsMemory } from "#pool/client-limits.ts";
import { writeProxyHeader } from "#pool/proxy-protocol/codec.ts";
import { createCounterSlots, LISTENER_COUNTERS } from "#state/counters.ts";
import type { TlsContexts } from "#tls/contexts.ts";
import { createFakeDriver, FakeConn } from "../l4/tcp/fake-driver.ts";
import { listenerOf } from "../pool/specs.ts";
import { bindTcp } from "./bed.ts";
import { DRIVERS } from "./drivers.ts";
import { skip } from "./epoll/loop.ts";

for (const [name, create] of Object.entries(DRIVERS))
  test(`the kernel knows the round trip of a connection that the driver ${name} has accepted`, { skip }, async (t) => {
    const read = loadTcpInfo()!;
    const driver = create();
    t.after(() => driver.close());
    const { fd, port } = bindTcp();
    const accepted = Promise.withResolvers<TcpConn>();
    driver.listen(fd, 16, accepted.resolve);
    const client = connect(port, "127.0.0.1");
    await once(client, "connect");
    const conn = await accepted.promise;
    const micros = read(conn.descriptor!);
    assert.ok(micros > 0 && micros < 1_000_000, `${micros} µs`);
    client.destroy();
    conn.reset();
  });

test("of what is no TCP socket nothing is known", { skip }, () => {
  const read = loadTcpInfo()!;
  assert.deepEqual([read(-1), read(0), read(99_999)], [0, 0, 0]);
});

const connOf = (address: string, descriptor: number | undefined = 7): TcpConn =>
  ({ descriptor, remote: { address, port: 1 } }) as TcpConn;

test("a few connections of each tick are looked at, and what nobody takes away is bounded", () => {
  let reads = 0;
  const sampler = createConnectionSampler((descriptor) => {
    reads++;
    return descriptor * 1_000;
  });
  for (let count = 0; count < 50; count++) sampler.arrived(connOf(`198.51.100.${count}`));
  assert.equal(reads, LOOKS_PER_TICK);
  assert.deepEqual(sampler.take(), {
    addresses: ["198.51.100.0", "198.51.100.1", "198.51.100.2", "198.51.100.3"],
    rttMicros: [7_000, 7_000, 7_000, 7_000],
  });
  assert.equal(sampler.take(), undefined);
  for (let tick = 0; tick < 1_000; tick++) {
    sampler.tick();
    sampler.arrived(connOf("198.51.100.1"));
  }
  assert.equal(sampler.take()!.addresses.length, MAX_SAMPLES);
});

test("clients on this machine and its link, and connections that are gone, say nothing", () => {
  const sampler = createConnectionSampler((descriptor) => (descriptor === 8 ? 0 : 1_000));
  for (const address of ["127.0.0.1", "127.9.9.9", "::1", "fe80::1", "169.254.1.1", "::ffff:127.0.0.1"]) {
    sampler.tick();
    sampler.arrived(connOf(address));
  }
  sampler.arrived({ remote: { address: "198.51.100.1", port: 1 } } as TcpConn);
  sampler.arrived(connOf("198.51.100.1", 8));
  assert.equal(sampler.take(), undefined);
});

test("a client that comes by itself is looked at, one behind a proxy is not", async () => {
  const seen: string[] = [];
  const driver = createFakeDriver();
  const spec = listenerOf({ proxyProtocol: { trusted: ["192.0.2.0/24"], timeoutMs: 1_000 } });
  const context = {
    clock: createManualClock(),
    log: silentLog,
    places: () => assert.fail("asked for places"),
    slots: createCounterSlots(LISTENER_COUNTERS.length),
    backendCounters: new Float64Array(0),
    limits: createClientLimitsMemory(),
    listener: 0,
    contextsOf: () => ({}) as TlsContexts,
    sampler: { arrived: ({ remote }: TcpConn) => void seen.push(remote.address), tick() {}, take: () => undefined },
  };
  const plan = createArrivalPlan(spec, context);
  let arrived = 0;
  const arrivals = createArrivals({ context, driver, arrived: () => void arrived++, refused() {} });
  arrivals.start(new FakeConn("198.51.100.7"), plan);
  const proxied = new FakeConn("192.0.2.9");
  arrivals.start(proxied, plan);
  proxied.receive(
    writeProxyHeader({
      version: 2,
      command: "proxy",
      source: { address: "203.0.113.7", port: 4_711 },
      destination: { address: "192.0.2.99", port: 443 },
    }),
  );
  await Promise.resolve();
  assert.equal(arrived, 2);
  assert.deepEqual(seen, ["198.51.100.7"]);
});
