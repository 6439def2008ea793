/**
 * Which RRset of a name answers a question type. What exists at a name never depends on the client or on health.
 * @module
 */
import type { Steering } from "#dns/answer/steering.ts";
import type { ServedZone } from "#dns/answer/zone-set.ts";
import { TYPE } from "#dns/wire/types.ts";
import { findRrset, IMAGE_TYPE, NODE, NODE_FLAG, NODE_WORDS, RRSET, RRSET_WORDS } from "#dns/zone/image.ts";
import type { ZoneImage } from "#state/zone-image.ts";

export const NO_RRSET = -1;
/** The name is steered by a service that does not exist: configurations that pass the checks have none. */
export const NO_SERVICE = -2;

/**
 * @returns the RRset, which for A and AAAA may be the STEER or ALIAS one; `NO_RRSET`: NODATA; or `NO_SERVICE`.
 *   For ANY one RRset of the name (RFC 8482 §4.1): the first, addresses of a service last.
 */
export function selectRrset(
  steering: Pick<Steering, "hasType">,
  zone: ServedZone,
  image: ZoneImage,
  node: number,
  qtype: number,
): number {
  const flags = image.nodes[node * NODE_WORDS + NODE.flags]!;
  if (qtype === TYPE.ANY) {
    const first = image.nodes[node * NODE_WORDS + NODE.firstRrset]!;
    const count = image.nodes[node * NODE_WORDS + NODE.rrsetCount]!;
    // Types are in order: pseudo-types come last.
    if (count > 0 && image.rrsets[first * RRSET_WORDS + RRSET.type]! <= 0xffff) return first;
    const asA = selectRrset(steering, zone, image, node, TYPE.A);
    return asA === NO_RRSET ? selectRrset(steering, zone, image, node, TYPE.AAAA) : asA;
  }
  if ((flags & (NODE_FLAG.steer | NODE_FLAG.alias)) !== 0 && (qtype === TYPE.A || qtype === TYPE.AAAA)) {
    if ((flags & NODE_FLAG.steer) !== 0) {
      const rrset = findRrset(image, node, IMAGE_TYPE.steer);
      const service = serviceOf(zone, image, rrset);
      if (service < 0) return NO_SERVICE;
      return steering.hasType(service, qtype) ? rrset : NO_RRSET;
    }
    const own = findRrset(image, node, qtype);
    return own >= 0 ? own : findRrset(image, node, IMAGE_TYPE.alias);
  }
  return findRrset(image, node, qtype);
}

/** Number of the service of a STEER RRset, or -1. */
export const serviceOf = (zone: ServedZone, image: ZoneImage, rrset: number): number =>
  zone.services[image.rrsets[rrset * RRSET_WORDS + RRSET.service]!] ?? -1;

/** The type of addresses that a service is asked for. */
export const steeredType = (steering: Pick<Steering, "hasType">, service: number, qtype: number): number =>
  qtype === TYPE.A || qtype === TYPE.AAAA ? qtype : steering.hasType(service, TYPE.A) ? TYPE.A : TYPE.AAAA;
