/**
 * What tests of connections to backends over HTTP/2 stand on: backends of Node's and raw ones, and a pool whose time the test
 * moves.
 * @module
 */
import { once } from "node:events";
import {
  createSecureServer,
  createServer,
  type Http2Server,
  type ServerHttp2Stream,
  type ServerOptions,
} from "node:http2";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import type { TestContext } from "node:test";
import { createHttp2UpstreamPool, type Http2UpstreamOptions } from "#l7/http2/upstream-pool.ts";
import type { OutboundRequest } from "#l7/stream.ts";
import { createNetDriver } from "#net/node/driver.ts";
import type { PoolSpec } from "#state/balancer.ts";
import type { UpstreamSpec } from "#state/http.ts";
import { createQueue } from "../../net/bed.ts";
import { arrivedOn, MemoryConn } from "../http1/client-bed.ts";
import { backendAt, outbound, poolWith, UpstreamLog } from "../http1/upstream-bed.ts";
import { RawPeer } from "./bed.ts";
import { settings } from "./frames.ts";

export type Incoming = { readonly stream: ServerHttp2Stream; readonly fields: Record<string, unknown>; body: string };

export async function openBackend(t: TestContext, options: ServerOptions = {}, tls?: { cert: string; key: string }) {
  const server: Http2Server = (
    tls === undefined ? createServer(options) : createSecureServer({ ...options, ...tls })
  ) as Http2Server;
  const requests = createQueue<Incoming>();
  let sessions = 0;
  server.on("session", (session) => {
    sessions++;
    session.on("error", () => {});
    t.after(() => session.destroy());
  });
  server.on("sessionError", () => {});
  server.on("stream", (opened, fields) => {
    const stream = opened as ServerHttp2Stream;
    const incoming: Incoming = { stream, fields: { ...fields }, body: "" };
    stream.on("error", () => {});
    stream.on("data", (octets: Buffer) => {
      incoming.body += octets.toString("latin1");
    });
    requests.push(incoming);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  t.after(() => server.close());
  return { port: (server.address() as AddressInfo).port, server, next: requests.next, sessions: () => sessions };
}

/** Speaks HTTP/2 as far as its SETTINGS; the test writes the rest. */
export async function openRawBackend(t: TestContext, pairs: readonly (readonly [number, number])[] = []) {
  const peers = createQueue<RawPeer>();
  const server = createTcpServer({ noDelay: true }, (socket) => {
    const peer = new RawPeer(socket, true);
    t.after(() => socket.destroy());
    peer.write(settings(...pairs));
    peers.push(peer);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  t.after(() => server.close());
  return { port: (server.address() as AddressInfo).port, next: peers.next };
}

export type PoolChanges = {
  readonly upstream?: Partial<UpstreamSpec>;
  readonly proxyProtocol?: PoolSpec["proxyProtocol"];
  readonly tlsTerms?: Http2UpstreamOptions["tlsTerms"];
};
export function openPool(t: TestContext, port: number, changes: PoolChanges = {}) {
  const driver = createNetDriver();
  let nowMs = 0;
  const pool = createHttp2UpstreamPool({
    driver,
    clock: { monotonicMs: () => nowMs },
    pool: poolWith({ protocol: "http2", ...changes.upstream }, changes.proxyProtocol),
    ...(changes.tlsTerms && { tlsTerms: changes.tlsTerms }),
  });
  t.after(() => {
    pool.close();
    driver.close();
  });
  const client = arrivedOn(new MemoryConn());
  return {
    pool,
    driver,
    pass(ms: number): void {
      for (const endMs = nowMs + ms; nowMs < endMs; pool.tick(nowMs)) nowMs += 100;
    },
    open(request: Partial<OutboundRequest> = {}, arrived = client): UpstreamLog {
      const log = new UpstreamLog();
      log.stream = pool.open(0, backendAt(port), outbound(request), log, {
        isFresh: false,
        connectTimeoutMs: 2_000,
        arrived,
      });
      return log;
    },
  };
}
