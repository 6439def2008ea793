/**
 * Which kind of worker serves a listener.
 * @module
 */
import type { BalancerWorkerKind } from "#app/balancer/protocol.ts";
import { needsNode } from "#l7/needs-node.ts";
import type { BalancerSnapshot, ListenerSpec } from "#state/balancer.ts";

/** @param plain what serves plain TCP on this machine */
export function workerKindOf(
  listener: ListenerSpec,
  { pools }: BalancerSnapshot,
  plain: BalancerWorkerKind,
): BalancerWorkerKind {
  switch (listener.protocol) {
    case "tcp":
    case "tls-passthrough":
      return plain;
    case "http":
      return needsNode(listener, pools) ? "net" : plain;
    default:
      return "net";
  }
}
