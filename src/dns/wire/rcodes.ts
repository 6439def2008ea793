/**
 * Opcodes and response codes (IANA "DNS OpCodes", "DNS RCODEs"). RCODEs above 15 need an OPT record (RFC 6891 §6.1.3).
 * @module
 */
export const OPCODE = { QUERY: 0, IQUERY: 1, STATUS: 2, NOTIFY: 4, UPDATE: 5, DSO: 6 } as const;

export const RCODE = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
  YXDOMAIN: 6,
  YXRRSET: 7,
  NXRRSET: 8,
  NOTAUTH: 9,
  NOTZONE: 10,
  DSOTYPENI: 11,
  BADVERS: 16,
  BADCOOKIE: 23,
} as const;

/** Errors inside a TSIG record (RFC 8945 §3); 16 means BADVERS elsewhere. */
export const TSIG_ERROR = { BADSIG: 16, BADKEY: 17, BADTIME: 18, BADTRUNC: 22 } as const;

const RCODE_TEXTS = new Map<number, string>(Object.entries(RCODE).map(([mnemonic, number]) => [number, mnemonic]));

/** The mnemonic, else `RCODEnnn`. */
export const rcodeText = (rcode: number): string => RCODE_TEXTS.get(rcode) ?? `RCODE${rcode}`;
