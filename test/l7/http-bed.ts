/**
 * The whole way of a request: clients, an HTTP listener with real places on a real driver, and backends that do as they are
 * told. At its end everything that was taken must have been given back, and each request have its line in the log.
 */
import assert from "node:assert/strict";
import { randomFillSync } from "node:crypto";
import { once } from "node:events";
import {
  Agent,
  createServer,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  request,
  type Server,
  type ServerResponse,
} from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import type { TestContext } from "node:test";
import { createAlgorithm } from "#balance/table.ts";
import { systemClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { createSeededRng } from "#base/rng.ts";
import { createHttpCache } from "#l7/cache/http-cache.ts";
import type { AccessEntry } from "#l7/context.ts";
import { createRequestIds } from "#l7/headers/request-id.ts";
import { createHttpListener } from "#l7/http-listener.ts";
import type { PoolRef } from "#l7/route.ts";
import { createRateLimitsMemory } from "#l7/rules/rate-limits.ts";
import { createUpstreams } from "#l7/upstreams.ts";
import type { TcpDriver } from "#net/driver.ts";
import { createListenerSet } from "#net/listener-set.ts";
import { createNetDriver } from "#net/node/driver.ts";
import { createClientLimitsMemory } from "#pool/client-limits.ts";
import type { Places } from "#pool/place.ts";
import { createPlaces } from "#pool/places.ts";
import {
  BACKEND_COUNTER,
  type BackendCounter,
  backendCounter,
  createBackendCounters,
  createBackendTable,
} from "#state/backend-table.ts";
import type { BackendSpec, ListenerSpec, PoolSpec } from "#state/balancer.ts";
import { createCounterSlots, LISTENER_COUNTER, LISTENER_COUNTERS, type ListenerCounter } from "#state/counters.ts";
import type { HttpSpec } from "#state/http.ts";
import { createLatencyBlock } from "#state/latency.ts";
import type { SpanRecord } from "#state/spans.ts";
import { createTlsContexts } from "#tls/contexts.ts";
import { bindTcp, type Peer, peerOf, until } from "../net/bed.ts";
import { activeAt, publish, wordAt } from "../pool/pool-fixture.ts";
import { backendAt, balancerOf, listenerOf, poolOf } from "../pool/specs.ts";
import { specsOf } from "./rules/bed.ts";

const ROWS = 16;

export const HTTP_DEFAULTS: HttpSpec = {
  limits: { lineOctets: 16_384, headOctets: 32_768, fields: 100, pipelined: 32, requestsPerConnection: 0 },
  timeouts: {
    headMs: 10_000,
    bodyMs: 10_000,
    keepAliveMs: 60_000,
    sendMs: 30_000,
    minBodyRate: 0,
    tunnelMs: 60_000,
    lingerMs: 2_000,
  },
  http2: {
    isEnabled: false,
    maxStreams: 100,
    headerListOctets: 32_768,
    resetsPerSecond: 100,
    settingsPerConnection: 10,
    outstandingPings: 10,
    windowOctets: 65_535,
  },
  trusted: [],
  forwarded: {
    hops: 0,
    xForwardedFor: true,
    xForwarded: true,
    xRealIp: true,
    forwarded: false,
    requestId: true,
    via: undefined,
  },
  rules: [],
  hosts: [],
  accessLog: { path: "-", samplePercent: 100 },
  tracing: undefined,
  maxRequests: 0,
};

export type Handler = (request: IncomingMessage, response: ServerResponse) => void;
export type HttpBackend = {
  readonly spec: BackendSpec;
  readonly server: Server;
  readonly sockets: ReadonlySet<Socket>;
  /** Requests that came, whole or not. */
  readonly seen: IncomingMessage[];
  handler: Handler;
  kill(): void;
};
export type Answer = {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
  readonly trailers: IncomingMessage["trailers"];
};
export type Asked = {
  readonly method?: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: string | Buffer;
  readonly agent?: Agent;
};

export type HttpBed = {
  readonly driver: TcpDriver;
  readonly port: number;
  readonly backends: readonly HttpBackend[];
  /** Who fills it without end may empty it. */
  readonly log: AccessEntry[];
  readonly spans: readonly SpanRecord[];
  readonly table: Int32Array;
  ask(path: string, asked?: Asked): Promise<Answer>;
  /** A connection that a test writes to by hand. */
  dial(text?: string): Promise<Peer>;
  count(counter: ListenerCounter): number;
  backendCount(row: number, counter: BackendCounter): number;
  active(row: number): number;
  /** Serves another configuration; what is not named stays as it was. */
  apply(changes: HttpBedChanges): void;
  drain(drainMs: number): Promise<void>;
  setLeaving(isLeaving: boolean): void;
  stopBackend(row: number): void;
  connections(): number;
};
export type HttpBedChanges = {
  /** As an operator writes them, of pools `web`, `api`, `canary`, `auth`. */
  readonly rules?: readonly unknown[];
  readonly http?: Partial<HttpSpec>;
  readonly pool?: Partial<PoolSpec>;
  readonly listener?: Partial<ListenerSpec>;
};
export type HttpBedOptions = HttpBedChanges & {
  readonly driver?: TcpDriver;
  /** One a backend. The first `web` of them are those of pool `web`, the others go one to each pool after it. */
  readonly handlers?: readonly Handler[];
  readonly web?: number;
  /** Of all backends. */
  readonly backend?: Partial<BackendSpec>;
  readonly pems?: Readonly<Record<string, string>>;
  /** What proves names to an ACME authority, by path. */
  readonly acmeProofs?: Readonly<Record<string, string>>;
};

export const hello: Handler = (_request, response) => response.end("hello");
/** The whole body of a message. */
export async function textOf(message: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("latin1");
}

async function openBackend(row: number, handler: Handler, more: Partial<BackendSpec>): Promise<HttpBackend> {
  const sockets = new Set<Socket>();
  const seen: IncomingMessage[] = [];
  const server = createServer({ keepAliveTimeout: 60_000 }, (message, response) => {
    seen.push(message);
    backend.handler(message, response);
  });
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {});
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  const backend: HttpBackend = {
    spec: backendAt(row, { address: "127.0.0.1", port, key: `127.0.0.1:${port}`, ...more }),
    server,
    sockets,
    seen,
    handler,
    kill() {
      server.close();
      for (const socket of sockets) socket.resetAndDestroy();
    },
  };
  return backend;
}

