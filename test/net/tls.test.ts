/** Handshakes and what follows them, on each driver: in pieces, among rubbish, at their limits, to their ends. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import test, { type TestContext } from "node:test";
import { type ConnectionOptions, connect as tlsConnect } from "node:tls";
import { createSeededRng } from "#base/rng.ts";
import type { StreamOwner, TcpConn, TcpDriver, TlsAgreement, TlsTerms } from "#net/driver.ts";
import { bindTcp, closed, settled, until } from "./bed.ts";
import { DRIVERS } from "./drivers.ts";
import { TLS_TERMS } from "./tls-terms.ts";

type World = {
  readonly driver: TcpDriver;
  readonly port: number;
  readonly conns: TcpConn[];
  readonly agreements: (TlsAgreement | undefined)[];
  /** Of handshakes that begin from now on. */
  readonly terms: { timeoutMs: number };
};
type Hello = { readonly octets: Buffer; readonly socket: Socket };

/** Echoes, and closes after an end. */
const echoTo = (conn: TcpConn): StreamOwner => ({
  onOctets: (octets) => void conn.write(octets),
  onEnd: () => conn.close(),
  onRoom() {},
  onGone() {},
});

function check(
  title: string,
  run: (world: World, t: TestContext) => Promise<void>,
  changes: Partial<TlsTerms> = {},
  owner: (conn: TcpConn) => StreamOwner = echoTo,
): void {
  if (TLS_TERMS === undefined) return;
  const terms = { ...TLS_TERMS, ...changes };
  for (const [name, create] of Object.entries(DRIVERS))
    test(`${name} driver ${title}`, { timeout: 60_000 }, async (t) => {
      const driver = create();
      t.after(() => driver.close());
      const { fd, port } = bindTcp();
      const world: World = { driver, port, conns: [], agreements: [], terms };
      driver.listen(fd, 511, (conn) => {
        driver.startTls!(conn, terms, (agreement) => {
          world.agreements.push(agreement);
          if (agreement === undefined) return;
          world.conns.push(conn);
          conn.stream(owner(conn));
        });
      });
      await run(world, t);
      await until(() => driver.open() === 1);
      const { held } = driver as TcpDriver & { held?(): { sessions: number; timers: number; buffers: number } };
      if (held === undefined) return;
      const { sessions, timers } = held();
      assert.deepEqual({ sessions, timers }, { sessions: 0, timers: 0 });
    });
}

/** Node's driver does not take the end of a connection for the end of its handshake. */
const SOON = { timeoutMs: 300 };
const PATIENT_MS = 30_000;
const CLIENT: ConnectionOptions = { rejectUnauthorized: false, host: "127.0.0.1" };

/** What a client sends first, and a connection that has sent nothing yet. */
async function helloTo(port: number, options: ConnectionOptions = {}): Promise<Hello> {
  const server = createServer();
  await once(server.listen(0, "127.0.0.1"), "listening");
  const client = tlsConnect({ ...CLIENT, ...options, port: (server.address() as { port: number }).port });
  client.on("error", () => {});
  const [seen] = (await once(server, "connection")) as [Socket];
  const [octets] = (await once(seen, "data")) as [Buffer];
  client.destroy();
  seen.destroy();
  server.close();
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  await once(socket, "connect");
  socket.setNoDelay(true);
  return { octets, socket };
}

async function talk(port: number, options: ConnectionOptions = {}): Promise<void> {
  const socket = tlsConnect({ ...CLIENT, ...options, port });
  socket.write("ping");
  const [echo] = (await once(socket, "data")) as [Buffer];
  assert.equal(echo.toString(), "ping");
  socket.end();
  await closed(socket);
}

