/**
 * A record as one line of a master file.
 * @module
 */
import { formatName } from "#dns/wire/name.ts";
import { formatRdata } from "#dns/wire/rdata/table.ts";
import { typeText } from "#dns/wire/types.ts";
import { PSEUDO_TYPE, type ZoneRecord } from "#dns/zone/record.ts";

/** `owner ttl IN TYPE rdata`, all names absolute; `parseZone()` reads it back. */
export function formatRecord(record: Omit<ZoneRecord, "at">): string {
  const { owner, type, ttlSeconds, rdata } = record;
  return `${formatName(owner)} ${ttlSeconds} IN ${recordTypeText(type)} ${recordDataText(type, rdata)}`;
}

/** As `typeText()`, with the pseudo-types of zone files. */
export function recordTypeText(type: number): string {
  if (type === PSEUDO_TYPE.steer) return "STEER";
  return type === PSEUDO_TYPE.alias ? "ALIAS" : typeText(type);
}

function recordDataText(type: number, rdata: Uint8Array): string {
  if (type === PSEUDO_TYPE.steer) return new TextDecoder().decode(rdata);
  return type === PSEUDO_TYPE.alias ? formatName(rdata) : formatRdata(type, rdata);
}
