/** TCP from the client to the backend, over each driver: places, retries, the queue, PROXY headers, ends and changes. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import test, { type TestContext } from "node:test";
import { parseProxyHeader, writeProxyHeader } from "#pool/proxy-protocol/codec.ts";
import type { ProxyHeader } from "#pool/proxy-protocol/header.ts";
import { openBlackHole, type Peer, pattern, until } from "../net/bed.ts";
import { DRIVERS } from "../net/drivers.ts";
import { publish } from "../pool/pool-fixture.ts";
import { backendAt, listenerOf } from "../pool/specs.ts";
import { type L4Bed, type L4BedOptions, openL4 } from "./l4-bed.ts";

const echo = (socket: Socket): void => void socket.pipe(socket);
/** One more after another: the first of the list that can. */
const IN_ORDER = { algorithm: "first" } as const;
const limitsOf = (changes: object) => ({ limits: { ...listenerOf().limits, ...changes } });
const headerIn = (octets: Uint8Array): ProxyHeader => {
  const header = parseProxyHeader(octets);
  assert.ok(header.kind === "header", header.kind);
  return header;
};

for (const [name, createDriver] of Object.entries(DRIVERS)) {
  const check = (
    title: string,
    run: (open: (options?: L4BedOptions) => Promise<L4Bed>, t: TestContext) => Promise<void>,
  ) =>
    test(`TCP over ${name} ${title}`, { timeout: 60_000 }, (t) =>
      run((options) => openL4(t, { driver: createDriver(), ...options }), t),
    );

  check("keeps half-closed connections and counts them", async (open) => {
    const bed = await open({ onConnection: echo });
    const client = await bed.dial();
    client.socket.end("hello");
    assert.equal(await client.whole(), "hello");
    await until(() => bed.count("closed") === 1);
    assert.equal(bed.count("accepted"), 1);
    assert.equal(bed.count("active"), 0);
    assert.deepEqual([bed.count("octets_from_clients"), bed.count("octets_to_clients")], [5, 5]);
    assert.deepEqual([bed.backendCount(0, "octets_to_backend"), bed.backendCount(0, "octets_from_backend")], [5, 5]);
    assert.equal(bed.backendCount(0, "connections"), 1);
  });

  // ── retries ────────────────────────────────────────────────────────────────────────────────────────────────────

  check("goes to the next backend when one refuses", async (open) => {
    const bed = await open({ backends: 3, pool: IN_ORDER, onConnection: (socket, row) => socket.end(`from ${row}`) });
    bed.backends[0]!.kill();
    bed.backends[1]!.kill();
    assert.equal(await (await bed.dial()).whole(), "from 2");
    assert.equal(bed.count("retries"), 2);
    assert.equal(bed.backendCount(0, "connect_refused"), 1);
    assert.equal(bed.backendCount(1, "retries_away"), 1);
  });
  check("goes to the next backend when one does not answer", async (open) => {
    const hole = await openBlackHole();
    const bed = await open({
      backends: 2,
      pool: { ...IN_ORDER, connectTimeoutMs: 200 },
      onConnection: (socket, row) => socket.end(`from ${row}`),
    });
    const silent = backendAt(2, { address: "127.0.0.1", port: hole.port });
    publish(bed.table, { 2: "active" });
    bed.apply({ pool: { backends: [silent, bed.backends[1]!.spec] } });
    assert.equal(await (await bed.dial()).whole(), "from 1");
    assert.equal(bed.backendCount(2, "connect_timeout"), 1);
    await hole.close();
  });
  check("refuses by RST when all attempts have failed", async (open) => {
    const bed = await open({
      backends: 3,
      pool: { retry: { attempts: 2, budgetPercent: 20, minPerSecond: 10, windowMs: 10_000 } },
    });
    for (const backend of bed.backends) backend.kill();
    assert.equal(await bed.ending(), "reset");
    await until(() => bed.count("connect_failed") === 1);
    assert.equal(bed.count("retries"), 1);
  });
  check("serves when all backends are down, unless the pool says no", async (open) => {
    const bed = await open({ backends: 2, onConnection: (socket) => socket.end("open") });
    publish(bed.table, { 0: "down", 1: "down" });
    assert.equal(await (await bed.dial()).whole(), "open");
    bed.apply({ pool: { isFailOpen: false } });
    assert.equal(await bed.ending(), "reset");
    await until(() => bed.count("no_backend") === 1);
  });

  // ── the queue ──────────────────────────────────────────────────────────────────────────────────────────────────

  const oneAtATime = async (open: (options?: L4BedOptions) => Promise<L4Bed>, pool: L4BedOptions["pool"] = {}) => {
    const bed = await open();
    bed.apply({ pool: { backends: [{ ...bed.backends[0]!.spec, maxConnections: 1 }], ...pool } });
    return { bed, ...(await bed.through()) };
  };
  check("lets clients wait until there is room, in their order", async (open) => {
    const { bed, client } = await oneAtATime(open);
    const waiting: Peer[] = [];
    for (const text of ["second", "third"]) {
      const peer = await bed.dial();
      peer.socket.write(text);
      waiting.push(peer);
      await until(() => bed.queued() === waiting.length);
    }
    client.socket.resetAndDestroy();
    const second = await bed.backends[0]!.next();
    assert.equal((await second.received(6)).toString(), "second");
    assert.equal(bed.active(0), 1);
    waiting[0]!.socket.end();
    second.socket.end();
    assert.equal((await (await bed.backends[0]!.next()).received(5)).toString(), "third");
  });
  check("forgets clients that go away while they wait", async (open) => {
    const { bed } = await oneAtATime(open);
    const [resets, ends] = [await bed.dial(), await bed.dial()];
    await until(() => bed.queued() === 2);
    resets.socket.resetAndDestroy();
    await until(() => bed.queued() === 1);
    ends.socket.end(); // without a word
    await until(() => bed.queued() === 0);
    assert.equal(bed.limits.connections(0), 1);
  });
  check("keeps clients that wait for an answer to what they said before they ended", async (open) => {
    const { bed, client } = await oneAtATime(open);
    const asker = await bed.dial();
    asker.socket.end("question");
    await until(() => bed.queued() === 1);
    await bed.dial(); // behind it: by the time it waits the end was seen
    await until(() => bed.queued() === 2);
    client.socket.resetAndDestroy();
    const server = await bed.backends[0]!.next();
    assert.equal(await server.whole(), "question");
    server.socket.end("answer");
    assert.equal(await asker.whole(), "answer");
  });
  check("refuses who waits too long, and who comes when the queue is full", async (open) => {
    const { bed } = await oneAtATime(open, { queue: { max: 1, timeoutMs: 300 } });
    const waits = await bed.dial();
    await until(() => bed.queued() === 1);
    assert.equal(await bed.ending(), "reset");
    assert.equal(bed.count("queue_full"), 1);
    assert.equal(await waits.ending, "reset");
    assert.equal(bed.count("queue_timeout"), 1);
  });
  check("gives the place back when the client goes away during the connect", async (open) => {
    const hole = await openBlackHole();
    const bed = await open({ pool: { connectTimeoutMs: 30_000 } });
    bed.apply({ pool: { backends: [{ ...bed.backends[0]!.spec, port: hole.port }] } });
    const client = await bed.dial();
    await until(() => bed.active(0) === 1);
    client.socket.resetAndDestroy();
    await until(() => bed.active(0) === 0);
    assert.equal(bed.count("client_reset"), 1);
    await hole.close();
  });

  // ── who may come ───────────────────────────────────────────────────────────────────────────────────────────────

  check("refuses clients that the access list denies, and does not count them against limits", async (open) => {
    const bed = await open({
      onConnection: echo,
      listener: { access: [{ network: "127.0.0.8/32", action: "deny" }], ...limitsOf({ acceptPerSecond: 1 }) },
    });
    for (let tries = 0; tries < 5; tries++) assert.equal(await bed.ending("127.0.0.8"), "reset");
    const client = await bed.dial("127.0.0.9");
    client.socket.end("x");
    assert.equal(await client.whole(), "x");
    assert.equal(bed.count("refused_access"), 5);
  });
  check("holds the limits of the listener and of each client", async (open) => {
    const bed = await open({ listener: limitsOf({ maxConnections: 3, clientConnections: 2 }) });
    await bed.dial("127.0.0.8");
    await bed.dial("127.0.0.8");
    assert.equal(await bed.ending("127.0.0.8"), "reset");
    await bed.dial("127.0.0.9");
    assert.equal(await bed.ending("127.0.0.10"), "reset");
    assert.deepEqual([bed.count("refused_client_limit"), bed.count("refused_limit")], [1, 1]);
  });

  // ── PROXY headers ──────────────────────────────────────────────────────────────────────────────────────────────

  check("says to the backend who the client is, by version 1", async (open) => {
    const bed = await open({
      pool: { proxyProtocol: { version: 1, uniqueId: false, authority: false, crc32c: false } },
    });
    const { client, server } = await bed.through();
    client.socket.write("hello");
    const line = `PROXY TCP4 127.0.0.1 127.0.0.1 ${client.socket.localPort} ${bed.port}\r\n`;
    assert.equal((await server.received(line.length + 5)).toString(), `${line}hello`);
  });
  check("says to the backend who the client is, by version 2 with an id for each", async (open) => {
    const bed = await open({ pool: { proxyProtocol: { version: 2, uniqueId: true, authority: true, crc32c: true } } });
    const ids = new Set<string>();
    for (let round = 0; round < 3; round++) {
      const { client, server } = await bed.through();
      const header = headerIn(await server.received(54)); // fixed 16, addresses 12, checksum 7, id 19
      assert.deepEqual(header.source, { address: "127.0.0.1", port: client.socket.localPort });
      assert.deepEqual(header.destination, { address: "127.0.0.1", port: bed.port });
      ids.add(Buffer.from(header.tlvs.uniqueId!).toString("hex"));
    }
    assert.equal(ids.size, 3);
  });
  check(
    "believes a PROXY header of those it trusts, for access, limits and what it tells the backend",
    async (open) => {
      const bed = await open({
        pool: { proxyProtocol: { version: 1, uniqueId: false, authority: false, crc32c: false } },
        listener: {
          proxyProtocol: { trusted: ["127.0.0.0/8"], timeoutMs: 5_000 },
          access: [{ network: "203.0.113.0/24", action: "deny" }],
          ...limitsOf({ clientConnections: 1 }),
        },
      });
      const headerOf = (address: string) =>
        writeProxyHeader({
          version: 2,
          command: "proxy",
          source: { address, port: 4_711 },
          destination: { address: "192.0.2.1", port: 443 },
        });
      const client = await bed.dial();
      const header = headerOf("198.51.100.7");
      for (const octet of header) client.socket.write(Uint8Array.of(octet)); // in as many segments as may be
      client.socket.write("hello");
      const line = "PROXY TCP4 198.51.100.7 192.0.2.1 4711 443\r\n";
      const server = await bed.backends[0]!.next();
      assert.equal((await server.received(line.length + 5)).toString(), `${line}hello`);
      for (const { address, counter } of [
        { address: "203.0.113.9", counter: "refused_access" },
        { address: "198.51.100.7", counter: "refused_client_limit" },
      ] as const) {
        const refused = await bed.dial();
        refused.socket.write(headerOf(address));
        assert.equal(await refused.ending, "reset");
        assert.equal(bed.count(counter), 1);
      }
      const own = await bed.dial();
      own.socket.write(writeProxyHeader({ version: 2, command: "local" }));
      const checked = await bed.backends[0]!.next();
      assert.match((await checked.received(30)).toString(), /^PROXY TCP4 127\.0\.0\.1 /);
    },
  );
  check("refuses those it trusts when they begin with anything else, or with nothing", async (open) => {
    const bed = await open({ listener: { proxyProtocol: { trusted: ["127.0.0.0/8"], timeoutMs: 200 } } });
    const [talker, silent, gone] = [await bed.dial(), await bed.dial(), await bed.dial()];
    talker.socket.write("GET / HTTP/1.1\r\n");
    gone.socket.end("PROXY TCP4 ");
    assert.deepEqual([await talker.ending, await silent.ending, await gone.ending], ["reset", "reset", "reset"]);
    assert.equal(bed.count("refused_preamble"), 3);
  });
  check("takes a PROXY header of others for what it is: their octets", async (open) => {
    const bed = await open({
      onConnection: echo,
      listener: { proxyProtocol: { trusted: ["192.0.2.0/24"], timeoutMs: 200 } },
    });
    const client = await bed.dial();
    const line = "PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n";
    client.socket.end(line);
    assert.equal(await client.whole(), line);
  });

  // ── operators ──────────────────────────────────────────────────────────────────────────────────────────────────

  check("does not touch connections when the configuration changes", async (open) => {
    const bed = await open({ backends: 2, pool: IN_ORDER });
    const { client, server } = await bed.through();
    const goOn = async (word: string): Promise<void> => {
      const [before, back] = [server.octets(), client.octets()];
      client.socket.write(word);
      await server.received(before + word.length);
      server.socket.write(word);
      await client.received(back + word.length);
    };
    await goOn("start");
    bed.apply({ pool: { algorithm: "maglev" } });
    await goOn("algorithm");
    bed.apply({ pool: { backends: [bed.backends[1]!.spec] } });
    await goOn("backend removed");
    bed.apply({ listener: { access: [{ network: "0.0.0.0/0", action: "deny" }] } });
    await goOn("access");
    bed.apply({ listeners: [] });
    await goOn("listener removed");
    assert.equal(bed.active(0), 1);
    client.socket.end();
    server.socket.end();
    await until(() => bed.active(0) === 0);
  });
  check("ends the connections of one backend, and of no other", async (open) => {
    const bed = await open({ backends: 2, pool: { algorithm: "round_robin" } });
    const clients = [await bed.dial(), await bed.dial()];
    const servers = [await bed.backends[0]!.next(), await bed.backends[1]!.next()];
    for (const { socket } of servers) socket.write("hello");
    for (const client of clients) await client.received(5);
    bed.l4.stopBackend(0);
    assert.equal(await servers[0]!.ending, "reset");
    await until(() => bed.count("stopped") === 1);
    servers[1]!.socket.write("alive");
    const alive = await Promise.race(clients.map(async (client) => (await client.received(10)).toString()));
    assert.equal(alive, "helloalive");
  });
  check("takes a connect that is under way to another backend when one is stopped", async (open) => {
    const hole = await openBlackHole();
    const bed = await open({ backends: 2, pool: { ...IN_ORDER, connectTimeoutMs: 30_000 } });
    const silent = { ...bed.backends[0]!.spec, port: hole.port };
    bed.apply({ pool: { backends: [silent, bed.backends[1]!.spec] } });
    const client = await bed.dial();
    client.socket.write("hello");
    await until(() => bed.active(0) === 1);
    bed.l4.stopBackend(0);
    assert.equal((await (await bed.backends[1]!.next()).received(5)).toString(), "hello");
    assert.equal(bed.backendCount(0, "failures"), 0);
    await hole.close();
  });
  check("drains without a loss, and takes nobody new", async (open) => {
    const bed = await open({ onConnection: echo });
    const clients = await Promise.all(Array.from({ length: 20 }, () => bed.dial()));
    await until(() => bed.active(0) === 20);
    const drained = bed.l4.drain(30_000);
    await until(() => bed.driver.open() === 40);
    const late = connect(bed.port, "127.0.0.1");
    const [error] = (await once(late, "error")) as [NodeJS.ErrnoException];
    assert.equal(error.code, "ECONNREFUSED");
    for (const [index, client] of clients.entries()) {
      client.socket.end(`still ${index}`);
      assert.equal(await client.whole(), `still ${index}`);
    }
    await drained;
    assert.equal(bed.count("closed"), 20);
  });
  check("resets what has not finished when the time to drain is over", async (open) => {
    const bed = await open();
    const { client, server } = await bed.through();
    await bed.l4.drain(200);
    assert.deepEqual([await client.ending, await server.ending], ["reset", "reset"]);
    assert.equal(bed.count("stopped"), 1);
  });
  check("loses only what was in flight when a backend is killed under load", async (open) => {
    const bed = await open({
      backends: 3,
      pool: {
        algorithm: "least_connections",
        retry: { attempts: 3, budgetPercent: 100, minPerSecond: 1_000, windowMs: 1_000 },
      },
      onConnection: echo,
    });
    let asked = 0;
    let lost = 0;
    let inFlight = -1;
    const ask = async (round: number): Promise<void> => {
      const client = await bed.dial();
      const text = pattern(20_000, round).toString("latin1");
      client.socket.end(text, "latin1");
      if ((await client.ending) === "reset") lost++;
      else assert.equal(Buffer.concat(client.chunks).toString("latin1"), text);
      if (++asked === 150) {
        inFlight = bed.active(0);
        bed.backends[0]!.kill();
      }
    };
    const worker = async (): Promise<void> => {
      for (let round = 0; round < 25; round++) await ask(round);
    };
    await Promise.all(Array.from({ length: 20 }, worker));
    assert.equal(asked, 500);
    assert.ok(inFlight >= 0 && lost <= inFlight, `${lost} lost, ${inFlight} in flight`);
    assert.ok(bed.backendCount(0, "connect_refused") > 0);
  });
}