check("takes a hello octet by octet, and one that lies in many records", async ({ port, agreements }) => {
  const whole = await helloTo(port);
  for (const octet of whole.octets) {
    whole.socket.write(Buffer.of(octet));
    await new Promise(setImmediate);
  }
  await once(whole.socket, "data");
  whole.socket.resetAndDestroy();
  const spread = await helloTo(port);
  const message = spread.octets.subarray(5);
  for (let at = 0; at < message.length; at += 300) {
    const part = message.subarray(at, at + 300);
    spread.socket.write(Buffer.concat([Buffer.of(22, 3, 1, part.length >> 8, part.length & 255), part]));
  }
  const [answer] = (await once(spread.socket, "data")) as [Buffer];
  assert.equal(answer[0], 22, "a handshake record, not an alert");
  spread.socket.resetAndDestroy();
  await until(() => agreements.length === 2);
});
check(
  "tells who does not speak TLS nothing, and lets go of it",
  async ({ port, agreements, terms }) => {
    for (const text of [
      "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
      "\x16\x03\x01\x00\x05hello",
      "\x80\x2e\x01\x00\x02",
      "\x16",
    ]) {
      const socket = connect(port, "127.0.0.1");
      socket.on("error", () => {});
      socket.end(text);
      socket.resume();
      await closed(socket);
    }
    await until(() => agreements.length === 4);
    assert.deepEqual(agreements, [undefined, undefined, undefined, undefined]);
    terms.timeoutMs = PATIENT_MS;
    await talk(port);
  },
  SOON,
);
check(
  "ends handshakes that take too long",
  async ({ port, agreements }) => {
    const silent = connect(port, "127.0.0.1");
    silent.on("error", () => {});
    const { octets, socket: half } = await helloTo(port);
    half.write(octets.subarray(0, octets.length - 1));
    const { octets: other, socket: late } = await helloTo(port);
    late.write(other); // and never answers the server's flight
    late.resume();
    await Promise.all([silent, half, late].map(closed));
    assert.deepEqual(agreements, [undefined, undefined, undefined]);
  },
  { timeoutMs: 100 },
);
check(
  "says by an alert that no protocol is in common",
  async ({ port, agreements }) => {
    await assert.rejects(talk(port, { ALPNProtocols: ["smtp"] }), /no application protocol/);
    await until(() => agreements.length === 1);
    await talk(port, { ALPNProtocols: ["smtp", "http/1.1"] });
    assert.equal(agreements[1]!.alpn, "http/1.1");
  },
  { alpn: ["h2", "http/1.1"] },
);
check(
  "outlives whatever is sent in place of a handshake",
  async ({ port, terms }) => {
    const rng = createSeededRng(5);
    const below = (limit: number): number => Math.floor(rng() * limit);
    for (let round = 0; round < 40; round++) {
      const { octets, socket } = await helloTo(port);
      socket.resume();
      const changed = Buffer.from(octets);
      for (let count = 1 + below(4); count > 0; count--) changed[below(changed.length)] = below(256);
      socket.write(changed.subarray(0, below(4) === 0 ? below(changed.length) : changed.length));
      if (below(2) === 0) socket.write(Buffer.from(Array.from({ length: below(200) }, () => below(256))));
      await new Promise(setImmediate);
      if (below(3) === 0) socket.resetAndDestroy();
      else socket.end();
      await closed(socket);
    }
    terms.timeoutMs = PATIENT_MS;
    await talk(port);
  },
  SOON,
);
check("outlives rubbish after a handshake", async ({ port, conns }) => {
  for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
    const tcp = connect(port, "127.0.0.1");
    await once(tcp, "connect");
    const socket = tlsConnect({ ...CLIENT, maxVersion, socket: tcp });
    socket.on("error", () => {});
    await once(socket, "secureConnect");
    socket.write("ping");
    await once(socket, "data");
    tcp.write(Buffer.from(`\x17\x03\x03\x00\x20${"r".repeat(32)}`, "latin1"));
    await closed(socket);
  }
  assert.equal(conns.length, 2);
  await talk(port);
});

const many = { octets: 0 };
check(
  "reads all records that waited, however small, with nothing to wake it",
  async ({ port, conns }) => {
    const rng = createSeededRng(3);
    for (const largest of [1, 40, 700]) {
      many.octets = 0;
      const before = conns.length;
      const socket = tlsConnect({ ...CLIENT, port });
      await once(socket, "secureConnect");
      await until(() => conns.length === before + 1);
      const conn = conns.at(-1)!;
      conn.pause();
      let sent = 0;
      for (let count = 0; count < 3_000; count++) {
        const octets = 1 + Math.floor(rng() * largest);
        socket.write(Buffer.alloc(octets)); // a record each
        sent += octets;
      }
      await settled(() => socket.writableLength);
      conn.resume();
      await until(() => many.octets === sent);
      socket.destroy();
    }
  },
  {},
  (conn) => ({
    onOctets(octets) {
      many.octets += octets.length;
    },
    onEnd: () => conn.close(),
    onRoom() {},
    onGone() {},
  }),
);
/** `openssl s_client`, and what it has said. */
function sClient(t: TestContext, port: number, ...options: readonly string[]) {
  const child = spawn("openssl", ["s_client", "-connect", `127.0.0.1:${port}`, ...options]);
  t.after(() => child.kill());
  const heard: string[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => heard.push(chunk.toString()));
  return { child, says: () => heard.join("") };
}

check(
  "says goodbye by close_notify",
  async ({ port }, t) => {
    for (const version of ["-tls1_2", "-tls1_3"]) {
      const { child, says } = sClient(t, port, version);
      child.stdin.write("one\n");
      await once(child, "close");
      assert.match(says(), /one\n.*closed\n/s);
      assert.doesNotMatch(says(), /unexpected eof|errno/);
    }
  },
  {},
  (conn) => ({
    onOctets(octets) {
      conn.write(octets);
      conn.close();
    },
    onEnd() {},
    onRoom() {},
    onGone() {},
  }),
);
check("answers changes of keys", async ({ port }, t) => {
  const { child, says } = sClient(t, port, "-tls1_3");
  await until(() => says().includes("Verify return code"));
  for (let round = 0; round < 3; round++) {
    child.stdin.write("K\n");
    await until(() => says().split("KEYUPDATE").length === round + 2);
    child.stdin.write(`after change ${round}\n`);
    await until(() => says().includes(`after change ${round}\n`));
  }
  child.stdin.write("Q\n");
  await once(child, "close");
});
