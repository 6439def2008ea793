/**
 * Step "fill": copies the chosen records behind the question, out of the zone's image or a template, and the addresses of
 * a service behind those.
 *
 * Owns:    TTL and owner of steered records, AA and RCODE, and what the guard is told of the response.
 * Never:   chooses addresses: `Steering` does. It is asked once for each response.
 * @module
 */
import type { Choose } from "#dns/answer/choose.ts";
import { type Draft, refuseWith, type Step, VERDICT, type Verdict } from "#dns/answer/draft.ts";
import { steeredType } from "#dns/answer/select.ts";
import { fillSteerClient } from "#dns/answer/steer-client.ts";
import { STEERED, type Steering } from "#dns/answer/steering.ts";
import { copyTemplate, type Template } from "#dns/answer/template.ts";
import { EDE } from "#dns/wire/edns.ts";
import { POINTER_TO_QNAME } from "#dns/wire/header.ts";
import { RCODE } from "#dns/wire/rcodes.ts";
import { RRSET, RRSET_WORDS } from "#dns/zone/image.ts";
import { RESPONSE_KIND } from "#state/guard.ts";
import type { ZoneImage } from "#state/zone-image.ts";

/** Octet of a record's TTL behind an owner that is a pointer. */
const TTL_AT = 6;

export function createFill(options: { steering: Steering; choose: Choose }): Step {
  const { steering, choose } = options;
  return (draft) => {
    if (draft.readyRrset >= 0) {
      copyReady(draft, draft.zone!.image!, draft.readyRrset);
      return VERDICT.continue;
    }
    copyRecords(draft, draft.template!);
    if (draft.template!.service < 0) return VERDICT.continue;
    return fillSteered(draft, draft.template!);
  };

  function fillSteered(draft: Draft, template: Template): Verdict {
    const { steered, query } = draft;
    const { service } = template;
    if (!draft.isSteered) {
      const { steerClient, client, request } = draft;
      fillSteerClient(steerClient, client, request, draft.hasEcs ? query.ecsAt : -1, query.ecsOctets);
      steering.resolve(service, steeredType(steering, service, query.qtype), steerClient, draft.nowMs!, steered);
    }
    draft.scopeBits = steered.scopeBits;
    if (steered.status === STEERED.servfail) {
      clearRecords(draft);
      return refuseWith(draft, RCODE.SERVFAIL, EDE.NOT_READY);
    }
    if (steered.status === STEERED.nodata) {
      clearRecords(draft);
      const verdict = choose.chooseEmpty(draft, steering.ttlMinSeconds(service));
      if (verdict === VERDICT.done) return verdict;
      copyRecords(draft, draft.template!);
      return VERDICT.continue;
    }
    appendSteered(draft, template);
    return VERDICT.continue;
  }
}

/** A positive answer whose records are sent as they stand in the image. */
function copyReady(draft: Draft, image: ZoneImage, rrset: number): void {
  const { out, query } = draft;
  const { rdata, rrsets } = image;
  const word = rrset * RRSET_WORDS;
  const octets = rrsets[word + RRSET.readyOctets]!;
  const to = query.questionEnd;
  draft.rcode = RCODE.NOERROR;
  draft.isAuthoritative = true;
  draft.kind = RESPONSE_KIND.answer;
  draft.nameHash = query.name.hashes[0]!;
  if (to + octets > draft.limitOctets) {
    draft.isTruncated = true;
    return;
  }
  const from = rrsets[word + RRSET.rdataAt]!;
  for (let index = 0; index < octets; index++) out[to + index] = rdata[from + index]!;
  draft.end = to + octets;
  draft.neededEnd = draft.end;
  draft.answerCount = rrsets[word + RRSET.count]!;
}

function copyRecords(draft: Draft, template: Template): void {
  const { query } = draft;
  draft.rcode = template.rcode;
  draft.isAuthoritative = template.isAuthoritative;
  draft.kind = template.kind;
  // One bucket for each zone's negative answers and referrals, so that random names share it.
  draft.nameHash = template.kind === RESPONSE_KIND.answer ? query.name.hashes[0]! : draft.zone!.apexHash;
  const end = copyTemplate(template, draft.out, query.questionEnd, query.name.length, draft.limitOctets);
  if (end < 0) {
    // What must be there may still fit where sibling glue does not.
    draft.isTruncated = !copyNeeded(draft, template);
    return;
  }
  draft.end = end;
  draft.answerCount = template.answerCount;
  draft.authorityCount = template.authorityCount;
  draft.additionalCount = template.additionalCount;
  draft.neededEnd = query.questionEnd + template.neededOctets;
  draft.neededAdditional = template.neededAdditional;
}

function copyNeeded(draft: Draft, template: Template): boolean {
  const { neededOctets } = template;
  if (neededOctets === template.octets.length) return false;
  const { query, limitOctets } = draft;
  const end = copyTemplate(template, draft.out, query.questionEnd, query.name.length, limitOctets, neededOctets);
  if (end < 0) return false;
  draft.end = end;
  draft.answerCount = template.answerCount;
  draft.authorityCount = template.authorityCount;
  draft.additionalCount = template.neededAdditional;
  draft.neededEnd = end;
  draft.neededAdditional = template.neededAdditional;
  return true;
}

function appendSteered(draft: Draft, template: Template): void {
  const { out, steered, query } = draft;
  const { records, count, stride, ttlSeconds } = steered;
  const octets = count * stride;
  const at = draft.end;
  if (draft.isTruncated || at + octets > draft.limitOctets) {
    draft.isTruncated = true;
    return;
  }
  for (let index = 0; index < octets; index++) out[at + index] = records[index]!;
  const isQname = template.steerOwner === POINTER_TO_QNAME;
  const owner = isQname ? POINTER_TO_QNAME : template.steerOwner + query.name.length - template.baseOctets;
  for (let record = at; record < at + octets; record += stride) {
    if (!isQname) {
      out[record] = owner >>> 8;
      out[record + 1] = owner & 0xff;
    }
    out[record + TTL_AT] = ttlSeconds >>> 24;
    out[record + TTL_AT + 1] = (ttlSeconds >>> 16) & 0xff;
    out[record + TTL_AT + 2] = (ttlSeconds >>> 8) & 0xff;
    out[record + TTL_AT + 3] = ttlSeconds & 0xff;
  }
  draft.end = at + octets;
  draft.answerCount += count;
  draft.neededEnd = draft.end;
}

function clearRecords(draft: Draft): void {
  draft.end = draft.query.questionEnd;
  draft.answerCount = 0;
  draft.authorityCount = 0;
  draft.additionalCount = 0;
  draft.neededEnd = draft.end;
  draft.neededAdditional = 0;
  draft.isTruncated = false;
}
