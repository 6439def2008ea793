/**
 * EDNS(0): sizes, flags, option codes and extended errors (RFC 6891; IANA "DNS EDNS0 Option Codes", RFC 8914 §5.2).
 * @module
 */

/**
 * EDNS payload size that we advertise and never exceed, in octets: 1280 (IPv6 minimum MTU, RFC 8200 §5)
 * − 40 (IPv6 header) − 8 (UDP header). An answer is then never fragmented; a larger one sets TC and the client
 * comes back over TCP (RFC 9715).
 */
export const MAX_UDP_PAYLOAD_OCTETS = 1232;
/** What a client without EDNS takes, and the least that one with EDNS counts as (RFC 6891 §6.2.5). */
export const MIN_UDP_PAYLOAD_OCTETS = 512;
/** Largest message over TCP: the length field has 16 bits (RFC 1035 §4.2.2). */
export const MAX_TCP_MESSAGE_OCTETS = 65_535;

/** OPT without options: root owner 1, type 2, payload size 2, extended RCODE and version 2, flags 2, rdlength 2. */
export const OPT_OCTETS = 11;

export const OPTION = {
  NSID: 3, // RFC 5001
  DAU: 5, // RFC 6975
  DHU: 6,
  N3U: 7,
  CLIENT_SUBNET: 8, // RFC 7871
  EXPIRE: 9, // RFC 7314
  COOKIE: 10, // RFC 7873
  TCP_KEEPALIVE: 11, // RFC 7828
  PADDING: 12, // RFC 7830
  CHAIN: 13, // RFC 7901
  KEY_TAG: 14, // RFC 8145
  EXTENDED_ERROR: 15, // RFC 8914
  REPORT_CHANNEL: 18, // RFC 9567
  ZONEVERSION: 19, // RFC 9660
} as const;

/** ADDRESS FAMILY of a client-subnet option (RFC 7871 §6; IANA "Address Family Numbers"). */
export const ECS_FAMILY = { ipv4: 1, ipv6: 2 } as const;

/** Extended DNS error codes (RFC 8914 §4). */
export const EDE = {
  OTHER: 0,
  STALE_ANSWER: 3,
  FORGED_ANSWER: 4,
  CACHED_ERROR: 13,
  NOT_READY: 14,
  BLOCKED: 15,
  FILTERED: 17,
  PROHIBITED: 18,
  NOT_AUTHORITATIVE: 20,
  NOT_SUPPORTED: 21,
  NETWORK_ERROR: 23,
  INVALID_DATA: 24,
  SYNTHESIZED: 29,
  INVALID_QUERY_TYPE: 30, // RFC 9824 §8
} as const;
