/**
 * STEER and ALIAS records: they own the addresses of their name, alone, and nothing may lead around them.
 * @module
 */
import { formatName } from "#dns/wire/name.ts";
import { hasSvcbParam } from "#dns/wire/rdata/svcb.ts";
import { SVCB_KEY } from "#dns/wire/rdata/svcb-params.ts";
import { TYPE } from "#dns/wire/types.ts";
import { recordTypeText } from "#dns/zone/format-record.ts";
import { PSEUDO_TYPE } from "#dns/zone/record.ts";
import { findType, hasWildcard, isOurs, isOwner, NONE, recordsAt, type ZoneIndex } from "#dns/zone/zone-index.ts";
import type { Report } from "#dns/zone/zone-rule.ts";

const { steer: STEER, alias: ALIAS } = PSEUDO_TYPE;
const DYNAMIC: readonly number[] = [STEER, ALIAS];
/** A CNAME beside them is `check-nodes.ts`'s to refuse. */
const ADDRESS_TYPES: readonly number[] = [TYPE.A, TYPE.AAAA];
const LEADING_ON: readonly number[] = [ALIAS, TYPE.CNAME];

export function checkSteering(index: ZoneIndex, report: Report): void {
  const { records, nodeOf } = index;
  const steered = new Set<number>();
  for (let record = 0; record < records.length; record++) {
    const type = records.types[record]!;
    const node = nodeOf[record]!;
    if (node === NONE) continue;
    if (type === STEER || type === ALIAS) {
      if (!steered.has(node)) checkAlone(index, node, report);
      steered.add(node);
    }
    if (type === ALIAS) checkAlias(index, record, report);
  }
  if (steered.size === 0) return;
  for (let record = 0; record < records.length; record++) {
    const type = records.types[record]!;
    const isService = type === TYPE.SVCB || type === TYPE.HTTPS;
    if (isService && nodeOf[record] !== NONE) checkHints(index, record, steered, report);
  }
}

function checkAlone(index: ZoneIndex, node: number, report: Report): void {
  const { records } = index;
  const dynamic = recordsAt(index, node).filter((record) => DYNAMIC.includes(records.types[record]!));
  const [first, second] = dynamic as [number, number | undefined];
  const owner = formatName(records.owner(index.first[node]!));
  const type = recordTypeText(records.types[first]!);
  if (second !== undefined) {
    const isSame = records.types[second] === records.types[first];
    const says = isSame
      ? `more than one ${type} record`
      : `${type} and ${recordTypeText(records.types[second]!)} records`;
    report.error(records.at(second), `${owner} has ${says}`, "Keep one; a service itself holds several regions");
  }
  const other = findType(index, node, ADDRESS_TYPES);
  if (other !== NONE) {
    const says = `${owner} has ${type} and ${recordTypeText(records.types[other]!)} records`;
    report.error(records.at(first), says, `Remove one of them: ${type} makes all addresses of its name`);
  }
}

/** The target of an ALIAS is answered from this zone: it must lie in it, and lead to addresses without a circle. */
function checkAlias(index: ZoneIndex, record: number, report: Report): void {
  const { records, names } = index;
  const at = records.at(record);
  const owner = formatName(records.owner(record));
  const seen = new Set([index.nodeOf[record]!]);
  for (let target = records.rdata(record); ; ) {
    const name = formatName(target);
    if (!isOurs(index, target)) {
      report.error(at, `The ALIAS at ${owner} leads to ${name}, which is not in this zone`, ALIAS_FIX);
      return;
    }
    const node = names.nodeOf(target);
    if (seen.has(node)) {
      report.error(at, `The ALIAS at ${owner} leads back to ${name}`, "Break the circle");
      return;
    }
    seen.add(node);
    const next = findType(index, node, LEADING_ON);
    if (next === NONE) {
      if (findType(index, node, ADDRESSES) === NONE && !isBelowWildcard(index, target, node)) {
        const says = `The ALIAS at ${owner} leads to ${name}, which has no address`;
        report.warning(at, says, "Add A, AAAA or STEER records there, or correct the name");
      }
      return;
    }
    target = records.rdata(next);
  }
}

const ALIAS_FIX = "Point it to a name of this zone; to steer, use STEER and a service, or a name that has one";
const ADDRESSES: readonly number[] = [...ADDRESS_TYPES, STEER];

/** Whether a wildcard answers for the name, whose node is `node` or `NONE`. */
function isBelowWildcard(index: ZoneIndex, name: Uint8Array, node: number): boolean {
  if (isOwner(index, node)) return false;
  const { names } = index;
  for (let up = node === NONE ? names.encloserOf(name) : names.parent(node); up !== NONE; up = names.parent(up)) {
    if (hasWildcard(index, up)) return true;
  }
  return false;
}

/** Address hints are fixed and would send clients past the steering of the name (RFC 9460 §7.3). */
function checkHints(index: ZoneIndex, record: number, steered: ReadonlySet<number>, report: Report): void {
  const { owner, type, rdata, at } = index.records.get(record);
  if (!hasSvcbParam(rdata, SVCB_KEY.ipv4hint) && !hasSvcbParam(rdata, SVCB_KEY.ipv6hint)) return;
  const target = rdata[2] === 0 ? owner : rdata.subarray(2); // "." is the owner itself (RFC 9460 §2.5.2)
  if (!steered.has(index.names.nodeOf(target))) return;
  const says = `${formatName(owner)} ${recordTypeText(type)} has address hints for ${formatName(target)}, which is steered`;
  report.error(at, says, "Remove ipv4hint and ipv6hint: clients would not ask for the steered address");
}
