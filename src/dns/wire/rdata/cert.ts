/** CERT (RFC 4398 §2). @module */
import { CERT_TYPE, DNSSEC_ALGORITHM } from "#dns/wire/rdata/mnemonics.ts";
import type { RdataType } from "#dns/wire/rdata/rdata-type.ts";

export const cert: RdataType = {
  example: "PGP 0 0 bWFueSBvY3RldHM=",
  parse(from) {
    from.putU16(from.choice("certificate type", CERT_TYPE, 0xffff));
    from.u16("key tag");
    from.putU8(from.choice("algorithm", DNSSEC_ALGORITHM, 255));
    from.base64Rest("certificate");
  },
  format: (from) =>
    `${from.u16("certificate type")} ${from.u16("key tag")} ${from.u8("algorithm")} ${from.base64Rest("certificate", 1)}`,
};
