/** Types of two names: RP (RFC 1183 §2.2), MINFO (RFC 1035 §3.3.7), TALINK. @module */
import type { RdataType } from "#dns/wire/rdata/rdata-type.ts";

const twoNames = (
  first: string,
  second: string,
  example: string,
  isCompressible: boolean,
  isLowerInCanonicalForm: boolean,
): RdataType => ({
  example,
  parse(from) {
    from.name(first);
    from.name(second);
  },
  format: (from) => `${from.name(first)} ${from.name(second)}`,
  names: { at: 0, count: 2, isCompressible, isLowerInCanonicalForm },
});

export const rp = twoNames("mailbox", "text name", "kim.example.net. kim.people.example.net.", false, true);
export const minfo = twoNames("mailbox", "error mailbox", "list.example.net. errors.example.net.", true, true);
export const talink = twoNames("previous name", "next name", "h0.example.net. h2.example.net.", false, false);
