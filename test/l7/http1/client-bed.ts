/**
 * What tests of a client's connection stand on: a conn in memory, whose octets come as the test cuts them, and a host whose
 * exchanges do what the request's target says.
 * @module
 */
import { createDeadlines, type Deadlines } from "#l7/exchange/deadlines.ts";
import { serveHttp1 } from "#l7/http1/client-connection.ts";
import { type Fields, type RequestHead, UNKNOWN_LENGTH } from "#l7/message.ts";
import type { ClientConnection, ClientEvents, ClientStream, ConnectionHost } from "#l7/stream.ts";
import type { Arrived } from "#net/arrival.ts";
import type { StreamOwner, TcpConn } from "#net/driver.ts";
import type { HttpLimits, HttpSpec, HttpTimeouts } from "#state/http.ts";

export type SpecChanges = { readonly limits?: Partial<HttpLimits>; readonly timeouts?: Partial<HttpTimeouts> };

export const httpSpec = ({ limits, timeouts }: SpecChanges = {}): HttpSpec => ({
  limits: { lineOctets: 200, headOctets: 1_000, fields: 20, pipelined: 4, requestsPerConnection: 0, ...limits },
  timeouts: {
    headMs: 1_000,
    bodyMs: 2_000,
    keepAliveMs: 5_000,
    sendMs: 3_000,
    minBodyRate: 0,
    tunnelMs: 4_000,
    lingerMs: 500,
    ...timeouts,
  },
  http2: {
    isEnabled: false,
    maxStreams: 100,
    headerListOctets: 16_384,
    resetsPerSecond: 100,
    settingsPerConnection: 32,
    outstandingPings: 10,
    windowOctets: 65_536,
  },
  trusted: [],
  forwarded: {
    hops: 1,
    xForwardedFor: true,
    xForwarded: true,
    xRealIp: false,
    forwarded: false,
    requestId: true,
    via: undefined,
  },
  rules: [],
  hosts: [],
  accessLog: undefined,
  tracing: undefined,
  maxRequests: 0,
});

export const arrivedOn = (conn: TcpConn): Arrived & { hasDeparted: boolean } => ({
  conn,
  source: conn.remote,
  destination: conn.local,
  tls: undefined,
  hasDeparted: false,
  depart() {
    this.hasDeparted = true;
  },
});

// ── a conn in memory ─────────────────────────────────────────────────────────────────────────────────────────────

/** Keeps to the driver's contract: it tells its owner nothing from within a call, and nothing while it is paused. */
export class MemoryConn implements TcpConn {
  readonly remote = { address: "192.0.2.7", port: 40_000 };
  readonly local = { address: "192.0.2.1", port: 80 };
  sent = "";
  ending: "open" | "fin" | "closed" | "reset" = "open";
  isPaused = false;
  /** What the peer has not taken, as far as the test says so. */
  stuck = 0;
  hasRoom = true;
  #owner: StreamOwner | undefined;
  readonly #arriving: (Buffer | "end")[] = [];

  read(): void {
    throw new Error("A conn that streams is not read");
  }
  stream(owner: StreamOwner): void {
    this.#owner = owner;
  }
  pause(): void {
    this.isPaused = true;
  }
  resume(): void {
    this.isPaused = false;
  }
  write(octets: Uint8Array): boolean {
    return this.writeText(Buffer.from(octets).toString("latin1"));
  }
  writeText(latin1: string): boolean {
    if (this.ending === "open") this.sent += latin1;
    return this.hasRoom;
  }
  finish(): void {
    if (this.ending === "open") this.ending = "fin";
  }
  unsent(): number {
    return this.stuck;
  }
  close(): void {
    if (this.ending !== "reset") this.ending = "closed";
  }
  reset(): void {
    this.ending = "reset";
  }

  /** The peer's part. */
  arrive(octets: string): void {
    this.#arriving.push(Buffer.from(octets, "latin1"));
    this.deliver();
  }
  end(): void {
    this.#arriving.push("end");
    this.deliver();
  }
  room(): void {
    this.hasRoom = true;
    this.stuck = 0;
    this.#owner?.onRoom();
  }
  gone(): void {
    this.ending = "reset";
    this.#owner?.onGone();
  }
  /** @returns whether anything was told */
  deliver(): boolean {
    let told = false;
    while (!this.isPaused && this.#arriving.length > 0 && (this.ending === "open" || this.ending === "fin")) {
      const next = this.#arriving.shift()!;
      told = true;
      if (next === "end") this.#owner!.onEnd();
      else {
        // The view is valid during the call alone.
        this.#owner!.onOctets(next);
        next.fill(0x21);
      }
    }
    return told;
  }
}

// ── a host ───────────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * An exchange that does what its target says:
 *
 *   /now…      answers at once, whatever body there is       /unread     answers later, and wants no body
 *   /chunked   a body of unknown length, with a trailer      /hint       103 first
 *   /tunnel    101, then what comes goes back                /plain      200 to a request that upgrades
 *   /hang      never answers                                 /cut        aborts amid its body
 *   /short     sends less than it announces                  others      answer with method, target and body
 */
