/**
 * The OPT record of a response (RFC 6891 §6.1.1): how long it gets, and writing it.
 *
 * Options in this order: NSID, COOKIE, client subnet, keepalive, extended error. Options that we do not know are never
 * echoed.
 * @module
 */
import { type Draft, NO_EDE } from "#dns/answer/draft.ts";
import { MAX_UDP_PAYLOAD_OCTETS, OPT_OCTETS, OPTION } from "#dns/wire/edns.ts";
import { RCODE } from "#dns/wire/rcodes.ts";
import { TYPE } from "#dns/wire/types.ts";
import { COOKIE, COOKIE_OCTETS, type Guard } from "#state/guard.ts";

const OPTION_HEADER_OCTETS = 4;
const EDE_OPTION_OCTETS = OPTION_HEADER_OCTETS + 2;
const KEEPALIVE_OPTION_OCTETS = OPTION_HEADER_OCTETS + 2;

export type OptSettings = {
  readonly guard: Guard;
  readonly nsid: Uint8Array;
  /** Idle time that TCP clients may count on, in units of 100 ms (RFC 7828 §3.1). */
  readonly keepaliveUnits: number;
};

/**
 * OPT without options: for a query without any, where we have nothing to say of our own; and for a version that we do not
 * speak (RFC 6891 §6.1.3).
 */
const isBare = (draft: Draft): boolean =>
  (draft.query.optionOctets === 0 && draft.ede === NO_EDE) || draft.rcode === RCODE.BADVERS;
const hasCookie = (draft: Draft): boolean => draft.cookie >= COOKIE.fresh;
const hasKeepalive = (draft: Draft): boolean => draft.query.hasKeepalive && !draft.isUdp;

/** @returns octets that `writeOpt` will write */
export function optOctets(draft: Draft, settings: OptSettings): number {
  const { query } = draft;
  if (!query.hasEdns) return 0;
  if (isBare(draft)) return OPT_OCTETS;
  let octets = OPT_OCTETS;
  if (query.hasNsid && settings.nsid.length > 0) octets += OPTION_HEADER_OCTETS + settings.nsid.length;
  if (hasCookie(draft)) octets += OPTION_HEADER_OCTETS + COOKIE_OCTETS;
  if (draft.hasEcs) octets += OPTION_HEADER_OCTETS + query.ecsOctets;
  if (hasKeepalive(draft)) octets += KEEPALIVE_OPTION_OCTETS;
  if (draft.ede !== NO_EDE) octets += EDE_OPTION_OCTETS;
  return octets;
}

/** Writes OPT at `at`. @returns the end of it */
export function writeOpt(draft: Draft, settings: OptSettings, at: number): number {
  const { out, query, request } = draft;
  out[at] = 0;
  out[at + 1] = 0;
  out[at + 2] = TYPE.OPT;
  out[at + 3] = MAX_UDP_PAYLOAD_OCTETS >>> 8;
  out[at + 4] = MAX_UDP_PAYLOAD_OCTETS & 0xff;
  out[at + 5] = draft.rcode >>> 4;
  out[at + 6] = 0;
  out[at + 7] = query.isDo ? 0x80 : 0;
  out[at + 8] = 0;
  const lengthAt = at + 9;
  at += OPT_OCTETS;
  if (!isBare(draft)) {
    if (query.hasNsid && settings.nsid.length > 0) {
      at = beginOption(out, at, OPTION.NSID, settings.nsid.length);
      for (let index = 0; index < settings.nsid.length; index++) out[at++] = settings.nsid[index]!;
    }
    if (hasCookie(draft)) {
      at = beginOption(out, at, OPTION.COOKIE, COOKIE_OCTETS);
      settings.guard.writeCookie(request, query.cookieAt, draft.client, draft.nowMs!, draft.cookie, out, at);
      at += COOKIE_OCTETS;
    }
    if (draft.hasEcs) {
      // FAMILY, SOURCE PREFIX-LENGTH and ADDRESS as they came (RFC 7871 §7.2.1).
      at = beginOption(out, at, OPTION.CLIENT_SUBNET, query.ecsOctets);
      for (let index = 0; index < query.ecsOctets; index++) out[at + index] = request[query.ecsAt + index]!;
      out[at + 3] = draft.scopeBits;
      at += query.ecsOctets;
    }
    if (hasKeepalive(draft)) {
      at = beginOption(out, at, OPTION.TCP_KEEPALIVE, 2);
      out[at++] = settings.keepaliveUnits >>> 8;
      out[at++] = settings.keepaliveUnits & 0xff;
    }
    if (draft.ede !== NO_EDE) {
      at = beginOption(out, at, OPTION.EXTENDED_ERROR, 2);
      out[at++] = draft.ede >>> 8;
      out[at++] = draft.ede & 0xff;
    }
  }
  const length = at - lengthAt - 2;
  out[lengthAt] = length >>> 8;
  out[lengthAt + 1] = length & 0xff;
  return at;
}

function beginOption(out: Uint8Array, at: number, code: number, length: number): number {
  out[at] = 0; // all our codes are below 256
  out[at + 1] = code;
  out[at + 2] = length >>> 8;
  out[at + 3] = length & 0xff;
  return at + OPTION_HEADER_OCTETS;
}

/**
 * Whether `octets` of ECS data are well-formed in a query (RFC 7871 §6, §7.1.2): a known family, a prefix that the
 * family has, exactly the octets that the prefix needs, no bits behind it, scope 0.
 */
export function isEcsValid(message: Uint8Array, at: number, octets: number): boolean {
  if (octets < 4 || message[at] !== 0 || message[at + 3] !== 0) return false;
  const family = message[at + 1]!;
  const prefixBits = message[at + 2]!;
  const familyBits = family === 1 ? 32 : family === 2 ? 128 : -1;
  if (prefixBits > familyBits || octets !== 4 + ((prefixBits + 7) >>> 3)) return false;
  const spareBits = (8 - (prefixBits & 7)) & 7;
  return (message[at + octets - 1]! & ((1 << spareBits) - 1)) === 0 || prefixBits === 0;
}
