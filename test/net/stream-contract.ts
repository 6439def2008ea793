/**
 * What conns of every TCP driver do that stream to an owner, over real sockets.
 * @module
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import test, { type TestContext } from "node:test";
import { createSeededRng } from "#base/rng.ts";
import { STREAM_HIGH_WATER, type StreamOwner, type TcpConn, type TcpDriver, type TlsTerms } from "#net/driver.ts";
import { type Bed, closed, createBed, type Peer, pattern, settled, until } from "./bed.ts";

const MIB = 1024 * 1024;
/** As in `driver-contract.ts`. */
const STALLED_OCTETS_MAX = 32 * MIB;
const READ = { maxOctets: 1_024, timeoutMs: 10_000 };

/** Keeps what it is told. */
class Keeper implements StreamOwner {
  readonly chunks: Buffer[] = [];
  ends = 0;
  rooms = 0;
  isGone = false;
  onOctets(octets: Buffer): void {
    this.chunks.push(Buffer.from(octets));
  }
  onEnd(): void {
    this.ends++;
  }
  onRoom(): void {
    this.rooms++;
  }
  onGone(): void {
    assert.ok(!this.isGone, "gone twice");
    this.isGone = true;
  }
  text(): string {
    return Buffer.concat(this.chunks).toString("latin1");
  }
  octets(): number {
    return this.chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  }
}
/** With some call-backs of its own. */
const ownerOf = (parts: Partial<StreamOwner>): StreamOwner => ({
  onOctets: () => {},
  onEnd: () => {},
  onRoom: () => {},
  onGone: () => {},
  ...parts,
});

/** Hands on octets, ends and a full peer, as an exchange would. */
function join(one: TcpConn, other: TcpConn): void {
  const half = (from: TcpConn, to: TcpConn): StreamOwner => ({
    onOctets(octets) {
      if (!to.write(octets)) from.pause();
    },
    onEnd: () => to.finish(),
    onRoom: () => to.resume(),
    onGone: () => to.reset(),
  });
  one.stream(half(one, other));
  other.stream(half(other, one));
}

async function pour(peer: Peer, total: Buffer): Promise<void> {
  for (let at = 0; at < total.length; at += 65_536) {
    if (!peer.socket.write(total.subarray(at, at + 65_536))) await once(peer.socket, "drain");
  }
}

