/**
 * What may stand together at one name: CNAME alone (RFC 1034 §3.6.2, RFC 2181 §10.1), one DNAME (RFC 6672 §2.4), one
 * TTL in an RRset (RFC 2181 §5.2), no record twice.
 * @module
 */
import { formatName } from "#dns/wire/name.ts";
import { TYPE } from "#dns/wire/types.ts";
import { recordTypeText } from "#dns/zone/format-record.ts";
import type { RecordStore } from "#dns/zone/record-store.ts";
import { rdataKey } from "#dns/zone/tidy.ts";
import { NONE, rrsetsAt, type ZoneIndex } from "#dns/zone/zone-index.ts";
import type { Report } from "#dns/zone/zone-rule.ts";

/** Bigger RRsets make every answer slow and large: the limit of BIND since CVE-2024-1737. */
export const MAX_RRSET_RECORDS = 100;

/** What may stand beside a CNAME: DNSSEC's own records (RFC 4034 §2.5, RFC 2535 §2.3.5). */
const BESIDE_CNAME: readonly number[] = [TYPE.CNAME, TYPE.RRSIG, TYPE.NSEC, TYPE.SIG, TYPE.KEY, TYPE.NXT];

export function checkNodes(index: ZoneIndex, report: Report): void {
  const { records, nodeOf, owners, first, next } = index;
  for (const node of owners) {
    checkOwner(records, first[node]!, report);
    if (next[first[node]!] !== NONE) checkNode(index, node, report);
  }
  const dnames = new Set<number>();
  for (let record = 0; record < records.length; record++) {
    if (records.types[record] === TYPE.DNAME) dnames.add(nodeOf[record]!);
  }
  if (dnames.size > 0) checkBelowDnames(index, dnames, report);
}

function checkNode(index: ZoneIndex, node: number, report: Report): void {
  const { records } = index;
  const rrsets = rrsetsAt(index, node);
  for (const [type, rrset] of rrsets) if (rrset.length > 1) checkRrset(records, type, rrset, report);
  const cname = rrsets.get(TYPE.CNAME)?.[0];
  const other = [...rrsets.keys()].find((type) => !BESIDE_CNAME.includes(type));
  if (cname !== undefined && other !== undefined) {
    const owner = formatName(records.owner(index.first[node]!));
    const says = `${owner} has CNAME and ${recordTypeText(other)} records`;
    report.error(records.at(cname), says, "Remove one of them: a CNAME stands alone at its name");
  }
}

function checkRrset(records: RecordStore, type: number, rrset: readonly number[], report: Report): void {
  const first = rrset[0]!;
  const name = `${formatName(records.owner(first))} ${recordTypeText(type)}`;
  const firstTtlSeconds = records.ttlSeconds[first]!;
  const seen = new Set<string>();
  let lowest = firstTtlSeconds;
  let different = NONE;
  let distinct = 0;
  for (const record of rrset) {
    const key = rdataKey(type, records.rdata(record));
    if (seen.has(key)) {
      const says = `${name} stands twice with the same data; once is served`;
      report.warning(records.at(record), says, "Remove this line");
      continue;
    }
    seen.add(key);
    const ttlSeconds = records.ttlSeconds[record]!;
    lowest = Math.min(lowest, ttlSeconds);
    if (ttlSeconds !== firstTtlSeconds && different === NONE) different = record;
    if (++distinct < 2) continue;
    const says = `${name} stands twice`;
    if (type === TYPE.CNAME) report.error(records.at(record), says, "Keep one: a name has one CNAME");
    else if (type === TYPE.DNAME) report.error(records.at(record), says, "Keep one: a name has one DNAME");
  }
  if (distinct > MAX_RRSET_RECORDS) {
    const says = `${name} has ${distinct} records`;
    const fix = `Keep at most ${MAX_RRSET_RECORDS}: answers would be huge`;
    report.error(records.at(rrset[MAX_RRSET_RECORDS]!), says, fix);
  }
  if (different !== NONE) {
    const says = `${name} has records with different TTLs; all are served with the lowest, ${lowest}`;
    report.warning(records.at(different), says, "Give all of them the same TTL");
  }
}

/** Octets that turn up in names by mistake; all are legal (RFC 2181 §11). */
function checkOwner(records: RecordStore, record: number, report: Report): void {
  const { names } = records;
  const start = records.ownerAt[record]!;
  for (let at = start; names[at] !== 0; ) {
    const length = names[at]!;
    const isWildcard = length === 1 && names[at + 1] === 0x2a;
    for (let index = at + 1; index <= at + length && !isWildcard; index++) {
      if (isUsual(names[index]!)) continue;
      const says = `${formatName(names, start)} has a character in it that host names do not have`;
      report.warning(records.at(record), says, "Check that it is meant: letters, digits, - and _ are usual");
      return;
    }
    if (isWildcard && at > start) {
      const says = `${formatName(names, start)} has a * in the middle, where it is not a wildcard`;
      report.warning(records.at(record), says, "Put * in front, or check that it is meant (RFC 4592 §2.1.1)");
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

function checkBelowDnames(index: ZoneIndex, dnames: ReadonlySet<number>, report: Report): void {
  const { records, names } = index;
  for (const node of index.owners) {
    let up = names.parent(node);
    while (up !== NONE && !dnames.has(up)) up = names.parent(up);
    if (up === NONE) continue;
    const first = index.first[node]!;
    const says = `${formatName(records.owner(first))} lies below the DNAME at ${formatName(names.name(up))}, which covers it`;
    report.error(records.at(first), says, "Remove it, or the DNAME (RFC 6672 §2.4)");
  }
}
