/**
 * A zone's text → its image, and all that is to be said about it: parse, check, tidy, build, over one index of its names.
 *
 * Never:   touches files: `$INCLUDE` asks a function. Throws nothing: an unsound zone has problems and no image.
 * @module
 */
import { hasErrors, type Position, type Problem } from "#base/problem.ts";
import { formatName } from "#dns/wire/name.ts";
import { buildImage } from "#dns/zone/build.ts";
import { checkIndex } from "#dns/zone/check.ts";
import { parseZone, type ZoneSource } from "#dns/zone/parse.ts";
import { PSEUDO_TYPE } from "#dns/zone/record.ts";
import type { RecordStore } from "#dns/zone/record-store.ts";
import { tidyIndex } from "#dns/zone/tidy.ts";
import { indexZone } from "#dns/zone/zone-index.ts";
import type { ZoneImage } from "#state/zone-image.ts";

/** A STEER record. */
export type Steer = {
  readonly name: string;
  readonly service: string;
  readonly ttlSeconds: number;
  readonly at: Position;
};

export type ReadZone = {
  /** Undefined when there are errors among the problems. */
  readonly image: ZoneImage | undefined;
  /** Of very many the first ones of each service. */
  readonly steers: readonly Steer[];
  readonly problems: readonly Problem[];
};

/**
 * @param apex wire name of the zone
 * @param seed of the name hash
 */
export function readZone(
  text: string,
  apex: Uint8Array,
  seed: number,
  { file, include }: Pick<ZoneSource, "file" | "include">,
): ReadZone {
  const { records, problems: syntax } = parseZone(text, { file, origin: apex, include });
  const index = indexZone(records, apex, seed);
  const problems = [...syntax, ...checkIndex(index, apex, file)];
  const image = hasErrors(problems) ? undefined : buildImage(tidyIndex(index), file);
  return { image, steers: steersOf(records), problems };
}

/** STEER records of one service that are listed: a zone may have a million of them. */
export const MAX_STEERS = 1_000;

/**
 * The first STEER records of each service; and of the others the first with the lowest TTL, and the first that differs
 * in its TTL from the service's very first: what can be said about TTLs is about one of these.
 */
function steersOf(records: RecordStore): Steer[] {
  const { types, ttlSeconds } = records;
  const decoder = new TextDecoder();
  const services = new Map<string, { count: number; first: number; lowest: number; other: number }>();
  const listed = new Set<number>();
  for (let record = 0; record < records.length; record++) {
    if (types[record] !== PSEUDO_TYPE.steer) continue;
    const service = decoder.decode(records.rdata(record));
    const known = services.get(service) ?? { count: 0, first: record, lowest: record, other: record };
    if (known.count++ === 0) services.set(service, known);
    if (known.count <= MAX_STEERS) listed.add(record);
    if (ttlSeconds[record]! < ttlSeconds[known.lowest]!) known.lowest = record;
    if (known.other === known.first && ttlSeconds[record] !== ttlSeconds[known.first]) known.other = record;
  }
  for (const { lowest, other } of services.values()) listed.add(lowest).add(other);
  return [...listed]
    .sort((a, b) => a - b)
    .map((record) => {
      const { owner, ttlSeconds, rdata, at } = records.get(record);
      return { name: formatName(owner), service: decoder.decode(rdata), ttlSeconds, at };
    });
}
