/**
 * The request parser: octets → one reused `Query`, checked to the last octet.
 *
 * Owns:    bounds, the question, EDNS options and the TSIG of a request (rows 6 to 12 of the order of decisions need
 *          them). What to answer is decided in `dns/answer/screen.ts`.
 * Never:   throws, allocates, or makes a string. Whatever it is handed costs at most one pass over the message.
 * @module
 */
import { CLASS } from "#dns/wire/classes.ts";
import { OPTION } from "#dns/wire/edns.ts";
import { HEADER_OCTETS, OPCODE_SHIFT } from "#dns/wire/header.ts";
import { MAX_NAME_OCTETS, MAX_POINTER_HOPS } from "#dns/wire/name.ts";
import { createNameKey, hashName, type NameKey } from "#dns/wire/name-key.ts";
import { TYPE } from "#dns/wire/types.ts";

const FAULT = -1;

export type Query = {
  opcode: number;
  /** As the header says; `hasQuestion` tells whether the first one could be read. */
  questionCount: number;
  hasQuestion: boolean;
  /** All but its `octets`, which `lowerOctets` fills in for who wants them. */
  readonly name: NameKey;
  qtype: number;
  qclass: number;
  /** Offset just past the first question. */
  questionEnd: number;
  /** A well-formed OPT record was seen, even if the message is broken after it. */
  hasEdns: boolean;
  ednsVersion: number;
  /** What the client can take, in octets, as it says. */
  payloadOctets: number;
  isDo: boolean;
  /** Octets of all options; 0: there are none, as most queries have it. */
  optionOctets: number;
  hasNsid: boolean;
  hasKeepalive: boolean;
  /** First COOKIE option: offset and octets of its data; -1 when there is none. */
  cookieAt: number;
  cookieOctets: number;
  /** First ECS option (RFC 7871 §6): offset and octets of its data; -1 when there is none. */
  ecsAt: number;
  ecsOctets: number;
  /** TSIG as last record (RFC 8945 §4.2): offsets of its owner and its rdata; -1 when there is none. */
  tsigAt: number;
  tsigRdataAt: number;
};

export const createQuery = (): Query => ({
  opcode: 0,
  questionCount: 0,
  hasQuestion: false,
  name: createNameKey(),
  qtype: 0,
  qclass: 0,
  questionEnd: HEADER_OCTETS,
  hasEdns: false,
  ednsVersion: 0,
  payloadOctets: 0,
  isDo: false,
  optionOctets: 0,
  hasNsid: false,
  hasKeepalive: false,
  cookieAt: -1,
  cookieOctets: 0,
  ecsAt: -1,
  ecsOctets: 0,
  tsigAt: -1,
  tsigRdataAt: -1,
});

function resetQuery(query: Query): void {
  query.opcode = 0;
  query.questionCount = 0;
  query.hasQuestion = false;
  query.qtype = 0;
  query.qclass = 0;
  query.questionEnd = HEADER_OCTETS;
  query.hasEdns = false;
  query.ednsVersion = 0;
  query.payloadOctets = 0;
  query.isDo = false;
  query.optionOctets = 0;
  query.hasNsid = false;
  query.hasKeepalive = false;
  query.cookieAt = -1;
  query.cookieOctets = 0;
  query.ecsAt = -1;
  query.ecsOctets = 0;
  query.tsigAt = -1;
  query.tsigRdataAt = -1;
}

/**
 * Parses a request of at least `HEADER_OCTETS` octets.
 *
 * @param seed of the name hash
 * @param query filled in; what was read before a fault stays, so that the error response can say it back
 * @returns false where any counted record cannot be parsed, where OPT or TSIG stand where they must not, and where
 *   octets follow the counted records: FORMERR
 */
export function parseQuery(message: Uint8Array, length: number, seed: number, query: Query): boolean {
  resetQuery(query);
  query.opcode = (message[2]! >> OPCODE_SHIFT) & 15;
  const questionCount = (message[4]! << 8) | message[5]!;
  query.questionCount = questionCount;
  let at: number = HEADER_OCTETS;
  if (questionCount > 0) {
    at = hashName(message, at, length, seed, query.name);
    if (at < 0 || at + 4 > length) return false;
    query.qtype = (message[at]! << 8) | message[at + 1]!;
    query.qclass = (message[at + 2]! << 8) | message[at + 3]!;
    at += 4;
    query.questionEnd = at;
    query.hasQuestion = true;
    for (let extra = 1; extra < questionCount; extra++) {
      at = checkName(message, at, length);
      if (at < 0 || at + 4 > length) return false;
      at += 4;
    }
  }
  const before = ((message[6]! << 8) | message[7]!) + ((message[8]! << 8) | message[9]!);
  for (let record = 0; record < before; record++) {
    const fixed = checkName(message, at, length);
    if (fixed < 0 || fixed + 10 > length) return false;
    const type = (message[fixed]! << 8) | message[fixed + 1]!;
    if (type === TYPE.OPT || type === TYPE.TSIG) return false;
    at = fixed + 10 + ((message[fixed + 8]! << 8) | message[fixed + 9]!);
    if (at > length) return false;
  }
  const additional = (message[10]! << 8) | message[11]!;
  for (let record = 0; record < additional; record++) {
    const fixed = message[at] === 0 ? at + 1 : checkName(message, at, length); // the owner of OPT is the root
    if (fixed < 0 || fixed + 10 > length) return false;
    const type = (message[fixed]! << 8) | message[fixed + 1]!;
    const end = fixed + 10 + ((message[fixed + 8]! << 8) | message[fixed + 9]!);
    if (end > length) return false;
    if (type === TYPE.OPT) {
      // A second OPT, or an owner other than the root (RFC 6891 §6.1.1, §6.1.2).
      if (query.hasEdns || message[at] !== 0) return false;
      if (!readOpt(message, fixed, end, query)) return false;
    } else if (type === TYPE.TSIG) {
      if (record !== additional - 1 || !isTsig(message, fixed, end)) return false;
      query.tsigAt = at;
      query.tsigRdataAt = fixed + 10;
    }
    at = end;
  }
  return at === length;
}

