/**
 * Which kind of worker serves a listener.
 * @module
 */
import type { BalancerWorkerKind } from "#app/balancer/protocol.ts";
import { needsNode } from "#l7/needs-node.ts";
import type { BalancerSnapshot, ListenerSpec } from "#state/balancer.ts";

/** What serves plain TCP on this machine, and what ends TLS. */
export type EngineKinds = { readonly plain: BalancerWorkerKind; readonly tls: BalancerWorkerKind };

export function workerKindOf(
  listener: ListenerSpec,
  { pools }: BalancerSnapshot,
  { plain, tls }: EngineKinds,
): BalancerWorkerKind {
  switch (listener.protocol) {
    case "tcp":
    case "tls-passthrough":
      return plain;
    case "tls":
      return tls;
    case "http":
      return needsNode(listener, pools) ? "net" : plain;
    case "https":
      return needsNode(listener, pools) ? "net" : tls;
    default:
      return "net";
  }
}
