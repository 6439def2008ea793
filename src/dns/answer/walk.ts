/**
 * RFC 1034 §4.3.2 in one place: from a question to the plan of its answer, for everything that is not compiled yet.
 *
 * Owns:    what follows what: CNAME, DNAME, referral, wildcard, empty name, no name; and under what the answer may be
 *          kept for the next query (`Walker.keep`).
 * Never:   looks at the client: who it is changes addresses of services only, and those come in later (`fill.ts`).
 * @module
 */
import { labelAtOctet, planNegative, planReferral } from "#dns/answer/authority.ts";
import {
  addEntry,
  clearPlan,
  createPlan,
  ENTRY,
  entryWord,
  keepName,
  OWNER_IS_QNAME,
  type Plan,
} from "#dns/answer/plan.ts";
import { NO_RRSET, NO_SERVICE, selectRrset, serviceOf } from "#dns/answer/select.ts";
import type { Steering } from "#dns/answer/steering.ts";
import { CHAIN_LEAVES, type Chain, type ServedZone, type ZoneSet } from "#dns/answer/zone-set.ts";
import { isWildcard, LOWER, MAX_NAME_OCTETS } from "#dns/wire/name.ts";
import { createNameKey, type NameKey, readNameKey } from "#dns/wire/name-key.ts";
import { RCODE } from "#dns/wire/rcodes.ts";
import { TYPE } from "#dns/wire/types.ts";
import {
  findRrset,
  IMAGE_TYPE,
  NODE,
  NODE_FLAG,
  NODE_WORDS,
  RECORD,
  RRSET,
  RRSET_WORDS,
  rdataOctetsAt,
} from "#dns/zone/image.ts";
import { createLookup, type Lookup, lookup, MATCH } from "#dns/zone/lookup.ts";
import { RESPONSE_KIND } from "#state/guard.ts";
import type { ZoneImage } from "#state/zone-image.ts";

/** CNAMEs, made-up ones included, in one answer; the last of them then ends it. NSD follows 18, gdnsd 16, Knot 5. */
const MAX_CHAIN = 16;
const NO_LIMIT = 0x7fff_ffff;

/** Where the compiled answer may be kept. */
export const KEEP = { nowhere: 0, byRrset: 1, nodata: 2, missing: 3, byCut: 4, byAlias: 5, chain: 6 } as const;

export type Walker = {
  readonly zones: ZoneSet;
  readonly steering: Steering;
  readonly plan: Plan;
  keep: (typeof KEEP)[keyof typeof KEEP];
  /** RRset, cut, alias key, or node of the first CNAME. */
  keepAt: number;
  /** For `KEEP.chain`. */
  chainKey: number;
  chainEndMatch: Chain["endMatch"];
  chainEndNode: number;
  /** The chain's current name, and where it was found. */
  readonly name: NameKey;
  readonly found: Lookup;
  /** Names of name servers and alias targets. */
  readonly target: NameKey;
  readonly targetFound: Lookup;
};

export const createWalker = (zones: ZoneSet, steering: Steering): Walker => ({
  zones,
  steering,
  plan: createPlan(),
  keep: KEEP.nowhere,
  keepAt: 0,
  chainKey: NO_RRSET,
  chainEndMatch: CHAIN_LEAVES,
  chainEndNode: 0,
  name: createNameKey(),
  found: createLookup(),
  target: createNameKey(),
  targetFound: createLookup(),
});

/** DS of a delegation is the parent's own data: no referral (RFC 4035 §3.1.4.1). */
export const isParentSideDs = (image: ZoneImage, name: NameKey, found: Lookup, qtype: number): boolean =>
  qtype === TYPE.DS &&
  found.match === MATCH.referral &&
  image.nodes[found.node * NODE_WORDS + NODE.nameOctets] === name.length;

export const isAliasRrset = (image: ZoneImage, rrset: number): boolean =>
  rrset >= 0 && image.rrsets[rrset * RRSET_WORDS + RRSET.type] === IMAGE_TYPE.alias;

