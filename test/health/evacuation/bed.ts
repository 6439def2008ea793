/** Records and facts of evacuations, as tests begin with them. */
import { beginEvacuation, type Order } from "#health/evacuation/commands.ts";
import type { AdvertiserFact, EvacuationFacts, NodeFact } from "#health/evacuation/machine.ts";
import { termsOf } from "#health/evacuation/terms.ts";
import type { Evacuation } from "#state/evacuation.ts";

export const START_MS = Date.parse("2026-06-01T00:00:00Z");
export const at = (seconds: number, owner = "kim", leader = "ns1"): Order => ({
  owner,
  leader,
  nowMs: START_MS + seconds * 1_000,
});

export const node = (name: string, over: Partial<NodeFact> = {}): NodeFact => ({
  node: name,
  isAlive: true,
  hasApplied: true,
  ...over,
});
export const advertiser = (name: string, over: Partial<AdvertiserFact> = {}): AdvertiserFact => ({
  ...node(name),
  isAnnouncing: true,
  refusal: "",
  ...over,
});
/** All live, all have said that they apply it, 100 requests per second as at the start. */
export const facts = (over: Partial<EvacuationFacts> = {}): EvacuationFacts => ({
  dns: [node("ns1"), node("ns2")],
  balancers: [node("lb1")],
  advertisers: [advertiser("lb1")],
  nowRps: 100,
  inFlight: 3,
  isHealthy: true,
  ...over,
});

/** Of `eu-west`, begun at `START_MS`: TTLs of 30 s, prefixes, 100 requests per second. */
export function begun(over: Partial<Evacuation> = {}): Evacuation {
  const start = { region: "eu-west", reason: "a test", terms: termsOf({}, 30, true), startRps: 100, notes: [] };
  return { ...beginEvacuation(start, at(0), 0), ...over };
}
