import assert from "node:assert/strict";
import { createServer, type Http2Server, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { Server } from "node:net";
import test, { type TestContext } from "node:test";
import { decodeHealthResponse, encodeHealthRequest } from "#health/probes/grpc.ts";
import { checkOf, closedPort, listen, probe, serve } from "./bed.ts";

type Handler = (stream: ServerHttp2Stream, request: Buffer, headers: IncomingHttpHeaders) => void;
function serveGrpc(t: TestContext, handle: Handler): Promise<number> {
  const server: Http2Server = createServer();
  server.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    const parts: Buffer[] = [];
    stream.on("error", () => {});
    stream.on("data", (part: Buffer) => parts.push(part));
    stream.on("end", () => handle(stream, Buffer.concat(parts), headers));
  });
  return listen(t, server as unknown as Server);
}
const message = (...octets: number[]): Buffer => Buffer.from([0, 0, 0, 0, octets.length, ...octets]);
const answer =
  (status: number): Handler =>
  (stream) => {
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(status === 0 ? message() : message(0x08, status));
  };
const trailersOnly =
  (code: string): Handler =>
  (stream) =>
    stream.respond(
      { ":status": 200, "content-type": "application/grpc", "grpc-status": code, "grpc-message": "no" },
      { endStream: true },
    );
const grpc = (port: number, over: object = {}) =>
  checkOf({ kind: "grpc", port, service: "", authority: undefined, ...over });

test("encodeHealthRequest() writes one field, or none", () => {
  assert.deepEqual([...encodeHealthRequest("")], [0, 0, 0, 0, 0]);
  assert.deepEqual([...encodeHealthRequest("ab")], [0, 0, 0, 0, 4, 0x0a, 2, 0x61, 0x62]);
  assert.deepEqual([...encodeHealthRequest("x".repeat(200)).subarray(0, 8)], [0, 0, 0, 0, 203, 0x0a, 0xc8, 0x01]);
});

test("decodeHealthResponse() reads the status, steps over the unknown, refuses garbage", () => {
  assert.equal(decodeHealthResponse(message(0x08, 1)), 1);
  assert.equal(decodeHealthResponse(message()), 0);
  assert.equal(decodeHealthResponse(message(0x12, 2, 9, 9, 0x08, 2)), 2);
  assert.equal(decodeHealthResponse(message(0x08)), undefined);
  assert.equal(decodeHealthResponse(Buffer.from([0, 0, 0, 0, 9, 1])), undefined);
  assert.equal(decodeHealthResponse(Buffer.from([1, 0, 0, 0, 0])), undefined);
});

test("a grpc probe passes on SERVING, with the service and authority it was told", async (t) => {
  let heard = "";
  const port = await serveGrpc(t, (stream, request, headers) => {
    heard = `${headers[":authority"]} ${headers[":path"]} ${request.subarray(7).toString()}`;
    answer(1)(stream, request, headers);
  });
  const result = await probe(grpc(port, { service: "shop.Cart", authority: "cart.example" }));
  assert.deepEqual([result.ok, result.says], [true, "SERVING"]);
  assert.equal(heard, "cart.example /grpc.health.v1.Health/Check shop.Cart");
  assert.ok(result.rttMicros > 0);
});

for (const { name, handle, errorClass, says } of [
  { name: "NOT_SERVING", handle: answer(2), errorClass: "not-serving", says: "NOT_SERVING" },
  { name: "UNKNOWN", handle: answer(0), errorClass: "not-serving", says: "UNKNOWN" },
  { name: "an unknown service", handle: trailersOnly("5"), errorClass: "not-serving", says: 'unknown service ""' },
  {
    name: "no health service",
    handle: trailersOnly("12"),
    errorClass: "protocol",
    says: "the target has no grpc.health.v1.Health",
  },
  { name: "another gRPC status", handle: trailersOnly("14"), errorClass: "protocol", says: "gRPC status 14 no" },
  {
    name: "an HTTP error",
    handle: ((stream) => stream.respond({ ":status": 503 }, { endStream: true })) as Handler,
    errorClass: "status",
    says: "HTTP status 503, expected 200",
  },
]) {
  test(`a grpc probe fails on ${name}`, async (t) => {
    const result = await probe(grpc(await serveGrpc(t, handle)));
    assert.deepEqual([result.ok, result.errorClass, result.says], [false, errorClass, says]);
  });
}

test("a grpc probe is refused, times out, and is not fooled by HTTP/1.1", async (t) => {
  assert.equal((await probe(grpc(await closedPort()))).errorClass, "refused");
  const silent = await probe(grpc(await serveGrpc(t, () => {}), { timeoutMs: 100 }));
  assert.equal(silent.errorClass, "timeout");
  assert.equal((await probe(grpc(await serve(t, "HTTP/1.1 400 Bad Request\r\n\r\n")))).ok, false);
});
