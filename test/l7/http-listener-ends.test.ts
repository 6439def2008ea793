/** The whole way with each version of HTTP at both ends, and with TLS: what belongs to a name, tunnels, gRPC, another backend. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from "node:http2";
import { request } from "node:https";
import type { AddressInfo } from "node:net";
import test, { after, type TestContext } from "node:test";
import { type WebSocket, WebSocketServer } from "ws";
import type { PoolSpec } from "#state/balancer.ts";
import type { UpstreamSpec } from "#state/http.ts";
import { until } from "../net/bed.ts";
import { backendAt, UPSTREAM_DEFAULTS } from "../pool/specs.ts";
import { createAuthority } from "../tls/authority.ts";
import { HTTP_DEFAULTS, type HttpBed, type HttpBedOptions, openHttp } from "./http-bed.ts";
import { answerOf } from "./http2/bed.ts";
import { openBackend } from "./http2/upstream-bed.ts";

const authority = createAuthority(undefined);
after(() => rmSync(authority.folder, { recursive: true, force: true }));
const one = authority.issue({ names: ["www.example", "api.example"] });
const two = authority.issue({ names: ["other.example"] });
const HTTP2 = { http2: { ...HTTP_DEFAULTS.http2, isEnabled: true } };

/** A listener that ends TLS with both certificates, for both versions. */
const openSecure = (t: TestContext, options: HttpBedOptions = {}): Promise<HttpBed> =>
  openHttp(t, {
    http: HTTP2,
    listener: { protocol: "https", certificates: [one, two] },
    pems: Object.fromEntries(
      [one, two].flatMap(({ certFile, cert, keyFile, key }) => [
        [certFile, cert],
        [keyFile, key],
      ]),
    ),
    ...options,
  });

function dialHttp2(t: TestContext, { port }: HttpBed, servername = "www.example"): ClientHttp2Session {
  const session = connect(`https://127.0.0.1:${port}`, {
    servername,
    ca: authority.ca,
    checkServerIdentity: () => undefined,
  });
  session.on("error", () => {});
  t.after(() => session.destroy());
  return session;
}
async function statusBy1({ port }: HttpBed, servername: string, host: string): Promise<number> {
  const asked = request({ port, host: "127.0.0.1", servername, headers: { host }, ca: authority.ca, agent: false });
  asked.end();
  const [answer] = (await once(asked, "response")) as [{ statusCode: number; resume(): void }];
  answer.resume();
  return answer.statusCode;
}
/** A pool that is this one backend, spoken to in this way. */
const poolAt = (port: number, upstream: Partial<UpstreamSpec>): Partial<PoolSpec> => ({
  backends: [backendAt(0, { address: "127.0.0.1", port, key: `127.0.0.1:${port}` })],
  upstream: { ...UPSTREAM_DEFAULTS, ...upstream },
});

for (const [sni, host, status] of [
  ["www.example", "www.example", 200],
  ["www.example", "api.example", 200],
  ["www.example", "other.example", 421],
  ["other.example", "www.example", 421],
  ["other.example", "other.example", 200],
] as const) {
  test(`R44: ${host} on a connection that was made to ${sni}: ${status}, by either version`, async (t) => {
    const bed = await openSecure(t);
    assert.equal(await statusBy1(bed, sni, host), status);
    const session = dialHttp2(t, bed, sni);
    for (const [authorityOf, expected] of [
      [host, status],
      [sni, 200],
    ] as const) {
      const { status: by2 } = await answerOf(session.request({ ":authority": authorityOf }));
      assert.equal(by2, expected);
    }
  });
}

test("a pool that is spoken to in another way after a reload gets the next request so", async (t) => {
  const bed = await openHttp(t);
  const backend = await openBackend(t, {}, one);
  const http1 = bed.backends[0]!;
  assert.equal((await bed.ask("/")).body, "hello");
  const tls = {
    isVerified: false,
    caFile: undefined,
    certFile: undefined,
    keyFile: undefined,
    serverName: "www.example",
  };
  bed.apply({ pool: poolAt(backend.port, { protocol: "http2", tls }) });
  const answer = bed.ask("/two");
  const { stream, fields } = await backend.next();
  assert.deepEqual([fields[":scheme"], fields[":path"]], ["https", "/two"]);
  stream.respond({ ":status": 200 });
  stream.end("by HTTP/2");
  assert.equal((await answer).body, "by HTTP/2");
  assert.equal(http1.seen.length, 1);
  await until(() => http1.sockets.size === 0);
  bed.apply({ pool: poolAt((http1.server.address() as AddressInfo).port, {}) });
  assert.equal((await bed.ask("/")).body, "hello");
  assert.equal(http1.seen.length, 2);
});

