/** Configurations of kernel mode for tests: all that a test does not name has its default. */
import { createBackendTable } from "#state/backend-table.ts";
import type { BackendSpec, BalancerSnapshot, ListenerSpec, NftSpec, PoolSpec } from "#state/balancer.ts";
import { backendAt, poolOf, publish } from "../../pool/pool-fixture.ts";

/** A backend of a pool of kernel mode. @param row its row, and the last part of its id */
export const kernelBackend = (row: number, address: string, more: Partial<BackendSpec> = {}): BackendSpec => {
  const port = more.port ?? 80;
  return backendAt(row, {
    key: address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`,
    host: address,
    address,
    ...more,
  });
};

export const kernelPool = (backends: readonly BackendSpec[], more: Partial<PoolSpec> = {}): PoolSpec =>
  poolOf(backends, { mode: "nft", algorithm: "weighted_random", ...more });

export const kernelListener = (address: string, more: Partial<ListenerSpec> = {}): ListenerSpec => ({
  name: "web",
  listen: { address, port: 80 },
  protocol: "tcp",
  pool: 0,
  sni: [],
  certificates: [],
  alpn: [],
  proxyProtocol: undefined,
  access: [],
  limits: { maxConnections: 0, acceptPerSecond: 0, clientConnections: 0, clientPerSecond: 0, clientBurst: 0 },
  timeouts: { preambleMs: 0, handshakeMs: 0, idleMs: 0, lifetimeMs: 0, halfCloseMs: 0 },
  udp: { idleMs: 30_000, responses: 0, maxSessions: 1_000 },
  backlog: 512,
  ...more,
});

export const kernelSnapshot = (
  listeners: readonly ListenerSpec[],
  pools: readonly PoolSpec[],
  nft: Partial<NftSpec> = {},
): BalancerSnapshot => ({
  region: "here",
  zone: undefined,
  workers: 1,
  engine: "auto",
  listeners,
  pools,
  drainMs: 30_000,
  redisUrl: undefined,
  nft: { table: "rhumb", device: "eth0", masquerade: false, ...nft },
});

/** A backend table in which all backends are active with their weights. */
export function activeTable(...pools: readonly PoolSpec[]): Int32Array {
  const table = createBackendTable(64);
  for (const { backends } of pools)
    publish(table, Object.fromEntries(backends.map(({ target, weight }) => [target, ["active", weight] as const])));
  return table;
}