/**
 * Plans the answer in `walker.plan`; `plan.rcode` is SERVFAIL, and the rest is void, where a name's service is missing.
 *
 * @param qname the question's name, `spelled` its octets as the client wrote them, from `spelledAt` on
 * @param first where `qname` was found in `zone`
 * @param emptyTtlSeconds 0 or more: services have no address now, answer NODATA for at most this long; -1: they have
 */
export function walk(
  walker: Walker,
  zone: ServedZone,
  image: ZoneImage,
  qname: NameKey,
  qtype: number,
  first: Lookup,
  spelled: Uint8Array,
  spelledAt: number,
  emptyTtlSeconds = -1,
): void {
  const { plan } = walker;
  clearPlan(plan);
  walker.keep = KEEP.nowhere;
  plan.baseLabel = baseLabel(image, qname, first);
  let name = qname;
  let found = first;
  let ownerAt: number = OWNER_IS_QNAME;
  let firstCname = -1;
  let hasDname = false;
  let dnameUsed = -1;
  let octetsAtDname = 0;
  for (let links = 0; ; links++) {
    let nextAt: number;
    if (found.match === MATCH.dname) {
      const word = found.node * NODE_WORDS;
      const ownerOctets = image.nodes[word + NODE.nameOctets]!;
      if (dnameUsed === found.node) {
        // Again the same DNAME: only while the name gets shorter, or it would grow until it is too long.
        if (name.length >= octetsAtDname) return;
      } else {
        const dnameAt = keepName(plan, image.names, image.nodes[word]!, ownerOctets);
        planRrset(plan, image, dnameAt, findRrset(image, found.node, TYPE.DNAME));
      }
      hasDname = true;
      dnameUsed = found.node;
      octetsAtDname = name.length;
      const rrset = findRrset(image, found.node, TYPE.DNAME);
      const targetAt = image.rrsets[rrset * RRSET_WORDS + RRSET.rdataAt]!;
      const targetOctets = rdataOctetsAt(image.rdata, targetAt);
      const prefixOctets = name.length - ownerOctets;
      if (prefixOctets + targetOctets > MAX_NAME_OCTETS) {
        plan.rcode = RCODE.YXDOMAIN; // RFC 6672 §2.2
        return;
      }
      if (ownerAt === OWNER_IS_QNAME) nextAt = keepName(plan, spelled, spelledAt, prefixOctets);
      else nextAt = keepName(plan, plan.names, ownerAt, prefixOctets);
      keepName(plan, image.rdata, targetAt + RECORD.rdata, targetOctets);
      addEntry(plan, ownerAt, -1, image.rrsets[rrset * RRSET_WORDS + RRSET.ttlSeconds]!, nextAt);
      plan.answers++;
      if (qtype === TYPE.CNAME || qtype === TYPE.ANY) return;
    } else {
      const isNode = found.match === MATCH.exact || found.match === MATCH.wildcard;
      const isOwnDs = isParentSideDs(image, name, found, qtype);
      const cname =
        isNode && qtype !== TYPE.CNAME && qtype !== TYPE.ANY && isCname(image, found.node)
          ? findRrset(image, found.node, TYPE.CNAME)
          : -1;
      if (cname < 0) {
        const isFirst = links === 0;
        if (isNode || isOwnDs)
          planNode(walker, zone, image, qname, found.node, qtype, ownerAt, isFirst, emptyTtlSeconds);
        else if (found.match === MATCH.missing) {
          plan.rcode = RCODE.NXDOMAIN;
          plan.kind = RESPONSE_KIND.nxdomain;
          if (isFirst) plan.baseLabel = qname.labelCount - zone.apexLabels;
          planNegative(plan, image, NO_LIMIT);
          if (isFirst) walker.keep = KEEP.missing;
        } else {
          plan.kind = RESPONSE_KIND.referral;
          plan.isAuthoritative = !isFirst;
          planReferral(plan, zone, image, found.node, walker.target);
          if (isFirst) keepAs(walker, KEEP.byCut, found.node);
        }
        const isRepeatable = plan.rcode !== RCODE.SERVFAIL && emptyTtlSeconds < 0 && !isOwnDs;
        if (firstCname >= 0 && !hasDname && isRepeatable) keepChain(walker, image, firstCname, found);
        return;
      }
      if (links === 0) firstCname = found.node;
      planRrset(plan, image, ownerAt, cname);
      const at = image.rrsets[cname * RRSET_WORDS + RRSET.rdataAt]!;
      nextAt = keepName(plan, image.rdata, at + RECORD.rdata, rdataOctetsAt(image.rdata, at));
    }
    if (links + 1 >= MAX_CHAIN || wasAsked(plan, image, qname, nextAt)) return;
    ownerAt = nextAt;
    name = walker.name;
    found = walker.found;
    readNameKey(plan.names, nextAt, plan.namesEnd, image.seed, name);
    if (walker.zones.find(name, 0) !== zone) {
      // Somewhere else, or a zone of ours of its own: the client asks again there.
      if (firstCname >= 0 && !hasDname) {
        walker.chainKey = NO_RRSET;
        keepChainEnd(walker, firstCname, CHAIN_LEAVES, 0);
      }
      return;
    }
    lookup(image, name, found);
  }
}

