/**
 * What every TCP driver does, over real sockets (`src/net/driver.ts` is the contract in types).
 * @module
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { connect } from "node:net";
import test, { type TestContext } from "node:test";
import type { ReadEnd, TcpConn, TcpDriver, TlsTerms } from "#net/driver.ts";
import { type Bed, closed, createBed, openBlackHole, type Peer, pattern, settled, until } from "./bed.ts";

const MIB = 1024 * 1024;
/** What kernels hold for both sockets of one direction (4 MiB to send, 6 MiB received, twice), and no more than 12 MiB of ours. */
const STALLED_OCTETS_MAX = 32 * MIB;
const READ = { maxOctets: 1_024, timeoutMs: 10_000 };

const hash = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** Reads until `wanted` octets are there; consumes `consumed` of them. */
const look = (conn: TcpConn, wanted: number, consumed: number, options = READ): Promise<string> =>
  new Promise((resolve) => {
    conn.read(options, (octets, why) => {
      if (!octets) {
        resolve(why!);
        return 0;
      }
      if (octets.length < wanted) return -1;
      resolve(Buffer.from(octets).toString());
      return consumed;
    });
  });

/** Writes `total` octets, a part at a time, as fast as they are taken; resolves when the kernel has all of them. */
async function pour(peer: Peer, total: Buffer, partOctets = 65_536): Promise<void> {
  for (let at = 0; at < total.length; at += partOctets) {
    if (!peer.socket.write(total.subarray(at, at + partOctets))) await once(peer.socket, "drain");
  }
}

