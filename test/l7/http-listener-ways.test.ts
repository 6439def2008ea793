/** What else a listener does on the whole way: tunnels, mirrors, cache, compression, stickiness, reload, drain, its limits. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { Agent } from "node:http";
import { connect } from "node:http2";
import test from "node:test";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { WebSocket, WebSocketServer } from "ws";
import { settled, until } from "../net/bed.ts";
import { DRIVERS } from "../net/drivers.ts";
import { type Handler, HTTP_DEFAULTS, hello, openHttp, textOf } from "./http-bed.ts";

for (const [name, createDriver] of Object.entries(DRIVERS)) {
  const over = (says: string): string => `${says} (${name})`;

  test(over("a WebSocket passes both ways, is counted as a tunnel, and ends for both"), async (t) => {
    const bed = await openHttp(t, { driver: createDriver() });
    const server = new WebSocketServer({ server: bed.backends[0]!.server });
    server.on("connection", (socket) =>
      socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary })),
    );
    const socket = new WebSocket(`ws://127.0.0.1:${bed.port}/chat`);
    await once(socket, "open");
    for (const message of ["one", "x".repeat(200_000)]) {
      socket.send(message);
      const [data] = (await once(socket, "message")) as [Buffer];
      assert.equal(data.toString(), message);
    }
    assert.equal(bed.active(0), 1);
    socket.close();
    await once(socket, "close");
    await until(() => bed.log.length === 1);
    assert.equal(bed.log[0]!.status, 101);
    assert.ok(bed.log[0]!.responseOctets > 200_000);
    assert.equal(bed.count("http_tunnels"), 1);
    server.close();
  });

  test(over("a tunnel is ended at the end of a drain, and an idle connection before it"), async (t) => {
    const bed = await openHttp(t, { driver: createDriver() });
    const server = new WebSocketServer({ server: bed.backends[0]!.server });
    const socket = new WebSocket(`ws://127.0.0.1:${bed.port}/`);
    await once(socket, "open");
    const idle = await bed.dial();
    socket.on("error", () => {});
    const closed = once(socket, "close");
    const drained = bed.drain(300);
    assert.equal(await idle.ending, "fin");
    assert.equal(socket.readyState, WebSocket.OPEN);
    await closed;
    await drained;
    assert.equal(bed.connections(), 0);
    server.close();
  });

  test(
    over("no request is lost over reloads and backends that are replaced, and a drain answers what is under way"),
    async (t) => {
      const slow: Handler = (_request, response) => void setTimeout(() => response.end("hello"), 5);
      const bed = await openHttp(t, { driver: createDriver(), handlers: [slow, slow] });
      let isOver = false;
      const statuses: number[] = [];
      const clients = Array.from({ length: 8 }, async () => {
        const agent = new Agent({ keepAlive: true, maxSockets: 1 });
        while (!isOver) statuses.push((await bed.ask("/", { agent })).status);
        agent.destroy();
      });
      for (let round = 1; round <= 20; round++) {
        bed.apply({ rules: [{ pool: "web", response: { set: { "x-round": `${round}` } } }] });
        await until(() => statuses.length >= round * 20);
      }
      isOver = true;
      await Promise.all(clients);
      assert.deepEqual(new Set(statuses), new Set([200]));
      assert.equal((await bed.ask("/")).headers["x-round"], "20");
      const last = bed.ask("/");
      await until(() => bed.count("http_active") > 0);
      const drained = bed.drain(10_000);
      const { status, headers } = await last;
      assert.deepEqual([status, headers.connection], [200, "close"]);
      await drained;
    },
  );

  test(
    over("a drain tells a client that asked a moment ago with its next response, and does not hang up on it"),
    async (t) => {
      const bed = await openHttp(t, { driver: createDriver() });
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      t.after(() => agent.destroy());
      assert.equal((await bed.ask("/", { agent })).status, 200);
      const drained = bed.drain(10_000);
      await new Promise((resolve) => setTimeout(resolve, 200)); // that nothing happens cannot be awaited: some ticks
      const { status, headers } = await bed.ask("/", { agent });
      assert.deepEqual([status, headers.connection], [200, "close"]);
      await drained;
    },
  );

  test(over("a mirror gets a copy with its body, and what it answers is dropped"), async (t) => {
    const bodies: string[] = [];
    const bed = await openHttp(t, {
      driver: createDriver(),
      web: 1,
      handlers: [
        hello,
        (request, response) => void textOf(request).then((body) => response.writeHead(500).end(`${bodies.push(body)}`)),
      ],
      rules: [{ pool: "web", mirror: { pool: "api", maxBody: "10B" } }],
    });
    assert.equal((await bed.ask("/", { method: "POST", body: "short" })).body, "hello");
    assert.equal((await bed.ask("/", { method: "POST", body: "longer than ten" })).body, "hello");
    assert.equal((await bed.ask("/")).body, "hello");
    await until(() => bodies.length === 2 && bed.active(1) === 0);
    assert.deepEqual(bodies.sort(), ["", "short"]);
    assert.equal(bed.count("http_mirrored"), 2);
  });

  test(
    over("a response that may be kept is served from memory, confirmed, and compressed for who takes that"),
    async (t) => {
      const text = "The same again and again. ".repeat(400);
      const bed = await openHttp(t, {
        driver: createDriver(),
        handlers: [
          (request, response) => {
            response.setHeader("etag", '"1"').setHeader("content-type", "text/plain");
            response.setHeader("cache-control", request.url === "/stale" ? "no-cache" : "max-age=60");
            if (request.headers["if-none-match"] === '"1"') response.writeHead(304).end();
            else response.end(text);
          },
        ],
        rules: [{ pool: "web", cache: {}, compression: {} }],
      });
      for (const path of ["/", "/", "/stale", "/stale"]) assert.equal((await bed.ask(path)).body, text);
      assert.deepEqual(
        bed.backends[0]!.seen.map(({ url }) => url),
        ["/", "/stale", "/stale"],
      );
      assert.deepEqual(
        bed.log.map(({ cache }) => cache),
        ["miss", "hit", "miss", "revalidated"],
      );
      const zipped = await bed.ask("/", { headers: { "accept-encoding": "gzip" } });
      assert.equal(zipped.headers["content-encoding"], "gzip");
      assert.equal(gunzipSync(Buffer.from(zipped.body, "latin1")).toString(), text);
      assert.equal(bed.log[4]!.cache, "hit");
      // What was compressed once is sent again, now with its length; another coding is made of the stored body.
      assert.equal(zipped.headers["content-length"], undefined);
      const again = await bed.ask("/", { headers: { "accept-encoding": "gzip" } });
      assert.equal(again.body, zipped.body);
      assert.equal(again.headers["content-length"], String(zipped.body.length));
      const other = await bed.ask("/", { headers: { "accept-encoding": "br" } });
      assert.equal(brotliDecompressSync(Buffer.from(other.body, "latin1")).toString(), text);
      assert.equal((await bed.ask("/")).body, text);
    },
  );

  test(over("another service says whether a request may pass, and what the backend is told of it"), async (t) => {
    const bed = await openHttp(t, {
      driver: createDriver(),
      web: 1,
      handlers: [
        (request, response) => response.end(`user ${request.headers["x-user"]}`),
        hello,
        hello,
        (request, response) => {
          const isGood = request.headers.authorization === "good";
          response.writeHead(isGood ? 204 : 401, isGood ? { "x-user": "kim" } : {}).end();
        },
      ],
      rules: [{ pool: "web", forwardAuth: { pool: "auth", path: "/check", copyToBackend: ["x-user"] } }],
    });
    assert.equal((await bed.ask("/", { headers: { authorization: "good" } })).body, "user kim");
    assert.equal((await bed.ask("/", { headers: { authorization: "bad" } })).status, 401);
    assert.equal(bed.backends[0]!.seen.length, 1);
    bed.backends[3]!.kill();
    assert.equal((await bed.ask("/", { headers: { authorization: "good" } })).status, 503);
  });

  test(over("a client with a signed cookie comes back to its backend, which does not see the cookie"), async (t) => {
    const says =
      (text: string): Handler =>
      (request, response) =>
        response.end(`${text} ${request.headers.cookie}`);
    const bed = await openHttp(t, {
      driver: createDriver(),
      handlers: [says("a"), says("b"), says("c")],
      pool: {
        algorithm: "round_robin",
        sticky: {
          by: "cookie",
          cookie: {
            name: "STICKY",
            keys: [{ id: "k", secret: "s".repeat(32) }],
            isSecure: "auto",
            sameSite: "Lax",
            path: "/",
            domain: undefined,
          },
          ttlMs: 60_000,
          store: "memory",
          maxEntries: 10,
          duringDrain: false,
        },
      },
    });
    const first = await bed.ask("/");
    const cookie = first.headers["set-cookie"]![0]!.split(";")[0]!;
    assert.match(cookie, /^STICKY=v1\./);
    for (let count = 0; count < 5; count++) {
      const again = await bed.ask("/", { headers: { cookie: `own=1; ${cookie}` } });
      assert.equal(again.body, `${first.body[0]} own=1`);
      assert.equal(again.headers["set-cookie"], undefined);
    }
    const forged = await bed.ask("/", { headers: { cookie: `${cookie.slice(0, -2)}xx` } });
    assert.ok(forged.headers["set-cookie"]);
  });
}

test("what is not for this listener is told so: 400, 404, 413, 421, 503", async (t) => {
  const bed = await openHttp(t, {
    rules: [{ pool: "web", match: { path: "/" }, maxBody: "1KiB" }],
    http: { hosts: ["www.example", "*.wild.example"] },
    handlers: [(request, response) => void textOf(request).then(() => response.end("hello"))],
  });
  const statusOf = async (path: string, host = "www.example", body?: string): Promise<number> =>
    (await bed.ask(path, { headers: { host }, ...(body !== undefined && { method: "POST", body }) })).status;
  assert.equal(await statusOf("/"), 200);
  assert.equal(await statusOf("/", "a.b.wild.example:8080"), 200);
  assert.equal(await statusOf("/", "wild.example"), 421);
  assert.equal(await statusOf("/", "other.example"), 421);
  assert.equal(await statusOf("/%00"), 400);
  assert.equal(await statusOf("/", "www.example", "x".repeat(1_025)), 413);
  const chunked = await bed
    .ask("/", { method: "POST", headers: { "transfer-encoding": "chunked" }, body: "x".repeat(2_000) })
    .catch(() => undefined);
  if (chunked !== undefined) assert.equal(chunked.status, 413);
  bed.apply({ rules: [{ pool: "web", match: { path: "/only" } }] });
  assert.equal(await statusOf("/other"), 404);
  bed.backends[0]!.handler = () => {};
  bed.apply({ http: { maxRequests: 1 } });
  const held = await bed.dial("GET /only HTTP/1.1\r\nHost: www.example\r\n\r\n");
  await until(() => bed.count("http_active") === 1);
  const shed = await bed.ask("/only");
  assert.deepEqual([shed.status, shed.headers["retry-after"]], [503, "1"]);
  assert.equal(bed.count("http_shed"), 1);
  held.socket.destroy();
});

test("a rule that looks at the body gets it before anything is sent to a backend, which then gets it whole", async (t) => {
  const echo: Handler = (request, response) => void textOf(request).then((body) => response.end(body));
  const bed = await openHttp(t, {
    web: 1,
    handlers: [echo, (request, response) => void textOf(request).then((body) => response.end(`api ${body}`))],
    rules: [
      { name: "gold", pool: "api", match: { body: { json: { path: "user.plan", value: "gold" }, max: "1KiB" } } },
      { name: "rest", pool: "web" },
    ],
  });
  const post = (body: string) =>
    bed.ask("/", { method: "POST", body, headers: { "content-type": "application/json" } });
  const gold = JSON.stringify({ user: { plan: "gold" } });
  assert.equal((await post(gold)).body, `api ${gold}`);
  assert.equal((await post("{}")).body, "{}");
  const long = JSON.stringify({ user: { plan: "gold" }, more: "x".repeat(100_000) });
  assert.equal((await post(long)).body, long);
  assert.deepEqual(
    bed.log.map(({ rule }) => rule),
    ["gold", "rest", "rest"],
  );
});

test("a client that waits with its body is let on by the backend, and spared it by an early answer", async (t) => {
  const bed = await openHttp(t, {
    handlers: [(request, response) => void textOf(request).then((body) => response.end(body))],
  });
  bed.backends[0]!.server.on("checkContinue", (request, response) => {
    if (request.url === "/no") response.writeHead(403).end();
    else {
      response.writeContinue();
      bed.backends[0]!.handler(request, response);
    }
  });
  const head = (path: string) =>
    `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n`;
  const client = await bed.dial(head("/"));
  assert.match((await client.received(25)).toString(), /^HTTP\/1\.1 100 Continue\r\n\r\n$/);
  client.socket.write("body");
  await until(() => Buffer.concat(client.chunks).toString().endsWith("body"));
  const spared = await bed.dial(head("/no"));
  assert.match(await spared.whole(), /^HTTP\/1\.1 403 /);
});

test("pipelined requests are answered in their order", async (t) => {
  const bed = await openHttp(t, {
    handlers: [(request, response) => void setTimeout(() => response.end(request.url), request.url === "/0" ? 30 : 0)],
  });
  const get = (at: number, more = ""): string => `GET /${at} HTTP/1.1\r\nHost: www.example\r\n${more}\r\n`;
  const client = await bed.dial(get(0) + get(1) + get(2) + get(3, "Connection: close\r\n"));
  const answers = (await client.whole()).matchAll(/\r\n\r\n(\/\d)/g);
  assert.deepEqual(
    [...answers].map(([, body]) => body),
    ["/0", "/1", "/2", "/3"],
  );
  assert.deepEqual(
    bed.log.map(({ target }) => target),
    ["/0", "/1", "/2", "/3"],
  );
});

test("a client that reads slowly holds its backend up, and gets all in the end", async (t) => {
  const octets = 8 << 20;
  const bed = await openHttp(t, { handlers: [(_request, response) => response.end(Buffer.alloc(octets, "x"))] });
  const client = await bed.dial();
  client.socket.pause();
  client.socket.write("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  await until(() => bed.count("http_active") === 1);
  await settled(() => [...bed.backends[0]!.sockets][0]?.bytesWritten ?? 0);
  assert.equal(bed.log.length, 0);
  client.socket.resume();
  assert.equal((await client.whole()).split("\r\n\r\n")[1]!.length, octets);
});

test("a client that speaks HTTP/2 by prior knowledge and one that does not come to the same port", async (t) => {
  const bed = await openHttp(t, {
    http: { http2: { ...HTTP_DEFAULTS.http2, isEnabled: true } },
  });
  assert.equal((await bed.ask("/")).body, "hello");
  const session = connect(`http://127.0.0.1:${bed.port}`);
  const stream = session.request({ ":path": "/two" });
  const [headers] = (await once(stream, "response")) as [Record<string, unknown>];
  assert.equal(headers[":status"], 200);
  stream.resume();
  await once(stream, "close");
  await new Promise<void>((resolve) => session.close(resolve));
  assert.deepEqual(
    bed.log.map(({ version }) => version),
    ["1.1", "2"],
  );
});
