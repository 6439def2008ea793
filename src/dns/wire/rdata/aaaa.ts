/** AAAA (RFC 3596 §2.2): an IPv6 address. @module */
import type { RdataType } from "#dns/wire/rdata/rdata-type.ts";

export const aaaa: RdataType = {
  example: "2001:db8::1",
  parse: (from) => from.ipv6("address"),
  format: (from) => from.ip(16, "address"),
};
