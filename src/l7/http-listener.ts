/**
 * An HTTP listener in one worker: its sockets, the connections of its clients, their requests.
 *
 * Owns:    which version a client speaks, the plan that requests follow, and the order of its end. A new configuration is for
 *          the next request of each connection (R44); a connection keeps the limits that it came with.
 * Drain:   new connections go elsewhere. Each is told with its next response; those that rest are closed little by little, so
 *          that their clients do not all come back at once. Tunnels may go on until the time is over;
 *          so may requests of our own: mirrors, questions to other services, what the cache fetches.
 * Leaving: clients are to go elsewhere, and who comes is served: each response ends its connection, and idle ones are closed.
 * @module
 */
import { createCompression } from "#l7/compress/create-compression.ts";
import type { HttpContext } from "#l7/context.ts";
import { badRequestEntry } from "#l7/exchange/access-entry.ts";
import { chooseVersion } from "#l7/exchange/choose-version.ts";
import { createDeadlines } from "#l7/exchange/deadlines.ts";
import { Exchange } from "#l7/exchange/exchange.ts";
import type { ExchangeHost } from "#l7/exchange/exchange-host.ts";
import { classCounter } from "#l7/exchange/own-reply.ts";
import { createExchangePlan, type ExchangePlan } from "#l7/exchange/plan.ts";
import { createRandomHex } from "#l7/exchange/random-hex.ts";
import { createSubrequests } from "#l7/exchange/subrequest.ts";
import { serveHttp1 } from "#l7/http1/client-connection.ts";
import { serveHttp2 } from "#l7/http2/connection.ts";
import { createRouter } from "#l7/rules/create-router.ts";
import type { ClientConnection, ConnectionHost } from "#l7/stream.ts";
import { type ArrivalPlan, type Arrived, createArrivalPlan, createArrivals } from "#net/arrival.ts";
import type { DriverListener } from "#net/driver.ts";
import type { Listener } from "#net/listener.ts";
import type { ListenerSpec } from "#state/balancer.ts";
import { LISTENER_COUNTER, type ListenerCounter } from "#state/counters.ts";

/** Idle connections are closed over so much of the time to drain, and no longer than this. */
const SPREAD_SHARE = 0.5;
const MAX_SPREAD_MS = 5_000;
/**
 * A connection that served a request since then will soon have another one, and is told with its response: one that is closed
 * just as the client sends would cost that request.
 */
const REST_MS = 1_000;

type Plan = ArrivalPlan & { readonly exchange: ExchangePlan };
/** Over how long idle connections are closed. */
type Spread = { readonly spreadUntilMs: number; tickedMs: number };
type Drain = Spread & { readonly over: () => void };

