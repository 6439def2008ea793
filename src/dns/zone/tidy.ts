/**
 * What a zone's records become before they are served: each once, and one TTL in an RRset (RFC 2181 §5).
 *
 * Pure: the records handed in stay as they are. `checkZone()` warns about what is changed here.
 * @module
 */
import { LOWER, ROOT_NAME, skipName } from "#dns/wire/name.ts";
import { firstNameOffset, rdataNames } from "#dns/wire/rdata/table.ts";
import type { RecordStore } from "#dns/zone/record-store.ts";
import { chainRecords, indexZone, NONE, rrsetsAt, type ZoneIndex } from "#dns/zone/zone-index.ts";

/** Each record once and with the lowest TTL of its RRset: `equaliseTtls(dropDuplicates(records))`. */
export const tidyRecords = (records: RecordStore): RecordStore => tidyAll(records, true, true);

/** Without records that say the same as an earlier one of their RRset; the case of names does not matter. */
export const dropDuplicates = (records: RecordStore): RecordStore => tidyAll(records, true, false);

/** With the lowest TTL of its RRset for each record. */
export const equaliseTtls = (records: RecordStore): RecordStore => tidyAll(records, false, true);

const tidyAll = (records: RecordStore, dropsDuplicates: boolean, equalisesTtls: boolean): RecordStore =>
  tidy(indexZone(records, ROOT_NAME, 0), dropsDuplicates, equalisesTtls).records;

/** `tidyRecords()` of records that are indexed already. */
export const tidyIndex = (index: ZoneIndex): ZoneIndex => tidy(index, true, true);

/** @returns `index` itself when there is nothing to change */
function tidy(index: ZoneIndex, dropsDuplicates: boolean, equalisesTtls: boolean): ZoneIndex {
  const { records, first, next } = index;
  let isKept: Uint8Array | undefined;
  let lowered: Int32Array | undefined;
  for (const node of index.owners) {
    if (next[first[node]!] === NONE) continue;
    for (const rrset of rrsetsAt(index, node).values()) {
      if (rrset.length < 2) continue;
      const kept = dropsDuplicates ? distinctRecords(records, rrset) : rrset;
      if (kept.length < rrset.length) {
        isKept ??= new Uint8Array(records.length).fill(1);
        for (const record of rrset) isKept[record] = 0;
        for (const record of kept) isKept[record] = 1;
      }
      if (!equalisesTtls) continue;
      let lowest = records.ttlSeconds[kept[0]!]!;
      let isEqual = true;
      for (const record of kept) {
        const ttlSeconds = records.ttlSeconds[record]!;
        if (ttlSeconds !== lowest) isEqual = false;
        lowest = Math.min(lowest, ttlSeconds);
      }
      if (isEqual) continue;
      lowered ??= records.ttlSeconds.slice();
      for (const record of kept) lowered[record] = lowest;
    }
  }
  if (!isKept && !lowered) return index;
  const kept = isKept ?? new Uint8Array(records.length).fill(1);
  return chainRecords(
    records.select(kept, lowered ?? records.ttlSeconds),
    index.names,
    index.nodeOf.filter((_, record) => kept[record] === 1),
  );
}

/** The records of an RRset that are the first to say what they say. */
export function distinctRecords(records: RecordStore, rrset: readonly number[]): number[] {
  const seen = new Set<string>();
  return rrset.filter((record) => {
    const key = rdataKey(records.types[record]!, records.rdata(record));
    return !seen.has(key) && seen.add(key);
  });
}

/** Two records of an RRset with the same key say the same: names in DNSSEC's canonical form (RFC 4034 §6.2). */
export function rdataKey(type: number, rdata: Uint8Array): string {
  const names = rdataNames(type);
  if (!names?.isLowerInCanonicalForm) return Buffer.from(rdata).toString("latin1");
  const canonical = Buffer.from(rdata);
  let at = firstNameOffset(type, rdata);
  for (let name = 0; name < names.count; name++) {
    const end = skipName(rdata, at);
    for (; at < end; at++) canonical[at] = LOWER[canonical[at]!]!;
  }
  return canonical.toString("latin1");
}
