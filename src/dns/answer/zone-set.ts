/**
 * All zones that a worker answers for: which one encloses a name, and what was already compiled of each.
 *
 * Owns:    `ServedZone`, the table of apexes, and the caches of templates. A snapshot gets a new set.
 * Never:   grows without end: the caches of a zone hold at most one template per RRset, cut, alias or chain, and no more
 *          than `MAX_TEMPLATES`.
 * @module
 */
import { RhumbError } from "#base/errors.ts";
import type { Steering } from "#dns/answer/steering.ts";
import type { Template } from "#dns/answer/template.ts";
import { formatName } from "#dns/wire/name.ts";
import { createNameKey, isSuffixAt, type NameKey, readNameKey } from "#dns/wire/name-key.ts";
import type { Match } from "#dns/zone/lookup.ts";
import type { ZoneImage } from "#state/zone-image.ts";

/** Where a CNAME's chain ends, and the templates of the answers that begin with it. */
export type Chain = {
  readonly endMatch: Match | typeof CHAIN_LEAVES;
  readonly endNode: number;
  readonly templates: Map<number, Template>;
};
/** The chain leads out of the zone: nothing follows it. */
export const CHAIN_LEAVES = -1;

export type ServedZone = {
  /** Undefined: configured, but it could not be loaded. */
  readonly image: ZoneImage | undefined;
  readonly apex: Uint8Array;
  readonly apexLabels: number;
  readonly apexHash: number;
  /** Number of each service in `Steering`, by its position in `image.services`; -1: there is no such service. */
  readonly services: Int32Array;
  /** Positive answers by RRset, of those that are not ready in the image. */
  readonly byRrset: Map<number, Template>;
  /** Referrals by the cut's node. */
  readonly byCut: Map<number, Template>;
  /** By 2 × node, + 1 for AAAA. */
  readonly byAlias: Map<number, Template>;
  /** By the node of the first CNAME. */
  readonly chains: Map<number, Chain>;
  nodata: Template | undefined;
  missing: Template | undefined;
  /** In the four maps. */
  templateCount: number;
};
/** Of one zone in one worker, some 30 MB. */
export const MAX_TEMPLATES = 50_000;

export type ZoneSet = {
  readonly seed: number;
  /**
   * The closest zone at or above the suffix of `name` that starts with label `label` (RFC 1034 §4.3.2 step 2).
   * @returns undefined: no zone encloses it
   */
  find(name: NameKey, label: number): ServedZone | undefined;
  /**
   * The zone that `find(name, 0)` yields if no two suffixes share a hash: names are not compared. A name that is found
   * in its image is one of that zone, since it ends in the zone's apex; one that is not found proves nothing.
   */
  guess(name: NameKey): ServedZone | undefined;
};

/**
 * @param unloadable apexes of zones that are configured but could not be loaded
 * @throws RhumbError RHUMB_DNS_MIXED_SEEDS
 */
export function createZoneSet(
  images: readonly ZoneImage[],
  unloadable: readonly Uint8Array[],
  steering: Pick<Steering, "serviceNumber">,
): ZoneSet {
  const seed = images[0]?.seed ?? 0;
  const zones = [...images.map((image) => ({ apex: image.apex, image })), ...unloadable.map((apex) => ({ apex }))].map(
    (entry: { apex: Uint8Array; image?: ZoneImage }) => serve(entry.apex, entry.image, seed, steering),
  );
  let slots = 4;
  while (slots < zones.length * 4) slots *= 2;
  const mask = slots - 1;
  const table: (ServedZone | undefined)[] = new Array(slots).fill(undefined);
  let deepest = 0;
  for (const zone of zones) {
    let slot = zone.apexHash & mask;
    while (table[slot] !== undefined) slot = (slot + 1) & mask;
    table[slot] = zone;
    deepest = Math.max(deepest, zone.apexLabels);
  }
  return {
    seed,
    find(name, label) {
      const last = name.labelCount;
      for (let from = Math.max(label, last - deepest); from <= last; from++) {
        const hash = name.hashes[from]!;
        for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
          const zone = table[slot];
          if (zone === undefined) break;
          if (zone.apexHash === hash && isSuffixAt(name, from, zone.apex, 0, zone.apex.length)) return zone;
        }
      }
      return undefined;
    },
    guess(name) {
      const last = name.labelCount;
      for (let from = last > deepest ? last - deepest : 0; from <= last; from++) {
        const hash = name.hashes[from]!;
        for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
          const zone = table[slot];
          if (zone === undefined) break;
          if (zone.apexHash === hash) return zone;
        }
      }
      return undefined;
    },
  };
}

function serve(
  apex: Uint8Array,
  image: ZoneImage | undefined,
  seed: number,
  steering: Pick<Steering, "serviceNumber">,
): ServedZone {
  if (image && image.seed !== seed) throw new RhumbError("RHUMB_DNS_MIXED_SEEDS", formatName(apex));
  const key = createNameKey();
  readNameKey(apex, 0, apex.length, seed, key);
  return {
    image,
    apex: key.octets.slice(0, key.length),
    apexLabels: key.labelCount,
    apexHash: key.hashes[0]!,
    services: Int32Array.from(image?.services ?? [], (name) => steering.serviceNumber(name)),
    byRrset: new Map(),
    byCut: new Map(),
    byAlias: new Map(),
    chains: new Map(),
    nodata: undefined,
    missing: undefined,
    templateCount: 0,
  };
}
