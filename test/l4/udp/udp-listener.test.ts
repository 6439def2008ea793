import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { networkInterfaces } from "node:os";
import test from "node:test";
import { createSeededRng } from "#base/rng.ts";
import { createUdpListener } from "#l4/udp/udp-listener.ts";
import { HOLD_MS, MAX_HELD_OCTETS } from "#l4/udp/udp-session.ts";
import { clientKey } from "#pool/client-key.ts";
import { stickyBySource } from "../../pool/specs.ts";
import { type Backend, createBed, openBackend, openClient, udpSpec } from "./bed.ts";

const limits = udpSpec().limits;
const backendOf = (answer: string): string => answer.slice(0, 1);

test("a client's datagrams go to one backend and the replies come back, counted on the way", async () => {
  const bed = await createBed([await openBackend("a"), await openBackend("b")]);
  const client = await bed.client();
  const first = await client.ask("one");
  const name = backendOf(first);
  assert.equal(first, `${name}:one`);
  assert.equal(await client.ask("three"), `${name}:three`);
  const row = name === "a" ? 0 : 1;
  assert.equal(bed.active(row), 1);
  assert.deepEqual(
    (
      [
        "accepted",
        "active",
        "datagrams_from_clients",
        "octets_from_clients",
        "datagrams_to_clients",
        "octets_to_clients",
      ] as const
    ).map(bed.counter),
    [1, 1, 2, 8, 2, 12],
  );
  assert.deepEqual(
    (
      [
        "datagrams_to_backend",
        "octets_to_backend",
        "datagrams_from_backend",
        "octets_from_backend",
        "connections",
      ] as const
    ).map((name) => bed.backendCounter(row, name)),
    [2, 8, 2, 12, 1],
  );
  await bed.close();
  assert.equal(bed.active(row), 0);
  assert.deepEqual([bed.counter("active"), bed.counter("stopped")], [0, 1]);
});

test("each port of a client is a session", async () => {
  const bed = await createBed([await openBackend("a"), await openBackend("b")]);
  const clients = await Promise.all([1, 2, 3, 4].map(() => bed.client()));
  const names = await Promise.all(clients.map(async (client) => backendOf(await client.ask("x"))));
  assert.deepEqual(names.toSorted(), ["a", "a", "b", "b"]);
  assert.equal(bed.counter("active"), 4);
  await bed.close();
});

for (const octets of [0, 1, 1_472, 65_507])
  test(`datagrams of ${octets} octets pass both ways`, async () => {
    const backend = await openBackend("a", (datagram) => [datagram]);
    const bed = await createBed([backend]);
    const client = await bed.client();
    const sent = Buffer.alloc(octets, 0x5a);
    assert.equal(await client.ask(sent), sent.toString("latin1"));
    assert.equal(bed.counter("octets_from_clients"), octets);
    await bed.close();
  });

test("IPv6 clients reach IPv6 backends", async (context) => {
  if (!Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === "::1"))) {
    assert.equal(process.env["CI"], undefined, "::1 is missing");
    context.skip("there is no ::1 here");
    return;
  }
  const bed = await createBed([await openBackend("a", undefined, "::1")], { host: "::1" });
  assert.equal(await (await bed.client()).ask("six"), "a:six");
  await bed.close();
});

test("queries with one response each leave nothing behind, whatever their number (DNS)", async () => {
  const names = ["a", "b", "c"];
  const bed = await createBed(await Promise.all(names.map((name) => openBackend(name))), {
    listener: { udp: { idleMs: 30_000, responses: 1, maxSessions: 65_536 } },
  });
  const rounds = 60;
  const atOnce = 50;
  const answered = { a: 0, b: 0, c: 0 };
  for (let round = 0; round < rounds; round++) {
    const answers = await Promise.all(
      Array.from({ length: atOnce }, async (_, index) => {
        const client = await openClient(bed.port);
        const text = `${round}/${index}`;
        const answer = await client.ask(text);
        assert.equal(answer.slice(2), text, "its own answer");
        client.close();
        return backendOf(answer) as keyof typeof answered;
      }),
    );
    for (const name of answers) answered[name]++;
  }
  assert.deepEqual(answered, { a: 1_000, b: 1_000, c: 1_000 });
  assert.deepEqual((["accepted", "closed", "active", "datagrams_dropped"] as const).map(bed.counter), [
    rounds * atOnce,
    rounds * atOnce,
    0,
    0,
  ]);
  for (const row of [0, 1, 2]) assert.equal(bed.active(row), 0);
  await bed.close();
});

