/**
 * The usual query in one pass: over UDP, one question of class IN for a name that exists, no EDNS options but a client
 * subnet, and an answer that is ready in the zone's image or comes from a service.
 *
 * Owns:    nothing of what is answered: `respond.ts` and its steps say that. This is the same, written out as one
 *          function without a draft between the steps, because it is what a server does all day: it costs half as much.
 *          A property test holds that both give the same octets, counters and questions to the guard.
 * Never:   answers what it is not sure of: it declines before anything has changed, and the steps take over. What it has
 *          asked by then, of steering and of the guard, it leaves in the draft, so that nobody is asked twice.
 * @module
 */
import type { Draft } from "#dns/answer/draft.ts";
import { isEcsValid } from "#dns/answer/opt.ts";
import { serviceOf } from "#dns/answer/select.ts";
import { fillSteerClient } from "#dns/answer/steer-client.ts";
import { STEERED, type Steering } from "#dns/answer/steering.ts";
import type { ZoneSet } from "#dns/answer/zone-set.ts";
import { CLASS } from "#dns/wire/classes.ts";
import { MAX_UDP_PAYLOAD_OCTETS, MIN_UDP_PAYLOAD_OCTETS, OPT_OCTETS, OPTION } from "#dns/wire/edns.ts";
import { FLAGS, FLAGS2, HEADER, HEADER_OCTETS, OPCODE_SHIFT } from "#dns/wire/header.ts";
import { hashName } from "#dns/wire/name-key.ts";
import { OPCODE, RCODE } from "#dns/wire/rcodes.ts";
import { TYPE } from "#dns/wire/types.ts";
import { findRrset, IMAGE_TYPE, NODE, NODE_FLAG, NODE_WORDS, RECORD, RRSET, RRSET_WORDS } from "#dns/zone/image.ts";
import { findName } from "#dns/zone/lookup.ts";
import { DNS_COUNTER, qtypeSlot } from "#state/counters.ts";
import { COOKIE, type Guard, LIMIT, RESPONSE_KIND } from "#state/guard.ts";
import type { Client } from "#state/respond.ts";

/** The steps have to answer this one. */
export const DECLINED = -1;

const OPTION_HEADER_OCTETS = 4;

export type AnswerDirectly = (
  request: Uint8Array,
  length: number,
  client: Client,
  out: Uint8Array,
  draft: Draft,
) => number;

/**
 * @param options.ecs whether client subnets are heeded
 * @returns a function that answers a query of at least `HEADER_OCTETS` octets that came over UDP and was admitted: octets
 *   written to `out`, 0: the guard says that nothing is sent, or `DECLINED`
 */
