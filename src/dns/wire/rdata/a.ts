/** A (RFC 1035 §3.4.1): an IPv4 address. @module */
import type { RdataType } from "#dns/wire/rdata/rdata-type.ts";

export const a: RdataType = {
  example: "192.0.2.1",
  parse: (from) => from.ipv4("address"),
  format: (from) => from.ip(4, "address"),
};
