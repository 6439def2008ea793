/**
 * The balancer's part of the snapshot: listeners, pools and backends, with all defaults filled in.
 *
 * Writer:  `config/compile-balancer.ts`. Readers: `pool/`, `l4/`, `api/` views, through `apply(snapshot)`.
 * Units:   ms, percent and octets stand in the names. Plain data: it crosses threads by `postMessage`.
 * @module
 */
import type { RedisSpec } from "#state/cluster.ts";
import type { HttpSpec, KeySource, StickyCookieSpec, TlsSpec, UpstreamSpec } from "#state/http.ts";
import type { ListenAddress } from "#state/snapshot.ts";

export const ALGORITHMS = [
  "round_robin",
  "weighted_round_robin",
  "random",
  "weighted_random",
  "least_connections",
  "weighted_least_connections",
  "least_response_time",
  "peak_ewma",
  "p2c",
  "ip_hash",
  "ring_hash",
  "maglev",
  "rendezvous",
  "first",
] as const;
export type AlgorithmName = (typeof ALGORITHMS)[number];

/** `nft*`: the kernel forwards, by a ruleset that `l4/nft/` writes; `proxy`: our relay. */
export const POOL_MODES = ["proxy", "nft", "nft-stateless", "nft-dsr"] as const;
export type PoolMode = (typeof POOL_MODES)[number];

export const LISTENER_PROTOCOLS = ["tcp", "udp", "tls", "tls-passthrough", "http", "https"] as const;
export type ListenerProtocol = (typeof LISTENER_PROTOCOLS)[number];

export type BalancerSnapshot = {
  readonly region: string;
  /** Where this balancer stands; backends of this zone are preferred. */
  readonly zone: string | undefined;
  /** Threads that relay, of each kind that is needed. */
  readonly workers: number;
  /** Of plain TCP; `auto`: `epoll` where the machine can, else `net`. */
  readonly engine: "auto" | "epoll" | "net";
  readonly listeners: readonly ListenerSpec[];
  readonly pools: readonly PoolSpec[];
  /** What this balancer is built for, in requests per second; undefined: nobody has said. */
  readonly capacityRps: number | undefined;
  /** How long connections may finish after a listener is gone, on shutdown and on restart; then they are reset. */
  readonly drainMs: number;
  /** Where tables that nodes share lie; undefined: in this process. */
  readonly redis: RedisSpec | undefined;
  readonly nft: NftSpec;
};

/** What kernel mode needs to know of this host. */
export type NftSpec = {
  /** Name of our table, in the families `inet`/`ip`/`ip6` and `netdev`. */
  readonly table: string;
  /** Device at whose ingress stateless and DSR rules hang; needed by those modes alone. */
  readonly device: string | undefined;
  /** One-arm: replies come back through us because the source is rewritten. */
  readonly masquerade: boolean;
};

// ── listeners ────────────────────────────────────────────────────────────────────────────────────────────────────

/** At most so many over the life of a process: shared memory has room for their counters and limits. */
export const MAX_LISTENERS = 256;

export type ListenerSpec = {
  readonly name: string;
  readonly listen: ListenAddress;
  readonly protocol: ListenerProtocol;
  /** Index into `pools` where nothing of `sni` matches; undefined: such connections are refused. */
  readonly pool: number | undefined;
  /** Of `tls-passthrough` and `tls`: first match wins. */
  readonly sni: readonly SniRoute[];
  /** Of `tls` and `https`: the first is for clients that name none of them. */
  readonly certificates: readonly { readonly certFile: string; readonly keyFile: string }[];
  /** Protocols to offer by ALPN, of `tls`. */
  readonly alpn: readonly string[];
  /** Peers that must begin with a PROXY header; others must not. Undefined: nobody may. */
  readonly proxyProtocol: { readonly trusted: readonly string[]; readonly timeoutMs: number } | undefined;
  /** First match wins; no match: allowed. Asked of the client that the PROXY header names, where there is one. */
  readonly access: readonly { readonly network: string; readonly action: "allow" | "deny" }[];
  readonly limits: ListenerLimits;
  readonly timeouts: ListenerTimeouts;
  readonly udp: UdpSpec;
  /** Of `tls` and `https`. */
  readonly tls: TlsSpec | undefined;
  /** Of `http` and `https`. */
  readonly http: HttpSpec | undefined;
  readonly backlog: number;
};

