/**
 * Step "fit", always the last: makes the draft a message of at most the size that the client takes.
 *
 * What does not fit goes in this order: the extended error, sibling glue, all records (TC=1 with question and OPT only:
 * RFC 2181 §9, RFC 6891 §6.1.1).
 * @module
 */
import { type Draft, NO_EDE, VERDICT, type Verdict } from "#dns/answer/draft.ts";
import { type OptSettings, optOctets, writeOpt } from "#dns/answer/opt.ts";
import { writeTsigError } from "#dns/answer/tsig.ts";
import { MAX_TCP_MESSAGE_OCTETS, MAX_UDP_PAYLOAD_OCTETS, MIN_UDP_PAYLOAD_OCTETS } from "#dns/wire/edns.ts";
import { FLAGS, FLAGS2, HEADER, HEADER_OCTETS, OPCODE_SHIFT } from "#dns/wire/header.ts";
import { OPCODE, RCODE } from "#dns/wire/rcodes.ts";

/** What a response to this query may measure, in octets. */
export function responseLimit(draft: Draft): number {
  const { query } = draft;
  // Comparisons, for `Math.min` reckons in floating point here.
  let limit: number = MAX_TCP_MESSAGE_OCTETS;
  if (draft.isUdp) {
    limit = MIN_UDP_PAYLOAD_OCTETS;
    if (query.hasEdns && query.payloadOctets > limit) limit = query.payloadOctets;
    if (limit > MAX_UDP_PAYLOAD_OCTETS) limit = MAX_UDP_PAYLOAD_OCTETS;
  }
  return limit < draft.out.length ? limit : draft.out.length;
}

export function fit(draft: Draft, settings: OptSettings): Verdict {
  const { query } = draft;
  let tail = optOctets(draft, settings);
  if (draft.end + tail > draft.limitOctets) {
    if (draft.ede !== NO_EDE) {
      draft.ede = NO_EDE;
      tail = optOctets(draft, settings);
    }
    if (draft.end + tail > draft.limitOctets) {
      if (draft.neededEnd < draft.end) {
        draft.end = draft.neededEnd;
        draft.additionalCount = draft.neededAdditional;
      }
      if (draft.end + tail > draft.limitOctets) draft.isTruncated = true;
    }
  }
  if (draft.isTruncated) dropRecords(draft);
  if (query.hasEdns) {
    draft.end = writeOpt(draft, settings, draft.end);
    draft.additionalCount++;
  }
  if (draft.hasTsig) {
    const end = writeTsigError(draft, draft.end);
    if (end < 0) draft.isTruncated = true;
    else {
      draft.end = end;
      draft.additionalCount++;
    }
  }
  writeHeader(draft);
  return VERDICT.done;
}

/** Question and OPT only; the RCODE says nothing of what was cut off. */
export function dropRecords(draft: Draft): void {
  draft.end = draft.hasQuestion ? draft.query.questionEnd : HEADER_OCTETS;
  draft.answerCount = 0;
  draft.authorityCount = 0;
  draft.additionalCount = 0;
  if (draft.rcode === RCODE.NXDOMAIN || draft.rcode === RCODE.YXDOMAIN) draft.rcode = RCODE.NOERROR;
}

/**
 * ID, opcode and, for QUERY, RD and CD are the client's (RFC 4035 §3.1.6); RA, AD and Z are 0. The question goes back
 * octet for octet: resolvers compare its case.
 */
export function writeHeader(draft: Draft): void {
  const { out, request, query } = draft;
  const isQuery = query.opcode === OPCODE.QUERY;
  out[HEADER.id] = request[HEADER.id]!;
  out[HEADER.id + 1] = request[HEADER.id + 1]!;
  out[HEADER.flags] =
    FLAGS.qr |
    (query.opcode << OPCODE_SHIFT) |
    (draft.isAuthoritative ? FLAGS.aa : 0) |
    (draft.isTruncated ? FLAGS.tc : 0) |
    (isQuery ? request[HEADER.flags]! & FLAGS.rd : 0);
  out[HEADER.flags2] = (isQuery ? request[HEADER.flags2]! & FLAGS2.cd : 0) | (draft.rcode & FLAGS2.rcode);
  out[HEADER.qdcount] = 0;
  out[HEADER.qdcount + 1] = draft.hasQuestion ? 1 : 0;
  out[HEADER.ancount] = draft.answerCount >>> 8;
  out[HEADER.ancount + 1] = draft.answerCount & 0xff;
  out[HEADER.nscount] = draft.authorityCount >>> 8;
  out[HEADER.nscount + 1] = draft.authorityCount & 0xff;
  out[HEADER.arcount] = draft.additionalCount >>> 8;
  out[HEADER.arcount + 1] = draft.additionalCount & 0xff;
  if (draft.hasQuestion) {
    const { questionEnd } = query;
    for (let at: number = HEADER_OCTETS; at < questionEnd; at++) out[at] = request[at]!;
  }
}