/** The label from which on all names that get the same answer have the same name. */
function baseLabel(image: ZoneImage, qname: NameKey, first: Lookup): number {
  // What is compiled for a question of `*.example` itself is used for all that the wildcard stands for.
  if (first.match === MATCH.exact) return isWildcard(qname.octets) ? 1 : 0;
  if (first.match === MATCH.referral || first.match === MATCH.dname) {
    return labelAtOctet(qname, qname.length - image.nodes[first.node * NODE_WORDS + NODE.nameOctets]!);
  }
  return first.encloserLabel;
}

function planRrset(plan: Plan, image: ZoneImage, ownerAt: number, rrset: number): void {
  addEntry(plan, ownerAt, rrset, image.rrsets[rrset * RRSET_WORDS + RRSET.ttlSeconds]!);
  plan.answers++;
}

/** The name exists and is no CNAME: its RRset of the type asked for, or NODATA. */
function planNode(
  walker: Walker,
  zone: ServedZone,
  image: ZoneImage,
  qname: NameKey,
  node: number,
  qtype: number,
  ownerAt: number,
  isFirst: boolean,
  emptyTtlSeconds: number,
): void {
  const { plan, steering } = walker;
  const selected = selectRrset(steering, zone, image, node, qtype);
  const isAlias = isAliasRrset(image, selected);
  let rrset = selected;
  let ttlSeconds = NO_LIMIT;
  if (isAlias) {
    ttlSeconds = image.rrsets[selected * RRSET_WORDS + RRSET.ttlSeconds]!;
    rrset = resolveAlias(walker, zone, image, selected, qtype);
  }
  if (rrset === NO_SERVICE) {
    plan.rcode = RCODE.SERVFAIL;
    return;
  }
  const isSteered = rrset >= 0 && image.rrsets[rrset * RRSET_WORDS + RRSET.type] === IMAGE_TYPE.steer;
  walker.chainKey = selected;
  if (rrset === NO_RRSET || (isSteered && emptyTtlSeconds >= 0)) {
    plan.kind = RESPONSE_KIND.nodata;
    if (isFirst) plan.baseLabel = qname.labelCount - zone.apexLabels;
    planNegative(plan, image, emptyTtlSeconds >= 0 ? emptyTtlSeconds : NO_LIMIT);
    if (isFirst && emptyTtlSeconds < 0) walker.keep = KEEP.nodata;
    return;
  }
  plan.kind = RESPONSE_KIND.answer;
  if (isSteered) {
    plan.service = serviceOf(zone, image, rrset);
    plan.steerOwnerAt = ownerAt;
  } else {
    addEntry(plan, ownerAt, rrset, Math.min(ttlSeconds, image.rrsets[rrset * RRSET_WORDS + RRSET.ttlSeconds]!));
    plan.answers++;
  }
  if (!isFirst) return;
  if (isAlias && qtype === TYPE.ANY) return;
  if (isAlias) keepAs(walker, KEEP.byAlias, node * 2 + (qtype === TYPE.AAAA ? 1 : 0));
  else keepAs(walker, KEEP.byRrset, rrset);
}

