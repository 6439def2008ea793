/**
 * Measured latency that outlives a restart: what `PUT /latency` brings goes to the client maps and into the store.
 *
 * Owns:    nothing; it keeps the store in step with the table of the geo loader.
 * Never:   keeps a node from starting: what does not fit the configuration of today is left out.
 * @module
 */
import type { GeoLoader } from "#app/geo-loader.ts";
import type { Clock } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import type { Store } from "#cluster/store.ts";
import { LATENCY_EXPIRY_MS, type LatencyInput } from "#geo/latency-table.ts";

export type LatencyMemory = {
  /** Puts what is stored into use, but for what has expired and for regions that are gone. */
  restore(regionIds: readonly string[]): Promise<void>;
  /** @throws RhumbError RHUMB_GEO_LATENCY_INVALID; then nothing is kept either */
  put(entries: readonly LatencyInput[], replace: boolean): Promise<void>;
};

export function createLatencyMemory(options: {
  readonly store: Pick<Store, "latency" | "putLatency" | "forgetLatency">;
  readonly geo: Pick<GeoLoader, "setLatency">;
  readonly clock: Clock;
  readonly log: Log;
}): LatencyMemory {
  const { store, geo, clock, log } = options;
  return {
    async restore(regionIds) {
      const nowMs = clock.nowMs();
      try {
        store.forgetLatency(nowMs - LATENCY_EXPIRY_MS);
        const known = new Set(regionIds);
        const entries = store
          .latency()
          .filter(({ region }) => known.has(region))
          .map(({ network, region, rttMicros, atMs }) => ({
            network,
            rttMs: { [region]: rttMicros / 1_000 },
            atMs: Math.min(atMs, nowMs), // the clock may have been set back
          }));
        if (entries.length > 0) await geo.setLatency(entries, true);
      } catch (error) {
        log.warn({ error: String(error) }, "Measured latency of an earlier run cannot be used; it is measured anew");
      }
    },
    async put(entries, replace) {
      await geo.setLatency(entries, replace);
      const nowMs = clock.nowMs();
      const rows = entries.flatMap(({ network, rttMs, atMs = nowMs }) =>
        Object.entries(rttMs).map(([region, ms]) => ({ network, region, rttMicros: Math.round(ms * 1_000), atMs })),
      );
      try {
        store.forgetLatency(nowMs - LATENCY_EXPIRY_MS);
        store.putLatency(rows, { replace });
      } catch (error) {
        log.error({ error: String(error) }, "Measured latency is in use, but cannot be kept over a restart");
      }
    },
  };
}