function readOpt(message: Uint8Array, fixed: number, end: number, query: Query): boolean {
  let nsid = false;
  let keepalive = false;
  let cookieAt = -1;
  let cookieOctets = 0;
  let ecsAt = -1;
  let ecsOctets = 0;
  for (let at = fixed + 10; at < end; ) {
    if (at + 4 > end) return false;
    const code = (message[at]! << 8) | message[at + 1]!;
    const octets = (message[at + 2]! << 8) | message[at + 3]!;
    at += 4;
    if (at + octets > end) return false;
    if (code === OPTION.COOKIE) {
      if (cookieAt < 0) {
        cookieAt = at; // only the first counts (RFC 7873 §5.2)
        cookieOctets = octets;
      }
    } else if (code === OPTION.CLIENT_SUBNET) {
      if (ecsAt < 0) {
        ecsAt = at;
        ecsOctets = octets;
      }
    } else if (code === OPTION.NSID) nsid = true;
    else if (code === OPTION.TCP_KEEPALIVE) keepalive = octets === 0; // RFC 7828 §3.2.1: a client sends it empty
    at += octets;
  }
  query.hasEdns = true;
  query.payloadOctets = (message[fixed + 2]! << 8) | message[fixed + 3]!;
  query.ednsVersion = message[fixed + 5]!;
  query.optionOctets = end - fixed - 10;
  query.isDo = (message[fixed + 6]! & 0x80) !== 0;
  query.hasNsid = nsid;
  query.hasKeepalive = keepalive;
  query.cookieAt = cookieAt;
  query.cookieOctets = cookieOctets;
  query.ecsAt = ecsAt;
  query.ecsOctets = ecsOctets;
  return true;
}

/** RFC 8945 §4.2: class ANY, TTL 0, an uncompressed algorithm name, and lengths that fill the rdata exactly. */
function isTsig(message: Uint8Array, fixed: number, end: number): boolean {
  if (((message[fixed + 2]! << 8) | message[fixed + 3]!) !== CLASS.ANY) return false;
  if ((message[fixed + 4]! | message[fixed + 5]! | message[fixed + 6]! | message[fixed + 7]!) !== 0) return false;
  const afterName = skipPlainName(message, fixed + 10, end);
  const macAt = afterName + 10; // time signed 6, fudge 2, MAC size 2
  if (afterName < 0 || macAt > end) return false;
  const afterMac = macAt + ((message[macAt - 2]! << 8) | message[macAt - 1]!);
  const otherAt = afterMac + 6; // original id 2, error 2, other length 2
  if (otherAt > end) return false;
  return otherAt + ((message[otherAt - 2]! << 8) | message[otherAt - 1]!) === end;
}

/** Steps over a name without pointers. @returns the offset past it, or -1 */
function skipPlainName(message: Uint8Array, at: number, end: number): number {
  const start = at;
  for (;;) {
    if (at >= end) return FAULT;
    const length = message[at]!;
    at += 1 + length;
    if (length === 0) return at;
    if (length > 63 || at - start >= MAX_NAME_OCTETS) return FAULT;
  }
}

/**
 * Steps over a name that may end in a pointer, and checks all of it (RFC 1035 §4.1.4): pointers lead backwards, to
 * behind the header, and the name as a whole stays within 255 octets.
 *
 * @returns the offset just past the name where it stands, or -1
 */
export function checkName(message: Uint8Array, at: number, end: number): number {
  let after = -1;
  let octets = 0;
  let before = at; // a pointer must lead in front of where the run of labels that it ends began
  for (let hops = 0; ; ) {
    if (at >= end) return FAULT;
    const length = message[at]!;
    if (length >= 0xc0) {
      if (at + 2 > end || ++hops > MAX_POINTER_HOPS) return FAULT;
      const target = ((length & 0x3f) << 8) | message[at + 1]!;
      if (target < HEADER_OCTETS || target >= before) return FAULT;
      if (after < 0) after = at + 2;
      at = target;
      before = target;
      continue;
    }
    if (length > 63) return FAULT; // 0x40 and 0x80 are reserved
    octets += 1 + length;
    if (octets > MAX_NAME_OCTETS) return FAULT;
    at += 1 + length;
    if (length === 0) return after < 0 ? at : after;
  }
}
