/**
 * What a zone must have at its apex, and that nothing lies outside of it (RFC 1034 §4.2.1, RFC 1035 §5.2).
 * @module
 */
import { formatName } from "#dns/wire/name.ts";
import { TYPE } from "#dns/wire/types.ts";
import { recordTypeText } from "#dns/zone/format-record.ts";
import { dropDuplicates } from "#dns/zone/tidy.ts";
import type { ZoneIndex } from "#dns/zone/zone-index.ts";
import type { Report } from "#dns/zone/zone-rule.ts";

export function checkApex(index: ZoneIndex, report: Report, apex: Uint8Array, file: string): void {
  const zone = formatName(apex);
  for (const record of index.outside) {
    const says = `${formatName(record.owner)} ${recordTypeText(record.type)} lies outside of the zone ${zone}`;
    report.error(record.at, says, `Move it to its own zone, or check the dot at the end of the name`);
  }
  const start = { file, line: 1, column: 1 };
  const records = index.nodes.get(index.apexKey)?.records ?? [];
  const first = records[0]?.at ?? start;
  const soas = dropDuplicates(records.filter((record) => record.type === TYPE.SOA));
  if (soas.length === 0) report.error(start, `The zone ${zone} has no SOA record`, `Add one SOA record at ${zone}`);
  for (const soa of soas.slice(1)) {
    report.error(soa.at, `The zone ${zone} has more than one SOA record`, "Keep one: the one with the right serial");
  }
  if (!records.some((record) => record.type === TYPE.NS)) {
    report.error(first, `The zone ${zone} has no NS record`, `Add at ${zone} the names of its servers`);
  }
  for (const node of index.nodes.values()) {
    if (node.key === index.apexKey) continue;
    for (const record of node.records) {
      if (record.type !== TYPE.SOA) continue;
      const says = `There is an SOA record at ${formatName(record.owner)}, which is not the apex ${zone}`;
      report.error(record.at, says, "Remove it, or make a zone of its own of that name");
    }
  }
}