export type SniRoute = {
  /** `*.example` matches one or more labels; `*` matches every name; lower case. */
  readonly names: readonly string[];
  /** One of these must have been offered; empty: any. */
  readonly alpn: readonly string[];
  readonly pool: number;
};

export type ListenerLimits = {
  /** Connections (UDP: sessions) at a time, over all workers. */
  readonly maxConnections: number;
  /** New connections per second, over all workers; 0: no limit. */
  readonly acceptPerSecond: number;
  /** Of one client address (IPv6: one /64), over all workers; 0: no limit. */
  readonly clientConnections: number;
  readonly clientPerSecond: number;
  readonly clientBurst: number;
};

export type ListenerTimeouts = {
  /** From accept until PROXY header and ClientHello are there. */
  readonly preambleMs: number;
  readonly handshakeMs: number;
  /** Nothing either way for so long ends the connection; 0: never. */
  readonly idleMs: number;
  /** 0: no limit. */
  readonly lifetimeMs: number;
  /** After one side has ended, the other may go on without a sign of life for so long. */
  readonly halfCloseMs: number;
};

export type UdpSpec = {
  readonly idleMs: number;
  /** The session ends after so many datagrams from the backend; 0: by time alone. */
  readonly responses: number;
  /** Over all workers; the least recently used goes first. */
  readonly maxSessions: number;
};

// ── pools ────────────────────────────────────────────────────────────────────────────────────────────────────────

export type PoolSpec = {
  readonly name: string;
  /** `hashText(name)`. */
  readonly hash: number;
  readonly mode: PoolMode;
  readonly algorithm: AlgorithmName;
  /** Bounded load of hash algorithms, in percent of the mean load; 0: off; else at least 100. */
  readonly balanceFactorPercent: number;
  /** Bits of a client's address that hash algorithms look at. */
  readonly hashBits: { readonly v4: number; readonly v6: number };
  /** Of HTTP: where the key of hash algorithms comes from, the first that is not empty. Else it is the address. */
  readonly hashOn: readonly KeySource[];
  readonly backends: readonly BackendSpec[];
  /** Name of the check; undefined: its backends are not probed and count as active. */
  readonly check: string | undefined;
  readonly connectTimeoutMs: number;
  /** Connections (in kernel mode: nothing) that may wait for a place, over all workers, and for how long. */
  readonly queue: { readonly max: number; readonly timeoutMs: number };
  readonly retry: RetrySpec;
  readonly breaker: BreakerSpec;
  readonly outlier: OutlierSpec;
  readonly slowStart: SlowStartSpec;
  /** Share of a tier's backends, in percent, below which health is ignored; 0: only when none is healthy. */
  readonly panicPercent: number;
  /** False: with no healthy backend, connections are refused. */
  readonly isFailOpen: boolean;
  /** With fewer healthy backends, listeners of this pool, and so the region, report themselves as not serving; 0: never. */
  readonly minHealthy: number;
  readonly sticky: StickySpec | undefined;
  /** How long connections of a backend that drains, is in maintenance or was removed may finish; then they are reset. */
  readonly drainMs: number;
  /** Whether connections of a backend that goes down get `drainMs` as well; false: they stay until they end. */
  readonly closesOnDown: boolean;
  readonly proxyProtocol: ProxyOutSpec | undefined;
  /** Whether backends of `BalancerSnapshot.zone` come before all others of their tier. */
  readonly prefersLocalZone: boolean;
  /** How HTTP listeners speak to its backends. */
  readonly upstream: UpstreamSpec;
};

