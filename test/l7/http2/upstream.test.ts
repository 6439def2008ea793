/** Backends over HTTP/2: what they get, what exchanges hear, which failures may be tried again, and who holds what. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer as createHttp2Server } from "node:http2";
import { createServer } from "node:net";
import test from "node:test";
import { createSecureContext } from "node:tls";
import { UNKNOWN_LENGTH } from "#l7/message.ts";
import { until } from "../../net/bed.ts";
import { makeCertificate } from "../../tls/certificates.ts";
import { arrivedOn, MemoryConn } from "../http1/client-bed.ts";
import { CODE, data, type Field, FLAG, frame, goaway, headers, reset, TYPE } from "./frames.ts";
import { openBackend, openPool, openRawBackend } from "./upstream-bed.ts";

const isHeaders = ({ type }: { type: number }): boolean => type === TYPE.headers;

test("R47: requests share one connection, and responses come back whole", async (t) => {
  const backend = await openBackend(t);
  const { open, pool } = openPool(t, backend.port);
  const logs = Array.from({ length: 20 }, (_, index) => open({ target: `/${index}`, fields: ["x-one", "1"] }));
  for (let count = 0; count < 20; count++) {
    const { stream, fields } = await backend.next();
    assert.equal(fields[":authority"], "a.example");
    assert.equal(fields["x-one"], "1");
    stream.respond({ ":status": 200, "content-length": 3 });
    stream.end("abc");
  }
  await until(() => logs.every(({ words }) => words.at(-1) === "end"));
  for (const { text } of logs) assert.equal(text, "ready head:200:3 body:abc end");
  assert.equal(backend.sessions(), 1);
  const again = open();
  (await backend.next()).stream.respond({ ":status": 204 }, { endStream: true });
  await until(() => again.words.at(-1) === "end");
  assert.equal(again.text, "ready-again head:204:0 end");
  assert.deepEqual(pool.held(), { sessions: 1, requests: 0 });
  assert.equal(pool.idle(), 1);
});

test("another connection is opened when one is full, by our limit or the backend's", async (t) => {
  const backend = await openBackend(t, { settings: { maxConcurrentStreams: 3 } });
  const { open } = openPool(t, backend.port, { upstream: { maxStreams: 10 } });
  const logs = Array.from({ length: 9 }, () => open());
  const incoming = [];
  for (let count = 0; count < 9; count++) incoming.push(await backend.next());
  assert.equal(backend.sessions(), 3);
  for (const { stream } of incoming) stream.respond({ ":status": 200 }, { endStream: true });
  await until(() => logs.every(({ words }) => words.at(-1) === "end"));
});

test("bodies and trailers go both ways, with 100 and 103 before the response", async (t) => {
  const backend = await openBackend(t);
  const { open } = openPool(t, backend.port);
  const log = open({ method: "POST", bodyOctets: UNKNOWN_LENGTH, takesTrailers: true, expectsContinue: true });
  const incoming = await backend.next();
  assert.equal(incoming.fields["te"], "trailers");
  assert.equal(incoming.fields["expect"], "100-continue");
  let trailers: Record<string, unknown> = {};
  incoming.stream.on("trailers", (got) => {
    trailers = { ...got };
  });
  incoming.stream.additionalHeaders({ ":status": 100 });
  incoming.stream.additionalHeaders({ ":status": 103, link: "</a.css>" });
  await until(() => log.words.length === 3);
  log.stream!.sendBody(Buffer.from("hello"));
  log.stream!.sendEnd(["x-sum", "5"]);
  await until(() => incoming.stream.readableEnded);
  assert.equal(incoming.body, "hello");
  assert.equal(trailers["x-sum"], "5");
  incoming.stream.respond({ ":status": 200 }, { waitForTrailers: true });
  incoming.stream.on("wantTrailers", () => incoming.stream.sendTrailers({ "x-end": "1" }));
  incoming.stream.end("bye");
  await until(() => log.words.at(-1)!.startsWith("end"));
  assert.equal(log.text, "ready continue informational:103:link=</a.css> head:200:? body:bye end:x-end=1");
});

test("a response waits while nobody takes it, a request while the backend does not", async (t) => {
  const backend = await openBackend(t);
  const { open } = openPool(t, backend.port);
  const log = open({ method: "POST", bodyOctets: UNKNOWN_LENGTH });
  const { stream } = await backend.next();
  stream.pause();
  await until(() => log.words.includes("ready"));
  const chunk = Buffer.alloc(65_536);
  let sent = 0;
  while (log.stream!.sendBody(chunk)) sent++;
  assert.ok(sent < 10);
  stream.resume();
  await until(() => log.words.includes("room"));
  log.stream!.sendEnd(undefined);
  log.onWord = (word) => {
    if (word.startsWith("head")) log.stream!.pause();
  };
  stream.respond({ ":status": 200 });
  stream.end("later");
  await until(() => log.words.some((word) => word.startsWith("head")));
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.ok(!log.text.includes("body"));
  log.stream!.resume();
  await until(() => log.words.at(-1) === "end");
});

// ── failures ─────────────────────────────────────────────────────────────────────────────────────────────────────

const OK: readonly Field[] = [[":status", "200"]];
const FAULTS: readonly (readonly [what: string, frames: readonly Buffer[], text: string])[] = [
  ["REFUSED_STREAM may be tried again", [reset(1, CODE.refused)], "ready fault:reset"],
  ["GOAWAY below the stream may be tried again", [goaway(0, CODE.none)], "ready fault:reset"],
  ["GOAWAY with an error, below the stream, as well", [goaway(0, CODE.internal)], "ready fault:reset"],
  ["GOAWAY with an error at the stream may not", [goaway(1, CODE.internal)], "ready fault:reset+sent"],
  ["a reset without an answer may not", [reset(1, CODE.internal)], "ready fault:reset+sent"],
  [
    "a reset amid the answer",
    [headers(1, OK, false), data(1, "half"), reset(1, CODE.internal)],
    "ready head:200:? body:half fault:reset+sent+answered",
  ],
  ["no :status", [headers(1, [["x-one", "1"]])], "ready fault:bad-response+sent"],
  ["a status that is none", [headers(1, [[":status", "20"]])], "ready fault:bad-response+sent"],
  ["101", [headers(1, [[":status", "101"]], false)], "ready fault:bad-response+sent"],
  ["a connection's field", [headers(1, [...OK, ["transfer-encoding", "chunked"]])], "ready fault:bad-response+sent"],
  [
    "a body shorter than Content-Length",
    [headers(1, [...OK, ["content-length", "5"]], false), data(1, "abc", true)],
    "ready head:200:5 fault:bad-response+sent+answered",
  ],
  [
    "a body longer than Content-Length",
    [headers(1, [...OK, ["content-length", "2"]], false), data(1, "abc", true)],
    "ready head:200:2 fault:bad-response+sent+answered",
  ],
  ["Content-Length and no body", [headers(1, [...OK, ["content-length", "5"]], true)], "ready fault:bad-response+sent"],
  [
    "a pushed stream",
    [frame(5, FLAG.endHeaders, 1, Buffer.from("0000000200", "hex"))],
    "ready fault:bad-response+sent",
  ],
];
for (const [what, frames, text] of FAULTS)
  test(`fault: ${what}`, async (t) => {
    const backend = await openRawBackend(t);
    const { open } = openPool(t, backend.port);
    const log = open();
    const peer = await backend.next();
    await peer.frame(isHeaders);
    peer.write(...frames);
    await until(() => log.faults.length === 1);
    assert.equal(log.text.replace(" body:abc", ""), text, log.faults[0]!.says);
  });

test("fault: a response that is reset with NO_ERROR before its end has not ended", async (t) => {
  const backend = await openRawBackend(t);
  const { open } = openPool(t, backend.port);
  const log = open();
  const peer = await backend.next();
  await peer.frame(isHeaders);
  peer.write(headers(1, OK, false), data(1, "half"), reset(1, CODE.none));
  await until(() => log.faults.length === 1 || log.words.includes("end"));
  assert.equal(log.text, "ready head:200:? body:half fault:bad-response+sent+answered");
});

test("fault: GOAWAY lets streams up to its last one finish, and the next request goes elsewhere", async (t) => {
  const backend = await openRawBackend(t);
  const { open } = openPool(t, backend.port);
  const [first, second] = [open(), open()];
  const peer = await backend.next();
  await peer.frame(({ type, stream }) => type === TYPE.headers && stream === 3);
  peer.write(goaway(1, CODE.none));
  await until(() => second.faults.length === 1);
  assert.equal(second.text, "ready fault:reset+reused");
  const third = open();
  const other = await backend.next();
  peer.write(headers(1, OK));
  await until(() => first.words.at(-1) === "end");
  await other.frame(isHeaders);
  other.write(headers(1, OK));
  await until(() => third.words.at(-1) === "end");
});

test("fault: refused, and a backend that speaks HTTP/1.1: nothing was sent", async (t) => {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.resume();
    socket.end("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as { port: number };
  const one = openPool(t, port).open();
  await until(() => one.faults.length === 1);
  assert.equal(one.text, "fault:bad-response");
  server.close();
  await once(server, "close");
  const two = openPool(t, port).open();
  await until(() => two.faults.length === 1);
  assert.equal(two.text, "fault:refused");
});

test("R46: a backend that accepts and says nothing is given up after the connect's time", async (t) => {
  const server = createServer((socket) => socket.on("error", () => {}));
  await once(server.listen(0, "127.0.0.1"), "listening");
  t.after(() => server.close());
  const { open, pass } = openPool(t, (server.address() as { port: number }).port);
  const log = open();
  pass(1_900);
  assert.equal(log.text, "");
  pass(200);
  assert.equal(log.text, "fault:connect-timeout");
});

test("a connection whose ping is not answered in five seconds is dropped", async (t) => {
  const backend = await openRawBackend(t);
  const { open, pass, pool } = openPool(t, backend.port);
  const log = open();
  const peer = await backend.next();
  await peer.frame(isHeaders);
  pass(10_100);
  await peer.frame(({ type }) => type === TYPE.ping);
  pass(4_000);
  assert.equal(log.text, "ready");
  pass(2_000);
  assert.equal(log.text, "ready fault:timeout+sent");
  assert.deepEqual(pool.held(), { sessions: 0, requests: 0 });
});

test("cancel resets the stream alone, and nothing comes after it", async (t) => {
  const backend = await openBackend(t);
  const { open } = openPool(t, backend.port);
  const log = open();
  const { stream } = await backend.next();
  log.stream!.cancel();
  await once(stream, "close");
  assert.equal(stream.rstCode, CODE.cancel);
  assert.equal(log.text, "ready");
  open();
  await backend.next();
  assert.equal(backend.sessions(), 1);
});

test("leave ends idle connections in order, stop ends all at once", async (t) => {
  const backend = await openBackend(t);
  const { open, pool } = openPool(t, backend.port);
  const log = open();
  const { stream } = await backend.next();
  pool.leave(0);
  stream.respond({ ":status": 200 }, { endStream: true });
  await until(() => log.words.at(-1) === "end");
  await until(() => pool.held().sessions === 0);
  const other = open();
  await backend.next();
  assert.equal(backend.sessions(), 2);
  pool.stop(0);
  assert.equal(other.text, "ready fault:reset+sent");
  assert.deepEqual(pool.held(), { sessions: 0, requests: 0 });
});

test("idle connections are closed after their time, and those beyond maxIdle at once", async (t) => {
  const backend = await openBackend(t);
  const { open, pool, pass } = openPool(t, backend.port, { upstream: { maxIdle: 1, idleMs: 3_000, maxStreams: 1 } });
  const logs = [open(), open()];
  for (const _ of logs) (await backend.next()).stream.respond({ ":status": 200 }, { endStream: true });
  await until(() => logs.every(({ words }) => words.at(-1) === "end"));
  await until(() => pool.held().sessions === 1);
  pass(3_100);
  await until(() => pool.held().sessions === 0);
});

test("R35: with a PROXY header each client has a connection of its own", async (t) => {
  const server = createServer();
  await once(server.listen(0, "127.0.0.1"), "listening");
  t.after(() => server.close());
  const { open } = openPool(t, (server.address() as { port: number }).port, {
    proxyProtocol: { version: "v2" } as never,
  });
  const sockets: string[] = [];
  server.on("connection", (socket) => {
    t.after(() => socket.destroy());
    socket.on("error", () => {});
    socket.once("data", (octets: Buffer) => sockets.push(octets.toString("latin1")));
  });
  open({}, arrivedOn(new MemoryConn()));
  open({}, arrivedOn(new MemoryConn()));
  await until(() => sockets.length === 2);
  for (const text of sockets)
    assert.ok(text.startsWith("\r\n\r\n\0\r\nQUIT\n") && text.indexOf("PRI * HTTP/2.0") === 28, text);
});

test("R35: when such a client has gone, so has its connection", async (t) => {
  const backend = createHttp2Server((_request, response) => response.end());
  const server = createServer((socket) => {
    t.after(() => socket.destroy());
    socket.on("error", () => {});
    socket.once("data", (octets: Buffer) => {
      socket.pause();
      socket.unshift(octets.subarray(28)); // after the PROXY header
      backend.emit("connection", socket);
    });
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  t.after(() => server.close());
  const { open, pool, pass } = openPool(t, (server.address() as { port: number }).port, {
    proxyProtocol: { version: "v2" } as never,
  });
  const [gone, other] = [arrivedOn(new MemoryConn()), arrivedOn(new MemoryConn())];
  const logs = [open({}, gone), open({}, other)];
  await until(() => logs.every(({ words }) => words.at(-1) === "end"));
  await until(() => pool.idle() === 2);
  pass(100);
  assert.equal(pool.idle(), 2);
  gone.depart("closed");
  pass(100);
  await until(() => pool.held().sessions === 1);
  assert.equal(pool.idle(), 1);
});

test("R47: HTTP/2 over TLS is agreed on by ALPN; a backend that does not is none", async (t) => {
  const { cert, key } = makeCertificate("a.example");
  const terms = {
    context: createSecureContext(),
    serverName: "a.example",
    isVerified: false,
    alpn: [],
    timeoutMs: 2_000,
    sessions: undefined,
  };
  const backend = await openBackend(t, {}, { cert: String(cert), key: String(key) });
  const { open } = openPool(t, backend.port, { tlsTerms: () => terms });
  const log = open();
  await until(() => log.words.length > 0);
  assert.equal(log.text, "ready");
  const { stream, fields } = await backend.next();
  assert.equal(fields[":scheme"], "https");
  stream.respond({ ":status": 200 }, { endStream: true });
  await until(() => log.words.at(-1) === "end");
});
