/**
 * What a node announces → the metrics of `catalog-anycast.ts`.
 * @module
 */
import type { ANYCAST_METRICS } from "#metrics/catalog-anycast.ts";
import type { AnycastView } from "#state/anycast.ts";

export type AnycastSource = { readonly view: AnycastView; readonly refusals: number };
type Write = (name: keyof typeof ANYCAST_METRICS, value: number, labels?: Record<string, string>) => void;

/** @param total sets a counter to what it has become */
export function readAnycast({ view, refusals }: AnycastSource, nowMs: number, set: Write, total: Write): void {
  if (!view.isConfigured) return;
  set("rhumb_anycast_self_check_up", view.selfCheck?.isOk ? 1 : 0);
  set("rhumb_anycast_exabgp_up", view.exabgp.isAnswering ? 1 : 0);
  set("rhumb_anycast_guard_up", view.guard.isReading ? 1 : 0);
  total("rhumb_anycast_refused_total", refusals);
  for (const { neighbour, isEstablished } of view.peers)
    set("rhumb_anycast_session_up", isEstablished ? 1 : 0, { neighbour });
  for (const { prefix, phase, announced, heldUntilMs, flaps, advertisers } of view.prefixes) {
    set("rhumb_anycast_announced", announced ? 1 : 0, { prefix });
    set("rhumb_anycast_phase", 1, { prefix, phase });
    set("rhumb_anycast_held_seconds", heldUntilMs === null ? 0 : Math.max(0, heldUntilMs - nowMs) / 1_000, { prefix });
    set("rhumb_anycast_advertisers", advertisers.length, { prefix });
    total("rhumb_anycast_flaps_total", flaps, { prefix });
  }
}
