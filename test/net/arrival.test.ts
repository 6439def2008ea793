import assert from "node:assert/strict";
import test from "node:test";
import { createManualClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { type Arrived, createArrivalPlan, createArrivals } from "#net/arrival.ts";
import type { TcpDriver, TlsTerms } from "#net/driver.ts";
import { createClientLimitsMemory } from "#pool/client-limits.ts";
import { writeProxyHeader } from "#pool/proxy-protocol/codec.ts";
import type { ListenerSpec } from "#state/balancer.ts";
import { createCounterSlots, LISTENER_COUNTER, LISTENER_COUNTERS, type ListenerCounter } from "#state/counters.ts";
import type { HttpSpec } from "#state/http.ts";
import type { TlsContexts } from "#tls/contexts.ts";
import { createFakeDriver, FakeConn } from "../l4/tcp/fake-driver.ts";
import { listenerOf } from "../pool/specs.ts";

const AGREEMENT = { serverName: "a.example", alpn: "h2", version: "TLSv1.3", cipher: "x", peer: undefined };
const CONTEXTS = {} as TlsContexts;
const HEADER = writeProxyHeader({
  version: 2,
  command: "proxy",
  source: { address: "203.0.113.7", port: 4_711 },
  destination: { address: "192.0.2.99", port: 443 },
});

/** A listener with its world, where clients arrive one after another. */
function open(changes: Partial<ListenerSpec> = {}) {
  const fake = createFakeDriver();
  const asked: TlsTerms[] = [];
  const driver: TcpDriver = {
    ...fake,
    startTls(conn, terms, done) {
      asked.push(terms);
      fake.startTls!(conn, terms, done);
    },
  };
  const limits = createClientLimitsMemory();
  const slots = createCounterSlots(LISTENER_COUNTERS.length);
  const came: Arrived[] = [];
  let refusals = 0;
  const context = {
    clock: createManualClock(),
    log: silentLog,
    places: () => assert.fail("asked for places"),
    slots,
    backendCounters: new Float64Array(0),
    limits,
    listener: 0,
    contextsOf: () => CONTEXTS,
  };
  const plan = createArrivalPlan(listenerOf(changes), context);
  const arrivals = createArrivals({
    context,
    driver,
    arrived: (client) => came.push(client),
    refused: () => refusals++,
  });
  return {
    arrivals,
    handshakes: fake.handshakes,
    asked,
    came,
    limits,
    refusals: () => refusals,
    count: (counter: ListenerCounter): number => slots[LISTENER_COUNTER[counter]]!,
    dial(address: string): FakeConn {
      const conn = new FakeConn(address);
      arrivals.start(conn, plan);
      return conn;
    },
  };
}
const TRUSTED = { proxyProtocol: { trusted: ["10.0.0.0/8"], timeoutMs: 1_000 } };

test("createArrivals() lets a client in under the address of its socket, at once", () => {
  const bed = open();
  const conn = bed.dial("198.51.100.1");
  const [client] = bed.came;
  assert.equal(client!.conn, conn);
  assert.deepEqual([client!.source, client!.destination, client!.tls], [conn.remote, conn.local, undefined]);
  assert.deepEqual([bed.arrivals.size(), bed.limits.connections(0)], [0, 1]);
});

test("createArrivals() gives back once what a client took, and counts how it ended", () => {
  const bed = open();
  bed.dial("198.51.100.1");
  assert.equal(bed.count("active"), 1);
  bed.came[0]!.depart("closed");
  bed.came[0]!.depart("client_reset");
  assert.deepEqual([bed.count("active"), bed.count("closed"), bed.count("client_reset")], [0, 1, 0]);
  assert.equal(bed.limits.connections(0), 0);
  assert.equal(bed.refusals(), 0);
});

test("createArrivals() takes the client that a trusted peer names, and asks access of that one", async () => {
  const bed = open({ ...TRUSTED, access: [{ network: "10.0.0.0/8", action: "deny" }] });
  const conn = bed.dial("10.0.0.1");
  assert.equal(bed.arrivals.size(), 1);
  conn.receive(HEADER.subarray(0, 9));
  conn.receive(Buffer.concat([HEADER.subarray(9), Buffer.from("GET /")]));
  await Promise.resolve();
  const [client] = bed.came;
  assert.deepEqual(
    [client!.source, client!.destination],
    [
      { address: "203.0.113.7", port: 4_711 },
      { address: "192.0.2.99", port: 443 },
    ],
  );
  assert.equal(Buffer.from(conn.held).toString(), "GET /", "the header alone is consumed");
  client!.depart("closed");
  assert.equal(bed.limits.connections(0), 0);
});

for (const { name, changes, come, counter } of [
  {
    name: "an address that may not come, before it is counted",
    changes: { access: [{ network: "198.51.100.0/24", action: "deny" }] },
    come: () => {},
    counter: "refused_access",
  },
  {
    name: "what is no PROXY header of a trusted peer",
    changes: TRUSTED,
    come: (conn: FakeConn) => conn.receive(Buffer.from("GET / HTTP/1.1\r\n")),
    counter: "refused_preamble",
  },
  {
    name: "a trusted peer that says nothing",
    changes: TRUSTED,
    come: (conn: FakeConn) => conn.endRead("timeout"),
    counter: "refused_preamble",
  },
] satisfies {
  name: string;
  changes: Partial<ListenerSpec>;
  come: (conn: FakeConn) => void;
  counter: ListenerCounter;
}[]) {
  test(`createArrivals() refuses ${name}`, () => {
    const bed = open(changes);
    const conn = bed.dial("proxyProtocol" in changes ? "10.0.0.1" : "198.51.100.1");
    come(conn);
    assert.equal(conn.state, "gone");
    assert.deepEqual([bed.count(counter), bed.count("active"), bed.refusals()], [1, 0, 1]);
    assert.deepEqual([bed.came.length, bed.arrivals.size(), bed.limits.connections(0)], [0, 0, 0]);
  });
}

test("createArrivals() refuses whom the limits have no room for", () => {
  const bed = open({
    limits: { maxConnections: 2, acceptPerSecond: 0, clientConnections: 1, clientPerSecond: 0, clientBurst: 0 },
  });
  for (const address of ["198.51.100.1", "198.51.100.1", "198.51.100.2", "198.51.100.3"]) bed.dial(address);
  assert.deepEqual([bed.count("refused_client_limit"), bed.count("refused_limit"), bed.came.length], [1, 1, 2]);
  assert.equal(bed.limits.connections(0), 2);
});

for (const { protocol, isEnabled, alpn } of [
  { protocol: "tls", isEnabled: false, alpn: ["mqtt"] },
  { protocol: "https", isEnabled: true, alpn: ["h2", "http/1.1", "http/1.0"] },
  { protocol: "https", isEnabled: false, alpn: ["http/1.1", "http/1.0"] },
] as const) {
  test(`createArrivals() offers ${alpn.join(" and ")} to clients of ${protocol}, and tells what was agreed`, () => {
    const http = protocol === "https" ? ({ http2: { isEnabled } } as HttpSpec) : undefined;
    const bed = open({ protocol, http, alpn: ["mqtt"] });
    bed.dial("198.51.100.1");
    assert.deepEqual(bed.asked, [{ contexts: CONTEXTS, alpn, timeoutMs: 5_000 }]);
    assert.deepEqual([bed.came.length, bed.arrivals.size()], [0, 1]);
    for (const handshake of bed.handshakes) handshake.done(AGREEMENT);
    assert.deepEqual(bed.came[0]!.tls, AGREEMENT);
    assert.equal(bed.arrivals.size(), 0);
  });
}

test("createArrivals() counts a handshake that failed, and gives back what its client took", () => {
  const bed = open({ protocol: "tls" });
  bed.dial("198.51.100.1");
  assert.equal(bed.limits.connections(0), 1);
  for (const handshake of bed.handshakes) handshake.done(undefined);
  assert.deepEqual([bed.count("handshake_failed"), bed.refusals(), bed.limits.connections(0)], [1, 1, 0]);
});

test("createArrivals() stops who has not arrived, at whatever step, and nobody else", async () => {
  const bed = open({ ...TRUSTED, protocol: "tls" });
  const [reading, between, shaking, inside] = ["10.0.0.1", "10.0.0.2", "198.51.100.1", "198.51.100.2"].map(bed.dial);
  [...bed.handshakes].find(({ conn }) => conn === inside)!.done(AGREEMENT);
  between!.receive(HEADER);
  bed.arrivals.stop();
  await Promise.resolve();
  for (const conn of [reading!, between!, shaking!]) assert.equal(conn.state, "gone");
  assert.equal(inside!.state, "open");
  for (const handshake of bed.handshakes) handshake.done(AGREEMENT); // in the moment in which it was stopped
  assert.deepEqual([bed.count("stopped"), bed.count("active"), bed.came.length], [3, 1, 1]);
  assert.deepEqual([bed.arrivals.size(), bed.refusals(), bed.limits.connections(0)], [0, 3, 1]);
});
