/**
 * One TCP client that has arrived, to the last octet: which pool it is for, a place at a backend, the relay.
 *
 * Owns:    what was taken for this client (its arrival, its place) and gives each back exactly once, by `#end`, through which
 *          every way out leads.
 * Order:   ClientHello → place → connect, with others of the ranking where one fails → relay.
 * Refusal: by RST. It costs nothing to keep, and nobody takes it for an answer. A ClientHello gets a TLS alert.
 * @module
 */

import type { ListenerPlan } from "#l4/tcp/listener-plan.ts";
import type { Arrived } from "#net/arrival.ts";
import type { ConnectFault, Relay, RelayEnd, RelayReason, TcpConn, TcpDriver } from "#net/driver.ts";
import type { ListenerContext } from "#net/listener.ts";
import { type UniqueIds, upstreamHead } from "#net/proxy-head.ts";
import { clientKey } from "#pool/client-key.ts";
import { NO_PLACE, type PlaceRequest, type Places } from "#pool/place.ts";
import { BACKEND_COUNTER, backendCounter } from "#state/backend-table.ts";
import { LISTENER_COUNTER, type ListenerCounter } from "#state/counters.ts";
import { alertRecord, MAX_CLIENT_HELLO_OCTETS, parseClientHello } from "#tls/client-hello.ts";

/** What a session has of its listener. */
export type SessionHost = {
  readonly context: ListenerContext;
  readonly driver: TcpDriver;
  readonly ids: UniqueIds;
  /** Sessions whose connect is under way. */
  readonly connecting: Set<TcpSession>;
  ended(session: TcpSession): void;
};

/** Octets that are taken of a client that waits, and for how long it is watched. */
const WATCH = { maxOctets: 16_384, timeoutMs: 3_600_000 };
const NOBODY: readonly number[] = [];

const NO_PLACE_COUNTERS: Readonly<Record<number, ListenerCounter>> = {
  [NO_PLACE.queueFull]: "queue_full",
  [NO_PLACE.queueTimeout]: "queue_timeout",
  [NO_PLACE.budget]: "retry_budget",
};
const END_COUNTERS: Readonly<Record<RelayReason, ListenerCounter>> = {
  closed: "closed",
  "client-reset": "client_reset",
  "upstream-reset": "upstream_reset",
  idle: "idle_timeout",
  lifetime: "lifetime_ended",
  stopped: "stopped",
};

export class TcpSession implements PlaceRequest {
  readonly client: string;
  key = 0;
  tried: readonly number[] = NOBODY;

  readonly #host: SessionHost;
  readonly #plan: ListenerPlan;
  readonly #arrived: Arrived;
  readonly #conn: TcpConn;
  #serverName: string | undefined;
  #isWatched = false;
  #hasSpoken = false;
  #isOver = false;
  #places: Places | undefined;
  /** Of the place that it holds; -1: none. */
  #row = -1;
  /** Gives up what is under way: waiting in the queue, connecting. */
  #cancel: (() => void) | undefined;
  #relay: Relay | undefined;
  #sinceMs = 0;

  constructor(host: SessionHost, plan: ListenerPlan, arrived: Arrived) {
    this.#host = host;
    this.#plan = plan;
    this.#arrived = arrived;
    this.#conn = arrived.conn;
    this.client = arrived.source.address;
  }