/** @param tls with it, clients speak TLS */
export function streamContract(name: string, create: () => TcpDriver, tls?: TlsTerms): void {
  const check = (title: string, run: (bed: Bed, t: TestContext) => Promise<void>): void => {
    test(`${name} ${title}`, { timeout: 60_000 }, async (t) => {
      const bed = createBed(create(), tls);
      t.after(bed.abandon);
      await run(bed, t);
      await bed.close();
      const { held } = bed.driver as TcpDriver & { held?(): Record<string, number> };
      if (held) assert.deepEqual(held(), { sockets: 0, buffers: 0, pipes: 0, timers: 0, sessions: 0, contexts: 0 });
    });
  };

  // ── what comes ─────────────────────────────────────────────────────────────────────────────────────────────────

  check("streams octets as they come, then the end", async (bed) => {
    const { client, conn } = await bed.accepted();
    const owner = new Keeper();
    conn.stream(owner);
    assert.equal(owner.chunks.length, 0);
    client.socket.write("one ");
    await until(() => owner.text() === "one ");
    client.socket.end("two");
    await until(() => owner.ends === 1);
    assert.equal(owner.text(), "one two");
    assert.ok(!owner.isGone);
    conn.close();
    assert.equal(await client.ending, "fin");
  });
  check("streams first what was read and not consumed", async (bed) => {
    const { client, conn } = await bed.accepted();
    client.socket.write("PROXY x\r\nGET / ");
    await new Promise<void>((resolve) => {
      conn.read(READ, (octets) => {
        if (octets!.length < 15) return -1;
        resolve();
        return 9;
      });
    });
    const owner = new Keeper();
    conn.stream(owner);
    client.socket.write("HTTP/1.1");
    await until(() => owner.octets() === 14);
    assert.equal(owner.text(), "GET / HTTP/1.1");
    conn.reset();
  });
  check("streams an end that came before", async (bed) => {
    const { client, conn } = await bed.accepted();
    client.socket.end("x");
    await new Promise<void>((resolve) => {
      conn.read(READ, (_octets, why) => {
        if (why === "ended") resolve();
        return -1;
      });
    });
    const owner = new Keeper();
    conn.stream(owner);
    assert.equal(owner.ends, 0, "not from within");
    await until(() => owner.ends === 1);
    assert.equal(owner.text(), "x");
    conn.close();
  });
  check("tells nothing while paused, and all of it after that", async (bed) => {
    const { client, conn } = await bed.accepted();
    const owner = new Keeper();
    conn.stream(owner);
    conn.pause();
    client.socket.end("abc");
    await settled(() => owner.octets() + owner.ends);
    assert.deepEqual([owner.octets(), owner.ends], [0, 0]);
    conn.resume();
    assert.equal(owner.octets(), 0, "not from within");
    await until(() => owner.ends === 1);
    assert.equal(owner.text(), "abc");
    conn.close();
  });
  check("pauses from within a call-back, and at once", async (bed) => {
    const { client, conn } = await bed.accepted();
    let [calls, octets] = [0, 0];
    conn.stream(
      ownerOf({
        onOctets(chunk) {
          calls++;
          octets += chunk.length;
          conn.pause();
          setImmediate(() => {
            assert.equal(calls, 1);
            calls = 0;
            conn.resume();
          });
        },
        onEnd: () => conn.close(),
      }),
    );
    const total = pattern(3 * MIB);
    await pour(client, total);
    client.socket.end();
    assert.equal(await client.ending, "fin");
    assert.equal(octets, total.length);
  });
  check("does not read what a paused owner does not want", async (bed) => {
    const { client, conn } = await bed.accepted();
    const owner = new Keeper();
    conn.stream(owner);
    conn.pause();
    const block = Buffer.alloc(MIB);
    for (let sent = 0; sent < 64; sent++) client.socket.write(block);
    const taken = await settled(() => client.socket.bytesWritten - client.socket.writableLength);
    assert.ok(taken < STALLED_OCTETS_MAX, `${taken} octets`);
    conn.resume();
    await until(() => owner.octets() === 64 * MIB);
    conn.reset();
  });
  check("hands a conn to another owner", async (bed) => {
    const { client, conn } = await bed.accepted();
    const second = new Keeper();
    conn.stream(ownerOf({ onOctets: () => conn.stream(second) }));
    client.socket.write("first");
    const turn = until(() => client.socket.writableLength === 0);
    await turn;
    await settled(() => second.octets());
    client.socket.end("second");
    await until(() => second.ends === 1);
    assert.equal(second.text(), "second");
    const third = new Keeper();
    conn.stream(third);
    await until(() => third.ends === 1);
    conn.close();
  });
  check("says when the peer has reset", async (bed) => {
    const { client, conn } = await bed.accepted();
    const owner = new Keeper();
    conn.stream(owner);
    client.socket.write("x");
    await until(() => owner.octets() === 1);
    client.socket.resetAndDestroy();
    await until(() => owner.isGone);
    assert.equal(conn.write(Buffer.from("late")), true);
    conn.pause();
    conn.resume();
    conn.finish();
    conn.close();
    conn.reset();
  });
  check("says that it is gone after the end of the peer too", async (bed) => {
    const { client, conn } = await bed.accepted();
    const owner = new Keeper();
    conn.stream(owner);
    client.socket.end("x");
    await until(() => owner.ends === 1);
    client.socket.resetAndDestroy();
    await until(() => {
      conn.write(Buffer.from("x")); // not every system tells of a reset by itself
      return owner.isGone;
    });
  });
  check("says what a reset peer said before", async (bed) => {
    const { server, conn } = await bed.upstream();
    const owner = new Keeper();
    conn.stream(owner);
    server.socket.write("HTTP/1.1 413");
    server.socket.resetAndDestroy();
    await until(() => owner.isGone);
    assert.ok("HTTP/1.1 413".startsWith(owner.text()));
  });

  // ── what goes ──────────────────────────────────────────────────────────────────────────────────────────────────

  check("sends what is written from within a call-back together, in order", async (bed) => {
    const { client, conn } = await bed.accepted();
    conn.stream(
      ownerOf({
        onOctets() {
          conn.writeText("head \xe9");
          const reused = Buffer.from(" body");
          conn.write(reused);
          reused.fill("!"); // the caller's again
          conn.writeText(" tail");
        },
      }),
    );
    client.socket.write("?");
    assert.equal((await client.received(16)).toString("latin1"), "head \xe9 body tail");
    assert.equal(client.chunks.length, 1);
    conn.reset();
  });
  check("sends what is written outside of call-backs", async (bed) => {
    const { client, conn } = await bed.accepted();
    conn.stream(new Keeper());
    await new Promise((resolve) => setTimeout(resolve, 5));
    conn.writeText("by a timer");
    await client.received(10);
    await Promise.resolve();
    conn.writeText(" by a promise");
    assert.equal((await client.received(23)).toString(), "by a timer by a promise");
    conn.reset();
  });
  check("asks a writer to stop, and says when there is room", async (bed) => {
    const { client, conn } = await bed.accepted();
    client.socket.pause();
    const owner = new Keeper();
    conn.stream(owner);
    const block = pattern(50_000, 3);
    const sent = 500;
    for (let index = 0; index < sent; index++) conn.write(block);
    assert.equal(conn.write(Buffer.alloc(0)), false);
    assert.ok((await settled(() => conn.unsent())) > STREAM_HIGH_WATER);
    const { rooms } = owner;
    client.socket.resume();
    await until(() => owner.rooms > rooms);
    assert.ok(conn.unsent() < STREAM_HIGH_WATER);
    conn.close();
    assert.equal(await client.ending, "fin");
    const got = Buffer.concat(client.chunks);
    assert.equal(got.length, sent * block.length);
    for (let index = 0; index < sent; index++)
      assert.ok(got.subarray(index * block.length, (index + 1) * block.length).equals(block));
  });
  check("sends all of one large write", async (bed) => {
    const { client, conn } = await bed.accepted();
    conn.stream(new Keeper());
    const body = pattern(24 * MIB, 5).subarray(1_001, 23 * MIB); // as a part of something in a cache lies
    conn.writeText("head");
    assert.equal(conn.write(body), false);
    conn.close();
    assert.equal(await client.ending, "fin");
    const got = Buffer.concat(client.chunks);
    assert.equal(got.subarray(0, 4).toString(), "head");
    assert.ok(got.subarray(4).equals(body));
  });
  check("sends long text", async (bed) => {
    const { client, conn } = await bed.accepted();
    conn.stream(new Keeper());
    const text = pattern(300_000, 7).toString("latin1");
    conn.writeText("x");
    conn.writeText(text);
    conn.writeText("y");
    conn.finish();
    assert.equal(await client.ending, "fin");
    assert.equal(Buffer.concat(client.chunks).toString("latin1"), `x${text}y`);
    conn.reset();
  });
  check("finishes its half, and hears the peer out", async (bed) => {
    const { server, conn } = await bed.upstream();
    const owner = new Keeper();
    conn.stream(owner);
    conn.writeText("question");
    conn.finish();
    conn.writeText("nobody hears this");
    assert.equal(await server.whole(), "question");
    server.socket.write("long ");
    await until(() => owner.octets() === 5);
    server.socket.end("answer");
    await until(() => owner.ends === 1);
    assert.equal(owner.text(), "long answer");
    assert.ok(!owner.isGone);
    conn.close();
    await closed(server.socket);
  });
  check("closes when all is sent, though the peer takes its time", async (bed) => {
    const { client, conn } = await bed.accepted();
    client.socket.pause();
    const owner = new Keeper();
    conn.stream(owner);
    const body = pattern(12 * MIB, 9);
    conn.write(body);
    conn.close(Buffer.from("last"));
    client.socket.write("nobody hears this");
    await settled(() => conn.unsent());
    client.socket.resume();
    assert.equal(await client.ending, "fin");
    assert.equal(client.octets(), body.length + 4);
    assert.deepEqual([owner.octets(), owner.ends, owner.isGone], [0, 0, false]);
  });
  check("resets a conn that has something left to send", async (bed) => {
    const { client, conn } = await bed.accepted();
    client.socket.pause();
    conn.stream(ownerOf({ onGone: () => assert.fail("told of its own reset") }));
    while (conn.write(Buffer.alloc(MIB))) await new Promise(setImmediate);
    conn.reset();
    client.socket.resume();
    assert.equal(await client.ending, "reset");
  });
  check("lets an owner end the conn from within its call-backs", async (bed) => {
    for (const end of ["close", "reset"] as const) {
      const { client, conn } = await bed.accepted();
      let calls = 0;
      conn.stream(
        ownerOf({
          onOctets() {
            calls++;
            conn.writeText("bye");
            conn[end]();
          },
          onEnd: () => assert.fail("told after the end"),
          onGone: () => assert.fail("told after the end"),
        }),
      );
      client.socket.write(Buffer.alloc(200_000));
      await client.ending;
      assert.equal(calls, 1);
      client.socket.destroy();
    }
  });

  // ── two of them ────────────────────────────────────────────────────────────────────────────────────────────────

  check("carries 10,000 messages to and fro", async (bed) => {
    const [front, back] = [await bed.accepted(), await bed.upstream()];
    join(front.conn, back.conn);
    back.server.socket.on("data", (chunk: Buffer) => back.server.socket.write(chunk));
    let left = 10_000;
    const done = new Promise<void>((resolve) => {
      front.client.socket.on("data", () => {
        if (--left === 0) resolve();
        else front.client.socket.write(`message ${left}`);
      });
    });
    front.client.socket.write("message");
    await done;
    front.client.socket.end();
    assert.equal(await back.server.ending, "fin");
    back.server.socket.end();
    await closed(front.client.socket);
    front.conn.close();
    back.conn.close();
  });
  for (const slow of ["client", "server"] as const) {
    check(`does not read for a slow ${slow} what it does not take`, async (bed) => {
      const [front, back] = [await bed.accepted(), await bed.upstream()];
      join(front.conn, back.conn);
      const [from, to] = slow === "client" ? [back.server, front.client] : [front.client, back.server];
      to.socket.pause();
      const total = pattern(48 * MIB, 11);
      for (let at = 0; at < total.length; at += MIB) from.socket.write(total.subarray(at, at + MIB));
      from.socket.end();
      const taken = await settled(() => from.socket.bytesWritten - from.socket.writableLength);
      assert.ok(taken < STALLED_OCTETS_MAX, `${taken} octets`);
      to.socket.resume();
      assert.equal(await to.ending, "fin");
      assert.ok(Buffer.concat(to.chunks).equals(total));
      front.conn.reset();
      back.conn.reset();
    });
  }
  check("carries what comes in pieces of whatever size, with pauses, both ways", async (bed) => {
    const rng = createSeededRng(20_261);
    const below = (limit: number): number => Math.floor(rng() * limit);
    const listener = bed.listen();
    const backend = await bed.backend();
    const live = async (client: Peer, server: Peer, conns: readonly TcpConn[]): Promise<void> => {
      const speak = async (peer: Peer, total: Buffer): Promise<void> => {
        for (let at = 0; at < total.length; ) {
          const end = at + 1 + below(below(2) === 0 ? 50 : 100_000);
          if (!peer.socket.write(total.subarray(at, end))) await once(peer.socket, "drain");
          if (below(8) === 0) await new Promise(setImmediate);
          if (below(20) === 0) {
            peer.socket.pause();
            setTimeout(() => peer.socket.resume(), below(5));
          }
          at = end;
        }
        peer.socket.end();
      };
      const [up, down] = [pattern(1 + below(MIB), 13), pattern(1 + below(MIB), 17)];
      await Promise.all([speak(client, up), speak(server, down), client.ending, server.ending]);
      assert.ok(Buffer.concat(server.chunks).equals(up));
      assert.ok(Buffer.concat(client.chunks).equals(down));
      for (const conn of conns) conn.close();
    };
    const lives: Promise<void>[] = [];
    for (let index = 0; index < 40; index++) {
      const client = await bed.dial(listener.port);
      const conn = await listener.next();
      const upstream = await bed.connect(backend.port);
      assert.ok(typeof upstream !== "string");
      join(conn, upstream);
      lives.push(live(client, await backend.next(), [conn, upstream]));
    }
    await Promise.all(lives);
  });
}