test("a session that is over after its responses begins anew with the next query from the same port", async () => {
  const bed = await createBed([await openBackend("a"), await openBackend("b")], {
    listener: { udp: { idleMs: 30_000, responses: 2, maxSessions: 100 } },
  });
  const client = await bed.client();
  const names: string[] = [];
  for (let query = 0; query < 8; query++) names.push(backendOf(await client.ask(`${query}`)));
  assert.equal(bed.counter("accepted"), 4);
  for (const at of [0, 2, 4, 6]) assert.equal(names[at], names[at + 1]);
  assert.notEqual(names[0], names[2]);
  await bed.close();
});

test("long sessions with bursts both ways stay at their backend, and a new port finds it again by the source (QUIC)", async () => {
  const burst = 8;
  const reply = (name: string) => (datagram: Buffer) =>
    Array.from({ length: datagram.length > 60_000 ? 1 : 2 }, () =>
      Buffer.concat([Buffer.from(name), datagram.subarray(1)]),
    );
  const names = ["a", "b", "c", "d"];
  const bed = await createBed(await Promise.all(names.map((name) => openBackend(name, reply(name)))), {
    pool: { sticky: stickyBySource() },
  });
  const seen = new Set<string>();
  for (let host = 1; host <= 8; host++) {
    const connections = await Promise.all([1, 2].map(() => bed.client(`127.0.1.${host}`)));
    const used = new Set<string>();
    for (const client of connections)
      for (let round = 0; round < 10; round++) {
        for (let sent = 0; sent < burst; sent++) client.send(Buffer.alloc(1_200, sent));
        for (let got = 0; got < burst * 2; got++) {
          const answer = await client.next();
          assert.equal(answer.length, 1_200);
          used.add(backendOf(answer));
        }
        const large = await client.ask(Buffer.alloc(65_000));
        assert.equal(large.length, 65_000);
        used.add(backendOf(large));
      }
    assert.equal(used.size, 1, `127.0.1.${host} stays`);
    for (const name of used) seen.add(name);
  }
  assert.deepEqual([...seen].toSorted(), names);
  assert.equal(bed.counter("accepted"), 16);
  assert.equal(bed.counter("datagrams_dropped"), 0);
  await bed.close();
});

test("the datagram that finds its backend gone is answered by the next one", async () => {
  const backends = [await openBackend("a"), await openBackend("b")];
  const bed = await createBed(backends);
  const clients = await Promise.all([1, 2, 3, 4].map(() => bed.client()));
  const before = await Promise.all(clients.map(async (client) => backendOf(await client.ask("x"))));
  backends[0]!.socket.close();
  await once(backends[0]!.socket, "close");
  for (const [index, client] of clients.entries()) assert.equal(await client.ask(`again ${index}`), `b:again ${index}`);
  const lost = before.filter((name) => name === "a").length;
  assert.deepEqual([bed.counter("retries"), bed.backendCounter(0, "connect_refused")], [lost, lost]);
  assert.deepEqual([bed.active(0), bed.active(1)], [0, 4]);
  assert.deepEqual([bed.counter("accepted"), bed.counter("datagrams_dropped")], [4, 0]);
  await bed.close();
});

test("a new client whose backend was never there is served by the next one", async () => {
  const gone = await openBackend("a");
  gone.socket.close();
  await once(gone.socket, "close");
  const bed = await createBed([gone, await openBackend("b")]);
  for (let count = 0; count < 6; count++) assert.equal(await (await bed.client()).ask("x"), "b:x");
  assert.equal(bed.active(0), 0);
  assert.equal(bed.active(1), 6);
  await bed.close();
});