export class ScriptedExchange implements ClientEvents {
  readonly head: RequestHead;
  body = "";
  trailers: Fields | undefined;
  isBodyOver = false;
  /** What `onClientGone` said, at its end. */
  readonly gone: (number | undefined)[] = [];
  rooms = 0;
  readonly stream: ClientStream;
  readonly #later: (call: () => void) => void;

  constructor(stream: ClientStream, head: RequestHead, later: (call: () => void) => void) {
    this.head = head;
    this.stream = stream;
    this.#later = later;
    const path = head.target;
    if (path.startsWith("/now")) this.answer();
    else if (path === "/hang") later(() => this.#live(() => stream.wantBody()));
    else if (path === "/unread") later(() => this.#live(() => this.answer()));
    else if (path === "/tunnel")
      later(() =>
        this.#live(() => stream.sendHead({ status: 101, fields: [], bodyOctets: 0, declaredOctets: undefined }, false)),
      );
    else if (head.bodyOctets === 0) later(() => this.#live(() => this.answer()));
    else later(() => this.#live(() => stream.wantBody()));
  }
  #live(call: () => void): void {
    if (this.gone.length === 0) call();
  }

  answer(): void {
    const { stream } = this;
    const { target, method } = this.head;
    if (target === "/hint") stream.sendInformational(103, ["link", "</a.css>"]);
    if (target === "/chunked") {
      stream.sendHead({ status: 200, fields: [], bodyOctets: UNKNOWN_LENGTH, declaredOctets: undefined }, false);
      stream.sendBody(Buffer.from("some"));
      stream.sendBody(Buffer.from("thing more"));
      stream.sendEnd(["x-sum", "14"]);
      return;
    }
    const status = target === "/204" ? 204 : target === "/304" ? 304 : 200;
    const body = Buffer.from(`${method} ${target} ${this.body}`);
    const bodyOctets = target === "/short" ? body.length + 1 : body.length;
    stream.sendHead({ status, fields: [], bodyOctets, declaredOctets: undefined }, target === "/last");
    if (target === "/cut") return void stream.abort();
    stream.sendBody(body);
    stream.sendEnd(undefined);
  }
  onBody(octets: Buffer): void {
    if (this.head.target === "/tunnel") this.stream.sendBody(octets);
    else this.body += octets.toString("latin1");
  }
  onBodyEnd(trailers: Fields | undefined): void {
    this.trailers = trailers;
    this.isBodyOver = true;
    if (this.head.target === "/tunnel") this.#later(() => this.#live(() => this.stream.sendEnd(undefined)));
    else if (this.head.target !== "/hang") this.#later(() => this.#live(() => this.answer()));
  }
  onClientRoom(): void {
    this.rooms++;
  }
  onClientGone(status: number | undefined): void {
    this.gone.push(status);
  }
}

export type ClientHost = ConnectionHost & {
  readonly exchanges: ScriptedExchange[];
  readonly refused: string[];
  readonly ended: ClientConnection[];
};

/** @param later how exchanges put off what they do */
export function createClientHost(
  later: (call: () => void) => void,
  deadlines: Deadlines = createDeadlines(0),
): ClientHost {
  const exchanges: ScriptedExchange[] = [];
  const refused: string[] = [];
  const ended: ClientConnection[] = [];
  return {
    deadlines,
    exchanges,
    refused,
    ended,
    onRequest(stream, head) {
      const exchange = new ScriptedExchange(stream, head, later);
      exchanges.push(exchange);
      return exchange;
    },
    onBadRequest: (_arrived, status, rule) => refused.push(`${status} ${rule}`),
    onConnectionEnd: (connection) => ended.push(connection),
  };
}

/** A connection over a conn in memory; `run` does what was put off until there is nothing more to do. */
export function createMemoryClient(changes: SpecChanges = {}) {
  const calls: (() => void)[] = [];
  const conn = new MemoryConn();
  const host = createClientHost((call) => calls.push(call));
  const connection = serveHttp1({ arrived: arrivedOn(conn), spec: httpSpec(changes), scheme: "http", host });
  const run = (): void => {
    for (let isBusy = true; isBusy; ) {
      const call = calls.shift();
      call?.();
      isBusy = conn.deliver() || call !== undefined;
    }
  };
  return {
    conn,
    host,
    connection,
    run,
    send(octets: string) {
      conn.arrive(octets);
      run();
    },
    end() {
      conn.end();
      run();
    },
    /** Time passes until then, tick by tick. */
    passTo(ms: number) {
      for (let now = host.deadlines.nowMs(); now < ms; now += 50) {
        host.deadlines.advance(Math.min(ms, now + 50));
        run();
      }
    },
  };
}
