/**
 * The door of the client maps: what the geo loader makes, the DNS workers get.
 *
 * Owns:    which maps are out. While the configuration changes, maps of the old snapshot stay beside the new ones: a
 *          map id names how clients are told apart, so two snapshots never mean different things by one id.
 * @module
 */
import type { ClientMap, RttMap } from "#state/client-map.ts";

export type MapDoor = {
  /** For the geo loader: replaces the maps. */
  publish(maps: readonly ClientMap[], rtt: RttMap | undefined): Promise<void>;
  /** Runs `build`; what it publishes comes beside the maps that are out. */
  widen(build: () => Promise<unknown>): Promise<void>;
  /** Drops the maps that only the old snapshot used. */
  narrow(): Promise<void>;
  maps(): readonly ClientMap[];
  rtt(): RttMap | undefined;
};

export function createMapDoor(send: (maps: readonly ClientMap[], rtt: RttMap | undefined) => Promise<void>): MapDoor {
  let maps: readonly ClientMap[] = [];
  let rtt: RttMap | undefined;
  let kept: readonly ClientMap[] = [];
  const all = (): ClientMap[] => {
    const ids = new Set(maps.map(({ mapId }) => mapId));
    return [...maps, ...kept.filter(({ mapId }) => !ids.has(mapId))];
  };
  return {
    async publish(nextMaps, nextRtt) {
      maps = nextMaps;
      rtt = nextRtt;
      await send(all(), rtt);
    },
    async widen(build) {
      kept = maps;
      await build();
    },
    async narrow() {
      const isWide = all().length > maps.length;
      kept = [];
      if (isWide) await send(maps, rtt);
    },
    maps: () => maps,
    rtt: () => rtt,
  };
}