test("with all backends gone a datagram is tried twice, then its session is over", async () => {
  const backends = [await openBackend("a"), await openBackend("b"), await openBackend("c")];
  for (const { socket } of backends) socket.close();
  const bed = await createBed(backends);
  const client = await bed.client();
  client.send("x");
  await bed.until(() => bed.counter("connect_failed") === 1);
  assert.deepEqual([bed.counter("active"), bed.counter("retries"), bed.counter("datagrams_dropped")], [0, 1, 1]);
  for (const row of [0, 1, 2]) assert.equal(bed.active(row), 0);
  await bed.close();
});

test("a datagram that nobody waits for an error of any more is not sent twice", async () => {
  const backends = [await openBackend("a", () => []), await openBackend("b", () => [])];
  const bed = await createBed(backends);
  const client = await bed.client();
  client.send("one way");
  await bed.until(() => backends.some(({ heard }) => heard.length > 0));
  const row = backends[0]!.heard.length > 0 ? 0 : 1;
  assert.equal(bed.backendCounter(row, "successes"), 0);
  bed.pass(HOLD_MS);
  assert.equal(bed.backendCounter(row, "successes"), 1, "no error came: the place counts as good");
  backends[row]!.socket.close();
  await once(backends[row]!.socket, "close");
  client.send("into nowhere");
  await bed.until(() => backends[1 - row]!.heard.length > 0);
  assert.deepEqual(
    backends[1 - row]!.heard.map(({ text }) => text),
    ["into nowhere"],
  );
  await bed.close();
});

for (const { name, reply, passes } of [
  { name: "answered", reply: (datagram: Buffer) => [datagram.subarray(0, 1)], passes: false },
  { name: "not refused", reply: () => [], passes: true },
])
  test(`datagrams that were ${name} are held no longer: there is room for those of others`, async () => {
    const octets = 60_000;
    const backend = await openBackend("a", reply);
    const bed = await createBed([backend]);
    for (let number = 1; number <= (1.5 * MAX_HELD_OCTETS) / octets; number++) {
      const client = await bed.client();
      client.send(Buffer.alloc(octets));
      if (!passes) await client.next();
      await bed.until(() => backend.heard.length === number);
      if (passes && number % 50 === 0) bed.pass(HOLD_MS);
    }
    assert.equal(bed.counter("datagrams_dropped"), 0);
    await bed.close();
  });

test("the least recently used session goes first where there are too many", async () => {
  const bed = await createBed([await openBackend("a")], {
    listener: { udp: { idleMs: 30_000, responses: 0, maxSessions: 3 } },
  });
  const clients = await Promise.all([0, 1, 2, 3].map(() => bed.client()));
  for (const index of [0, 1, 2, 0, 3]) await clients[index]!.ask("x");
  assert.deepEqual([bed.counter("sessions_evicted"), bed.counter("active"), bed.active(0)], [1, 3, 3]);
  assert.equal(bed.counter("accepted"), 4);
  for (const index of [2, 0, 3]) await clients[index]!.ask("x");
  assert.equal(bed.counter("accepted"), 4, "these were kept");
  await clients[1]!.ask("x");
  assert.deepEqual([bed.counter("accepted"), bed.counter("sessions_evicted")], [5, 2]);
  await bed.close();
});

test("sessions end when neither side has sent for the idle time", async () => {
  const bed = await createBed([await openBackend("a")], {
    listener: { udp: { idleMs: 10_000, responses: 0, maxSessions: 100 } },
  });
  const [quiet, busy] = [await bed.client(), await bed.client()];
  await quiet.ask("x");
  await busy.ask("x");
  bed.pass(6_000);
  await busy.ask("x");
  bed.pass(3_999);
  assert.equal(bed.counter("active"), 2);
  bed.pass(1);
  assert.deepEqual([bed.counter("active"), bed.counter("idle_timeout"), bed.active(0)], [1, 1, 1]);
  bed.pass(6_000);
  assert.deepEqual([bed.counter("active"), bed.counter("idle_timeout"), bed.active(0)], [0, 2, 0]);
  await bed.close();
});

