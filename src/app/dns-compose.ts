/**
 * Puts together what one DNS worker answers with: guard, steering and responder over one world.
 * @module
 */
import type { DnsWorkerData, DnsWorld } from "#app/dns-worker-protocol.ts";
import { createTurnClock } from "#base/clock.ts";
import { createSteering } from "#dns/answer/steered.ts";
import { createGuard } from "#dns/guard/guard.ts";
import { createResponder } from "#dns/respond.ts";
import type { Respond } from "#state/respond.ts";

/** @throws RhumbError when the world cannot be served */
export function composeResponder(
  world: DnsWorld,
  data: Pick<DnsWorkerData, "counters" | "healthTable" | "seed">,
  clock: { nowMs(): number } = createTurnClock(),
): Respond {
  const { dns, regions, services } = world.bundle;
  const { counters, healthTable, seed } = data;
  const steering = createSteering({
    services,
    regions,
    healthTable,
    maps: new Map(world.maps.map((map) => [map.mapId, map])),
    rttMap: world.rtt,
    hashPrefix: dns.hashPrefix,
    counters,
  });
  const guard = createGuard({ snapshot: dns.guard, workers: dns.workers, counters, seed });
  return createResponder({ snapshot: dns, steering, guard, counters, clock });
}
