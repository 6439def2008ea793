/**
 * Puts together what one DNS worker answers with: guard, steering and responder over one world after another.
 *
 * Owns:    the guard, which outlives a world as long as its settings are the same: a reload, or a new geo map, must not
 *          give a flood its rate limits anew.
 * @module
 */
import { isDeepStrictEqual } from "node:util";
import type { DnsWorkerData, DnsWorld } from "#app/dns-worker-protocol.ts";
import { createTurnClock } from "#base/clock.ts";
import { createSteering } from "#dns/answer/steered.ts";
import { createGuard } from "#dns/guard/guard.ts";
import { createResponder } from "#dns/respond.ts";
import type { Guard } from "#state/guard.ts";
import type { Respond } from "#state/respond.ts";
import type { GuardSnapshot } from "#state/snapshot.ts";

/** @returns a function from a world to its responder, which throws RhumbError when the world cannot be served */
export function createComposer(
  data: Pick<DnsWorkerData, "counters" | "healthTable" | "seed">,
  clock: { nowMs(): number } = createTurnClock(),
): (world: DnsWorld) => Respond {
  const { counters, healthTable, seed } = data;
  let kept: { readonly snapshot: GuardSnapshot; readonly workers: number; readonly guard: Guard } | undefined;

  function guardFor(snapshot: GuardSnapshot, workers: number): Guard {
    if (!kept || kept.workers !== workers || !isDeepStrictEqual(kept.snapshot, snapshot))
      kept = { snapshot, workers, guard: createGuard({ snapshot, workers, counters, seed }) };
    return kept.guard;
  }

  return (world) => {
    const { dns, regions, services } = world.bundle;
    const steering = createSteering({
      services,
      regions,
      healthTable,
      maps: new Map(world.maps.map((map) => [map.mapId, map])),
      rttMap: world.rtt,
      hashPrefix: dns.hashPrefix,
      counters,
    });
    const guard = guardFor(dns.guard, dns.workers);
    return createResponder({ snapshot: dns, steering, guard, counters, clock });
  };
}
