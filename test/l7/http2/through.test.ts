/** Both ends together, client to backend over HTTP/2: WebSockets (RFC 8441) and gRPC. */
import assert from "node:assert/strict";
import { once } from "node:events";
import test, { type TestContext } from "node:test";
import type { ResponseHead } from "#l7/message.ts";
import type { UpstreamEvents, UpstreamStream } from "#l7/stream.ts";
import { until } from "../../net/bed.ts";
import { backendAt } from "../http1/upstream-bed.ts";
import { answerOf, openClient, openFront, type Seen } from "./bed.ts";
import { openBackend, openPool } from "./upstream-bed.ts";

/** The least that an exchange does: hands on what comes. */
async function openThrough(t: TestContext) {
  const backend = await openBackend(t, { settings: { enableConnectProtocol: true } });
  const { pool } = openPool(t, backend.port, { upstream: { passesTrailers: false } });
  const front = openFront(t, {}, (seen: Seen) => {
    const { stream, head } = seen;
    const events: UpstreamEvents = {
      onUpstreamReady: () => stream.wantBody(),
      onUpstreamContinue() {},
      onInformational: (status, fields) => stream.sendInformational(status, fields),
      onHead: (answer: ResponseHead) => stream.sendHead(answer, false),
      onUpstreamBody: (octets) => void stream.sendBody(octets),
      onUpstreamEnd: (trailers) => stream.sendEnd(trailers),
      onUpstreamRoom() {},
      onUpstreamFault: () => stream.abort(),
    };
    const options = { isFresh: false, connectTimeoutMs: 2_000, arrived: stream.arrived };
    const upstream: UpstreamStream = pool.open(0, backendAt(backend.port), head, events, options);
    seen.onBody = (octets) => void upstream.sendBody(octets);
    seen.onBodyEnd = (trailers) => upstream.sendEnd(trailers);
    seen.onClientGone = () => upstream.cancel();
  });
  return { backend, front, client: await openClient(t, front.port) };
}

test("RFC 8441: a WebSocket goes through, octets both ways, each half to its end", async (t) => {
  const { backend, client } = await openThrough(t);
  const request = client.request(
    { ":method": "CONNECT", ":protocol": "websocket", ":path": "/chat", "sec-websocket-version": "13" },
    { endStream: false },
  );
  let got = "";
  let status = 0;
  let fields: Record<string, unknown> = {};
  request.on("response", (head) => {
    status = Number(head[":status"]);
    fields = { ...head };
  });
  request.on("data", (octets: Buffer) => {
    got += octets.toString();
  });
  const incoming = await backend.next();
  assert.equal(incoming.fields[":method"], "CONNECT");
  assert.equal(incoming.fields[":protocol"], "websocket");
  assert.equal(incoming.fields["sec-websocket-key"], undefined, "HTTP/2 has no key");
  incoming.stream.respond({ ":status": 200, "sec-websocket-protocol": "chat" });
  await until(() => status === 200);
  assert.equal(fields["sec-websocket-accept"], undefined);
  assert.equal(fields["sec-websocket-protocol"], "chat");
  request.write("ping");
  await until(() => incoming.body === "ping");
  incoming.stream.write("pong");
  await until(() => got === "pong");
  request.end("bye");
  await until(() => incoming.body === "pingbye" && incoming.stream.readableEnded);
  incoming.stream.end("!");
  await until(() => got === "pong!" && request.closed);
  assert.equal(request.rstCode, 0);
});

test("RFC 8441: a backend's refusal is a response as any other", async (t) => {
  const { backend, front, client } = await openThrough(t);
  const request = client.request({ ":method": "CONNECT", ":protocol": "websocket" }, { endStream: false });
  const answer = answerOf(request);
  const { stream } = await backend.next();
  stream.respond({ ":status": 403, "content-length": 2 });
  stream.end("no");
  await once(request, "end");
  front.pass(1_000);
  const { status, body } = await answer;
  assert.deepEqual([status, body], [403, "no"]);
});

const GRPC = { ":method": "POST", ":path": "/echo.Echo/Say", "content-type": "application/grpc", te: "trailers" };
/** RFC-less, but written down: a flag, a length, the message. */
const message = (text: string): Buffer => Buffer.concat([Buffer.of(0, 0, 0, 0, text.length), Buffer.from(text)]);

test("gRPC: a stream of messages both ways, and its status in the trailers", async (t) => {
  const { backend, client } = await openThrough(t);
  const request = client.request(GRPC);
  const answer = answerOf(request);
  const { stream, fields } = await backend.next();
  assert.equal(fields["te"], "trailers");
  stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0", "grpc-message": "fine" }));
  stream.on("data", (octets: Buffer) => stream.write(octets));
  stream.on("end", () => stream.end());
  request.write(message("one"));
  request.write(message("two"));
  request.end(message("three"));
  const { body, trailers } = await answer;
  assert.equal(body, Buffer.concat([message("one"), message("two"), message("three")]).toString("latin1"));
  assert.equal(trailers?.["grpc-status"], "0");
  assert.equal(trailers?.["grpc-message"], "fine");
});

test("gRPC: a response of trailers alone keeps its status", async (t) => {
  const { backend, client } = await openThrough(t);
  const request = client.request(GRPC);
  const answer = answerOf(request);
  request.end(message("x"));
  const { stream } = await backend.next();
  stream.respond({ ":status": 200, "content-type": "application/grpc", "grpc-status": "12" }, { endStream: true });
  const { status, fields } = await answer;
  assert.deepEqual([status, fields["grpc-status"]], [200, "12"]);
});

test("gRPC: a backend that ends early ends the client's stream, with its status", async (t) => {
  const { backend, front, client } = await openThrough(t);
  const request = client.request(GRPC);
  const answer = answerOf(request);
  request.write(message("x"));
  const { stream } = await backend.next();
  stream.respond({ ":status": 200 }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "8" }));
  stream.end(message("y"));
  await once(request, "end");
  front.pass(1_000);
  const { trailers } = await answer;
  assert.equal(trailers?.["grpc-status"], "8");
});
