/**
 * What a zone's records become before they are served: each once, and one TTL in an RRset (RFC 2181 §5).
 *
 * Pure: the records handed in stay as they are. `checkZone()` warns about what is changed here.
 * @module
 */
import { LOWER, skipName } from "#dns/wire/name.ts";
import { firstNameOffset, rdataNames } from "#dns/wire/rdata/table.ts";
import type { ZoneRecord } from "#dns/zone/record.ts";
import { nameKey } from "#dns/zone/zone-index.ts";

/** Each record once and with the lowest TTL of its RRset: `equaliseTtls(dropDuplicates(records))`. */
export const tidyRecords = (records: readonly ZoneRecord[]): ZoneRecord[] => tidy(records, true, true);

/** Without records that say the same as an earlier one of their RRset; the case of names does not matter. */
export const dropDuplicates = (records: readonly ZoneRecord[]): ZoneRecord[] => tidy(records, true, false);

/** With the lowest TTL of its RRset for each record. */
export const equaliseTtls = (records: readonly ZoneRecord[]): ZoneRecord[] => tidy(records, false, true);

function tidy(records: readonly ZoneRecord[], dropsDuplicates: boolean, equalisesTtls: boolean): ZoneRecord[] {
  const dropped = new Set<ZoneRecord>();
  const lowered = new Map<ZoneRecord, number>();
  for (const rrset of rrsetsOf(records)) {
    if (rrset.length < 2) continue;
    const kept = dropsDuplicates ? distinct(rrset, dropped) : rrset;
    if (!equalisesTtls) continue;
    let lowest = kept[0]!.ttlSeconds;
    for (const { ttlSeconds } of kept) lowest = Math.min(lowest, ttlSeconds);
    for (const record of kept) if (record.ttlSeconds !== lowest) lowered.set(record, lowest);
  }
  if (dropped.size === 0 && lowered.size === 0) return [...records];
  const tidied: ZoneRecord[] = [];
  for (const record of records) {
    if (dropped.has(record)) continue;
    const ttlSeconds = lowered.get(record);
    tidied.push(ttlSeconds === undefined ? record : { ...record, ttlSeconds });
  }
  return tidied;
}

/** The records of an RRset that are the first to say what they say; the others go to `dropped`. */
function distinct(rrset: readonly ZoneRecord[], dropped: Set<ZoneRecord>): ZoneRecord[] {
  const seen = new Set<string>();
  return rrset.filter((record) => {
    const key = rdataKey(record);
    if (seen.has(key)) dropped.add(record);
    else seen.add(key);
    return !dropped.has(record);
  });
}

/** Records of one owner and type, in the order of the first of each. */
function rrsetsOf(records: readonly ZoneRecord[]): Iterable<readonly ZoneRecord[]> {
  const rrsets = new Map<string, ZoneRecord[]>();
  let lastOwner: Uint8Array | undefined;
  let ownerKey = "";
  for (const record of records) {
    if (record.owner !== lastOwner) {
      lastOwner = record.owner;
      ownerKey = nameKey(record.owner);
    }
    const key = `${record.type} ${ownerKey}`;
    const rrset = rrsets.get(key);
    if (rrset) rrset.push(record);
    else rrsets.set(key, [record]);
  }
  return rrsets.values();
}

/** Two records of an RRset with the same key say the same: names in DNSSEC's canonical form (RFC 4034 §6.2). */
export function rdataKey({ type, rdata }: ZoneRecord): string {
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
