/**
 * Takes beacons or refuses them: rate, token, replay, regions, then the aggregate. Everything but HTTP.
 *
 * Owns:    the limits and what they count, the aggregate. Order: what costs least comes first, and the signature before all
 *          that remembers something.
 * Units:   Unix ms.
 * @module
 */
import type { SipKey } from "#base/siphash.ts";
import { type BeaconAggregate, type ClientPlace, createBeaconAggregate } from "#rum/aggregate.ts";
import { readBeacon } from "#rum/beacon.ts";
import { networkOf } from "#rum/network-key.ts";
import { createRates } from "#rum/rate.ts";
import { readToken } from "#rum/token.ts";
import { createUses } from "#rum/uses.ts";
import type { RumSpec } from "#state/rum.ts";

export const BEACON_OUTCOMES = [
  "taken",
  /** Its client has no autonomous system that we know, or all is full. */
  "unplaced",
  "rate",
  "malformed",
  "forged",
  "expired",
  /** The token is another network's. */
  "foreign",
  "replayed",
  /** Of a region that the token or the configuration does not have. */
  "region",
  "origin",
  "too-large",
] as const;
export type BeaconOutcome = (typeof BEACON_OUTCOMES)[number];

export type BeaconDesk = {
  take(body: Buffer, address: Uint8Array, nowMs: number): BeaconOutcome;
  readonly aggregate: BeaconAggregate;
};

export function createBeaconDesk(options: {
  readonly spec: () => Pick<RumSpec, "key" | "rate">;
  readonly isRegion: (id: string) => boolean;
  readonly locate: (address: Uint8Array) => ClientPlace;
  readonly hashKey: SipKey;
}): BeaconDesk {
  const { spec, isRegion, locate, hashKey } = options;
  const aggregate = createBeaconAggregate();
  const rates = createRates(hashKey);
  const uses = createUses();
  return {
    aggregate,
    take(body, address, nowMs) {
      const { key, rate } = spec();
      const network = networkOf(address);
      if (!rates.take(network, rate.network, nowMs) || !rates.takeAny(rate.total, nowMs)) return "rate";
      const beacon = readBeacon(body);
      if (!beacon) return "malformed";
      const token = readToken(beacon.token, key, nowMs);
      if (typeof token === "string") return token;
      if (token.network !== undefined && token.network !== network) return "foreign";
      if (!beacon.measurements.every(({ region }) => token.regions.includes(region) && isRegion(region)))
        return "region";
      if (!uses.take(token.id, network, nowMs)) return "replayed";
      const place = locate(address);
      let isTaken = false;
      // Of a region that is named twice the fastest counts.
      const fastest = new Map<string, number>();
      for (const { region, ms } of beacon.measurements)
        fastest.set(region, Math.min(ms, fastest.get(region) ?? Number.POSITIVE_INFINITY));
      for (const [region, ms] of fastest) isTaken = aggregate.add(place, network, region, ms, nowMs) || isTaken;
      return isTaken ? "taken" : "unplaced";
    },
  };
}