test("replies keep a session alive as well", async () => {
  const backend = await openBackend("a", () => []);
  const bed = await createBed([backend], { listener: { udp: { idleMs: 10_000, responses: 0, maxSessions: 100 } } });
  const client = await bed.client();
  client.send("subscribe");
  await bed.until(() => backend.heard.length === 1);
  const { from } = backend.heard[0]!;
  for (let event = 0; event < 5; event++) {
    bed.pass(9_000);
    backend.socket.send(`event ${event}`, from.port, from.address);
    assert.equal(await client.next(), `event ${event}`);
  }
  assert.equal(bed.counter("active"), 1);
  await bed.close();
});

test("a session that is older than its lifetime is followed by another one", async () => {
  const bed = await createBed([await openBackend("a"), await openBackend("b")], {
    listener: { timeouts: { ...udpSpec().timeouts, lifetimeMs: 20_000 } },
  });
  const client = await bed.client();
  const first = backendOf(await client.ask("x"));
  bed.pass(19_000);
  assert.equal(backendOf(await client.ask("x")), first);
  bed.pass(1_000);
  assert.notEqual(backendOf(await client.ask("x")), first);
  assert.deepEqual([bed.counter("lifetime_ended"), bed.counter("active")], [1, 1]);
  await bed.close();
});

for (const { name, listener, counter } of [
  {
    name: "whose network is denied",
    listener: { access: [{ network: "127.0.0.0/8", action: "deny" as const }] },
    counter: "refused_access" as const,
  },
  { name: "with no pool to go to", listener: { pool: undefined }, counter: "refused_route" as const },
  {
    name: "beyond the listener's sessions",
    listener: { limits: { ...limits, maxConnections: 0 } },
    counter: "refused_limit" as const,
  },
])
  test(`a client ${name} gets no session`, async () => {
    const bed = await createBed([await openBackend("a")], { listener });
    (await bed.client()).send("x");
    await bed.until(() => bed.counter(counter) === 1);
    assert.deepEqual([bed.counter("accepted"), bed.counter("datagrams_dropped"), bed.active(0)], [0, 1, 0]);
    await bed.close();
  });

test("a client has as many sessions as its limit says, and gets another when one has ended", async () => {
  const bed = await createBed([await openBackend("a")], {
    listener: { limits: { ...limits, clientConnections: 1 }, udp: { idleMs: 5_000, responses: 0, maxSessions: 100 } },
  });
  const [first, second, other] = [await bed.client(), await bed.client(), await bed.client("127.0.0.9")];
  await first.ask("x");
  second.send("lost");
  await bed.until(() => bed.counter("refused_client_limit") === 1);
  await other.ask("x");
  bed.pass(5_000);
  assert.equal(await second.ask("x"), "a:x");
  await bed.close();
});

test("a changed configuration is for new sessions; those that live keep their limits and responses", async () => {
  const bed = await createBed([await openBackend("a")]);
  const [old, late] = [await bed.client(), await bed.client()];
  await old.ask("x");
  bed.listener.apply(udpSpec({ udp: { idleMs: 30_000, responses: 1, maxSessions: 100 } }));
  await old.ask("x");
  assert.equal(bed.counter("active"), 1);
  await late.ask("x");
  assert.deepEqual([bed.counter("active"), bed.counter("closed")], [1, 1]);
  bed.listener.apply(udpSpec({ access: [{ network: "127.0.0.0/8", action: "deny" }] }));
  late.send("x");
  await bed.until(() => bed.counter("refused_access") === 1);
  assert.equal(await old.ask("x"), "a:x");
  await bed.close();
});

