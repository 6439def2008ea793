/**
 * Names that records point to: NS, MX and SRV need addresses, and no CNAME in between (RFC 2181 §10.3, RFC 2782).
 * @module
 */
import { formatName } from "#dns/wire/name.ts";
import { firstNameOffset } from "#dns/wire/rdata/table.ts";
import { TYPE } from "#dns/wire/types.ts";
import { recordTypeText } from "#dns/zone/format-record.ts";
import { PSEUDO_TYPE } from "#dns/zone/record.ts";
import { findType, hasType, hasWildcard, isOurs, isOwner, NONE, type ZoneIndex } from "#dns/zone/zone-index.ts";
import type { Report } from "#dns/zone/zone-rule.ts";

const ADDRESSES: readonly number[] = [TYPE.A, TYPE.AAAA, PSEUDO_TYPE.steer, PSEUDO_TYPE.alias];

export function checkTargets(index: ZoneIndex, report: Report): void {
  const { records, nodeOf } = index;
  for (let record = 0; record < records.length; record++) {
    const type = records.types[record]!;
    if (type !== TYPE.NS && type !== TYPE.MX && type !== TYPE.SRV) continue;
    if (nodeOf[record] !== NONE) checkTarget(index, record, report);
  }
}

function checkTarget(index: ZoneIndex, record: number, report: Report): void {
  const { records, names } = index;
  const type = records.types[record]!;
  const rdata = records.rdata(record);
  const target = rdata.subarray(firstNameOffset(type, rdata));
  if (target[0] === 0 || !isOurs(index, target)) return;
  const owner = formatName(records.owner(index.first[index.nodeOf[record]!]!));
  const points = `${owner} ${recordTypeText(type)} points to ${formatName(target)}`;
  const at = records.at(record);
  const node = names.nodeOf(target);
  if (hasType(index, node, TYPE.CNAME)) {
    report.warning(at, `${points}, which is a CNAME`, "Point to the name that has the addresses");
  } else if (type === TYPE.NS && hasType(index, node, PSEUDO_TYPE.steer)) {
    report.warning(at, `${points}, which is steered`, "Use a name with fixed addresses for a name server");
  } else if (findType(index, node, ADDRESSES) === NONE && !isCovered(index, target, node)) {
    report.warning(at, `${points}, which has no address`, "Add its A or AAAA record, or correct the name");
  }
}

/** Whether a wildcard or a DNAME answers for the name, whose node is `node` or `NONE`. */
function isCovered(index: ZoneIndex, name: Uint8Array, node: number): boolean {
  const { names } = index;
  const exists = isOwner(index, node);
  for (let up = node === NONE ? names.encloserOf(name) : names.parent(node); up !== NONE; up = names.parent(up)) {
    if (hasType(index, up, TYPE.DNAME)) return true;
    if (!exists && hasWildcard(index, up)) return true;
  }
  return false;
}
