/**
 * Which HTTP listeners need sockets of Node: where TLS or HTTP/2 is spoken to a backend. All others run on whatever driver is
 * fastest.
 * @module
 */
import type { ListenerSpec, PoolSpec } from "#state/balancer.ts";
import type { RuleSpec } from "#state/http.ts";

/** @param pools of the snapshot that the listener is of */
export function needsNode({ http }: ListenerSpec, pools: readonly PoolSpec[]): boolean {
  if (http === undefined) return true;
  return http.rules.flatMap(poolsOf).some((index) => {
    const { protocol: spoken, tls } = pools[index]!.upstream;
    return spoken === "http2" || tls !== undefined;
  });
}

/** The pools that requests of a rule may be sent to. */
export function poolsOf({ action, mirror, guards }: RuleSpec): number[] {
  const pools =
    action.kind === "pool" ? [action.pool] : action.kind === "split" ? action.parts.map(({ pool }) => pool) : [];
  if (mirror !== undefined) pools.push(mirror.pool);
  if (guards.forwardAuth !== undefined) pools.push(guards.forwardAuth.pool);
  return pools;
}
