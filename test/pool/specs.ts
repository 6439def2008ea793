/** Configurations of balancers for tests: all that a test does not name has its default. */
import { hashText } from "#base/hash.ts";
import type {
  BackendSpec,
  BalancerSnapshot,
  ListenerSpec,
  OutlierSpec,
  PoolSpec,
  StickySpec,
} from "#state/balancer.ts";
import type { UpstreamSpec } from "#state/http.ts";

export const balancerOf = (changes: Partial<BalancerSnapshot> = {}): BalancerSnapshot => ({
  region: "test",
  zone: undefined,
  workers: 1,
  engine: "auto",
  listeners: [],
  pools: [],
  capacityRps: undefined,
  drainMs: 10_000,
  redis: undefined,
  nft: { table: "rhumb", device: undefined, masquerade: false },
  ...changes,
});

export const listenerOf = (changes: Partial<ListenerSpec> = {}): ListenerSpec => ({
  name: "front",
  listen: { address: "127.0.0.1", port: 1 },
  protocol: "tcp",
  pool: 0,
  sni: [],
  certificates: [],
  alpn: [],
  proxyProtocol: undefined,
  access: [],
  limits: { maxConnections: 10_000, acceptPerSecond: 0, clientConnections: 0, clientPerSecond: 0, clientBurst: 0 },
  timeouts: { preambleMs: 5_000, handshakeMs: 5_000, idleMs: 0, lifetimeMs: 0, halfCloseMs: 30_000 },
  udp: { idleMs: 30_000, responses: 0, maxSessions: 1_000 },
  tls: undefined,
  http: undefined,
  backlog: 511,
  ...changes,
});

/** Backend at row `row`: `10.0.0.<row>:80`. */
export const backendAt = (row: number, changes: Partial<BackendSpec> = {}): BackendSpec => ({
  id: `backend-${row.toString(16).padStart(6, "0")}`,
  key: `10.0.${row >> 8}.${row & 255}:80`,
  host: `10.0.${row >> 8}.${row & 255}`,
  address: `10.0.${row >> 8}.${row & 255}`,
  port: 80,
  weight: 1,
  maxConnections: 0,
  priority: 0,
  zone: undefined,
  isEnabled: true,
  target: row,
  mac: undefined,
  healthPath: undefined,
  origin: "file",
  ...changes,
});

export const poolOf = (backends: readonly BackendSpec[], changes: Partial<PoolSpec> = {}): PoolSpec => ({
  name: "web",
  hash: hashText("web"),
  mode: "proxy",
  algorithm: "p2c",
  balanceFactorPercent: 0,
  hashBits: { v4: 32, v6: 64 },
  backends,
  check: undefined,
  connectTimeoutMs: 1_000,
  queue: { max: 100, timeoutMs: 1_000 },
  retry: { attempts: 3, budgetPercent: 20, minPerSecond: 10, windowMs: 10_000 },
  breaker: { failures: 5, baseMs: 1_000, maxMs: 60_000 },
  outlier: OUTLIER_DEFAULTS,
  slowStart: { windowMs: 0, aggression: 1, minPercent: 10 },
  panicPercent: 0,
  isFailOpen: true,
  minHealthy: 1,
  sticky: undefined,
  drainMs: 30_000,
  closesOnDown: false,
  proxyProtocol: undefined,
  prefersLocalZone: false,
  hashOn: ["address"],
  upstream: UPSTREAM_DEFAULTS,
  ...changes,
});

export const stickyBySource = (changes: Partial<StickySpec> = {}): StickySpec => ({
  by: "source",
  cookie: undefined,
  ttlMs: 3_600_000,
  store: "memory",
  maxEntries: 1_000,
  duringDrain: false,
  ...changes,
});

export const UPSTREAM_DEFAULTS: UpstreamSpec = {
  protocol: "http1",
  tls: undefined,
  maxIdle: 256,
  idleMs: 4_000,
  maxRequests: 0,
  maxStreams: 100,
  host: undefined,
  keepsUnderscores: false,
  passesTrailers: false,
};

/** Envoy's defaults, field by field: envoy.config.cluster.v3.OutlierDetection. */
export const OUTLIER_DEFAULTS: OutlierSpec = {
  isEnabled: true,
  consecutive5xx: 5,
  consecutiveGatewayFailure: 5,
  consecutiveLocalOriginFailure: 5,
  intervalMs: 10_000,
  baseEjectionMs: 30_000,
  maxEjectionMs: 300_000,
  maxEjectionJitterMs: 0,
  maxEjectionPercent: 10,
  enforcingConsecutive5xx: 100,
  enforcingConsecutiveGatewayFailure: 0,
  enforcingConsecutiveLocalOriginFailure: 100,
  enforcingSuccessRate: 100,
  successRateMinimumHosts: 5,
  successRateRequestVolume: 100,
  successRateStdevFactor: 1_900,
  failurePercentageThreshold: 85,
  enforcingFailurePercentage: 0,
  failurePercentageMinimumHosts: 5,
  failurePercentageRequestVolume: 50,
  splitExternalLocalOriginErrors: false,
  enforcingLocalOriginSuccessRate: 100,
  successfulActiveHealthCheckUnejectHost: true,
};
