/**
 * RR types: number and mnemonic (IANA "Resource Record (RR) TYPEs", July 2026).
 *
 * Owns:   the numbers. What rdata of a type looks like stands in `rdata/table.ts`.
 * @module
 */
export const TYPE = {
  A: 1,
  NS: 2,
  MD: 3,
  MF: 4,
  CNAME: 5,
  SOA: 6,
  MB: 7,
  MG: 8,
  MR: 9,
  NULL: 10,
  WKS: 11,
  PTR: 12,
  HINFO: 13,
  MINFO: 14,
  MX: 15,
  TXT: 16,
  RP: 17,
  AFSDB: 18,
  X25: 19,
  ISDN: 20,
  RT: 21,
  NSAP: 22,
  SIG: 24,
  KEY: 25,
  PX: 26,
  GPOS: 27,
  AAAA: 28,
  LOC: 29,
  NXT: 30,
  SRV: 33,
  NAPTR: 35,
  KX: 36,
  CERT: 37,
  DNAME: 39,
  OPT: 41,
  APL: 42,
  DS: 43,
  SSHFP: 44,
  IPSECKEY: 45,
  RRSIG: 46,
  NSEC: 47,
  DNSKEY: 48,
  DHCID: 49,
  NSEC3: 50,
  NSEC3PARAM: 51,
  TLSA: 52,
  SMIMEA: 53,
  HIP: 55,
  TALINK: 58,
  CDS: 59,
  CDNSKEY: 60,
  OPENPGPKEY: 61,
  CSYNC: 62,
  ZONEMD: 63,
  SVCB: 64,
  HTTPS: 65,
  DSYNC: 66,
  SPF: 99,
  NID: 104,
  L32: 105,
  L64: 106,
  LP: 107,
  EUI48: 108,
  EUI64: 109,
  NXNAME: 128,
  TKEY: 249,
  TSIG: 250,
  IXFR: 251,
  AXFR: 252,
  MAILB: 253,
  MAILA: 254,
  ANY: 255,
  URI: 256,
  CAA: 257,
  AVC: 258,
  DLV: 32769,
} as const;

const MNEMONICS = new Map<number, string>(Object.entries(TYPE).map(([mnemonic, number]) => [number, mnemonic]));
const NUMBERS = new Map<string, number>(Object.entries(TYPE));

/**
 * Upper- or lower-case mnemonic, or `TYPEnnn` (RFC 3597 §5).
 * @returns 0 to 65535, or -1 when `text` is neither
 */
export function typeNumber(text: string): number {
  const exact = NUMBERS.get(text);
  if (exact !== undefined) return exact;
  const upper = text.toUpperCase();
  const known = NUMBERS.get(upper);
  if (known !== undefined) return known;
  if (!/^TYPE(0|[1-9][0-9]{0,4})$/.test(upper)) return -1;
  const number = Number(upper.slice(4));
  return number <= 0xffff ? number : -1;
}

/** The mnemonic, else `TYPEnnn`. */
export const typeText = (type: number): string => MNEMONICS.get(type) ?? `TYPE${type}`;

/** Types of questions and of packets (RFC 6895 §3.1: 128 to 255, and OPT): they never stand in a zone. */
export const isMetaType = (type: number): boolean => (type >= 128 && type <= 255) || type === TYPE.OPT || type === 0;
