/** Configurations of kernel mode for tests. */
import { endpointText } from "#base/ip.ts";
import { createBackendTable } from "#state/backend-table.ts";
import type { BackendSpec, BalancerSnapshot, ListenerSpec, NftSpec, PoolSpec } from "#state/balancer.ts";
import { publish } from "../../pool/pool-fixture.ts";
import { backendAt, balancerOf, listenerOf, poolOf } from "../../pool/specs.ts";

/** A backend of a pool of kernel mode. @param row its row, and the last part of its id */
export const kernelBackend = (row: number, address: string, more: Partial<BackendSpec> = {}): BackendSpec => {
  const port = more.port ?? 80;
  return backendAt(row, {
    key: endpointText(address, port),
    host: address,
    address,
    ...more,
  });
};

export const kernelPool = (backends: readonly BackendSpec[], more: Partial<PoolSpec> = {}): PoolSpec =>
  poolOf(backends, { mode: "nft", algorithm: "weighted_random", ...more });

export const kernelListener = (address: string, more: Partial<ListenerSpec> = {}): ListenerSpec =>
  listenerOf({ name: "web", listen: { address, port: 80 }, ...more });

export const kernelSnapshot = (
  listeners: readonly ListenerSpec[],
  pools: readonly PoolSpec[],
  nft: Partial<NftSpec> = {},
): BalancerSnapshot =>
  balancerOf({ listeners, pools, nft: { table: "rhumb", device: "eth0", masquerade: false, ...nft } });

/** A backend table in which all backends are active with their weights. */
export function activeTable(...pools: readonly PoolSpec[]): Int32Array {
  const table = createBackendTable(64);
  for (const { backends } of pools)
    publish(table, Object.fromEntries(backends.map(({ target, weight }) => [target, ["active", weight] as const])));
  return table;
}
