/**
 * Puts together what one DNS worker answers with: guard, steering and responder over one world after another, and what
 * tells of them: who was sent where, and samples for the query log.
 *
 * Owns:    the guard, which outlives a world as long as its settings are the same: a reload, or a new geo map, must not
 *          give a flood its rate limits anew.
 * @module
 */
import { isDeepStrictEqual } from "node:util";
import type { DnsWorkerData, DnsWorld } from "#app/dns-worker-protocol.ts";
import { sampleResponses } from "#app/sample-responses.ts";
import { createTurnClock } from "#base/clock.ts";
import { createSteering } from "#dns/answer/steered.ts";
import type { Steering } from "#dns/answer/steering.ts";
import { createGuard } from "#dns/guard/guard.ts";
import { createResponder } from "#dns/respond.ts";
import type { Guard } from "#state/guard.ts";
import { createSampleWriter } from "#state/query-ring.ts";
import type { Respond } from "#state/respond.ts";
import type { GuardSnapshot } from "#state/snapshot.ts";
import { type CountHit, createHitWriter } from "#state/steering-hits.ts";

/** Without `observations` nothing is told beside the counters. */
type ComposerData = Pick<DnsWorkerData, "counters" | "healthTable" | "seed"> & Partial<DnsWorkerData>;

/** @returns a function from a world to its responder, which throws RhumbError when the world cannot be served */
export function createComposer(
  data: ComposerData,
  clock: { nowMs(): number } = createTurnClock(),
): (world: DnsWorld) => Respond {
  const { counters, healthTable, spread, seed, observations } = data;
  const write = observations && createSampleWriter(observations.samples);
  const numberHits = observations && createHitWriter(observations.hits);
  let kept: { readonly snapshot: GuardSnapshot; readonly workers: number; readonly guard: Guard } | undefined;

  function guardFor(snapshot: GuardSnapshot, workers: number): Guard {
    if (!kept || kept.workers !== workers || !isDeepStrictEqual(kept.snapshot, snapshot))
      kept = { snapshot, workers, guard: createGuard({ snapshot, workers, counters, seed }) };
    return kept.guard;
  }

  return (world) => {
    const { dns, regions, services } = world.bundle;
    const chosen = createSteering({
      services,
      regions,
      healthTable,
      maps: new Map(world.maps.map((map) => [map.mapId, map])),
      rttMap: world.rtt,
      hashPrefix: dns.hashPrefix,
      spread,
      counters,
    });
    const hits = { services, regions, maps: world.maps };
    const steering = numberHits ? counted(chosen, numberHits(hits, clock.nowMs())) : chosen;
    const guard = guardFor(dns.guard, data.queue?.interface.queues ?? dns.workers);
    const respond = createResponder({ snapshot: dns, steering, guard, counters, clock });
    return write ? sampleResponses(respond, dns.queryLog.every, { write, clock, random: Math.random }) : respond;
  };
}

/** The same steering, and each answer is counted. */
const counted = (steering: Steering, count: CountHit): Steering => ({
  ...steering,
  resolve(service, qtype, client, nowMs, into) {
    steering.resolve(service, qtype, client, nowMs, into);
    count(service, into.classNumber, into.region);
  },
});
