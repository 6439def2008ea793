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

function steersOf(records: RecordStore): Steer[] {
  const steers: Steer[] = [];
  for (let record = 0; record < records.length; record++) {
    if (records.types[record] !== PSEUDO_TYPE.steer) continue;
    const { owner, ttlSeconds, rdata, at } = records.get(record);
    steers.push({ name: formatName(owner), service: new TextDecoder().decode(rdata), ttlSeconds, at });
  }
  return steers;
}