/** A client's frame of a WebSocket (RFC 6455 §5.2), its mask of zeros. */
const frame = (opcode: number, text: string): Buffer =>
  Buffer.concat([Buffer.of(0x80 | opcode, 0x80 | text.length, 0, 0, 0, 0), Buffer.from(text, "latin1")]);

/** By extended CONNECT to a backend of HTTP/1.1 that sends back what it hears. */
async function openWebSocket(t: TestContext) {
  const bed = await openSecure(t);
  const server = new WebSocketServer({ server: bed.backends[0]!.server });
  t.after(() => server.close());
  const opened = once(server, "connection") as Promise<[WebSocket]>;
  server.on("connection", (socket) => socket.on("message", (data) => socket.send(data, { binary: false })));
  const session = dialHttp2(t, bed);
  await once(session, "remoteSettings");
  const stream = session.request(
    { ":method": "CONNECT", ":protocol": "websocket", ":authority": "www.example", "sec-websocket-version": "13" },
    { endStream: false },
  );
  const heard: Buffer[] = [];
  stream.on("error", () => {});
  stream.on("data", (octets: Buffer) => heard.push(octets));
  const [head] = (await once(stream, "response")) as [Record<string, unknown>];
  assert.equal(head[":status"], 200);
  const [backend] = await opened;
  return { bed, stream, backend, heard: () => Buffer.concat(heard).toString("latin1") };
}

test("RFC 8441: a WebSocket over HTTP/2 passes to a backend of HTTP/1.1, both ways, until both have ended", async (t) => {
  const { bed, stream, heard } = await openWebSocket(t);
  stream.write(frame(1, "ping"));
  await until(() => heard() === "\x81\x04ping");
  stream.end(frame(8, "\x03\xe8"));
  await until(() => stream.closed && bed.log.length === 1);
  assert.deepEqual([bed.log[0]!.status, bed.log[0]!.version], [101, "2"]);
  assert.equal(bed.count("http_tunnels"), 1);
});

test("RFC 8441: such a WebSocket is ended at the end of a drain, for both", async (t) => {
  const { bed, stream, backend } = await openWebSocket(t);
  const closed = Promise.all([once(stream, "close"), once(backend, "close")]);
  await bed.drain(100);
  await closed;
  assert.equal(bed.connections(), 0);
});

const GRPC = { ":method": "POST", ":path": "/echo.Echo/Say", "content-type": "application/grpc", te: "trailers" };

test("gRPC: messages and trailers pass both ways; a drain lets what is under way end in order", async (t) => {
  const backend = await openBackend(t);
  const bed = await openSecure(t, { pool: poolAt(backend.port, { protocol: "http2" }) });
  const session = dialHttp2(t, bed);
  const call = session.request({ ...GRPC, ":authority": "www.example" }, { waitForTrailers: true } as object);
  call.on("wantTrailers", () => call.sendTrailers({ "x-sum": "mine" }));
  const answer = answerOf(call);
  const { stream, fields } = await backend.next();
  assert.equal(fields["te"], "trailers");
  let sum: unknown;
  stream.on("trailers", (trailers) => (sum = trailers["x-sum"]));
  stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
  stream.on("data", (octets: Buffer) => stream.write(octets));
  stream.on("end", () => stream.end());
  call.write("one");
  const drained = bed.drain(10_000);
  call.end("two");
  const { body, trailers } = await answer;
  assert.deepEqual([body, trailers?.["grpc-status"], sum], ["onetwo", "0", "mine"]);
  await drained;
});

for (const [type, passesTrailers, isRefused] of [
  ["application/grpc", false, true],
  ["application/grpc+proto", false, true],
  ["application/grpc-web", false, false],
  ["application/grpc", true, false],
] as const) {
  const says = isRefused ? "is told UNIMPLEMENTED, and reaches nobody" : "passes";
  const how = passesTrailers ? " and passes trailers" : "";
  test(`gRPC: ${type} to a pool that is spoken to over HTTP/1.1${how} ${says}`, async (t) => {
    const bed = await openSecure(t, { pool: { upstream: { ...UPSTREAM_DEFAULTS, passesTrailers } } });
    const call: ClientHttp2Stream = dialHttp2(t, bed).request({
      ...GRPC,
      "content-type": type,
      ":authority": "www.example",
    });
    const answer = answerOf(call);
    call.end("message");
    const { status, fields } = await answer;
    assert.deepEqual([status, fields["grpc-status"]], [200, isRefused ? "12" : undefined]);
    assert.equal(bed.backends[0]!.seen.length, isRefused ? 0 : 1);
  });
}
