/**
 * STEER and ALIAS records: they own the addresses of their name, alone, and nothing may lead around them.
 * @module
 */
import { formatName } from "#dns/wire/name.ts";
import { hasSvcbParam } from "#dns/wire/rdata/svcb.ts";
import { SVCB_KEY } from "#dns/wire/rdata/svcb-params.ts";
import { TYPE } from "#dns/wire/types.ts";
import { recordTypeText } from "#dns/zone/format-record.ts";
import { PSEUDO_TYPE, type ZoneRecord } from "#dns/zone/record.ts";
import {
  cutAbove,
  hasType,
  isInZone,
  nameKey,
  parentKey,
  type ZoneIndex,
  type ZoneNode,
} from "#dns/zone/zone-index.ts";
import type { Report } from "#dns/zone/zone-rule.ts";

const { steer: STEER, alias: ALIAS } = PSEUDO_TYPE;
/** A CNAME beside them is `check-nodes.ts`'s to refuse. */
const ADDRESS_TYPES: readonly number[] = [TYPE.A, TYPE.AAAA];

export function checkSteering(index: ZoneIndex, report: Report): void {
  const isSteered = (key: string): boolean => {
    const node = index.nodes.get(key);
    return hasType(node, STEER) || hasType(node, ALIAS);
  };
  for (const node of index.nodes.values()) {
    const dynamic = node.records.filter(({ type }) => type === STEER || type === ALIAS);
    if (dynamic.length > 0) checkAlone(node, dynamic, report);
    for (const record of node.records) {
      if (record.type === ALIAS) checkAlias(index, record, report);
      else if (record.type === TYPE.SVCB || record.type === TYPE.HTTPS) checkHints(record, isSteered, report);
    }
  }
}

function checkAlone(node: ZoneNode, dynamic: readonly ZoneRecord[], report: Report): void {
  const [first, second] = dynamic as [ZoneRecord, ZoneRecord | undefined];
  const owner = formatName(node.owner);
  const type = recordTypeText(first.type);
  if (second) {
    const isSame = second.type === first.type;
    const says = isSame ? `more than one ${type} record` : `${type} and ${recordTypeText(second.type)} records`;
    report.error(second.at, `${owner} has ${says}`, "Keep one; a service itself holds several regions");
  }
  const other = node.records.find((record) => ADDRESS_TYPES.includes(record.type));
  if (other) {
    const says = `${owner} has ${type} and ${recordTypeText(other.type)} records`;
    report.error(first.at, says, `Remove one of them: ${type} makes all addresses of its name`);
  }
}

/** The target of an ALIAS is answered from this zone: it must lie in it, and lead to addresses without a circle. */
function checkAlias(index: ZoneIndex, record: ZoneRecord, report: Report): void {
  const owner = formatName(record.owner);
  const seen = new Set([nameKey(record.owner)]);
  for (let target = record.rdata; ; ) {
    const key = nameKey(target);
    const name = formatName(target);
    if (!isInZone(key, index.apexKey) || cutAbove(index, key) !== undefined) {
      report.error(record.at, `The ALIAS at ${owner} leads to ${name}, which is not in this zone`, ALIAS_FIX);
      return;
    }
    if (seen.has(key)) {
      report.error(record.at, `The ALIAS at ${owner} leads back to ${name}`, "Break the circle");
      return;
    }
    seen.add(key);
    const node = index.nodes.get(key);
    const next = node?.records.find(({ type }) => type === ALIAS || type === TYPE.CNAME);
    if (!next) {
      if (!hasAddress(node) && !hasWildcard(index, key, node !== undefined)) {
        const says = `The ALIAS at ${owner} leads to ${name}, which has no address`;
        report.warning(record.at, says, "Add A, AAAA or STEER records there, or correct the name");
      }
      return;
    }
    target = next.rdata;
  }
}

const ALIAS_FIX = "Point it to a name of this zone; to steer, use STEER and a service, or a name that has one";

const hasAddress = (node: ZoneNode | undefined): boolean =>
  hasType(node, TYPE.A) || hasType(node, TYPE.AAAA) || hasType(node, STEER);

function hasWildcard(index: ZoneIndex, key: string, exists: boolean): boolean {
  while (!exists && key.length > index.apexKey.length) {
    key = parentKey(key);
    if (index.nodes.has(`\u0001*${key}`)) return true;
  }
  return false;
}

/** Address hints are fixed and would send clients past the steering of the name (RFC 9460 §7.3). */
function checkHints(record: ZoneRecord, isSteered: (key: string) => boolean, report: Report): void {
  const { owner, rdata } = record;
  if (!hasSvcbParam(rdata, SVCB_KEY.ipv4hint) && !hasSvcbParam(rdata, SVCB_KEY.ipv6hint)) return;
  const target = rdata[2] === 0 ? owner : rdata.subarray(2); // "." is the owner itself (RFC 9460 §2.5.2)
  if (!isSteered(nameKey(target))) return;
  const says = `${formatName(owner)} ${recordTypeText(record.type)} has address hints for ${formatName(target)}, which is steered`;
  report.error(record.at, says, "Remove ipv4hint and ipv6hint: clients would not ask for the steered address");
}
