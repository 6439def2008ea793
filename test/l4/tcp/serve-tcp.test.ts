/**
 * Whatever fails, and in whichever order: what was taken for a client is given back once, and each client is counted under
 * one outcome. Real places and limits, a driver that does what a seeded generator says.
 */
import assert from "node:assert/strict";
import test from "node:test";
import { silentLog } from "#base/log.ts";
import { createSeededRng } from "#base/rng.ts";
import { createTcpListener } from "#l4/tcp/serve-tcp.ts";
import type { TlsAgreement } from "#net/driver.ts";
import { type ClientLimits, createClientLimitsMemory } from "#pool/client-limits.ts";
import type { Places } from "#pool/place.ts";
import { writeProxyHeader } from "#pool/proxy-protocol/codec.ts";
import { createBackendCounters } from "#state/backend-table.ts";
import type { ListenerSpec } from "#state/balancer.ts";
import { createCounterSlots, LISTENER_COUNTER, LISTENER_COUNTERS, type ListenerCounter } from "#state/counters.ts";
import type { TlsContexts } from "#tls/contexts.ts";
import { activeAt, createPoolWorld, publish, wordAt } from "../../pool/pool-fixture.ts";
import { backendAt, listenerOf, poolOf } from "../../pool/specs.ts";
import { createFakeDriver, FakeConn } from "./fake-driver.ts";

const OUTCOMES: readonly ListenerCounter[] = [
  "refused_access",
  "refused_limit",
  "refused_client_limit",
  "refused_preamble",
  "refused_route",
  "no_backend",
  "queue_full",
  "queue_timeout",
  "retry_budget",
  "connect_failed",
  "closed",
  "client_reset",
  "upstream_reset",
  "idle_timeout",
  "lifetime_ended",
  "stopped",
  "handshake_failed",
];
const PROXY_HEADER = writeProxyHeader({
  version: 2,
  command: "proxy",
  source: { address: "203.0.113.7", port: 4_711 },
  destination: { address: "192.0.2.1", port: 443 },
});
/** TLS 1.2, no extensions: it names nobody. */
const CLIENT_HELLO = Uint8Array.of(22, 3, 1, 0, 45, 1, 0, 0, 41, 3, 3, ...new Uint8Array(32), 0, 0, 2, 0x13, 1, 1, 0);
const AGREEMENT: TlsAgreement = {
  serverName: undefined,
  alpn: undefined,
  version: "TLSv1.3",
  cipher: "TLS_AES_128_GCM_SHA256",
  peer: undefined,
};
const ROWS = [0, 1, 2];

