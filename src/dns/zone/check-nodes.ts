/**
 * What may stand together at one name: CNAME alone (RFC 1034 §3.6.2, RFC 2181 §10.1), one DNAME (RFC 6672 §2.4), one
 * TTL in an RRset (RFC 2181 §5.2), no record twice.
 * @module
 */
import { formatName } from "#dns/wire/name.ts";
import { TYPE } from "#dns/wire/types.ts";
import { recordTypeText } from "#dns/zone/format-record.ts";
import type { ZoneRecord } from "#dns/zone/record.ts";
import { rdataKey } from "#dns/zone/tidy.ts";
import { parentKey, type ZoneIndex, type ZoneNode } from "#dns/zone/zone-index.ts";
import type { Report } from "#dns/zone/zone-rule.ts";

/** Bigger RRsets make every answer slow and large: the limit of BIND since CVE-2024-1737. */
export const MAX_RRSET_RECORDS = 100;

/** What may stand beside a CNAME: DNSSEC's own records (RFC 4034 §2.5, RFC 2535 §2.3.5). */
const BESIDE_CNAME: readonly number[] = [TYPE.CNAME, TYPE.RRSIG, TYPE.NSEC, TYPE.SIG, TYPE.KEY, TYPE.NXT];

export function checkNodes(index: ZoneIndex, report: Report): void {
  const dnames = new Set<string>();
  for (const node of index.nodes.values()) {
    checkOwner(node, report);
    if (node.records.length > 1) checkNode(node, report);
    if (node.records.some((record) => record.type === TYPE.DNAME)) dnames.add(node.key);
  }
  if (dnames.size > 0) checkBelowDnames(index, dnames, report);
}

function checkNode(node: ZoneNode, report: Report): void {
  const rrsets = new Map<number, ZoneRecord[]>();
  for (const record of node.records) {
    const rrset = rrsets.get(record.type);
    if (rrset) rrset.push(record);
    else rrsets.set(record.type, [record]);
  }
  for (const [type, rrset] of rrsets) if (rrset.length > 1) checkRrset(type, rrset, report);
  const cname = rrsets.get(TYPE.CNAME)?.[0];
  const other = cname && node.records.find((record) => !BESIDE_CNAME.includes(record.type));
  if (cname && other) {
    const says = `${formatName(node.owner)} has CNAME and ${recordTypeText(other.type)} records`;
    report.error(cname.at, says, "Remove one of them: a CNAME stands alone at its name");
  }
}

function checkRrset(type: number, rrset: readonly ZoneRecord[], report: Report): void {
  const first = rrset[0]!;
  const name = `${formatName(first.owner)} ${recordTypeText(type)}`;
  const seen = new Set<string>();
  let lowest = first.ttlSeconds;
  let different: ZoneRecord | undefined;
  let distinct = 0;
  for (const record of rrset) {
    const key = rdataKey(record);
    if (seen.has(key)) {
      report.warning(record.at, `${name} stands twice with the same data; once is served`, "Remove this line");
      continue;
    }
    seen.add(key);
    lowest = Math.min(lowest, record.ttlSeconds);
    if (record.ttlSeconds !== first.ttlSeconds) different ??= record;
    if (++distinct < 2) continue;
    if (type === TYPE.CNAME) report.error(record.at, `${name} stands twice`, "Keep one: a name has one CNAME");
    else if (type === TYPE.DNAME) report.error(record.at, `${name} stands twice`, "Keep one: a name has one DNAME");
  }
  if (distinct > MAX_RRSET_RECORDS) {
    const says = `${name} has ${distinct} records`;
    report.error(rrset[MAX_RRSET_RECORDS]!.at, says, `Keep at most ${MAX_RRSET_RECORDS}: answers would be huge`);
  }
  if (different) {
    const says = `${name} has records with different TTLs; all are served with the lowest, ${lowest}`;
    report.warning(different.at, says, "Give all of them the same TTL");
  }
}

/** Octets that turn up in names by mistake; all are legal (RFC 2181 §11). */
function checkOwner(node: ZoneNode, report: Report): void {
  const { owner } = node;
  for (let at = 0; owner[at] !== 0; ) {
    const length = owner[at]!;
    const isWildcard = length === 1 && owner[at + 1] === 0x2a;
    for (let index = at + 1; index <= at + length && !isWildcard; index++) {
      if (isUsual(owner[index]!)) continue;
      const says = `${formatName(owner)} has a character in it that host names do not have`;
      report.warning(node.records[0]!.at, says, "Check that it is meant: letters, digits, - and _ are usual");
      return;
    }
    if (isWildcard && at > 0) {
      const says = `${formatName(owner)} has a * in the middle, where it is not a wildcard`;
      report.warning(node.records[0]!.at, says, "Put * in front, or check that it is meant (RFC 4592 §2.1.1)");
      return;
    }
    at += 1 + length;
  }
}

/** Letters, digits, hyphen, underscore, and the slash of RFC 2317. */
const isUsual = (octet: number): boolean =>
  (octet >= 0x61 && octet <= 0x7a) ||
  (octet >= 0x2d && octet <= 0x39 && octet !== 0x2e) ||
  (octet >= 0x41 && octet <= 0x5a) ||
  octet === 0x5f;

function checkBelowDnames(index: ZoneIndex, dnames: ReadonlySet<string>, report: Report): void {
  for (const node of index.nodes.values()) {
    for (let key = node.key; key.length > index.apexKey.length; ) {
      key = parentKey(key);
      if (!dnames.has(key)) continue;
      const dname = formatName(Buffer.from(key, "latin1"));
      const says = `${formatName(node.owner)} lies below the DNAME at ${dname}, which covers it`;
      report.error(node.records[0]!.at, says, "Remove it, or the DNAME (RFC 6672 §2.4)");
      break;
    }
  }
}
