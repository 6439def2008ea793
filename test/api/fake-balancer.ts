/** A balancer of one pool and one backend, as the API sees it; remembers what it was told. */
import type {
  Actor,
  BackendHealthView,
  BackendView,
  BalancerCommands,
  BalancerViews,
  CacheView,
  CertificatesView,
  ListenerView,
  PoolView,
  RuleView,
} from "#api/views.ts";
import { RhumbError } from "#base/errors.ts";

const backend: BackendView = {
  backend_id: "backend-a1b2c3",
  pool_id: "pool-web",
  pool: "web",
  address: "10.0.0.1",
  resolved_address: "10.0.0.1",
  port: 8080,
  weight: 1,
  effective_weight: 1,
  max_connections: 0,
  priority: 0,
  backup: false,
  zone: null,
  enabled: true,
  status: "healthy",
  cause: null,
  health_check_path: "/health",
  active_connections: 3,
  ejected_times: 0,
  traffic: {
    connections: 10,
    failures: 1,
    retries_away: 0,
    requests: 40,
    responses: { "1xx": 0, "2xx": 38, "3xx": 0, "4xx": 1, "5xx": 1 },
    octets: { to_backend: 1_000, from_backend: 90_000 },
    latency_ms: { p50: 1.25, p95: 7.5, p99: null },
  },
  origin: "file",
  created_at: "2027-01-01T00:00:00.000Z",
  updated_at: "2027-01-01T00:00:00.000Z",
};
const health: BackendHealthView = {
  backend_id: "backend-a1b2c3",
  status: "healthy",
  cause: null,
  since: "2027-01-01T00:00:00.000Z",
  active_connections: 3,
  total_requests: 10,
  failures: { current: 0, total: 1, checks_in_a_row: 0 },
  last_check: { at: "2027-01-01T00:00:00.000Z", passed: true, duration_ms: 1.5, code: "L7OK", says: "200 OK" },
  ejection: null,
  override: null,
  connect_ms: 0.4,
  octets: { to_backend: 100, from_backend: 1_000 },
};
const poolOf = (name: string): PoolView => ({
  pool_id: `pool-${name}`,
  name,
  mode: "proxy",
  algorithm: "p2c",
  health_check: null,
  sticky_sessions: false,
  sticky_ttl: null,
  drain_seconds: 30,
  backends: { total: 1, healthy: 1 },
  panic: false,
  queued: 0,
  active_connections: 3,
  origin: "file",
});
const listener: ListenerView = {
  name: "web",
  address: "127.0.0.1",
  port: 8080,
  protocol: "tcp",
  pool: "web",
  counters: { active: 3, accepted: 10 },
};

const cache: CacheView = {
  store: "pages",
  objects: 12,
  octets: 3_145_728,
  max_octets: 67_108_864,
  hits: 90,
  stale: 1,
  misses: 10,
  revalidated: 2,
  passed: 3,
  stored: 9,
  evicted: 0,
  purged: 0,
  waited: 4,
};
const rule: RuleView = {
  listener: "web",
  order: 1,
  name: "api",
  match: ["host www.example.net", "path /api"],
  action: { kind: "pool", pools: [{ pool: "web", weight: 1 }], status: null, says: "pool web" },
  guards: ["rate-limit"],
  mirror: null,
  cache: "pages",
  compression: ["br", "gzip"],
};
const certificates: CertificatesView = {
  certificates: [
    {
      listener: "web",
      certificate: "/etc/rhumb/www.pem",
      names: ["www.example.net"],
      issuer: "Example CA",
      not_after: "2027-03-01T00:00:00.000Z",
      staple: "good",
    },
  ],
  acme: [
    {
      certificate: "api.example.net-1f2e3d4c5b6a",
      domains: ["api.example.net"],
      not_after: null,
      issued: 0,
      failures: 2,
      fault: "the authority refused it",
      next_at: "2027-01-15T08:10:00.000Z",
    },
  ],
};

export type Call = { command: string; input: unknown; version?: string | undefined; actor?: Actor };

/** @param pools names; several make `pool` a must */
export function createFakeBalancer(calls: Call[], pools: readonly string[] = ["web"]) {
  const views: BalancerViews = {
    version: () => "1.3",
    backends: () => [backend],
    backendHealth: () => health,
    pools: () => pools.map(poolOf),
    listeners: () => [listener],
    stats: () => ({
      region: "us-east",
      engine: {
        name: "epoll",
        why: "this machine has it",
        tls: { name: "epoll", why: "this machine has it" },
      },
      workers: [{ name: "balancer-epoll-0", kind: "epoll", restarts: 0, isServing: true }],
      listeners: [listener],
      pools: pools.map(poolOf),
      backends: [backend],
    }),
    cache: async () => [cache],
    rules: () => [rule],
    certificates: () => certificates,
  };
  const refuseOld = (version: string | undefined): void => {
    if (version !== undefined && version !== views.version()) throw new RhumbError("RHUMB_API_CHANGED", "1.3");
  };
  const commands: BalancerCommands = {
    async addBackend(input, version, actor) {
      calls.push({ command: "addBackend", input, version, actor });
      refuseOld(version);
      if (input.address === backend.address && input.port === backend.port)
        throw new RhumbError("RHUMB_BALANCER_BACKEND_EXISTS", "web/10.0.0.1:8080");
      return { ...backend, backend_id: "backend-d4e5f6", address: input.address, port: input.port, status: "unknown" };
    },
    async patchBackend(id, input, version, actor) {
      calls.push({ command: "patchBackend", input: { id, ...input }, version, actor });
      refuseOld(version);
      return { ...backend, weight: input.weight ?? backend.weight };
    },
    async removeBackend(id, version, actor) {
      calls.push({ command: "removeBackend", input: id, version, actor });
      refuseOld(version);
      return { backend_id: id, drained_connections: 3 };
    },
    setState(id, input, actor) {
      calls.push({ command: "setState", input: { id, ...input }, actor });
      return { ...backend, status: input.state === "ready" ? "healthy" : "draining" };
    },
    async setAlgorithm(input, version, actor) {
      calls.push({ command: "setAlgorithm", input, version, actor });
      refuseOld(version);
      return { ...poolOf(input.pool), algorithm: input.algorithm };
    },
    async putPool(name, input, version, actor) {
      calls.push({ command: "putPool", input: { name, ...input }, version, actor });
      return poolOf(name);
    },
    async removePool(name, version, actor) {
      calls.push({ command: "removePool", input: name, version, actor });
      return { name, says: `${name} is as the file says again` };
    },
    async purgeCache(input, actor) {
      calls.push({ command: "purgeCache", input, actor });
      return 7;
    },
  };
  return { views, commands };
}
