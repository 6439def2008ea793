/** DNSKEY (RFC 4034 §2), CDNSKEY (RFC 7344 §3.2; deletion: RFC 8078 §4), KEY (RFC 2535). @module */
import { DNSSEC_ALGORITHM } from "#dns/wire/rdata/mnemonics.ts";
import type { RdataType } from "#dns/wire/rdata/rdata-type.ts";

export const dnskey: RdataType = {
  example: "257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=",
  parse(from) {
    from.u16("flags");
    from.u8("protocol");
    from.putU8(from.choice("algorithm", DNSSEC_ALGORITHM, 255));
    from.base64Rest("public key");
  },
  format: (from) =>
    `${from.u16("flags")} ${from.u8("protocol")} ${from.u8("algorithm")} ${from.base64Rest("public key", 1)}`,
};