export function createHttpListener(options: { readonly spec: ListenerSpec; readonly context: HttpContext }): Listener {
  const { context } = options;
  const { clock, slots, driver, log } = context;
  const deadlines = createDeadlines(clock.monotonicMs());
  const sockets = new Set<DriverListener>();
  const connections = new Map<ClientConnection, Arrived>();
  /** Have arrived, and have not said yet which version they speak. */
  const undecided = new Set<Arrived>();
  let drain: Drain | undefined;
  let leaving: Spread | undefined;

  const count = (counter: ListenerCounter): void => {
    slots[LISTENER_COUNTER[counter]]! += 1;
  };
  const host: ExchangeHost & { tunnelMs: number } = {
    clock,
    rng: context.rng,
    backendCounters: context.backendCounters,
    latency: context.latency,
    slots,
    deadlines,
    cache: context.cache,
    acmeReply(path) {
      const body = context.acmeAnswer(path);
      return body === undefined
        ? undefined
        : { status: 200, fields: ["content-type", "application/octet-stream"], body };
    },
    tunnelMs: options.spec.http!.timeouts.tunnelMs,
    // Asked anew for each try: another configuration may speak to the same pool in another way.
    upstreams: context.upstreams,
    waiting: (change) => context.waiting(change),
    count,
    subrequest: (pool, asked, terms) => subrequests.ask(pool, asked, terms),
    isDraining: () => drain !== undefined || leaving !== undefined,
    unixMs: () => clock.nowMs(),
    randomHex: createRandomHex(),
    failed: (error) => log.error({ event: "http.fault", error: String(error) }, "Cannot decide about a request"),
    logAccess: (entry) => context.logAccess(entry),
    span: (span) => context.span(span),
  };
  const subrequests = createSubrequests(host, () => settle());

  const planOf = (spec: ListenerSpec): Plan => ({
    ...createArrivalPlan(spec, context),
    exchange: createExchangePlan({
      spec,
      contexts: spec.protocol === "https" ? context.contextsOf(spec) : undefined,
      router: createRouter(spec.http!.rules, {
        pool: (index) => context.pool(index),
        rateLimits: context.rateLimits,
        listener: context.listener,
        subrequest: subrequests.ask,
        waiting: host.waiting,
        rng: context.rng,
        unixMs: host.unixMs,
        found: () => count("http_waf_found"),
        denied: (by) => count(`http_denied_${by}`),
        limited: () => count("http_limited"),
      }),
      newRequestId: () => context.newRequestId(),
      cacheOf: (listener, rule) => context.cache.route(listener, rule),
      compressionOf: ({ compression }) =>
        compression && createCompression(compression, { clock, waiting: host.waiting }),
    }),
  });
  let plan = planOf(options.spec);

  // ── connections ────────────────────────────────────────────────────────────────────────────────────────────────

  const connectionHost: ConnectionHost = {
    deadlines,
    onRequest(stream, head) {
      const exchange = new Exchange(host, plan.exchange, stream, head);
      exchange.start();
      return exchange;
    },
    onBadRequest(arrived, status) {
      count(status === 408 ? "http_timeouts" : "http_bad_requests");
      const counter = classCounter(status);
      if (counter >= 0) slots[counter]! += 1;
      const { exchange } = plan;
      if (exchange.http.accessLog !== undefined)
        context.logAccess(badRequestEntry(exchange, arrived, status, clock.nowMs()));
    },
    onConnectionEnd(connection) {
      const arrived = connections.get(connection);
      if (!connections.delete(connection)) return;
      arrived!.depart("closed");
      settle();
    },
  };
  const arrivals = createArrivals<Plan>({ context, driver, arrived: enter, refused: settle });

  function enter(client: Arrived, { exchange }: Plan): void {
    const { http2, timeouts } = exchange.http;
    if (client.tls !== undefined) serve(client, exchange, client.tls.alpn === "h2");
    else if (!http2.isEnabled) serve(client, exchange, false);
    else {
      undecided.add(client);
      chooseVersion(client.conn, timeouts.headMs, (version) => {
        if (!undecided.delete(client)) return;
        if (version === "gone") leave(client);
        else serve(client, exchange, version === "2");
      });
    }
  }
  function serve(arrived: Arrived, { http, listener }: ExchangePlan, isHttp2: boolean): void {
    const scheme = listener.protocol === "https" ? "https" : "http";
    const terms = { arrived, spec: http, scheme, host: connectionHost } as const;
    const connection = isHttp2 ? serveHttp2(terms) : serveHttp1(terms);
    connections.set(connection, arrived);
  }
  function leave(client: Arrived): void {
    client.conn.reset();
    client.depart("closed");
    settle();
  }

  // ── the end ────────────────────────────────────────────────────────────────────────────────────────────────────

  const isEmpty = (): boolean =>
    sockets.size === 0 &&
    connections.size === 0 &&
    undecided.size === 0 &&
    arrivals.size() === 0 &&
    subrequests.size() === 0;
  function settle(): void {
    if (drain !== undefined && isEmpty()) drain.over();
  }
  /** Closes as many idle connections as are due by now. */
  function closeIdle(ending: Spread, nowMs: number): void {
    const leftMs = ending.spreadUntilMs - nowMs;
    const isLastCall = leftMs <= 0 && ending === drain;
    const restedMs = isLastCall ? nowMs : nowMs - REST_MS;
    const idle = [...connections.keys()].filter(
      (connection) => connection.isIdle && connection.idleSinceMs <= restedMs,
    );
    const sinceMs = nowMs - ending.tickedMs;
    ending.tickedMs = nowMs;
    const due = leftMs <= 0 ? idle.length : Math.ceil((idle.length * sinceMs) / (leftMs + sinceMs));
    for (const connection of idle.slice(0, due)) connection.drain();
  }

  return {
    apply(spec) {
      plan = planOf(spec);
      host.tunnelMs = plan.exchange.http.timeouts.tunnelMs;
    },
    async open(fd, at) {
      sockets.add(driver.listen(fd!, plan.spec.backlog, (conn) => arrivals.start(conn, plan)));
      return at.port;
    },
    stopBackend() {
      // Connections to backends are the worker's (`upstreams.ts`), shared by its listeners.
    },
    setLeaving(isLeaving) {
      if (isLeaving === (leaving !== undefined)) return;
      const nowMs = clock.monotonicMs();
      leaving = isLeaving ? { spreadUntilMs: nowMs + MAX_SPREAD_MS, tickedMs: nowMs } : undefined;
    },
    async drain(drainMs) {
      const nowMs = clock.monotonicMs();
      const over = new Promise<void>((resolve) => {
        const spreadMs = Math.min(MAX_SPREAD_MS, drainMs * SPREAD_SHARE);
        drain = { spreadUntilMs: nowMs + spreadMs, tickedMs: nowMs, over: resolve };
      });
      for (const socket of sockets) {
        socket.close(() => {
          sockets.delete(socket);
          settle();
        });
      }
      for (const connection of [...connections.keys()]) if (!connection.isIdle) connection.drain();
      if (isEmpty()) return;
      const deadline = clock.after(drainMs, () => {
        arrivals.stop();
        for (const client of [...undecided]) {
          undecided.delete(client);
          leave(client);
        }
        for (const connection of [...connections.keys()]) connection.stop();
        subrequests.stop();
      });
      await over;
      deadline.cancel();
    },
    tick(nowMs) {
      deadlines.advance(nowMs);
      for (const connection of connections.keys()) connection.tick?.(nowMs);
      const ending = drain ?? leaving;
      if (ending !== undefined) closeIdle(ending, nowMs);
    },
    connections: () => connections.size + undecided.size + arrivals.size(),
  };
}
