/** SRV (RFC 2782): where a service runs. Its target must not be compressed. @module */
import type { RdataType } from "#dns/wire/rdata/rdata-type.ts";

export const srv: RdataType = {
  example: "10 60 5060 sip.example.net.",
  parse(from) {
    from.u16("priority");
    from.u16("weight");
    from.u16("port");
    from.name("target");
  },
  format: (from) => `${from.u16("priority")} ${from.u16("weight")} ${from.u16("port")} ${from.name("target")}`,
  names: { at: 6, count: 1, isCompressible: false, isLowerInCanonicalForm: true },
};