test("datagrams wait for a place within bounds: the oldest goes first", async () => {
  const backend = await openBackend("a");
  const bed = await createBed([backend], {
    backend: { maxConnections: 1 },
    listener: { udp: { idleMs: 5_000, responses: 0, maxSessions: 100 } },
    pool: { queue: { max: 10, timeoutMs: 60_000 } },
  });
  const [first, second] = [await bed.client(), await bed.client()];
  await first.ask("x");
  for (let sent = 0; sent < 20; sent++) second.send(`${sent}`);
  await bed.until(() => bed.counter("datagrams_from_clients") === 21);
  assert.equal(bed.counter("datagrams_dropped"), 4);
  assert.equal(bed.places.queued(), 1);
  bed.listener.stopBackend(0);
  for (let sent = 4; sent < 20; sent++) assert.equal(await second.next(), `a:${sent}`);
  assert.deepEqual([bed.counter("stopped"), bed.counter("active"), bed.active(0)], [1, 1, 1]);
  await bed.close();
});

test("a client that waits too long for a place has no session any more", async () => {
  const bed = await createBed([await openBackend("a")], {
    backend: { maxConnections: 1 },
    pool: { queue: { max: 10, timeoutMs: 1_000 } },
  });
  const [first, second] = [await bed.client(), await bed.client()];
  await first.ask("x");
  second.send("x");
  await bed.until(() => bed.places.queued() === 1);
  bed.pass(1_000);
  await bed.until(() => bed.counter("queue_timeout") === 1);
  assert.deepEqual([bed.counter("active"), bed.counter("datagrams_dropped")], [1, 1]);
  await bed.close();
});

test("a full queue refuses", async () => {
  const bed = await createBed([await openBackend("a")], {
    backend: { maxConnections: 1 },
    pool: { queue: { max: 0, timeoutMs: 1_000 } },
  });
  const [first, second] = [await bed.client(), await bed.client()];
  await first.ask("x");
  second.send("x");
  await bed.until(() => bed.counter("queue_full") === 1);
  assert.equal(bed.counter("active"), 1);
  await bed.close();
});

test("nobody but the session's backend reaches its client", async () => {
  const backend = await openBackend("a", () => []);
  const bed = await createBed([backend]);
  const client = await bed.client();
  client.send("x");
  await bed.until(() => backend.heard.length === 1);
  const { from } = backend.heard[0]!;
  const stranger = createSocket("udp4");
  await new Promise<void>((resolve) => stranger.send("spoofed", from.port, from.address, () => resolve()));
  stranger.close();
  backend.socket.send("real", from.port, from.address);
  assert.equal(await client.next(), "real");
  assert.equal(bed.counter("datagrams_to_clients"), 1);
  await bed.close();
});

test("stopBackend() ends the sessions there and no other; the next datagram begins anew", async () => {
  const bed = await createBed([await openBackend("a"), await openBackend("b")]);
  const clients = await Promise.all([1, 2, 3, 4].map(() => bed.client()));
  for (const client of clients) await client.ask("x");
  bed.listener.stopBackend(0);
  assert.deepEqual([bed.active(0), bed.active(1), bed.counter("stopped")], [0, 2, 2]);
  for (const client of clients) await client.ask("x");
  assert.equal(bed.counter("accepted"), 6);
  await bed.close();
});

test("drain() keeps the sessions that live and leaves new clients to who listens there next", async () => {
  const backends: Backend[] = [await openBackend("a")];
  const bed = await createBed(backends, { listener: { udp: { idleMs: 5_000, responses: 0, maxSessions: 100 } } });
  const lasting = await Promise.all([1, 2, 3].map(() => bed.client()));
  for (const client of lasting) await client.ask("x");
  const successor = createUdpListener({
    spec: udpSpec(),
    context: { ...bed.context, listener: 1, slots: new Float64Array(64) },
  });
  await successor.open(undefined, { address: "127.0.0.1", port: bed.port });
  let isDrained = false;
  const drained = bed.listener.drain(60_000).then(() => {
    isDrained = true;
  });
  for (let turn = 0; turn < 40; turn++) await new Promise((resolve) => setImmediate(resolve));
  const before = bed.counter("datagrams_from_clients");
  for (let round = 0; round < 5; round++) for (const client of lasting) assert.equal(await client.ask("y"), "a:y");
  assert.equal(bed.counter("datagrams_from_clients"), before + 15, "by the listener that drains");
  for (let count = 0; count < 30; count++) assert.equal(await (await bed.client()).ask("new"), "a:new");
  assert.deepEqual([bed.counter("accepted"), bed.counter("datagrams_from_clients")], [3, before + 15]);
  assert.equal(isDrained, false);
  bed.pass(5_000);
  await drained;
  assert.deepEqual([bed.counter("active"), bed.counter("idle_timeout")], [0, 3]);
  await successor.drain(0);
  await bed.close();
});

