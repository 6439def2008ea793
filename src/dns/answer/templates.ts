/**
 * Finds an answer that needs no walk: records that are ready in the zone's image, or what was compiled before; and keeps
 * what was compiled anew.
 *
 * `recall` decides the same as `walk.ts`, by the first name alone; where it cannot, it says nothing and the walk is
 * taken. A property test holds that both give the same octets.
 * @module
 */
import type { Draft } from "#dns/answer/draft.ts";
import { NO_RRSET, selectRrset } from "#dns/answer/select.ts";
import type { Steering } from "#dns/answer/steering.ts";
import type { Template } from "#dns/answer/template.ts";
import { isAliasRrset, isParentSideDs, KEEP, type Walker } from "#dns/answer/walk.ts";
import { MAX_TEMPLATES, type ServedZone } from "#dns/answer/zone-set.ts";
import { TYPE } from "#dns/wire/types.ts";
import { findRrset, NODE, NODE_FLAG, NODE_IS_SPECIAL, NODE_WORDS, RRSET, RRSET_WORDS } from "#dns/zone/image.ts";
import { MATCH } from "#dns/zone/lookup.ts";
import type { ZoneImage } from "#state/zone-image.ts";

/** @returns whether the draft has its answer now, in `readyRrset` or `template`; false: walk */
export function recall(steering: Steering, draft: Draft): boolean {
  const { query, lookup: found } = draft;
  const zone = draft.zone!;
  const image = zone.image!;
  const { match, node } = found;
  const isNode = match === MATCH.exact || match === MATCH.wildcard;
  if (!isNode && !isParentSideDs(image, query.name, found, query.qtype)) {
    if (match === MATCH.missing) return recallTemplate(draft, zone.missing);
    return match === MATCH.referral && recallTemplate(draft, zone.byCut.get(node));
  }
  const flags = image.nodes[node * NODE_WORDS + NODE.flags]!;
  if ((flags & NODE_FLAG.cname) !== 0 && query.qtype !== TYPE.CNAME && query.qtype !== TYPE.ANY) {
    return recallTemplate(draft, recallChain(steering, zone, image, node, query.qtype));
  }
  const isPlain = (flags & NODE_IS_SPECIAL) === 0 && query.qtype !== TYPE.ANY;
  const rrset = isPlain ? findRrset(image, node, query.qtype) : selectRrset(steering, zone, image, node, query.qtype);
  if (rrset === NO_RRSET) return recallTemplate(draft, zone.nodata);
  if (rrset < 0) return false;
  if (image.rrsets[rrset * RRSET_WORDS + RRSET.readyOctets] !== 0) {
    draft.readyRrset = rrset;
    return true;
  }
  if (!isAliasRrset(image, rrset)) return recallTemplate(draft, zone.byRrset.get(rrset));
  if (query.qtype === TYPE.ANY) return false;
  return recallTemplate(draft, zone.byAlias.get(node * 2 + (query.qtype === TYPE.AAAA ? 1 : 0)));
}

function recallTemplate(draft: Draft, template: Template | undefined): boolean {
  draft.template = template;
  return template !== undefined;
}

/** @param node has a CNAME */
function recallChain(
  steering: Steering,
  zone: ServedZone,
  image: ZoneImage,
  node: number,
  qtype: number,
): Template | undefined {
  const chain = zone.chains.get(node);
  if (chain === undefined) return undefined;
  if (chain.endMatch === MATCH.exact || chain.endMatch === MATCH.wildcard) {
    return chain.templates.get(selectRrset(steering, zone, image, chain.endNode, qtype));
  }
  // The chain may end at a cut, whose DS is ours.
  return qtype === TYPE.DS ? undefined : chain.templates.get(NO_RRSET);
}

/** Keeps what the walk has just planned, where it says that it may be kept. */
export function remember(walker: Walker, zone: ServedZone, template: Template): void {
  if (++zone.templateCount > MAX_TEMPLATES) forgetAll(zone);
  switch (walker.keep) {
    case KEEP.byRrset:
      zone.byRrset.set(walker.keepAt, template);
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

function forgetAll(zone: ServedZone): void {
  zone.byRrset.clear();
  zone.byCut.clear();
  zone.byAlias.clear();
  zone.chains.clear();
  zone.templateCount = 1;
}
