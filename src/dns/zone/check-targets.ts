/**
 * Names that records point to: NS, MX and SRV need addresses, and no CNAME in between (RFC 2181 §10.3, RFC 2782).
 * @module
 */
import { formatName } from "#dns/wire/name.ts";
import { firstNameOffset } from "#dns/wire/rdata/table.ts";
import { TYPE } from "#dns/wire/types.ts";
import { recordTypeText } from "#dns/zone/format-record.ts";
import { PSEUDO_TYPE } from "#dns/zone/record.ts";
import { cutAbove, hasType, isInZone, nameKey, parentKey, type ZoneIndex } from "#dns/zone/zone-index.ts";
import type { Report } from "#dns/zone/zone-rule.ts";

const POINTING: readonly number[] = [TYPE.NS, TYPE.MX, TYPE.SRV];
const ADDRESSES: readonly number[] = [TYPE.A, TYPE.AAAA, PSEUDO_TYPE.steer, PSEUDO_TYPE.alias];

export function checkTargets(index: ZoneIndex, report: Report): void {
  for (const node of index.nodes.values()) {
    for (const record of node.records) {
      if (!POINTING.includes(record.type)) continue;
      const target = record.rdata.subarray(firstNameOffset(record.type, record.rdata));
      const key = nameKey(target);
      if (key.length <= 1 || !isInZone(key, index.apexKey) || cutAbove(index, key) !== undefined) continue;
      const points = `${formatName(node.owner)} ${recordTypeText(record.type)} points to ${formatName(target)}`;
      const found = index.nodes.get(key);
      if (hasType(found, TYPE.CNAME)) {
        report.warning(record.at, `${points}, which is a CNAME`, "Point to the name that has the addresses");
      } else if (record.type === TYPE.NS && hasType(found, PSEUDO_TYPE.steer)) {
        report.warning(record.at, `${points}, which is steered`, "Use a name with fixed addresses for a name server");
      } else if (!found?.records.some(({ type }) => ADDRESSES.includes(type)) && !isCovered(index, key, !!found)) {
        report.warning(record.at, `${points}, which has no address`, "Add its A or AAAA record, or correct the name");
      }
    }
  }
}

/** Whether a wildcard or a DNAME answers for the name. */
function isCovered(index: ZoneIndex, key: string, exists: boolean): boolean {
  for (let up = key; up.length > index.apexKey.length; ) {
    up = parentKey(up);
    if (hasType(index.nodes.get(up), TYPE.DNAME)) return true;
    if (!exists && index.nodes.has(`\u0001*${up}`)) return true;
  }
  return false;
}
