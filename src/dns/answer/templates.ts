/**
 * Finds an answer that was compiled before, and keeps a new one.
 *
 * `recall` decides the same as `walk.ts`, by the first name alone; where it cannot, it says nothing and the walk is
 * taken. A property test holds that both give the same octets.
 * @module
 */
import { NO_RRSET, selectRrset } from "#dns/answer/select.ts";
import type { Steering } from "#dns/answer/steering.ts";
import type { Template } from "#dns/answer/template.ts";
import { isAliasRrset, isParentSideDs, KEEP, type Walker } from "#dns/answer/walk.ts";
import type { ServedZone } from "#dns/answer/zone-set.ts";
import type { NameKey } from "#dns/wire/name-key.ts";
import { TYPE } from "#dns/wire/types.ts";
import { findRrset, NODE, NODE_FLAG, NODE_IS_SPECIAL, NODE_WORDS } from "#dns/zone/image.ts";
import { type Lookup, MATCH } from "#dns/zone/lookup.ts";
import type { ZoneImage } from "#state/zone-image.ts";

/** @returns the compiled answer, or undefined: walk */
export function recall(
  steering: Steering,
  zone: ServedZone,
  image: ZoneImage,
  name: NameKey,
  qtype: number,
  found: Lookup,
): Template | undefined {
  const { node } = found;
  switch (found.match) {
    case MATCH.missing:
      return zone.missing;
    case MATCH.dname:
      return undefined;
    case MATCH.referral:
      if (!isParentSideDs(image, name, found, qtype)) return zone.byCut.get(node);
      break;
    default:
  }
  const flags = image.nodes[node * NODE_WORDS + NODE.flags]!;
  if ((flags & NODE_IS_SPECIAL) === 0 && qtype !== TYPE.ANY) {
    const rrset = findRrset(image, node, qtype);
    return rrset < 0 ? zone.nodata : zone.byRrset[rrset];
  }
  if ((flags & NODE_FLAG.cname) !== 0 && qtype !== TYPE.CNAME && qtype !== TYPE.ANY) {
    const chain = zone.chains.get(node);
    if (chain === undefined) return undefined;
    let key: number = NO_RRSET;
    if (chain.endMatch === MATCH.exact || chain.endMatch === MATCH.wildcard) {
      key = selectRrset(steering, zone, image, chain.endNode, qtype);
    } else if (qtype === TYPE.DS) return undefined; // the chain may end at a cut, whose DS is ours
    return chain.templates.get(key);
  }
  const selected = selectRrset(steering, zone, image, node, qtype);
  if (selected === NO_RRSET) return zone.nodata;
  if (selected < 0) return undefined;
  if (!isAliasRrset(image, selected)) return zone.byRrset[selected];
  return qtype === TYPE.ANY ? undefined : zone.byAlias.get(node * 2 + (qtype === TYPE.AAAA ? 1 : 0));
}

/** Keeps what the walk has just planned, where it says that it may be kept. */
export function remember(walker: Walker, zone: ServedZone, template: Template): void {
  switch (walker.keep) {
    case KEEP.byRrset:
      zone.byRrset[walker.keepAt] = template;
      break;
    case KEEP.nodata:
      zone.nodata = template;
      break;
    case KEEP.missing:
      zone.missing = template;
      break;
    case KEEP.byCut:
      zone.byCut.set(walker.keepAt, template);
      break;
    case KEEP.byAlias:
      zone.byAlias.set(walker.keepAt, template);
      break;
    case KEEP.chain: {
      let chain = zone.chains.get(walker.keepAt);
      if (chain === undefined) {
        chain = { endMatch: walker.chainEndMatch, endNode: walker.chainEndNode, templates: new Map() };
        zone.chains.set(walker.keepAt, chain);
      }
      chain.templates.set(walker.chainKey, template);
      break;
    }
    default:
  }
}