/**
 * Follows an ALIAS to the address RRset (or STEER) of its target in the zone, through CNAMEs and further ALIASes.
 * @returns as `selectRrset`; a target that is not in this zone or leads in circles has no addresses
 */
function resolveAlias(walker: Walker, zone: ServedZone, image: ZoneImage, alias: number, qtype: number): number {
  const { target, targetFound } = walker;
  const type = qtype === TYPE.ANY ? TYPE.A : qtype;
  let at = image.rrsets[alias * RRSET_WORDS + RRSET.rdataAt]!;
  for (let links = 0; links < MAX_CHAIN; links++) {
    const nameAt = at + RECORD.rdata;
    readNameKey(image.rdata, nameAt, nameAt + rdataOctetsAt(image.rdata, at), image.seed, target);
    if (walker.zones.find(target, 0) !== zone) return NO_RRSET;
    lookup(image, target, targetFound);
    if (targetFound.match !== MATCH.exact && targetFound.match !== MATCH.wildcard) return NO_RRSET;
    const next = isCname(image, targetFound.node)
      ? findRrset(image, targetFound.node, TYPE.CNAME)
      : selectRrset(walker.steering, zone, image, targetFound.node, type);
    if (next < 0) return next;
    const nextType = image.rrsets[next * RRSET_WORDS + RRSET.type];
    if (nextType !== TYPE.CNAME && nextType !== IMAGE_TYPE.alias) return next;
    at = image.rrsets[next * RRSET_WORDS + RRSET.rdataAt]!;
  }
  return NO_RRSET;
}

const isCname = (image: ZoneImage, node: number): boolean =>
  (image.nodes[node * NODE_WORDS + NODE.flags]! & NODE_FLAG.cname) !== 0;

function keepAs(walker: Walker, keep: Walker["keep"], keepAt: number): void {
  walker.keep = keep;
  walker.keepAt = keepAt;
}

/** A chain to an ALIAS is walked each time: two types, one RRset. */
function keepChain(walker: Walker, image: ZoneImage, firstCname: number, end: Lookup): void {
  const isNode = end.match === MATCH.exact || end.match === MATCH.wildcard;
  if (!isNode) walker.chainKey = NO_RRSET;
  else if (isAliasRrset(image, walker.chainKey)) return;
  keepChainEnd(walker, firstCname, end.match, end.node);
}

function keepChainEnd(walker: Walker, firstCname: number, match: Chain["endMatch"], node: number): void {
  keepAs(walker, KEEP.chain, firstCname);
  walker.chainEndMatch = match;
  walker.chainEndNode = node;
}

/** Whether the name at `at` in `plan.names` has been asked for in this answer already: a loop. */
function wasAsked(plan: Plan, image: ZoneImage, qname: NameKey, at: number): boolean {
  if (isSameName(qname.octets, 0, plan.names, at)) return true;
  for (let entry = 0; entry < plan.answers; entry++) {
    const ownerAt = entryWord(plan, entry, ENTRY.ownerAt);
    const rrset = entryWord(plan, entry, ENTRY.rrset);
    const isDname = rrset >= 0 && image.rrsets[rrset * RRSET_WORDS + RRSET.type] === TYPE.DNAME;
    if (ownerAt !== OWNER_IS_QNAME && !isDname && isSameName(plan.names, ownerAt, plan.names, at)) return true;
  }
  return false;
}

function isSameName(left: Uint8Array, leftAt: number, right: Uint8Array, rightAt: number): boolean {
  for (;;) {
    const length = left[leftAt]!;
    if (length !== right[rightAt]) return false;
    if (length === 0) return true;
    for (let index = 1; index <= length; index++) {
      if (LOWER[left[leftAt + index]!] !== LOWER[right[rightAt + index]!]) return false;
    }
    leftAt += 1 + length;
    rightAt += 1 + length;
  }
}