test("drain() ends what is left when its time is over", async () => {
  const bed = await createBed([await openBackend("a")]);
  await (await bed.client()).ask("x");
  const drained = bed.listener.drain(10_000);
  for (let turn = 0; turn < 40; turn++) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(bed.counter("active"), 1);
  bed.clock.advance(10_000);
  await drained;
  assert.deepEqual([bed.counter("active"), bed.counter("stopped"), bed.active(0)], [0, 1, 0]);
  await bed.close();
});

test("whatever happens in whatever order, all places and limits are given back in the end", async () => {
  const rng = createSeededRng(1_812);
  const below = (limit: number): number => Math.floor(rng() * limit);
  const backends = await Promise.all(["a", "b", "c"].map((name) => openBackend(name)));
  const bed = await createBed(backends, {
    backend: { maxConnections: 6 },
    listener: { udp: { idleMs: 3_000, responses: 0, maxSessions: 15 } },
    pool: { queue: { max: 3, timeoutMs: 400 }, breaker: { failures: 3, baseMs: 500, maxMs: 1_000 } },
  });
  const clients = await Promise.all(Array.from({ length: 24 }, (_, index) => bed.client(`127.0.3.${1 + (index % 7)}`)));
  const closed = new Set<number>();
  for (let step = 0; step < 3_000; step++) {
    const action = below(100);
    if (action < 80) clients[below(clients.length)]!.send(Buffer.alloc(below(2_000)));
    else if (action < 90) bed.pass(below(500));
    else if (action < 93) bed.listener.stopBackend(below(3));
    else if (action < 96)
      bed.listener.apply(udpSpec({ udp: { idleMs: 3_000, responses: below(3), maxSessions: 5 + below(20) } }));
    else if (action === 96 && closed.size < 2) {
      const row = below(3);
      if (!closed.has(row)) backends[row]!.socket.close();
      closed.add(row);
    }
    if (below(4) === 0) await new Promise((resolve) => setImmediate(resolve));
    const active = [0, 1, 2].map(bed.active);
    assert.ok(
      active.every((count) => count >= 0 && count <= 6),
      `${active}`,
    );
  }
  assert.equal(closed.size, 2);
  for (const counter of ["accepted", "retries", "sessions_evicted", "idle_timeout", "stopped", "closed"] as const)
    assert.ok(bed.counter(counter) > 0, counter);
  await bed.close();
  assert.equal(bed.counter("active"), 0);
  assert.equal(bed.places.queued(), 0);
  assert.deepEqual([0, 1, 2].map(bed.active), [0, 0, 0]);
  assert.equal(bed.limits.connections(0), 0);
});

test("open() says what the system says where it cannot listen", async () => {
  const bed = await createBed([await openBackend("a")]);
  await assert.rejects(bed.listener.open(undefined, { address: "192.0.2.1", port: 0 }), { code: "EADDRNOTAVAIL" });
  await bed.close();
});

test("places are asked by the client's address, whatever its port", async () => {
  const bed = await createBed(await Promise.all(["a", "b", "c", "d"].map((name) => openBackend(name))), {
    pool: { algorithm: "ip_hash" },
  });
  const seen = new Map<string, Set<string>>();
  for (let count = 0; count < 40; count++) {
    const address = `127.0.2.${count % 10}`;
    const name = backendOf(await (await bed.client(address)).ask("x"));
    seen.set(address, (seen.get(address) ?? new Set()).add(name));
  }
  for (const names of seen.values()) assert.equal(names.size, 1);
  assert.ok(new Set([...seen.values()].flatMap((names) => [...names])).size > 1);
  assert.notEqual(clientKey("127.0.2.1", { v4: 32, v6: 64 }), clientKey("127.0.2.2", { v4: 32, v6: 64 }));
  await bed.close();
});
