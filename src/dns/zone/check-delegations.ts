/**
 * Zone cuts: glue (RFC 9471), data that a cut hides (RFC 1034 §4.2.1), delegations that need each other.
 * @module
 */
import { formatName } from "#dns/wire/name.ts";
import { TYPE } from "#dns/wire/types.ts";
import { recordTypeText } from "#dns/zone/format-record.ts";
import { PSEUDO_TYPE } from "#dns/zone/record.ts";
import { findType, NONE, recordsAt, type ZoneIndex } from "#dns/zone/zone-index.ts";
import type { Report } from "#dns/zone/zone-rule.ts";

/** What a parent says itself at a zone cut (RFC 4035 §2.6). */
const AT_CUT: readonly number[] = [TYPE.NS, TYPE.DS, TYPE.NSEC, TYPE.NSEC3, TYPE.RRSIG];
const ADDRESS_TYPES: readonly number[] = [TYPE.A, TYPE.AAAA];
/** Name servers that fall out of caches in seconds make every lookup slow. */
const MIN_NS_TTL_SECONDS = 60;

export function checkDelegations(index: ZoneIndex, report: Report): void {
  const { cutAbove } = index;
  checkTtls(index, report);
  if (!cutAbove) return;
  const targets = nameServerTargets(index);
  for (const node of index.owners) {
    const cut = cutAbove[node]!;
    if (cut !== NONE) checkOccluded(index, node, cut, targets.has(node), report);
  }
  checkGlue(index, cutAbove, report);
}

function checkTtls({ records, nodeOf, first }: ZoneIndex, report: Report): void {
  const said = new Set<number>();
  for (let record = 0; record < records.length; record++) {
    const ttlSeconds = records.ttlSeconds[record]!;
    if (records.types[record] !== TYPE.NS || ttlSeconds >= MIN_NS_TTL_SECONDS) continue;
    const node = nodeOf[record]!;
    if (node === NONE || said.has(node)) continue;
    said.add(node);
    const says = `The NS records of ${formatName(records.owner(first[node]!))} have a TTL of ${ttlSeconds} seconds`;
    report.warning(records.at(record), says, "Use an hour or more: resolvers would ask for them all the time");
  }
}

/** Nodes that some NS record of the zone points to. */
function nameServerTargets({ records, names, nodeOf }: ZoneIndex): ReadonlySet<number> {
  const targets = new Set<number>();
  for (let record = 0; record < records.length; record++) {
    if (records.types[record] !== TYPE.NS || nodeOf[record] === NONE) continue;
    targets.add(names.nodeOf(records.data, records.rdataAt[record]));
  }
  return targets;
}

function checkOccluded(index: ZoneIndex, node: number, cut: number, isGlueOwner: boolean, report: Report): void {
  const { records, names } = index;
  const hidden = recordsAt(index, node).find((record) => {
    const type = records.types[record]!;
    if (node === cut && AT_CUT.includes(type)) return false;
    return !(isGlueOwner && ADDRESS_TYPES.includes(type));
  });
  if (hidden === undefined) return;
  const type = records.types[hidden]!;
  const owner = formatName(records.owner(index.first[node]!));
  const says = `${owner} ${recordTypeText(type)} is hidden by the delegation of ${formatName(names.name(cut))}`;
  if (type === PSEUDO_TYPE.steer || type === PSEUDO_TYPE.alias) {
    report.error(records.at(hidden), says, "Remove it, or the NS records of the delegation");
  } else {
    report.warning(records.at(hidden), says, "Put it into the delegated zone, or remove the NS records");
  }
}

/** Per cut: whether some name server of it can be found without asking a cut that cannot be found. */
function checkGlue(index: ZoneIndex, cutAbove: Int32Array, report: Report): void {
  const { records, names } = index;
  const waiting = new Map<number, number[]>(); // cut → the cuts that its name servers lie in
  const reachable = new Set<number>();
  for (const cut of index.cuts) {
    const inCuts: number[] = [];
    for (const record of recordsAt(index, cut)) {
      if (records.types[record] !== TYPE.NS) continue;
      const target = records.rdataAt[record]!;
      const encloser = names.encloserOf(records.data, target);
      const targetCut = encloser === NONE ? NONE : cutAbove[encloser]!;
      const node = names.nodeOf(records.data, target);
      if (targetCut === NONE || findType(index, node, ADDRESS_TYPES) !== NONE) reachable.add(cut);
      else if (targetCut === cut) missingGlue(index, record, report);
      else inCuts.push(targetCut);
    }
    waiting.set(cut, inCuts);
  }
  for (let found = true; found; ) {
    found = false;
    for (const [cut, inCuts] of waiting) {
      if (reachable.has(cut) || !inCuts.some((other) => reachable.has(other))) continue;
      reachable.add(cut);
      found = true;
    }
  }
  for (const [cut, inCuts] of waiting) {
    if (reachable.has(cut) || inCuts.length === 0) continue;
    const others = inCuts.map((other) => formatName(names.name(other))).join(" ");
    const record = findType(index, cut, [TYPE.NS]);
    const owner = formatName(records.owner(record));
    const says = `The delegation of ${owner} needs that of ${others}, which leads nowhere else`;
    report.warning(records.at(record), says, "Add A or AAAA records (glue) for one of the name servers");
  }
}

function missingGlue({ records }: ZoneIndex, record: number, report: Report): void {
  const target = formatName(records.rdata(record));
  const says = `The name server ${target} lies below its own delegation and has no address here`;
  report.warning(records.at(record), says, "Add its A or AAAA record (glue): nobody can find it otherwise");
}
