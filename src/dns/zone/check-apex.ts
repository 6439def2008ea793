/**
 * What a zone must have at its apex, and that nothing lies outside of it (RFC 1034 §4.2.1, RFC 1035 §5.2).
 * @module
 */
import { formatName } from "#dns/wire/name.ts";
import { TYPE } from "#dns/wire/types.ts";
import { recordTypeText } from "#dns/zone/format-record.ts";
import { APEX_NODE } from "#dns/zone/image.ts";
import { distinctRecords } from "#dns/zone/tidy.ts";
import { hasType, NONE, recordsAt, type ZoneIndex } from "#dns/zone/zone-index.ts";
import type { Report } from "#dns/zone/zone-rule.ts";

export function checkApex(index: ZoneIndex, report: Report, apex: Uint8Array, file: string): void {
  const { records, nodeOf } = index;
  const zone = formatName(apex);
  for (let record = 0; record < records.length; record++) {
    if (nodeOf[record] !== NONE) continue;
    const says = `${formatName(records.owner(record))} ${recordTypeText(records.types[record]!)} lies outside of the zone ${zone}`;
    report.error(records.at(record), says, `Move it to its own zone, or check the dot at the end of the name`);
  }
  const start = { file, line: 1, column: 1 };
  const atApex = recordsAt(index, APEX_NODE);
  const first = atApex.length > 0 ? records.at(atApex[0]!) : start;
  const soas = distinctRecords(
    records,
    atApex.filter((record) => records.types[record] === TYPE.SOA),
  );
  if (soas.length === 0) report.error(start, `The zone ${zone} has no SOA record`, `Add one SOA record at ${zone}`);
  for (const soa of soas.slice(1)) {
    const says = `The zone ${zone} has more than one SOA record`;
    report.error(records.at(soa), says, "Keep one: the one with the right serial");
  }
  if (!hasType(index, APEX_NODE, TYPE.NS)) {
    report.error(first, `The zone ${zone} has no NS record`, `Add at ${zone} the names of its servers`);
  }
  for (let record = 0; record < records.length; record++) {
    if (records.types[record] !== TYPE.SOA || nodeOf[record]! <= APEX_NODE) continue;
    const says = `There is an SOA record at ${formatName(records.owner(record))}, which is not the apex ${zone}`;
    report.error(records.at(record), says, "Remove it, or make a zone of its own of that name");
  }
}
