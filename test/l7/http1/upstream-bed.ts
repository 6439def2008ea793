/**
 * What tests of connections to backends stand on: a driver in memory whose conns the test answers on, requests, and a log of
 * what an exchange would hear.
 * @module
 */
import assert from "node:assert/strict";
import { createHttp1Upstreams, type Http1UpstreamOptions } from "#l7/http1/upstream-pool.ts";
import { type Fields, type ResponseHead, UNKNOWN_LENGTH } from "#l7/message.ts";
import type { OutboundRequest, UpstreamEvents, UpstreamFault, UpstreamStream } from "#l7/stream.ts";
import type { ConnectFault, TcpConn, TcpDriver } from "#net/driver.ts";
import type { BackendSpec, PoolSpec } from "#state/balancer.ts";
import type { UpstreamSpec } from "#state/http.ts";
import { arrivedOn, MemoryConn } from "./client-bed.ts";

export const upstreamSpec = (changes: Partial<UpstreamSpec> = {}): UpstreamSpec => ({
  protocol: "http1",
  tls: undefined,
  maxIdle: 4,
  idleMs: 5_000,
  maxRequests: 0,
  maxStreams: 100,
  host: undefined,
  keepsUnderscores: false,
  passesTrailers: true,
  ...changes,
});
/** As much of a pool as its connections look at. */
export const poolWith = (changes: Partial<UpstreamSpec> = {}, proxyProtocol?: PoolSpec["proxyProtocol"]) =>
  ({ spec: { upstream: upstreamSpec(changes), proxyProtocol } as PoolSpec }) as const;
export const backendAt = (port: number): BackendSpec => ({ address: "127.0.0.1", port }) as BackendSpec;

export const outbound = (changes: Partial<OutboundRequest> = {}): OutboundRequest => ({
  version: "1.1",
  method: "GET",
  target: "/",
  scheme: "http",
  authority: "a.example",
  fields: [],
  bodyOctets: 0,
  expectsContinue: false,
  upgrade: undefined,
  takesTrailers: false,
  ...changes,
});

/** What came of a request, a word per event; bodies of one run together. */
export class UpstreamLog implements UpstreamEvents {
  readonly words: string[] = [];
  readonly faults: UpstreamFault[] = [];
  stream: UpstreamStream | undefined;
  /** Called at each event, after it is noted. */
  onWord: ((word: string) => void) | undefined;
  #body: string | undefined;

  get text(): string {
    return this.words.join(" ");
  }
  #say(word: string): void {
    this.#body = undefined;
    this.words.push(word);
    this.onWord?.(word);
  }
  onUpstreamReady(micros: number): void {
    this.#say(micros === 0 ? "ready-again" : "ready");
  }
  onUpstreamContinue(): void {
    this.#say("continue");
  }
  onInformational(status: number, fields: Fields): void {
    this.#say(`informational:${status}:${fields.join("=")}`);
  }
  onHead({ status, bodyOctets, declaredOctets }: ResponseHead): void {
    const length = bodyOctets === UNKNOWN_LENGTH ? "?" : String(bodyOctets);
    this.#say(`head:${status}:${length}${declaredOctets === undefined ? "" : `:${declaredOctets}`}`);
  }
  onUpstreamBody(octets: Buffer): void {
    const text = octets.toString("latin1");
    if (this.#body === undefined) {
      this.words.push(`body:${text}`);
      this.#body = text;
    } else {
      this.#body += text;
      this.words[this.words.length - 1] = `body:${this.#body}`;
    }
    this.onWord?.("body");
  }
  onUpstreamEnd(trailers: Fields | undefined): void {
    this.#say(trailers === undefined ? "end" : `end:${trailers.join("=")}`);
  }
  onUpstreamRoom(): void {
    this.#say("room");
  }
  onUpstreamFault(fault: UpstreamFault): void {
    this.faults.push(fault);
    const was = [fault.isReused && "reused", fault.hasSent && "sent", fault.hasAnswered && "answered"];
    this.#say(`fault:${[fault.kind, ...was.filter(Boolean)].join("+")}`);
  }
}

/** A pool over conns in memory: `conns[n]` is the n-th that was connected. */
export function createMemoryPool(options: Partial<Http1UpstreamOptions> = {}) {
  const conns: MemoryConn[] = [];
  const connects: ((result: TcpConn | ConnectFault) => void)[] = [];
  let givenUp = 0;
  const driver = {
    connect(_to: unknown, _timeoutMs: number, done: (result: TcpConn | ConnectFault) => void) {
      connects.push(done);
      return () => {
        givenUp++;
      };
    },
  } as unknown as TcpDriver;
  let now = 0;
  const pool = createHttp1Upstreams({
    driver,
    clock: { monotonicMs: () => now },
    pool: poolWith(),
    ...options,
  });
  const client = arrivedOn(new MemoryConn());
  return {
    pool,
    conns,
    client,
    givenUp: () => givenUp,
    /** The connect that was begun first is over. */
    connected(result?: ConnectFault): MemoryConn {
      const conn = new MemoryConn();
      if (result === undefined) conns.push(conn);
      connects.shift()!(result ?? conn);
      return conn;
    },
    connecting: () => connects.length,
    open(
      changes: Partial<OutboundRequest> = {},
      choice: { row?: number; isFresh?: boolean; arrived?: typeof client } = {},
    ) {
      const log = new UpstreamLog();
      log.stream = pool.open(choice.row ?? 0, backendAt(80), outbound(changes), log, {
        isFresh: choice.isFresh ?? false,
        connectTimeoutMs: 1_000,
        arrived: choice.arrived ?? client,
      });
      return log;
    },
    passTo(ms: number) {
      for (; now < ms; now += 50) pool.tick(now + 50);
    },
  };
}

export const OK = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
/** A request that was answered, so that its connection stands idle. */
export function answered(bed: ReturnType<typeof createMemoryPool>, answer = OK, log = bed.open()): UpstreamLog {
  const conn = bed.connecting() > 0 ? bed.connected() : bed.conns.at(-1)!;
  conn.arrive(answer);
  assert.match(log.text, / end\S*$/);
  return log;
}