export async function openHttp(t: Pick<TestContext, "after">, options: HttpBedOptions = {}): Promise<HttpBed> {
  const driver = options.driver ?? createNetDriver();
  const backends = await Promise.all(
    (options.handlers ?? [hello]).map((handler, row) => openBackend(row, handler, options.backend ?? {})),
  );
  const table = createBackendTable(ROWS);
  publish(table, Object.fromEntries(backends.map((_, row) => [row, "active"] as const)));
  const limits = createClientLimitsMemory();
  const backendCounters = createBackendCounters(ROWS);
  const slots = createCounterSlots(LISTENER_COUNTERS.length);
  const rng = createSeededRng(1);
  const log: AccessEntry[] = [];
  let lines = 0;
  const spans: SpanRecord[] = [];
  const textOf = (file: string): string => options.pems?.[file] ?? assert.fail(`no text for ${file}`);
  const upstreams = createUpstreams({ driver, clock: systemClock, textOf });
  const cache = createHttpCache({ clock: systemClock });
  const rateLimits = createRateLimitsMemory();
  const newRequestId = createRequestIds(systemClock.nowMs, randomFillSync);
  const latency = createLatencyBlock(ROWS);
  const refs = new Map<Places, PoolRef>();
  const refOf = (places: Places): PoolRef => {
    const ref = refs.get(places) ?? {
      places,
      get spec() {
        return places.spec;
      },
    };
    refs.set(places, ref);
    return ref;
  };
  let waiting = 0;
  const set = createListenerSet({
    clock: systemClock,
    log: silentLog,
    serves: () => true,
    createPlaces: (spec, { zone }) =>
      createPlaces({
        spec,
        table,
        counters: backendCounters,
        zone,
        clock: systemClock,
        rng,
        sticky: undefined,
        createAlgorithm,
      }),
    backendCounters,
    listenerSlots: () => slots,
    listenerNumber: () => 0,
    limits,
    createListener: (spec, context) =>
      createHttpListener({
        spec,
        context: {
          ...context,
          driver,
          pool: (index) => refOf(context.places(index)),
          upstreams: upstreams.of,
          waiting(change) {
            waiting += change;
          },
          textOf,
          acmeAnswer: (path) => options.acmeProofs?.[path],
          rng,
          cache,
          rateLimits,
          latency,
          newRequestId,
          logAccess(entry) {
            lines++;
            log.push(entry);
          },
          span: (span) => spans.push(span),
        },
      }),
    contextsOf: ({ name, certificates }) =>
      createTlsContexts({
        listener: name,
        certificates: certificates.map(({ certFile, keyFile }) => ({
          name: certFile,
          cert: textOf(certFile),
          key: textOf(keyFile),
        })),
        tickets: { secret: new Uint8Array(48), rotateMs: 3_600_000 },
      }),
  });

  const { fd, port } = bindTcp();
  const listen = { address: "127.0.0.1", port };
  let changes: HttpBedChanges = { rules: [{ pool: "web" }], ...options };
  const webCount = options.web ?? backends.length;
  function apply(more: HttpBedChanges): void {
    changes = { ...changes, ...more };
    const specs = backends.map(({ spec }) => spec);
    const pools = ["web", "api", "canary", "auth"].map((name, index) =>
      poolOf(index === 0 ? specs.slice(0, webCount) : specs.slice(webCount + index - 1, webCount + index), {
        name,
        ...changes.pool,
      }),
    );
    const http: HttpSpec = { ...HTTP_DEFAULTS, ...changes.http, rules: specsOf(changes.rules!) };
    const snapshot = balancerOf({
      listeners: [listenerOf({ listen, protocol: "http", http, ...changes.listener })],
      pools,
    });
    set.apply(snapshot);
    upstreams.apply(new Map(pools.map(({ name }, index) => [name, refOf(set.places(index))])));
  }
  apply({});
  await set.open("front", fd, listen);
  const ticking = setInterval(() => {
    const nowMs = systemClock.monotonicMs();
    set.tick(nowMs);
    upstreams.tick(nowMs);
    cache.tick();
  }, 20);
  const agent = new Agent({ keepAlive: true });
  const clients = new Set<Socket>();
  const count = (counter: ListenerCounter): number => slots[LISTENER_COUNTER[counter]]!;

  t.after(async () => {
    try {
      agent.destroy();
      for (const socket of clients) socket.destroy();
      for (const backend of backends) backend.kill();
      await set.drain(0);
      upstreams.close();
      cache.close();
      await until(() => driver.open() === 0);
      for (const { spec } of backends) assert.equal(activeAt(table, spec.target), 0, `places at ${spec.target}`);
      assert.equal(wordAt(table, 0, "queued"), 0, "who waits");
      assert.equal(limits.connections(0), 0, "connections in the limits");
      assert.equal(count("active"), 0, "connections");
      assert.equal(count("http_active"), 0, "requests under way");
      assert.equal(waiting, 0, "what is awaited");
      const unreadable = count("http_bad_requests");
      assert.equal(lines, count("http_requests") + unreadable, "lines of the log");
    } finally {
      clearInterval(ticking);
      driver.close();
    }
  });

  return {
    driver,
    port,
    backends,
    log,
    spans,
    table,
    count,
    apply,
    drain: (drainMs) => set.drain(drainMs),
    setLeaving: (isLeaving) => set.setLeaving(isLeaving),
    stopBackend: (row) => upstreams.stopBackend(row),
    connections: () => set.connections()["front"] ?? 0,
    active: (row) => activeAt(table, row),
    backendCount: (row, counter) => backendCounters[backendCounter(row, BACKEND_COUNTER[counter])]!,
    async dial(text) {
      const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
      clients.add(socket);
      socket.once("close", () => clients.delete(socket));
      const peer = peerOf(socket);
      await once(socket, "connect");
      if (text !== undefined) socket.write(text);
      return peer;
    },
    ask: (path, { method = "GET", headers = {}, body, agent: own } = {}) =>
      new Promise((resolve, reject) => {
        const outgoing = request(
          { host: "127.0.0.1", port, path, method, headers: { host: "www.example", ...headers }, agent: own ?? agent },
          (message) => {
            const chunks: Buffer[] = [];
            message.on("data", (chunk: Buffer) => chunks.push(chunk));
            message.on("error", reject);
            message.on("end", () =>
              resolve({
                status: message.statusCode!,
                headers: message.headers,
                body: Buffer.concat(chunks).toString("latin1"),
                trailers: message.trailers,
              }),
            );
          },
        );
        outgoing.on("error", reject);
        outgoing.end(body);
      }),
  };
}
