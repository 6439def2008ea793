/**
 * The authority section and what hangs on it: SOA of negative answers, NS and glue of referrals.
 * @module
 */
import { addEntry, keepName, type Plan } from "#dns/answer/plan.ts";
import type { ServedZone } from "#dns/answer/zone-set.ts";
import { isSuffixAt, type NameKey, readNameKey } from "#dns/wire/name-key.ts";
import { TYPE } from "#dns/wire/types.ts";
import { APEX_NODE, findRrset, NODE, NODE_WORDS, RECORD, RRSET, RRSET_WORDS, rdataOctetsAt } from "#dns/zone/image.ts";
import { findNode } from "#dns/zone/lookup.ts";
import type { ZoneImage } from "#state/zone-image.ts";

const ADDRESS_TYPES = [TYPE.A, TYPE.AAAA] as const;

/**
 * SOA in the authority section, with the TTL that resolvers may keep the negative answer for: the smaller one of its own
 * TTL and its MINIMUM (RFC 2308 §3), or `maxTtlSeconds` where that is less.
 */
export function planNegative(plan: Plan, image: ZoneImage, maxTtlSeconds: number): void {
  const rrset = findRrset(image, APEX_NODE, TYPE.SOA);
  const word = rrset * RRSET_WORDS;
  const at = image.rrsets[word + RRSET.rdataAt]!;
  const end = at + RECORD.rdata + rdataOctetsAt(image.rdata, at);
  const minimum =
    image.rdata[end - 4]! * 0x100_0000 +
    ((image.rdata[end - 3]! << 16) | (image.rdata[end - 2]! << 8) | image.rdata[end - 1]!);
  const ttlSeconds = Math.min(image.rrsets[word + RRSET.ttlSeconds]!, minimum, maxTtlSeconds);
  const ownerAt = keepName(plan, image.names, image.nodes[NODE.nameAt]!, image.nodes[NODE.nameOctets]!);
  addEntry(plan, ownerAt, rrset, ttlSeconds);
  plan.authorities++;
}

/**
 * NS of the cut, and the addresses of its name servers as far as this zone has them: those below the cut must all be
 * in the response, or TC (RFC 9471 §2.1); others may be left out. Addresses of services are never glue: resolvers keep
 * additional records for everybody (RFC 7871 §7.2.1).
 */
export function planReferral(plan: Plan, zone: ServedZone, image: ZoneImage, cut: number, target: NameKey): void {
  const rrset = findRrset(image, cut, TYPE.NS);
  const word = rrset * RRSET_WORDS;
  const cutWord = cut * NODE_WORDS;
  const ownerAt = keepName(plan, image.names, image.nodes[cutWord]!, image.nodes[cutWord + NODE.nameOctets]!);
  addEntry(plan, ownerAt, rrset, image.rrsets[word + RRSET.ttlSeconds]!);
  plan.authorities++;
  planGlue(plan, zone, image, cut, rrset, target, true);
  const needed = plan.additionals;
  planGlue(plan, zone, image, cut, rrset, target, false);
  plan.optional = plan.additionals - needed;
}

function planGlue(
  plan: Plan,
  zone: ServedZone,
  image: ZoneImage,
  cut: number,
  nsRrset: number,
  target: NameKey,
  isInDomain: boolean,
): void {
  const { rrsets, rdata, names, nodes } = image;
  const count = rrsets[nsRrset * RRSET_WORDS + RRSET.count]!;
  let at = rrsets[nsRrset * RRSET_WORDS + RRSET.rdataAt]!;
  for (let record = 0; record < count; record++) {
    const length = rdataOctetsAt(rdata, at);
    const nameAt = at + RECORD.rdata;
    readNameKey(rdata, nameAt, nameAt + length, image.seed, target);
    const cutAt = nodes[cut * NODE_WORDS + NODE.nameAt]!;
    const cutOctets = nodes[cut * NODE_WORDS + NODE.nameOctets]!;
    if (isBelow(target, zone.apex, 0, zone.apex.length) && isBelow(target, names, cutAt, cutOctets) === isInDomain) {
      const node = findNode(image, target, 0);
      for (const type of ADDRESS_TYPES) {
        const rrset = node < 0 ? -1 : findRrset(image, node, type);
        if (rrset < 0) continue;
        const ownerAt = keepName(plan, rdata, nameAt, length);
        addEntry(plan, ownerAt, rrset, rrsets[rrset * RRSET_WORDS + RRSET.ttlSeconds]!);
        plan.additionals++;
      }
    }
    at = nameAt + length;
  }
}

/** Whether `name` is, or lies below, the lower-case name of `length` octets at `at` in `names`. */
function isBelow(name: NameKey, names: Uint8Array, at: number, length: number): boolean {
  const label = labelAtOctet(name, name.length - length);
  return label >= 0 && isSuffixAt(name, label, names, at, length);
}

/** The label that starts at octet `at` of the name, or -1 when none does. */
export function labelAtOctet(name: NameKey, at: number): number {
  for (let label = 0; label <= name.labelCount; label++) if (name.labelAt[label] === at) return label;
  return -1;
}