async function live(seed: number, seen: Map<string, number>): Promise<void> {
  const rng = createSeededRng(seed);
  const chance = (share: number): boolean => rng() < share;
  const one = <T>(items: Iterable<T>): T | undefined => {
    const all = [...items];
    return all[Math.floor(rng() * all.length)];
  };
  const protocol = one(["tcp", "tls-passthrough", "tls"] as const)!;
  const spec: ListenerSpec = listenerOf({
    protocol,
    pool: chance(0.1) ? undefined : 0,
    proxyProtocol: chance(0.5) ? { trusted: ["10.0.0.0/8"], timeoutMs: 1_000 } : undefined,
    access: [{ network: "10.9.0.0/16", action: "deny" }],
    limits: { maxConnections: 5, acceptPerSecond: 0, clientConnections: 3, clientPerSecond: 0, clientBurst: 0 },
  });
  const pool = poolOf(
    ROWS.map((row) => backendAt(row, { maxConnections: 2 })),
    {
      queue: { max: chance(0.2) ? 0 : 2, timeoutMs: 100 },
      retry: { attempts: 3, budgetPercent: 20, minPerSecond: chance(0.5) ? 0 : 10, windowMs: 10_000 },
      isFailOpen: chance(0.5),
    },
  );
  const { places: real, table, clock, now } = createPoolWorld(pool, { seed });
  /** Looked up in a store that takes its time. */
  const lookups = new Set<() => void>();
  const places: Places = {
    ...real,
    spec: pool,
    remember(_request, done) {
      if (chance(0.5)) return false;
      const lookup = (): void => {
        lookups.delete(lookup);
        done();
      };
      lookups.add(lookup);
      return true;
    },
  };
  const driver = createFakeDriver();
  const known = createClientLimitsMemory({ rng });
  let admitted = 0;
  const limits: ClientLimits = {
    admit(...request) {
      const admission = known.admit(...request);
      if (admission === "admitted") admitted++;
      return admission;
    },
    release(...request) {
      admitted--;
      known.release(...request);
    },
  };
  const slots = createCounterSlots(LISTENER_COUNTERS.length);
  const count = (counter: ListenerCounter): number => slots[LISTENER_COUNTER[counter]]!;
  const listener = createTcpListener({
    spec,
    driver,
    context: {
      clock,
      log: silentLog,
      places: () => places,
      slots,
      backendCounters: createBackendCounters(64),
      limits,
      contextsOf: () => ({}) as TlsContexts,
      listener: 0,
    },
  });
  await listener.open(0, spec.listen);
  const conns: FakeConn[] = [];
  const reading = (): FakeConn[] => conns.filter(({ look }) => look !== undefined);

  const steps: readonly (() => unknown)[] = [
    () => {
      const conn = new FakeConn(one(["10.0.0.1", "10.0.0.2", "10.9.0.1", "198.51.100.1"])!);
      conns.push(conn);
      driver.accept(conn);
    },
    () => one(reading())?.receive(one([PROXY_HEADER, PROXY_HEADER.subarray(0, 9), CLIENT_HELLO, Buffer.from("x")])!),
    () => one(reading())?.endRead(one(["ended", "reset", "timeout", "too-long"] as const)!),
    () => one(driver.handshakes)?.done(chance(0.3) ? undefined : AGREEMENT),
    () => one(driver.connects)?.done(new FakeConn("192.0.2.9")),
    () => one(driver.connects)?.done(one(["refused", "timeout", "unreachable", "other"] as const)!),
    () => one(driver.relays)?.firstOctet(),
    () =>
      one(driver.relays)?.end(
        one(["closed", "client-reset", "upstream-reset", "idle", "lifetime"] as const)!,
        chance(0.5) ? 0 : 10,
      ),
    () => one(lookups)?.(),
    () => listener.tick(now()),
    () => clock.advance(100),
    () => places.tick(now()),
    () => chance(0.3) && listener.stopBackend(one(ROWS)!),
    () => chance(0.3) && publish(table, { [one(ROWS)!]: one(["active", "active", "drain", "down"] as const)! }),
    () => chance(0.1) && publish(table, { 0: "down", 1: "down", 2: "down" }),
    () => chance(0.2) && listener.apply({ ...spec, access: [] }),
    () => driver.turn(),
  ];
  const account = (): void => {
    for (const row of ROWS) assert.ok(activeAt(table, row) >= 0 && activeAt(table, row) <= 2, `places at ${row}`);
    const outcomes = OUTCOMES.reduce((sum, counter) => sum + count(counter), 0);
    assert.equal(count("accepted"), outcomes + count("active"));
    assert.equal(listener.connections(), count("active"));
    assert.ok(admitted >= 0 && admitted <= count("active"));
  };
  for (let step = 0; step < 200; step++) {
    one(steps)!();
    if (chance(0.7)) await new Promise<void>(queueMicrotask); // lets what goes on afterwards go on
    account();
  }

  const drained = listener.drain(1_000);
  driver.turn();
  const preamble = protocol === "tls-passthrough" && !spec.proxyProtocol ? CLIENT_HELLO : PROXY_HEADER;
  for (const conn of reading()) conn.receive(preamble); // in the moment in which the time is over
  clock.advance(1_000);
  driver.turn();
  for (const handshake of [...driver.handshakes]) handshake.done(AGREEMENT);
  await drained;
  account();
  assert.equal(count("active"), 0);
  for (const lookup of lookups) lookup();
  await new Promise<void>(queueMicrotask);
  assert.equal(admitted, 0);
  assert.equal(known.connections(0), 0);
  assert.equal(wordAt(table, 0, "queued"), 0);
  assert.deepEqual(
    ROWS.map((row) => activeAt(table, row)),
    [0, 0, 0],
  );
  assert.equal(driver.connects.size + driver.relays.size, 0);
  for (const conn of conns) assert.equal(conn.state, "gone");
  for (const counter of OUTCOMES) seen.set(counter, (seen.get(counter) ?? 0) + count(counter));
}

test("createTcpListener() gives back once what it took, whatever fails", async () => {
  const seen = new Map<string, number>();
  for (let seed = 1; seed <= 250; seed++) {
    await live(seed, seen).catch((error: Error) => {
      error.message = `seed ${seed}: ${error.message}`;
      throw error;
    });
  }
  const unseen = OUTCOMES.filter((counter) => !seen.get(counter));
  assert.deepEqual(unseen, [], "each outcome came about");
});