/** @param tls with it, clients speak TLS */
export function driverContract(name: string, create: () => TcpDriver, tls?: TlsTerms): void {
  const check = (title: string, run: (bed: Bed, t: TestContext) => Promise<void>): void => {
    test(`${name} ${title}`, { timeout: 60_000 }, async (t) => {
      const bed = createBed(create(), tls);
      t.after(bed.abandon);
      await run(bed, t);
      await bed.close();
    });
  };

  // ── accept and connect ─────────────────────────────────────────────────────────────────────────────────────────

  for (const host of ["127.0.0.1", "::1"]) {
    check(`accepts and connects at ${host} and tells both addresses`, async (bed) => {
      const listener = bed.listen(host);
      const client = await bed.dial(listener.port, host);
      const conn = await listener.next();
      assert.deepEqual(conn.remote, { address: host, port: client.socket.localPort });
      assert.deepEqual(conn.local, { address: host, port: listener.port });
      const { server, conn: upstream } = await bed.upstream(host);
      assert.deepEqual(upstream.remote, { address: host, port: server.socket.localPort });
      assert.deepEqual(upstream.local, { address: host, port: server.socket.remotePort });
    });
    check(`relays at ${host}`, async (bed) => {
      const { client, server } = await bed.relayed({}, host);
      client.socket.write("ping");
      assert.equal((await server.received(4)).toString(), "ping");
      server.socket.write("pong");
      assert.equal((await client.received(4)).toString(), "pong");
    });
  }

  check("says refused where nobody listens", async (bed) => {
    const backend = await bed.backend();
    backend.server.close();
    await once(backend.server, "close");
    assert.equal(await bed.connect(backend.port), "refused");
  });
  check("says timeout where nobody answers", async (bed) => {
    const hole = await openBlackHole();
    assert.equal(await bed.connect(hole.port, 200), "timeout");
    await hole.close();
  });
  check("says unreachable where no route leads", async (bed) => {
    assert.equal(await bed.connect(9, 5_000, "127.255.255.255"), "unreachable"); // a broadcast address
  });
  check("says other, and asks no resolver, where the address is none", async (bed) => {
    assert.equal(await bed.connect(9, 5_000, "localhost"), "other");
  });
  check("calls back later, never from inside of the call", async (bed) => {
    const order: string[] = [];
    const fault = new Promise((resolve) => {
      bed.driver.connect({ address: "localhost", port: 9 }, 1_000, (result) => {
        order.push("done");
        resolve(result);
      });
    });
    order.push("returned");
    await fault;
    const { client, conn } = await bed.accepted();
    client.socket.write("here");
    await look(conn, 4, 0);
    const shown = new Promise<void>((resolve) => {
      conn.read(READ, () => {
        order.push("shown");
        resolve();
        return 0;
      });
    });
    order.push("returned");
    await shown;
    const { relay, end } = await bed.relayed();
    void end.then(() => order.push("stopped"));
    relay.stop();
    order.push("returned");
    await end;
    assert.deepEqual(order, ["returned", "done", "returned", "shown", "returned", "stopped"]);
  });
  check("gives up a connect without calling back", async (bed) => {
    const hole = await openBlackHole();
    const cancel = bed.driver.connect({ address: "127.0.0.1", port: hole.port }, 5_000, () => assert.fail("called"));
    assert.equal(bed.driver.open(), 1);
    cancel();
    await until(() => bed.driver.open() === 0);
    cancel();
    await hole.close();
  });
  check("gives up a connect that succeeds or fails at the same time", async (bed) => {
    const backend = await bed.backend();
    const gone = await bed.backend();
    gone.server.close();
    await once(gone.server, "close");
    for (const port of [backend.port, gone.port]) {
      bed.driver.connect({ address: "127.0.0.1", port }, 5_000, () => assert.fail("called"))();
    }
    await until(() => bed.driver.open() === 0);
  });
  check("ends conns by FIN, or by RST", async (bed) => {
    const [first, second] = [await bed.accepted(), await bed.accepted()];
    first.conn.close();
    assert.equal(await first.client.ending, "fin");
    second.conn.reset();
    assert.equal(await second.client.ending, "reset");
  });
  check("sends last words before it ends a conn", async (bed) => {
    const { client, conn } = await bed.accepted();
    client.socket.write("question");
    await look(conn, 8, 8);
    conn.close(Buffer.from("no"));
    assert.equal(await client.whole(), "no");
    const gone = await bed.accepted();
    gone.client.socket.resetAndDestroy();
    await closed(gone.client.socket);
    gone.conn.close(Buffer.from("no"));
  });
  check("survives conns that are ended twice, and peers that are gone", async (bed) => {
    const { client, conn } = await bed.accepted();
    conn.reset();
    conn.reset();
    conn.close();
    await client.ending;
    const other = await bed.accepted();
    other.client.socket.resetAndDestroy();
    await closed(other.client.socket);
    other.conn.close();
    const third = await bed.accepted();
    third.conn.close();
    third.conn.reset();
    await third.client.ending;
  });
  check("takes what waits in the accept queue when a listener closes, and lets connections live", async (bed) => {
    const listener = bed.listen();
    const old = await bed.dial(listener.port);
    const oldConn = await listener.next();
    const clients = Array.from({ length: 20 }, () => bed.dial(listener.port));
    await new Promise<void>((resolve) => process.nextTick(resolve)); // SYNs are out: sockets connect in the next tick
    let isClosed = false;
    listener.listener.close(() => {
      isClosed = true;
    });
    assert.ok(!isClosed);
    const peers = await Promise.all(clients);
    const conns = await Promise.all(peers.map(() => listener.next()));
    await until(() => isClosed);
    assert.equal(bed.driver.open(), 21);
    for (const [index, conn] of [oldConn, ...conns].entries()) {
      const { server, conn: upstream } = await bed.upstream();
      bed.relay(conn, upstream);
      const client = [old, ...peers].find((peer) => peer.socket.localPort === conn.remote.port)!;
      client.socket.write(`still ${index}`);
      assert.match((await server.received(7)).toString(), /^still/);
    }
    const late = connect(listener.port, "127.0.0.1");
    const [error] = (await once(late, "error")) as [NodeJS.ErrnoException];
    assert.equal(error.code, "ECONNREFUSED");
  });
  check("throws what the system says when it cannot listen", async (bed) => {
    assert.throws(
      () => bed.driver.listen(1_000_000, 16, () => {}),
      (error: NodeJS.ErrnoException) => error.code === "EBADF",
    );
  });

  // ── read ───────────────────────────────────────────────────────────────────────────────────────────────────────

  check("shows all octets with each look, until enough are there", async (bed) => {
    const { client, conn } = await bed.accepted();
    const seen: string[] = [];
    const enough = new Promise<void>((resolve) => {
      conn.read(READ, (octets) => {
        seen.push(Buffer.from(octets!).toString());
        if (octets!.length < 6) return -1;
        resolve();
        return 4;
      });
    });
    for (const part of ["ab", "cd", "ef"]) {
      const before = seen.length;
      client.socket.write(part);
      await until(() => seen.length > before);
    }
    await enough;
    assert.deepEqual(seen, ["ab", "abcd", "abcdef"]);
    assert.equal(await look(conn, 2, 1), "ef"); // at once: they are there
    const { server, conn: upstream } = await bed.upstream();
    bed.relay(conn, upstream);
    client.socket.write("gh");
    assert.equal((await server.received(3)).toString(), "fgh");
  });
  check("relays the head, then what was not consumed, then the rest", async (bed) => {
    const { client, conn } = await bed.accepted();
    client.socket.write("consumed kept ");
    assert.equal(await look(conn, 14, 9), "consumed kept ");
    client.socket.end("new");
    const { server, conn: upstream } = await bed.upstream();
    const { end } = bed.relay(conn, upstream, { head: Buffer.from("HEAD ") });
    assert.equal(await server.whole(), "HEAD kept new");
    server.socket.end("answer");
    assert.equal(await client.whole(), "answer");
    assert.deepEqual(await end, { reason: "closed", octetsToUpstream: 8, octetsToClient: 6 });
  });
  check("sends the head at once, before the client says a word", async (bed) => {
    const { server } = await bed.relayed({ head: Buffer.from("PROXY\r\n") });
    assert.equal((await server.received(7)).toString(), "PROXY\r\n");
  });
  check("relays what an upstream said before", async (bed) => {
    const [front, back] = [await bed.accepted(), await bed.upstream()];
    back.server.socket.write("220 ready");
    assert.equal(await look(back.conn, 9, 4), "220 ready");
    const { calls } = bed.relay(front.conn, back.conn);
    assert.equal((await front.client.received(5)).toString(), "ready");
    assert.equal(calls.firstOctet, 1);
  });
  for (const { why, act, options } of [
    { why: "ended", act: (peer: Peer) => void peer.socket.end("ab"), options: READ },
    { why: "reset", act: (peer: Peer) => void peer.socket.resetAndDestroy(), options: READ },
    { why: "timeout", act: (peer: Peer) => void peer.socket.write("ab"), options: { ...READ, timeoutMs: 100 } },
    {
      why: "too-long",
      act: (peer: Peer) => void peer.socket.write("a".repeat(64)),
      options: { ...READ, maxOctets: 64 },
    },
  ] satisfies { why: ReadEnd; act: (peer: Peer) => void; options: typeof READ }[]) {
    check(`ends a read with ${why}`, async (bed) => {
      const { client, conn } = await bed.accepted();
      const read = look(conn, 1_000, 0, options);
      act(client);
      // Node may tell of a reset below TLS as of an end.
      const told = tls !== undefined && why === "reset" ? ["reset", "ended"] : [why];
      const got = await read;
      assert.ok(told.includes(got), got);
    });
  }
  check("never shows more than was asked for", async (bed) => {
    const { client, conn } = await bed.accepted();
    const sizes: number[] = [];
    const read = new Promise<string>((resolve) => {
      conn.read({ maxOctets: 100, timeoutMs: 10_000 }, (octets, why) => {
        if (!octets) resolve(why!);
        else sizes.push(octets.length);
        return -1;
      });
    });
    client.socket.write("x".repeat(5_000));
    assert.equal(await read, "too-long");
    assert.ok(Math.max(...sizes) <= 100, String(sizes));
    const { server, conn: upstream } = await bed.upstream();
    bed.relay(conn, upstream);
    assert.equal((await server.received(5_000)).length, 5_000);
  });
  check("relays what was read, and the end that came after it", async (bed) => {
    const { client, conn } = await bed.accepted();
    client.socket.end("hello");
    assert.equal(await look(conn, 5, 2), "hello");
    const { server, conn: upstream } = await bed.upstream();
    bed.relay(conn, upstream);
    assert.equal(await server.whole(), "llo");
  });
  check("reads nothing that nobody asked for", async (bed) => {
    const { client } = await bed.accepted();
    const block = Buffer.alloc(MIB);
    for (let sent = 0; sent < 64; sent++) client.socket.write(block);
    const taken = await settled(() => client.socket.bytesWritten - client.socket.writableLength);
    assert.ok(taken < STALLED_OCTETS_MAX, `${taken} octets`);
  });
  check("lets the look begin another read", async (bed) => {
    const { client, conn } = await bed.accepted();
    client.socket.write("one two");
    const second = new Promise<string>((resolve) => {
      conn.read(READ, (octets) => {
        if (octets!.length < 7) return -1;
        void look(conn, 3, 1).then(resolve);
        return 4;
      });
    });
    assert.equal(await second, "two");
  });
  check("ends a read when a relay begins", async (bed) => {
    const [front, back] = [await bed.accepted(), await bed.upstream()];
    const seen: string[] = [];
    front.conn.read({ ...READ, timeoutMs: 200 }, (octets, why) => {
      seen.push(why ?? Buffer.from(octets!).toString());
      return -1;
    });
    front.client.socket.write("early ");
    await until(() => seen.length === 1);
    const { end } = bed.relay(front.conn, back.conn, { idleMs: 500 });
    front.client.socket.write("late");
    assert.equal((await back.server.received(10)).toString(), "early late");
    assert.equal((await end).reason, "idle");
    assert.deepEqual(seen, ["early "]);
  });
  check("lets the look end the conn itself", async (bed) => {
    const { client, conn } = await bed.accepted();
    conn.read(READ, () => {
      conn.reset();
      return 0;
    });
    client.socket.write("x");
    assert.equal(await client.ending, "reset");
  });
  check("does not look any more at a conn that was ended", async (bed) => {
    const { client, conn } = await bed.accepted();
    conn.read({ ...READ, timeoutMs: 100 }, () => assert.fail("looked"));
    conn.close();
    assert.equal(await client.ending, "fin");
    client.socket.end();
    await settled(() => bed.driver.open());
  });

  // ── relay: octets ──────────────────────────────────────────────────────────────────────────────────────────────

  check("carries 32 MiB both ways at once, octet by octet", async (bed) => {
    const { client, server, end } = await bed.relayed();
    const [up, down] = [pattern(32 * MIB, 3), pattern(32 * MIB, 5)];
    await Promise.all([
      pour(client, up).then(() => client.socket.end()),
      pour(server, down).then(() => server.socket.end()),
      client.ending,
      server.ending,
    ]);
    assert.equal(hash(Buffer.concat(server.chunks)), hash(up));
    assert.equal(hash(Buffer.concat(client.chunks)), hash(down));
    assert.deepEqual(await end, { reason: "closed", octetsToUpstream: up.length, octetsToClient: down.length });
  });
  check("carries single octets", async (bed) => {
    const { client, server } = await bed.relayed();
    const [up, down] = [pattern(2_000, 7), pattern(2_000, 9)];
    for (let at = 0; at < up.length; at++) {
      client.socket.write(up.subarray(at, at + 1));
      server.socket.write(down.subarray(at, at + 1));
      if (at % 50 === 0) await server.received(at);
    }
    assert.deepEqual(await server.received(up.length), up);
    assert.deepEqual(await client.received(down.length), down);
  });
  check("carries 100 connections at once", async (bed) => {
    const listener = bed.listen();
    const backend = await bed.backend();
    const octets = pattern(100_000, 11);
    const serve = async (): Promise<void> => {
      const conn = await listener.next();
      const upstream = await bed.connect(backend.port);
      assert.ok(typeof upstream !== "string");
      await bed.relay(conn, upstream).end;
    };
    const answer = async (): Promise<void> => {
      const { socket } = await backend.next();
      socket.pipe(socket);
    };
    const ask = async (): Promise<void> => {
      const client = await bed.dial(listener.port);
      await pour(client, octets, 7_000);
      client.socket.end();
      await client.ending;
      assert.deepEqual(Buffer.concat(client.chunks), octets);
    };
    await Promise.all(Array.from({ length: 100 }, () => [serve(), answer(), ask()]).flat());
  });
  for (const { fast, slow } of [
    { fast: "client", slow: "server" },
    { fast: "server", slow: "client" },
  ] as const) {
    check(`does not read from a fast ${fast} what a slow ${slow} does not take`, async (bed) => {
      const relayed = await bed.relayed();
      const [from, to] = [relayed[fast], relayed[slow]];
      to.socket.pause();
      const block = pattern(MIB, 13);
      const sum = createHash("sha256");
      for (let sent = 0; sent < 64; sent++) {
        from.socket.write(block);
        sum.update(block);
      }
      from.socket.end();
      const taken = await settled(() => from.socket.bytesWritten - from.socket.writableLength);
      assert.ok(taken < STALLED_OCTETS_MAX, `${taken} octets`);
      to.socket.write("the other way is free");
      await from.received(21);
      to.socket.resume();
      assert.equal(await to.ending, "fin");
      assert.equal(hash(Buffer.concat(to.chunks)), sum.digest("hex"));
    });
  }
  check("tells of the first octet from the upstream, once", async (bed) => {
    const { client, server, calls } = await bed.relayed({ head: Buffer.from("head") });
    client.socket.write("question");
    await server.received(12);
    assert.equal(calls.firstOctet, 0);
    server.socket.write("a");
    await client.received(1);
    server.socket.write("b");
    await client.received(2);
    assert.equal(calls.firstOctet, 1);
  });

  // ── relay: ends ────────────────────────────────────────────────────────────────────────────────────────────────

  for (const { first, second } of [
    { first: "client", second: "server" },
    { first: "server", second: "client" },
  ] as const) {
    check(`keeps the other half open when the ${first} ends`, async (bed) => {
      const relayed = await bed.relayed();
      relayed[first].socket.end("last words");
      assert.equal(await relayed[second].whole(), "last words");
      for (const word of ["one ", "two ", "three"]) {
        relayed[second].socket.write(word);
        await relayed[first].received(1);
      }
      assert.equal(relayed.calls.done, 0);
      relayed[second].socket.end();
      assert.equal(await relayed[first].whole(), "one two three");
      assert.equal((await relayed.end).reason, "closed");
    });
    check(`hands on the RST of the ${first}`, async (bed) => {
      const relayed = await bed.relayed();
      relayed[first].socket.write("x");
      await relayed[second].received(1);
      relayed[first].socket.resetAndDestroy();
      assert.equal(await relayed[second].ending, "reset");
      assert.equal((await relayed.end).reason, first === "client" ? "client-reset" : "upstream-reset");
    });
    check(`hands on the RST of the ${first} after the ${second} has ended`, async (bed) => {
      const relayed = await bed.relayed();
      relayed[second].socket.end();
      assert.equal(await relayed[first].ending, "fin");
      const reset = once(relayed[second].socket, "error");
      relayed[first].socket.resetAndDestroy();
      const [error] = (await reset) as [NodeJS.ErrnoException];
      assert.equal(error.code, "ECONNRESET");
      assert.equal((await relayed.end).reason, first === "client" ? "client-reset" : "upstream-reset");
    });
    check(`resets the ${second} when the ${first} goes away in the middle of what is sent to it`, async (bed) => {
      const relayed = await bed.relayed();
      const { socket } = relayed[second];
      const block = pattern(65_536);
      const flow = (): void => {
        while (!socket.destroyed && socket.write(block));
      };
      socket.on("drain", flow);
      flow();
      await relayed[first].received(500_000);
      relayed[first].socket.destroy();
      assert.equal((await relayed.end).reason, first === "client" ? "client-reset" : "upstream-reset");
      await closed(socket);
      assert.equal(relayed.calls.done, 1);
    });
  }
  check("hands on a RST that came before the relay", async (bed) => {
    const [front, back] = [await bed.accepted(), await bed.upstream()];
    front.client.socket.resetAndDestroy();
    await closed(front.client.socket);
    const { end } = bed.relay(front.conn, back.conn);
    assert.equal(await back.server.ending, "reset");
    assert.equal((await end).reason, "client-reset");
  });
  check("ends when both sides end at the same time", async (bed) => {
    const { client, server, end } = await bed.relayed();
    client.socket.end("a");
    server.socket.end("b");
    assert.deepEqual(await end, { reason: "closed", octetsToUpstream: 1, octetsToClient: 1 });
    assert.equal(await client.whole(), "b");
    assert.equal(await server.whole(), "a");
  });
  check("ends what is idle", async (bed) => {
    const { client, server, end, calls } = await bed.relayed({ idleMs: 200 });
    assert.equal((await end).reason, "idle");
    assert.deepEqual([await client.ending, await server.ending], ["reset", "reset"]);
    assert.equal(calls.done, 1);
  });
  for (const from of ["client", "server"] as const) {
    check(`does not call idle where the ${from} alone talks`, async (bed, t) => {
      const relayed = await bed.relayed({ idleMs: 1_000 });
      const to = relayed[from === "client" ? "server" : "client"];
      let pings = 0;
      const timer = setInterval(() => {
        if (++pings <= 15) relayed[from].socket.write(".");
      }, 100);
      t.after(() => clearInterval(timer));
      assert.equal((await relayed.end).reason, "idle");
      assert.equal(to.octets(), 15);
    });
  }
  check("ends what has lived too long, busy or not", async (bed, t) => {
    const { client, server, end } = await bed.relayed({ lifetimeMs: 300, idleMs: 10_000 });
    const timer = setInterval(() => client.socket.write("."), 20);
    t.after(() => clearInterval(timer));
    assert.equal((await end).reason, "lifetime");
    assert.deepEqual([await client.ending, await server.ending], ["reset", "reset"]);
  });
  check("gives a half-closed connection its own time", async (bed) => {
    const { client, server, end } = await bed.relayed({ idleMs: 60_000, halfCloseMs: 200 });
    client.socket.end();
    assert.equal(await server.ending, "fin");
    assert.equal((await end).reason, "idle");
    assert.equal(await client.ending, "reset");
  });
  check("stops a relay by RST, once", async (bed) => {
    const { client, server, relay, end, calls } = await bed.relayed();
    client.socket.write("x");
    await server.received(1);
    relay.stop();
    relay.stop();
    assert.deepEqual(await end, { reason: "stopped", octetsToUpstream: 1, octetsToClient: 0 });
    assert.deepEqual([await client.ending, await server.ending], ["reset", "reset"]);
    relay.stop();
    assert.equal(calls.done, 1);
  });
  check("stops relays in whatever turn they hand on an end", async (bed) => {
    for (let turns = 0; turns < 12; turns++) {
      const { client, server, relay, end } = await bed.relayed();
      client.socket.end("x");
      for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate);
      relay.stop();
      assert.equal((await end).reason, "stopped");
      await Promise.all([closed(client.socket), server.ending]);
    }
  });
  check("stops a relay that is stuck in a slow reader", async (bed) => {
    const { client, server, relay, end } = await bed.relayed();
    server.socket.pause();
    for (let sent = 0; sent < 48; sent++) client.socket.write(Buffer.alloc(MIB));
    await settled(() => client.socket.bytesWritten - client.socket.writableLength);
    relay.stop();
    assert.equal((await end).reason, "stopped");
    assert.equal(await client.ending, "reset");
  });
  check("resets all that is left when it closes", async (bed) => {
    const { client, server } = await bed.relayed();
    const loose = await bed.accepted();
    const listener = bed.listen();
    const hole = await openBlackHole();
    bed.driver.connect({ address: "127.0.0.1", port: hole.port }, 60_000, () => assert.fail("connected"));
    bed.driver.close();
    assert.deepEqual(
      [await client.ending, await server.ending, await loose.client.ending],
      ["reset", "reset", "reset"],
    );
    await until(() => bed.driver.open() === 0);
    const late = connect(listener.port, "127.0.0.1");
    const [error] = (await once(late, "error")) as [NodeJS.ErrnoException];
    assert.equal(error.code, "ECONNREFUSED");
    await hole.close();
  });
}
