/** SOA (RFC 1035 §3.3.13): the start of a zone. @module */
import type { RdataType } from "#dns/wire/rdata/rdata-type.ts";

export const soa: RdataType = {
  example: "ns1.example.net. hostmaster.example.net. 2026072601 3600 900 1209600 300",
  parse(from) {
    from.name("primary name server");
    from.name("mailbox");
    from.u32("serial");
    from.seconds("refresh interval");
    from.seconds("retry interval");
    from.seconds("expiry time");
    from.seconds("negative TTL");
  },
  format: (from) =>
    [
      from.name("primary name server"),
      from.name("mailbox"),
      from.u32("serial"),
      from.u32("refresh interval"),
      from.u32("retry interval"),
      from.u32("expiry time"),
      from.u32("negative TTL"),
    ].join(" "),
  names: { at: 0, count: 2, isCompressible: true, isLowerInCanonicalForm: true },
};
