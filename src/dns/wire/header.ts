/**
 * Where things stand in a DNS message's header and around its question (RFC 1035 §4.1.1), in octets from its start, and its flag bits.
 * @module
 */
export const HEADER_OCTETS = 12;
/** Type and class of the question. */
export const QUESTION_TAIL_OCTETS = 4;
/** An owner that is the question's name (RFC 1035 §4.1.4). */
export const POINTER_TO_QNAME = 0xc000 | HEADER_OCTETS;

export const HEADER = {
  id: 0,
  /** QR, OPCODE, AA, TC, RD. */
  flags: 2,
  /** RA, Z, AD, CD, RCODE. */
  flags2: 3,
  qdcount: 4,
  ancount: 6,
  nscount: 8,
  arcount: 10,
} as const;

/** Bits of the octet at `HEADER.flags`. */
export const FLAGS = { qr: 0x80, opcode: 0x78, aa: 0x04, tc: 0x02, rd: 0x01 } as const;
export const OPCODE_SHIFT = 3;
/** Bits of the octet at `HEADER.flags2`. */
export const FLAGS2 = { ra: 0x80, z: 0x40, ad: 0x20, cd: 0x10, rcode: 0x0f } as const;
