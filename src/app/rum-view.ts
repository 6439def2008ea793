/**
 * Beacons that came to this node, as the API shows them.
 * @module
 */
import type { RumView } from "#api/views.ts";
import { endpointText } from "#base/ip.ts";
import type { Rum } from "#rum/create-rum.ts";

const SHOWN = 1_000;

/** @param nowMs Unix ms: what was learnt fades */
export function rumView(rum: Pick<Rum, "stats" | "rows">, nowMs: number): RumView {
  const { listens, beacons, groups, voices } = rum.stats();
  const learned = rum
    .rows(nowMs)
    .map(({ network, region, rttMicros, samples }) => ({ network, region, rttMs: rttMicros / 1_000, samples }))
    .sort((a, b) => b.samples - a.samples)
    .slice(0, SHOWN);
  return {
    listens: listens && endpointText(listens.address, listens.port),
    beacons: { ...beacons },
    groups,
    voices,
    learned,
  };
}
