/**
 * Zone cuts: glue (RFC 9471), data that a cut hides (RFC 1034 §4.2.1), delegations that need each other.
 * @module
 */
import { formatName } from "#dns/wire/name.ts";
import { TYPE } from "#dns/wire/types.ts";
import { recordTypeText } from "#dns/zone/format-record.ts";
import { PSEUDO_TYPE, type ZoneRecord } from "#dns/zone/record.ts";
import { cutAbove, hasType, isInZone, nameKey, type ZoneIndex, type ZoneNode } from "#dns/zone/zone-index.ts";
import type { Report } from "#dns/zone/zone-rule.ts";

/** What a parent says itself at a zone cut (RFC 4035 §2.6). */
const AT_CUT: readonly number[] = [TYPE.NS, TYPE.DS, TYPE.NSEC, TYPE.NSEC3, TYPE.RRSIG];
/** Name servers that fall out of caches in seconds make every lookup slow. */
const MIN_NS_TTL_SECONDS = 60;

export function checkDelegations(index: ZoneIndex, report: Report): void {
  const targets = nameServerTargets(index);
  for (const node of index.nodes.values()) {
    const shortLived = node.records.find(({ type, ttlSeconds }) => type === TYPE.NS && ttlSeconds < MIN_NS_TTL_SECONDS);
    if (shortLived) {
      const says = `The NS records of ${formatName(node.owner)} have a TTL of ${shortLived.ttlSeconds} seconds`;
      report.warning(shortLived.at, says, "Use an hour or more: resolvers would ask for them all the time");
    }
    const cut = cutAbove(index, node.key);
    if (cut !== undefined) checkOccluded(node, cut, targets, report);
  }
  checkGlue(index, report);
}

/** Keys of all names that some NS record of the zone points to. */
function nameServerTargets(index: ZoneIndex): ReadonlySet<string> {
  const targets = new Set<string>();
  for (const node of index.nodes.values()) {
    for (const record of node.records) if (record.type === TYPE.NS) targets.add(nameKey(record.rdata));
  }
  return targets;
}

function checkOccluded(node: ZoneNode, cut: string, targets: ReadonlySet<string>, report: Report): void {
  const isGlueOwner = targets.has(node.key);
  const hidden = node.records.find(({ type }) => {
    if (node.key === cut && AT_CUT.includes(type)) return false;
    return !(isGlueOwner && (type === TYPE.A || type === TYPE.AAAA));
  });
  if (!hidden) return;
  const cutName = formatName(Buffer.from(cut, "latin1"));
  const says = `${formatName(node.owner)} ${recordTypeText(hidden.type)} is hidden by the delegation of ${cutName}`;
  if (hidden.type === PSEUDO_TYPE.steer || hidden.type === PSEUDO_TYPE.alias) {
    report.error(hidden.at, says, "Remove it, or the NS records of the delegation");
  } else {
    report.warning(hidden.at, says, "Put it into the delegated zone, or remove the NS records");
  }
}

/** Per cut: whether some name server of it can be found without asking a cut that cannot be found. */
function checkGlue(index: ZoneIndex, report: Report): void {
  const waiting = new Map<string, string[]>(); // cut → the cuts that its name servers lie in
  const reachable = new Set<string>();
  for (const cut of index.cuts) {
    const inCuts: string[] = [];
    for (const record of index.nodes.get(cut)!.records) {
      if (record.type !== TYPE.NS) continue;
      const target = nameKey(record.rdata);
      const targetCut = isInZone(target, index.apexKey) ? cutAbove(index, target) : undefined;
      const node = index.nodes.get(target);
      if (targetCut === undefined || hasType(node, TYPE.A) || hasType(node, TYPE.AAAA)) reachable.add(cut);
      else if (targetCut === cut) missingGlue(record, report);
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
    const others = inCuts.map((other) => formatName(Buffer.from(other, "latin1"))).join(" ");
    const record = index.nodes.get(cut)!.records.find(({ type }) => type === TYPE.NS)!;
    const says = `The delegation of ${formatName(record.owner)} needs that of ${others}, which leads nowhere else`;
    report.warning(record.at, says, "Add A or AAAA records (glue) for one of the name servers");
  }
}

function missingGlue(record: ZoneRecord, report: Report): void {
  const says = `The name server ${formatName(record.rdata)} lies below its own delegation and has no address here`;
  report.warning(record.at, says, "Add its A or AAAA record (glue): nobody can find it otherwise");
}