export function createDirect(options: {
  zones: ZoneSet;
  steering: Steering;
  guard: Guard;
  counters: Float64Array;
  ecs: boolean;
}): AnswerDirectly {
  const { zones, steering, guard, counters, ecs } = options;
  const { seed } = zones;
  return (request, length, client, out, draft) => {
    // Header: a standard query, one question, nothing in answer and authority, at most OPT in additional.
    const opcode = (request[HEADER.flags]! >> OPCODE_SHIFT) & 15;
    const others =
      request[4]! | (request[5]! ^ 1) | request[6]! | request[7]! | request[8]! | request[9]! | request[10]!;
    const additional = request[11]!;
    if ((opcode | others) !== 0 || additional > 1) return DECLINED;

    // Question
    const { query } = draft;
    const { name } = query;
    const afterName = hashName(request, HEADER_OCTETS, length, seed, name);
    const questionEnd = afterName + 4;
    if (afterName < 0 || questionEnd > length) return DECLINED;
    const qtype = (request[afterName]! << 8) | request[afterName + 1]!;
    const qclass = (request[afterName + 2]! << 8) | request[afterName + 3]!;
    if (qclass !== CLASS.IN || qtype === TYPE.DS || (qtype >= TYPE.NXNAME && qtype <= TYPE.ANY)) return DECLINED;

    // OPT
    let limitOctets = MIN_UDP_PAYLOAD_OCTETS;
    let ecsAt = -1;
    let ecsOctets = 0;
    let isDo = 0;
    if (additional === 0) {
      if (questionEnd !== length) return DECLINED;
    } else {
      const options = questionEnd + OPT_OCTETS;
      if (options > length || request[questionEnd] !== 0) return DECLINED;
      if (request[questionEnd + 1] !== 0 || request[questionEnd + 2] !== TYPE.OPT) return DECLINED;
      if (request[questionEnd + 6] !== 0) return DECLINED; // EDNS version
      if (options + ((request[questionEnd + 9]! << 8) | request[questionEnd + 10]!) !== length) return DECLINED;
      const payload = (request[questionEnd + 3]! << 8) | request[questionEnd + 4]!;
      if (payload > limitOctets) limitOctets = payload < MAX_UDP_PAYLOAD_OCTETS ? payload : MAX_UDP_PAYLOAD_OCTETS;
      isDo = request[questionEnd + 7]! & 0x80;
      if (options !== length) {
        const data = options + OPTION_HEADER_OCTETS;
        if (!ecs || data > length || request[options] !== 0 || request[options + 1] !== OPTION.CLIENT_SUBNET) {
          return DECLINED;
        }
        ecsOctets = (request[options + 2]! << 8) | request[options + 3]!;
        if (data + ecsOctets !== length || !isEcsValid(request, data, ecsOctets)) return DECLINED;
        ecsAt = data;
      }
    }
    if (limitOctets > out.length) limitOctets = out.length;

    // Name: one comparison tells zone and node
    const zone = zones.guess(name);
    const image = zone?.image;
    if (zone === undefined || image === undefined) return DECLINED;
    const nameHash = name.hashes[0]!;
    const node = findName(image, nameHash, request, HEADER_OCTETS, name.length);
    if (node < 0 || image.nodes[node * NODE_WORDS + NODE.barrier]! >= 0) return DECLINED;
    const flags = image.nodes[node * NODE_WORDS + NODE.flags]!;
    if ((flags & NODE_FLAG.cname) !== 0) return DECLINED;

    // Which records: a service's, or an RRset that is ready
    let service = -1;
    let rrset = -1;
    if ((flags & NODE_FLAG.steer) !== 0 && (qtype === TYPE.A || qtype === TYPE.AAAA)) {
      service = serviceOf(zone, image, findRrset(image, node, IMAGE_TYPE.steer));
      if (service < 0 || !steering.hasType(service, qtype)) return DECLINED;
    } else {
      rrset = findRrset(image, node, qtype) * RRSET_WORDS;
      if (rrset < 0 || image.rrsets[rrset + RRSET.readyOctets] === 0) return DECLINED;
    }

    // What is said back should steering fail.
    query.opcode = OPCODE.QUERY;
    query.hasQuestion = true;
    query.questionEnd = questionEnd;

    counters[DNS_COUNTER.queries_udp]! += 1;
    if (client.isIpv6) counters[DNS_COUNTER.queries_ipv6]! += 1;
    if (additional !== 0) counters[DNS_COUNTER.queries_edns]! += 1;
    if (ecsAt >= 0) counters[DNS_COUNTER.queries_ecs]! += 1;
    counters[qtypeSlot(qtype)]! += 1;
    draft.isCounted = true;

    let records = image.rdata;
    let from = 0;
    let octets: number;
    let count: number;
    let stride = 0;
    let scopeBits = 0;
    if (service >= 0) {
      const { steered, steerClient } = draft;
      fillSteerClient(steerClient, client, request, ecsAt, ecsOctets);
      steering.resolve(service, qtype, steerClient, draft.nowMs!, steered);
      draft.isSteered = true;
      if (steered.status !== STEERED.answer) return DECLINED;
      records = steered.records;
      count = steered.count;
      stride = steered.stride;
      octets = count * stride;
      scopeBits = steered.scopeBits;
    } else {
      octets = image.rrsets[rrset + RRSET.readyOctets]!;
      from = image.rrsets[rrset + RRSET.rdataAt]!;
      count = image.rrsets[rrset + RRSET.count]!;
    }
    const recordsEnd = questionEnd + octets;
    let end = recordsEnd;
    if (additional !== 0) end += OPT_OCTETS + (ecsOctets > 0 ? OPTION_HEADER_OCTETS + ecsOctets : 0);
    if (end > limitOctets) return DECLINED;

    const limit = guard.limit(client, nameHash, RESPONSE_KIND.answer, end, length, COOKIE.ignored, draft.nowMs!);
    if (limit !== LIMIT.send && limit !== LIMIT.drop) {
      draft.limit = limit;
      return DECLINED;
    }

    if (limit === LIMIT.drop) return 0;
    counters[DNS_COUNTER.rcode_noerror]! += 1;
    counters[DNS_COUNTER.response_octets]! += end;

    out[HEADER.id] = request[HEADER.id]!;
    out[HEADER.id + 1] = request[HEADER.id + 1]!;
    out[HEADER.flags] = FLAGS.qr | FLAGS.aa | (request[HEADER.flags]! & FLAGS.rd);
    out[HEADER.flags2] = (request[HEADER.flags2]! & FLAGS2.cd) | RCODE.NOERROR;
    out[HEADER.qdcount] = 0;
    out[HEADER.qdcount + 1] = 1;
    out[HEADER.ancount] = count >>> 8;
    out[HEADER.ancount + 1] = count & 0xff;
    out[HEADER.nscount] = 0;
    out[HEADER.nscount + 1] = 0;
    out[HEADER.arcount] = 0;
    out[HEADER.arcount + 1] = additional;
    for (let at = HEADER_OCTETS; at < questionEnd; at++) out[at] = request[at]!;
    for (let index = 0; index < octets; index++) out[questionEnd + index] = records[from + index]!;
    if (stride > 0) {
      const { ttlSeconds } = draft.steered;
      for (let ttl = questionEnd + RECORD.ttl; ttl < recordsEnd; ttl += stride) {
        out[ttl] = ttlSeconds >>> 24;
        out[ttl + 1] = (ttlSeconds >>> 16) & 0xff;
        out[ttl + 2] = (ttlSeconds >>> 8) & 0xff;
        out[ttl + 3] = ttlSeconds & 0xff;
      }
    }
    if (additional === 0) return end;
    out[recordsEnd] = 0;
    out[recordsEnd + 1] = 0;
    out[recordsEnd + 2] = TYPE.OPT;
    out[recordsEnd + 3] = MAX_UDP_PAYLOAD_OCTETS >>> 8;
    out[recordsEnd + 4] = MAX_UDP_PAYLOAD_OCTETS & 0xff;
    out[recordsEnd + 5] = 0;
    out[recordsEnd + 6] = 0;
    out[recordsEnd + 7] = isDo;
    out[recordsEnd + 8] = 0;
    out[recordsEnd + 9] = 0;
    out[recordsEnd + 10] = ecsOctets > 0 ? OPTION_HEADER_OCTETS + ecsOctets : 0;
    if (ecsOctets === 0) return end;
    const option = recordsEnd + OPT_OCTETS;
    out[option] = 0;
    out[option + 1] = OPTION.CLIENT_SUBNET;
    out[option + 2] = 0;
    out[option + 3] = ecsOctets;
    for (let index = 0; index < ecsOctets; index++) out[option + 4 + index] = request[ecsAt + index]!;
    out[option + 7] = scopeBits;
    return end;
  };
}
