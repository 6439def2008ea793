/**
 * What the code knows of one RR type's resource data. Every file here that is named after types exports such objects;
 * `table.ts` collects them.
 * @module
 */
import type { TextReader } from "#dns/wire/rdata/text-reader.ts";
import type { WireReader } from "#dns/wire/rdata/wire-reader.ts";

export type RdataType = {
  /** Resource data as a master file could hold it; shown in the fix of a problem. */
  readonly example: string;
  /** Reads tokens and writes octets; what is wrong goes to `from.fail()`. */
  readonly parse: (from: TextReader) => void;
  /** Reads octets, checks them, and returns the text that `parse` reads back. */
  readonly format: (from: WireReader) => string;
  readonly names?: RdataNames;
};

/** Where domain names stand in the resource data. */
export type RdataNames = {
  /** Octets before the first name. A function where that varies; it gets well-formed resource data. */
  readonly at: number | ((rdata: Uint8Array) => number);
  /** Names back to back. */
  readonly count: 1 | 2;
  /** Only types of RFC 1035 itself may be sent compressed (RFC 3597 §4). */
  readonly isCompressible: boolean;
  /** DNSSEC's canonical form has these names in lower case (RFC 4034 §6.2, RFC 6840 §5.1). */
  readonly isLowerInCanonicalForm: boolean;
};