  start(): void {
    const { spec, places } = this.#plan;
    if (spec.protocol === "tls-passthrough") this.#readClientHello();
    else if (this.#arrived.tls === undefined) this.#enter(places);
    else {
      const { serverName, alpn } = this.#arrived.tls;
      this.#serverName = serverName;
      this.#enter(this.#plan.route({ serverName, alpn: alpn === undefined ? [] : [alpn] }));
    }
  }

  // ── which pool it is for ───────────────────────────────────────────────────────────────────────────────────────

  #readClientHello(): void {
    const { preambleMs } = this.#plan.spec.timeouts;
    this.#conn.read({ maxOctets: MAX_CLIENT_HELLO_OCTETS, timeoutMs: preambleMs }, (octets) => {
      if (octets === undefined) return this.#refuse("refused_preamble");
      const hello = parseClientHello(octets);
      if (hello === "more") return -1;
      if ("fault" in hello) return this.#refuse("refused_preamble", alertRecord(hello.fault));
      const places = this.#plan.route(hello);
      if (places === undefined) return this.#refuse("refused_route", alertRecord("no-route"));
      this.#serverName = hello.serverName;
      this.#afterwards(() => this.#enter(places));
      return 0; // the backend wants to read it too
    });
  }

  #enter(places: Places | undefined): void {
    if (places === undefined) return void this.#refuse("refused_route");
    this.#places = places;
    this.key = clientKey(this.client, places.spec.hashBits);
    if (!places.remember(this, () => this.#take())) this.#take();
  }

  // ── a place at a backend ───────────────────────────────────────────────────────────────────────────────────────

  #take(): void {
    if (this.#isOver) return;
    const row = this.#places!.take(this, this.#nowMs());
    if (row >= 0) this.#connect(row);
    else if (row === NO_PLACE.full) this.#wait();
    else this.#giveUp(row);
  }

  #wait(): void {
    this.#cancel = this.#places!.wait(this, this.#nowMs(), (row) => {
      this.#cancel = undefined;
      if (row >= 0) this.#connect(row);
      else this.#giveUp(row);
    });
    this.watch();
  }

  #giveUp(row: number): void {
    this.#refuse(NO_PLACE_COUNTERS[row] ?? (this.tried.length > 0 ? "connect_failed" : "no_backend"));
  }

  #connect(row: number): void {
    const places = this.#places!;
    this.#row = row;
    if (this.tried.length > 0) this.#count("retries");
    this.#sinceMs = this.#nowMs();
    this.#host.connecting.add(this);
    this.#cancel = this.#host.driver.connect(places.backend(row)!, places.spec.connectTimeoutMs, (result) => {
      this.#cancel = undefined;
      this.#host.connecting.delete(this);
      if (typeof result === "string") this.#tryNext(result);
      else this.#serve(result);
    });
  }

  /** @param fault undefined: it is not the backend's fault */
  #tryNext(fault: ConnectFault | undefined): void {
    const row = this.#row;
    if (fault !== undefined) this.#places!.failed(row, fault, this.#nowMs());
    this.tried = [...this.tried, row];
    this.#release();
    this.#take();
  }

  /**
   * Looks out for a client that goes away while it waits. A reset says so, and an end before it has said a word; an end
   * after that may mean that it waits for an answer.
   */
  watch(): void {
    if (this.#isWatched || this.#isOver) return;
    this.#isWatched = true;
    this.#conn.read(WATCH, (octets, why) => {
      if (octets !== undefined) {
        this.#hasSpoken = true;
        return -1;
      }
      if (why === "reset") return this.#refuse("client_reset");
      if (why === "ended" && !this.#hasSpoken) return this.#refuse("closed");
      return 0;
    });
  }

  // ── the relay ──────────────────────────────────────────────────────────────────────────────────────────────────

  #serve(upstream: TcpConn): void {
    const { driver, ids } = this.#host;
    const places = this.#places!;
    const nowMs = this.#nowMs();
    places.connected(this.#row, (nowMs - this.#sinceMs) * 1_000, nowMs);
    this.#sinceMs = nowMs;
    const { idleMs, lifetimeMs, halfCloseMs } = this.#plan.spec.timeouts;
    const { proxyProtocol } = places.spec;
    const head =
      proxyProtocol &&
      upstreamHead(
        proxyProtocol,
        {
          source: this.#arrived.source,
          destination: this.#arrived.destination,
          serverName: this.#serverName,
        },
        ids,
      );
    this.#relay = driver.relay(
      this.#conn,
      upstream,
      { head, idleMs, lifetimeMs, halfCloseMs },
      (end) => this.#relayed(end),
      () => this.#answered(),
    );
  }

  #answered(): void {
    const nowMs = this.#nowMs();
    this.#places!.firstOctet(this.#row, (nowMs - this.#sinceMs) * 1_000, nowMs);
  }

  #relayed({ reason, octetsToUpstream, octetsToClient }: RelayEnd): void {
    const { slots, backendCounters } = this.#host.context;
    slots[LISTENER_COUNTER.octets_from_clients]! += octetsToUpstream;
    slots[LISTENER_COUNTER.octets_to_clients]! += octetsToClient;
    backendCounters[backendCounter(this.#row, BACKEND_COUNTER.octets_to_backend)]! += octetsToUpstream;
    backendCounters[backendCounter(this.#row, BACKEND_COUNTER.octets_from_backend)]! += octetsToClient;
    // Some servers end all that they do by RST; one that resets before it has answered has failed.
    if (reason === "upstream-reset" && octetsToClient === 0) this.#places!.failed(this.#row, "reset", this.#nowMs());
    this.#end(END_COUNTERS[reason]);
  }

  // ── ends ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Ends what it has at this backend: a relay by RST; a connect goes to the next in the ranking. */
  leave(row: number): void {
    if (row !== this.#row) return;
    if (this.#relay !== undefined) this.#relay.stop();
    else {
      this.#cancelWork();
      this.#tryNext(undefined);
    }
  }

  stop(): void {
    if (this.#relay !== undefined) this.#relay.stop();
    else this.#refuse("stopped");
  }

  /** @returns 0, what a look returns when it has seen enough */
  #refuse(counter: ListenerCounter, alert?: Uint8Array): number {
    if (!this.#isOver) {
      if (alert === undefined) this.#conn.reset();
      else this.#conn.close(alert);
      this.#end(counter);
    }
    return 0;
  }

  #end(counter: ListenerCounter): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#cancelWork();
    this.#arrived.depart(counter);
    this.#release();
    this.#host.ended(this);
  }

  #cancelWork(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#host.connecting.delete(this);
  }

  /** Gives the place back, if there is one. Others that wait for it may be served before this returns. */
  #release(): void {
    const row = this.#row;
    this.#row = -1;
    if (row >= 0) this.#places!.release(row, this.#nowMs());
  }

  /** Outside of the look that found out: what it consumes counts from its return on. */
  #afterwards(run: () => void): void {
    queueMicrotask(() => {
      if (!this.#isOver) run();
    });
  }
  #count(counter: ListenerCounter): void {
    this.#host.context.slots[LISTENER_COUNTER[counter]]! += 1;
  }
  #nowMs(): number {
    return this.#host.context.clock.monotonicMs();
  }
}
