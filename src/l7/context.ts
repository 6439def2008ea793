/**
 * What the parts of `l7/` have of the worker that they run in.
 *
 * Owns:    types alone.
 * @module
 */
import type { Rng } from "#base/rng.ts";
import type { HttpCache } from "#l7/cache/cache.ts";
import type { Fields } from "#l7/message.ts";
import type { PoolRef } from "#l7/route.ts";
import type { RateLimits } from "#l7/rules/rate-limits.ts";
import type { UpstreamPool } from "#l7/stream.ts";
import type { Arrived } from "#net/arrival.ts";
import type { TcpDriver } from "#net/driver.ts";
import type { ListenerContext } from "#net/listener.ts";
import type { SpanRecord } from "#state/spans.ts";

export type HttpContext = ListenerContext & {
  readonly driver: TcpDriver;
  /** The pool with this index in the snapshot that serves now. */
  pool(index: number): PoolRef;
  /** Connections to the backends of a pool, shared by all HTTP listeners of this worker. */
  upstreams(pool: PoolRef): UpstreamPool;
  /** So much more (or less) is awaited of the event loop: a driver that blocks by itself must not do so for long. */
  waiting(change: number): void;
  /** Text of a file that the snapshot names: keys, authorities. */
  textOf(file: string): string;
  /** Uniform in [0, 1). */
  readonly rng: Rng;
  /** The worker's, over all listeners and configurations. */
  readonly cache: HttpCache;
  /** Shared by all workers. */
  readonly rateLimits: RateLimits;
  /** What proves our names to an ACME authority, at this path; undefined: the request goes the way of all others. */
  acmeAnswer(path: string): string | undefined;
  /** This worker's block of `state/latency.ts`. */
  readonly latency: Float64Array;
  /** For requests whose peer is not trusted to name them. */
  newRequestId(): string;
  /** One request is over. Of listeners with an access log; who writes it decides which requests are sampled. */
  logAccess(entry: AccessEntry): void;
  /** One sampled request is over, of listeners with tracing. */
  span(span: SpanRecord): void;
};

/** One line of the access log; times in ms. */
export type AccessEntry = {
  /** Unix ms, at the first octet of the request. */
  readonly atMs: number;
  readonly listener: string;
  readonly rule: string | undefined;
  readonly client: string;
  readonly requestId: string;
  readonly traceId: string | undefined;
  readonly method: string;
  readonly scheme: string;
  readonly host: string;
  readonly target: string;
  readonly version: string;
  /** 0: no response was sent. */
  readonly status: number;
  readonly requestOctets: number;
  readonly responseOctets: number;
  readonly pool: string | undefined;
  readonly backend: string | undefined;
  readonly tries: number;
  readonly queueMs: number;
  readonly connectMs: number;
  /** Until the response head came. */
  readonly firstOctetMs: number;
  readonly totalMs: number;
  /** As Envoy has them: UF connect failure, UC upstream ended, UT time-out, UH no healthy backend, UO overflow, NR no route, RL rate limit, DC client gone, DPE protocol error of the client, UPE of the upstream, LR local reply. */
  readonly flags: string;
  readonly cache: string | undefined;
  readonly tls: string | undefined;
};

/** A request of our own, beside those of clients: forward auth, mirrors, revalidation of the cache. */
export type Subrequest = (
  pool: PoolRef,
  request: {
    readonly method: string;
    readonly target: string;
    readonly authority: string;
    readonly scheme: "http" | "https";
    readonly fields: Fields;
    readonly body: Uint8Array | undefined;
  },
  options: {
    readonly timeoutMs: number;
    readonly maxBodyOctets: number;
    /** The client that it is made for; backends that want a PROXY header are told of it. */
    readonly arrived?: Arrived;
  },
) => Promise<SubrequestResult>;
export type SubrequestResult =
  | { readonly status: number; readonly fields: Fields; readonly body: Uint8Array }
  | { readonly fault: string };
