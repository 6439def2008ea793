import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import test from "node:test";
import { createServer as createTlsServer } from "node:tls";
import { systemClock } from "#base/clock.ts";
import { createProbes } from "#health/probes/table.ts";
import { without } from "../../system/tools.ts";
import { checkOf, closedPort, listen, makeCertificate, NO_VERIFY, probe, serve } from "./bed.ts";

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const http = (port: number, over: object = {}) =>
  checkOf({
    kind: "http",
    port,
    path: "/",
    method: "GET",
    headers: {},
    host: undefined,
    status: [[200, 299]],
    body: undefined,
    tls: undefined,
    ...over,
  });

test("a tcp probe passes where somebody listens, and says what the handshake took", async (t) => {
  const port = await serve(t, undefined);
  const result = await probe(checkOf({ kind: "tcp", port }));
  assert.deepEqual([result.ok, result.errorClass], [true, "none"]);
  assert.ok(result.rttMicros > 0 && result.rttMicros === result.phases.connectMicros);
});

test("a tcp probe is refused where nobody listens", async () => {
  const result = await probe(checkOf({ kind: "tcp", port: await closedPort() }));
  assert.deepEqual([result.ok, result.errorClass, result.says], [false, "refused", "connection refused"]);
});

test("a tcp probe reaches IPv6", async (t) => {
  const port = await listen(t, createServer(), "::1");
  assert.equal((await probe(checkOf({ kind: "tcp", port }), "::1")).ok, true);
});

test("an http probe passes on a real answer and leaves no connection behind", async (t) => {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on("data", () => socket.write(OK));
  });
  const port = await listen(t, server);
  const result = await probe(http(port, { body: "ok" }));
  assert.equal(result.ok, true, result.says);
  assert.ok(result.phases.answerMicros > 0 && result.phases.totalMicros >= result.phases.answerMicros);
  if (!sockets[0]!.closed) await once(sockets[0]!, "close");
});

test("an http probe says the wrong status and the missing text", async (t) => {
  const bad = await probe(http(await serve(t, "HTTP/1.1 503 Busy\r\n\r\n")));
  assert.deepEqual([bad.errorClass, bad.says], ["status", "HTTP status 503, expected 200-299"]);
  const mismatch = await probe(http(await serve(t, OK), { body: "ready" }));
  assert.deepEqual([mismatch.errorClass, mismatch.says], ["body", '"ready" is not in the body']);
});

test("an http probe of a black hole ends by its time-out, and says how far it came", async (t) => {
  const result = await probe(http(await serve(t, undefined), { timeoutMs: 100 }));
  assert.deepEqual([result.errorClass, result.says], ["timeout", "connected, but no answer in time"]);
});

test("an http probe of a server that drips ends by its time-out too", async (t) => {
  const server = createServer((socket) => {
    const timer = setInterval(() => socket.write("H"), 5);
    socket.on("close", () => clearInterval(timer));
  });
  const port = await listen(t, server);
  const drip = await probe(http(port, { timeoutMs: 150 }));
  assert.equal(drip.ok, false);
  assert.ok(["timeout", "protocol"].includes(drip.errorClass));
});

test("an http probe is told of a reset", async (t) => {
  const server = createServer((socket) => {
    socket.on("data", () => socket.resetAndDestroy());
  });
  const result = await probe(http(await listen(t, server)));
  assert.deepEqual([result.ok, result.errorClass], [false, "reset"]);
});

test("cancel() closes the socket and gives no result", async (t) => {
  const closed = Promise.withResolvers<void>();
  const connected = Promise.withResolvers<void>();
  const server = createServer((socket) => {
    socket.on("data", () => connected.resolve());
    socket.on("close", () => closed.resolve());
  });
  const port = await listen(t, server);
  const running = createProbes(systemClock)("127.0.0.1", http(port), () => assert.fail("a result after cancel()"));
  await connected.promise;
  running.cancel();
  running.expire();
  await closed.promise;
});

test("a tls probe judges the certificate", { skip: without("openssl") }, async (t) => {
  const { key, cert, certFile } = makeCertificate(t, 20);
  const port = await listen(t, createTlsServer({ key, cert }));
  const tls = (over: object) => probe(checkOf({ kind: "tls", port, tls: { ...NO_VERIFY, ...over } }));

  const any = await tls({});
  assert.equal(any.ok, true, any.says);
  assert.ok(any.phases.tlsMicros > 0);
  assert.equal((await tls({ minDaysLeft: 14 })).ok, true);

  const soon = await tls({ minDaysLeft: 30 });
  assert.deepEqual([soon.errorClass, soon.says], ["certificate", "the certificate lasts 19 more days, fewer than 30"]);
  const untrusted = await tls({ verify: true, serverName: "www.example" });
  assert.deepEqual([untrusted.errorClass, /SELF_SIGNED/.test(untrusted.says)], ["certificate", true], untrusted.says);
  assert.equal((await tls({ verify: true, serverName: "www.example", caFile: certFile })).ok, true);
  const otherName = await tls({ verify: true, serverName: "api.example", caFile: certFile });
  assert.deepEqual([otherName.errorClass, /ALTNAME/.test(otherName.says)], ["certificate", true], otherName.says);
  const noName = await tls({ verify: true, caFile: certFile });
  assert.equal(noName.errorClass, "certificate", "an address is not in the certificate");
});

test("a tls probe refuses an expired certificate", { skip: without("openssl") }, async (t) => {
  const { key, cert, certFile } = makeCertificate(t, -1);
  const port = await listen(t, createTlsServer({ key, cert }));
  const byDays = await probe(checkOf({ kind: "tls", port, tls: { ...NO_VERIFY, minDaysLeft: 1 } }));
  assert.match(byDays.says, /^the certificate expired on /);
  const tls = { ...NO_VERIFY, verify: true, serverName: "www.example", caFile: certFile };
  const byTrust = await probe(checkOf({ kind: "tls", port, tls }));
  assert.match(byTrust.says, /CERT_HAS_EXPIRED/);
});

test("a tls probe of a server without TLS, and of one that says nothing", async (t) => {
  const plain = await probe(checkOf({ kind: "tls", port: await serve(t, "hello"), tls: NO_VERIFY }));
  assert.equal(plain.errorClass, "tls", plain.says);
  const silent = await probe(checkOf({ kind: "tls", port: await serve(t, undefined), tls: NO_VERIFY, timeoutMs: 100 }));
  assert.deepEqual([silent.errorClass, silent.says], ["timeout", "connected, but no TLS handshake in time"]);
});

test("a CA file that cannot be read is our own fault, not the target's", async (t) => {
  const tls = { ...NO_VERIFY, caFile: "/nowhere/ca.pem" };
  assert.equal((await probe(checkOf({ kind: "tls", port: await serve(t, undefined), tls }))).errorClass, "self");
});

test("an https probe speaks HTTP inside TLS", { skip: without("openssl") }, async (t) => {
  const { key, cert } = makeCertificate(t, 20);
  const server = createTlsServer({ key, cert }, (socket) => {
    socket.on("error", () => {});
    socket.on("data", () => socket.end(OK));
  });
  const port = await listen(t, server);
  const passed = await probe(http(port, { kind: "https", body: "ok" }));
  assert.equal(passed.ok, true, passed.says);
  assert.ok(passed.phases.tlsMicros > 0 && passed.phases.answerMicros > 0);
  const refused = await probe(http(port, { kind: "https", tls: { ...NO_VERIFY, verify: true } }));
  assert.equal(refused.errorClass, "certificate");
});
