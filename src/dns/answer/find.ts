/**
 * Step "find": the zone that encloses the question's name, and where in it the name lies (RFC 1034 §4.3.2 steps 2, 3).
 * @module
 */
import { refuseWith, type Step, VERDICT } from "#dns/answer/draft.ts";
import type { ZoneSet } from "#dns/answer/zone-set.ts";
import { EDE } from "#dns/wire/edns.ts";
import { HEADER_OCTETS } from "#dns/wire/header.ts";
import { lowerOctets } from "#dns/wire/name-key.ts";
import { RCODE } from "#dns/wire/rcodes.ts";
import { TYPE } from "#dns/wire/types.ts";
import { findName, lookup, lookupAbove, lookupAt, MATCH } from "#dns/zone/lookup.ts";

export function createFind(zones: ZoneSet): Step {
  return (draft) => {
    const { query, request } = draft;
    const { name } = query;
    // Most names exist: one comparison then tells zone and node.
    const likely = query.qtype === TYPE.DS ? undefined : zones.guess(name);
    if (likely?.image !== undefined) {
      const node = findName(likely.image, name.hashes[0]!, request, HEADER_OCTETS, name.length);
      if (node >= 0) {
        draft.zone = likely;
        lookupAt(likely.image, node, draft.lookup);
        return VERDICT.continue;
      }
    }
    lowerOctets(request, HEADER_OCTETS, name);
    let zone = zones.find(name, 0);
    if (zone === undefined) return refuseWith(draft, RCODE.REFUSED, EDE.NOT_AUTHORITATIVE);
    if (query.qtype === TYPE.DS && zone.apexLabels === name.labelCount && name.labelCount > 0) {
      // DS at an apex is the parent's, if we serve that too (RFC 4035 §3.1.4.1).
      const parent = zones.find(name, 1);
      if (parent !== undefined) {
        if (parent.image === undefined) zone = parent;
        else {
          lookup(parent.image, name, draft.lookup);
          // A parent that knows nothing of its child must not say that the child does not exist.
          if (draft.lookup.match !== MATCH.missing) {
            draft.zone = parent;
            return VERDICT.continue;
          }
        }
      }
    }
    if (zone.image === undefined) return refuseWith(draft, RCODE.SERVFAIL, EDE.NOT_READY);
    draft.zone = zone;
    if (zone === likely) lookupAbove(zone.image, name, draft.lookup);
    else lookup(zone.image, name, draft.lookup);
    return VERDICT.continue;
  };
}