export type BackendSpec = {
  /** `backend-` and six or more hex digits, from pool, address and port: stable over restarts and nodes. */
  readonly id: string;
  /** `10.0.0.1:80`, `[2001:db8::1]:80`: what hash algorithms hash, so that all nodes agree. */
  readonly key: string;
  /** As configured: an address or a host name (then the address came from DNS). */
  readonly host: string;
  readonly address: string;
  readonly port: number;
  /** 0: gets no new clients. */
  readonly weight: number;
  /** 0: no limit. Over all workers. */
  readonly maxConnections: number;
  /** Tier: 0 serves; the next serves where none of those before can. `backup: true` is 1. */
  readonly priority: number;
  readonly zone: string | undefined;
  /** False: in maintenance by configuration. */
  readonly isEnabled: boolean;
  /** Row in the health table and in the backend table. */
  readonly target: number;
  /** Of DSR: where the frame goes. */
  readonly mac: string | undefined;
  readonly healthPath: string | undefined;
  /** `table`: a row of `balancer.source` says that it is there, or how it weighs. */
  readonly origin: "file" | "table" | "api";
};

export type RetrySpec = {
  /** Tries including the first. */
  readonly attempts: number;
  /** Retries may be so many percent of all tries of the last `windowMs`, and `minPerSecond` in any case. */
  readonly budgetPercent: number;
  readonly minPerSecond: number;
  readonly windowMs: number;
};

/** Per backend and worker: opens after `failures` in a row, for `baseMs` doubling up to `maxMs`; then one may probe. */
export type BreakerSpec = { readonly failures: number; readonly baseMs: number; readonly maxMs: number };

/** Envoy's outlier detection; the fields of L7 (5xx) are counted where a protocol has them. */
export type OutlierSpec = {
  readonly isEnabled: boolean;
  readonly consecutive5xx: number;
  readonly consecutiveGatewayFailure: number;
  readonly consecutiveLocalOriginFailure: number;
  readonly intervalMs: number;
  readonly baseEjectionMs: number;
  readonly maxEjectionMs: number;
  readonly maxEjectionJitterMs: number;
  readonly maxEjectionPercent: number;
  readonly enforcingConsecutive5xx: number;
  readonly enforcingConsecutiveGatewayFailure: number;
  readonly enforcingConsecutiveLocalOriginFailure: number;
  readonly enforcingSuccessRate: number;
  readonly successRateMinimumHosts: number;
  readonly successRateRequestVolume: number;
  /** In thousandths of a standard deviation: 1900. */
  readonly successRateStdevFactor: number;
  readonly failurePercentageThreshold: number;
  readonly enforcingFailurePercentage: number;
  readonly failurePercentageMinimumHosts: number;
  readonly failurePercentageRequestVolume: number;
  readonly splitExternalLocalOriginErrors: boolean;
  readonly enforcingLocalOriginSuccessRate: number;
  readonly successfulActiveHealthCheckUnejectHost: boolean;
};

export type SlowStartSpec = {
  /** 0: off. */
  readonly windowMs: number;
  readonly aggression: number;
  readonly minPercent: number;
};

export type StickySpec = {
  /** What names a client. Of HTTP alone: a field of the request, or a signed cookie that names the backend itself. */
  readonly by: "source" | { readonly header: string } | "cookie";
  readonly cookie: StickyCookieSpec | undefined;
  readonly ttlMs: number;
  readonly store: "memory" | "redis";
  /** Entries in memory, over all workers. */
  readonly maxEntries: number;
  /** Whether a draining backend keeps its clients. */
  readonly duringDrain: boolean;
};

export type ProxyOutSpec = {
  readonly version: 1 | 2;
  readonly uniqueId: boolean;
  readonly authority: boolean;
  readonly crc32c: boolean;
};
