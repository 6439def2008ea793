/** Connections to backends over real sockets, on every driver. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import test from "node:test";
import { createSecureContext, TLSSocket } from "node:tls";
import { createHttp1Upstreams, type Http1UpstreamOptions } from "#l7/http1/upstream-pool.ts";
import type { OutboundRequest } from "#l7/stream.ts";
import type { TcpDriver } from "#net/driver.ts";
import { createNetDriver } from "#net/node/driver.ts";
import { openBlackHole, until } from "../../net/bed.ts";
import { DRIVERS } from "../../net/drivers.ts";
import { makeCertificate } from "../../tls/certificates.ts";
import { arrivedOn, MemoryConn } from "./client-bed.ts";
import { backendAt, OK, outbound, poolWith, UpstreamLog } from "./upstream-bed.ts";

type World = {
  /** @param script what a backend does on each of its connections */
  serve(script: (socket: Socket, count: number) => void): Promise<number>;
  open(port: number, request?: Partial<OutboundRequest>, connectTimeoutMs?: number): UpstreamLog;
  readonly pool: ReturnType<typeof createHttp1Upstreams>;
};

/** Fails if the driver or the pool holds anything at the end. */
async function inWorld(
  driver: TcpDriver,
  run: (world: World) => Promise<void>,
  options: Partial<Http1UpstreamOptions> = {},
): Promise<void> {
  const servers: Server[] = [];
  const sockets: Socket[] = [];
  const pool = createHttp1Upstreams({
    driver,
    clock: { monotonicMs: () => performance.now() },
    pool: poolWith(),
    ...options,
  });
  const arrived = arrivedOn(new MemoryConn());
  try {
    await run({
      pool,
      async serve(script) {
        let count = 0;
        const server = createServer({ allowHalfOpen: true }, (socket) => {
          sockets.push(socket);
          socket.on("error", () => {});
          script(socket, count++);
        });
        servers.push(server);
        await once(server.listen(0, "127.0.0.1"), "listening");
        return (server.address() as AddressInfo).port;
      },
      open(port, request, connectTimeoutMs = 5_000) {
        const log = new UpstreamLog();
        log.stream = pool.open(0, backendAt(port), outbound(request), log, {
          isFresh: false,
          connectTimeoutMs,
          arrived,
        });
        return log;
      },
    });
    pool.close();
    assert.deepEqual(pool.held(), { connections: 0, timers: 0 });
    await until(() => driver.open() === 0);
  } finally {
    for (const socket of sockets) socket.destroy();
    for (const server of servers) server.close();
    driver.close();
  }
}
const over = (log: UpstreamLog): Promise<void> => until(() => /(?:^| )(?:end|fault)\S*$/.test(log.text));

