/**
 * Random mixes of what peers do, some hundred connections at once: every octet is accounted for, each relay ends as the
 * contract says, and nothing is left over.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import test from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createSeededRng, type Rng } from "#base/rng.ts";
import type { RelayEnd, TcpConn } from "#net/driver.ts";
import { createBed, type Peer, pattern, until } from "../bed.ts";
import { createTurningDriver, skip } from "./loop.ts";

const CONNECTIONS = 300;
const HEAD = Buffer.from("PROXY of some kind\r\n");

/** What one peer will do with its half of the connection. */
type Script = {
  readonly octets: Buffer;
  readonly parts: readonly number[];
  readonly resetsAt: number;
  readonly isSlow: boolean;
};

function write(rng: Rng, seed: number): Script {
  const scale = rng() < 0.15 ? 400_000 : 5_000;
  const parts = Array.from({ length: Math.floor(rng() * 8) }, () => 1 + Math.floor(rng() * scale));
  const octets = pattern(
    parts.reduce((sum, part) => sum + part, 0),
    seed,
  );
  return {
    octets,
    parts,
    resetsAt: parts.length > 0 && rng() < 0.1 ? Math.floor(rng() * parts.length) : -1,
    isSlow: rng() < 0.2,
  };
}

async function play(peer: Peer, { octets, parts, resetsAt, isSlow }: Script): Promise<void> {
  const { socket } = peer;
  if (isSlow) {
    socket.pause();
    void sleep(150).then(() => socket.resume());
  }
  let at = 0;
  for (const [index, part] of parts.entries()) {
    if (index === resetsAt) {
      socket.resetAndDestroy();
      return;
    }
    if (socket.destroyed) return;
    const isTaken = socket.write(octets.subarray(at, at + part));
    at += part;
    if (!isTaken) await Promise.race([once(socket, "drain"), once(socket, "close")]).catch(() => {});
    else if (index % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  socket.end();
}

const startsWith = (whole: Buffer, part: Buffer): boolean => whole.subarray(0, part.length).equals(part);

for (const seed of [1, 2, 3]) {
  test(`epoll driver accounts for every octet of a chaos (seed ${seed})`, { skip, timeout: 60_000 }, async (t) => {
    const descriptorsBefore = readdirSync("/proc/self/fd").length;
    const rng = createSeededRng(seed);
    const driver = createTurningDriver();
    t.after(() => driver.close());
    const bed = createBed(driver);
    const listener = bed.listen();
    const backend = await bed.backend();
    const reasons = new Map<string, number>();

    async function run(index: number, client: Peer, conn: TcpConn): Promise<void> {
      const upstream = await bed.connect(backend.port);
      assert.ok(typeof upstream !== "string", String(upstream));
      const server = await serverAt(upstream.local.port);
      const head = rng() < 0.3 ? HEAD : undefined;
      const [up, down] = [write(rng, index * 2 + 1), write(rng, index * 2 + 2)];
      const { end, calls } = bed.relay(conn, upstream, { ...(head ? { head } : {}), idleMs: 30_000 });
      await Promise.all([play(client, up), play(server, down)]);
      const { reason, octetsToUpstream, octetsToClient }: RelayEnd = await end;
      reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
      assert.equal(calls.done, 1);
      for (const { socket } of [client, server])
        if (!socket.closed) await once(socket.resume(), "close").catch(() => {});
      const sent = Buffer.concat([head ?? Buffer.alloc(0), up.octets]);
      const [got, back] = [Buffer.concat(server.chunks), Buffer.concat(client.chunks)];
      assert.ok(startsWith(sent, got), `${index}: what the server got`);
      assert.ok(startsWith(down.octets, back), `${index}: what the client got`);
      assert.ok(octetsToUpstream <= up.octets.length && octetsToClient <= down.octets.length);
      assert.ok(got.length <= octetsToUpstream + (head?.length ?? 0) && back.length <= octetsToClient);
      if (up.resetsAt < 0 && down.resetsAt < 0) assert.equal(reason, "closed");
      else assert.match(reason, /-reset$/);
      if (reason !== "closed") return;
      assert.deepEqual([got.length, back.length], [sent.length, down.octets.length], `${index}`);
      assert.deepEqual([octetsToUpstream, octetsToClient], [up.octets.length, down.octets.length]);
      assert.equal(calls.firstOctet, down.octets.length > 0 ? 1 : 0);
    }

    const servers = new Map<number, Peer>();
    async function serverAt(port: number): Promise<Peer> {
      while (!servers.has(port)) {
        const peer = await backend.next();
        servers.set(peer.socket.remotePort!, peer);
      }
      return servers.get(port)!;
    }

    const running: Promise<void>[] = [];
    for (let index = 0; index < CONNECTIONS; index++) {
      const client = await bed.dial(listener.port);
      running.push(run(index, client, await listener.next()));
    }
    await Promise.all(running);
    assert.ok((reasons.get("closed") ?? 0) > CONNECTIONS / 2, "most end in order");
    assert.ok((reasons.get("client-reset") ?? 0) > 5 && (reasons.get("upstream-reset") ?? 0) > 5, "some do not");

    // The listener, the buffer that all share; no pipe, no timer.
    assert.deepEqual(driver.held(), { sockets: 1, buffers: 2, pipes: 0, timers: 0, sessions: 0, contexts: 0 });
    await bed.close();
    assert.deepEqual(driver.held(), { sockets: 0, buffers: 0, pipes: 0, timers: 0, sessions: 0, contexts: 0 });
    // Sockets of peers close in their own time.
    await until(() => readdirSync("/proc/self/fd").length <= descriptorsBefore);
  });
}
