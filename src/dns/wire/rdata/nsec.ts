/** NSEC (RFC 4034 §4): the next name, and the types of this one. @module */
import type { RdataType } from "#dns/wire/rdata/rdata-type.ts";
import { formatTypeList, parseTypeList } from "#dns/wire/rdata/type-list.ts";

export const nsec: RdataType = {
  example: "host.example.net. A MX RRSIG NSEC",
  parse(from) {
    from.name("next name");
    parseTypeList(from);
  },
  format: (from) => `${from.name("next name")}${formatTypeList(from)}`,
  // RFC 6840 §5.1: the next name keeps its case.
  names: { at: 0, count: 1, isCompressible: false, isLowerInCanonicalForm: false },
};