for (const [driverName, createDriver] of Object.entries(DRIVERS)) {
  test(`upstream over sockets on ${driverName}: one connection serves one request after the other`, () =>
    inWorld(createDriver(), async ({ serve, open, pool }) => {
      let requests = 0;
      const port = await serve((socket) => {
        socket.on("data", () => {
          requests++;
          socket.write("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na");
          setImmediate(() => socket.write("bc"));
        });
      });
      for (let round = 0; round < 5; round++) {
        const log = open(port);
        await over(log);
        assert.equal(log.text, `${round === 0 ? "ready" : "ready-again"} head:200:3 body:abc end`);
        assert.equal(pool.idle(), 1);
      }
      assert.equal(requests, 5);
    }));

  test(`upstream over sockets on ${driverName}: R33: a backend that ends or speaks while idle is noticed`, () =>
    inWorld(createDriver(), async ({ serve, open, pool }) => {
      const port = await serve((socket, count) => {
        socket.on("data", () => {
          socket.write(OK);
          setImmediate(() => {
            if (count === 0) socket.end();
            else socket.write(OK);
          });
        });
      });
      for (let round = 0; round < 2; round++) {
        const log = open(port);
        await over(log);
        await until(() => pool.idle() === 0);
        assert.equal(log.text, "ready head:200:0 end");
      }
      assert.equal(pool.held().connections, 0);
    }));

  test(`upstream over sockets on ${driverName}: a reset amid the response is a fault, and says how far it came`, () =>
    inWorld(createDriver(), async ({ serve, open }) => {
      const port = await serve((socket, count) => {
        socket.on("data", () => {
          if (count === 0) socket.resetAndDestroy();
          else {
            socket.write("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na");
            setTimeout(() => socket.resetAndDestroy(), 30);
          }
        });
      });
      const first = open(port);
      await over(first);
      assert.equal(first.text, "ready fault:reset+sent");
      const later = open(port);
      await over(later);
      assert.equal(later.text, "ready head:200:3 body:a fault:reset+sent+answered");
    }));

  test(`upstream over sockets on ${driverName}: a body up to the end of the connection`, () =>
    inWorld(createDriver(), async ({ serve, open }) => {
      const port = await serve((socket) => {
        socket.on("data", () => socket.end("HTTP/1.1 200 OK\r\n\r\nto the close"));
      });
      const log = open(port);
      await over(log);
      assert.equal(log.text, "ready head:200:? body:to the close end");
    }));

  test(`upstream over sockets on ${driverName}: a large body goes both ways, as fast as it is taken`, () =>
    inWorld(createDriver(), async ({ serve, open, pool }) => {
      const octets = 3_000_000;
      let received = 0;
      const port = await serve((socket) => {
        socket.on("data", (chunk) => {
          received += chunk.length;
          if (received > octets && received - chunk.length <= octets)
            socket.write(
              Buffer.concat([
                Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${octets}\r\n\r\n`),
                Buffer.alloc(octets, "y"),
              ]),
            );
        });
      });
      const log = open(port, { method: "POST", bodyOctets: octets });
      await until(() => log.text === "ready");
      const chunk = Buffer.alloc(50_000, "x");
      for (let sent = 0; sent < octets; sent += chunk.length) {
        const rooms = log.words.length;
        if (!log.stream!.sendBody(chunk)) await until(() => log.words.length > rooms);
      }
      log.stream!.sendEnd(undefined);
      await over(log);
      const body = log.words.filter((word) => word.startsWith("body:"));
      assert.equal(
        body.reduce((sum, word) => sum + word.length - "body:".length, 0),
        octets,
      );
      assert.equal(pool.idle(), 1);
    }));

  test(`upstream over sockets on ${driverName}: connects that fail, and one that is given up`, () =>
    inWorld(createDriver(), async ({ serve, open, pool }) => {
      const closed = createServer();
      await once(closed.listen(0, "127.0.0.1"), "listening");
      const { port } = closed.address() as AddressInfo;
      closed.close();
      await once(closed, "close");
      const refused = open(port);
      await over(refused);
      assert.equal(refused.text, "fault:refused");
      const hole = await openBlackHole();
      try {
        const late = open(hole.port, {}, 100);
        await over(late);
        assert.equal(late.text, "fault:connect-timeout");
      } finally {
        await hole.close();
      }
      const log = open(await serve(() => {}));
      log.stream!.cancel();
      assert.equal(pool.held().connections, 0);
      assert.equal(log.text, "");
    }));

  test(`upstream over sockets on ${driverName}: R30: a tunnel, half by half`, () =>
    inWorld(createDriver(), async ({ serve, open, pool }) => {
      const port = await serve((socket) => {
        socket.once("data", () => {
          socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nhello ");
          socket.on("data", (chunk) => socket.write(chunk));
          socket.on("end", () => socket.end("bye"));
        });
      });
      const log = open(port, { upgrade: "websocket" });
      await until(() => log.text.endsWith("body:hello "));
      log.stream!.sendBody(Buffer.from("there "));
      log.stream!.sendEnd(undefined);
      await over(log);
      assert.equal(log.text, "ready head:101:0 body:hello there bye end");
      assert.equal(pool.held().connections, 0);
    }));
}

test("upstream over TLS: the PROXY header goes before the handshake, and a connection to one name serves no other", () => {
  const { cert, key } = makeCertificate("a.example", "b.example");
  const context = createSecureContext({ ca: cert });
  const server = createSecureContext({ cert, key });
  const seen: string[] = [];
  const tlsTerms: Http1UpstreamOptions["tlsTerms"] = ({ authority }) => ({
    context,
    serverName: authority,
    isVerified: true,
    alpn: ["http/1.1"],
    timeoutMs: 5_000,
    sessions: undefined,
  });
  return inWorld(
    createNetDriver(),
    async ({ serve, open, pool }) => {
      const port = await serve((socket) => {
        socket.once("data", (first: Buffer) => {
          const end = first.indexOf("\r\n") + 2;
          seen.push(first.toString("latin1", 0, end - 2));
          socket.pause();
          socket.unshift(first.subarray(end));
          const tls = new TLSSocket(socket, { isServer: true, secureContext: server });
          tls.on("error", () => {});
          tls.on("data", () => tls.write(OK));
        });
      });
      const texts: string[] = [];
      for (const authority of ["a.example", "a.example", "b.example", "c.example"]) {
        const log = open(port, { authority });
        await over(log);
        texts.push(log.text);
      }
      const fresh = "ready head:200:0 end";
      assert.deepEqual(texts, [fresh, "ready-again head:200:0 end", fresh, "fault:tls"]);
      assert.deepEqual(seen, Array(3).fill("PROXY TCP4 192.0.2.7 192.0.2.1 40000 80"));
      assert.equal(pool.idle(), 2);
    },
    { tlsTerms, pool: poolWith({}, { version: 1, uniqueId: false, authority: false, crc32c: false }) },
  );
});
