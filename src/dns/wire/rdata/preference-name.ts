/**
 * Types of a 16-bit number and a name: MX (RFC 1035 §3.3.9), AFSDB and RT (RFC 1183), KX (RFC 2230), LP (RFC 6742).
 * @module
 */
import type { RdataType } from "#dns/wire/rdata/rdata-type.ts";

const preferenceName = (
  number: string,
  name: string,
  isCompressible: boolean,
  isLowerInCanonicalForm = true,
): RdataType => ({
  example: "10 mail.example.net.",
  parse(from) {
    from.u16(number);
    from.name(name);
  },
  format: (from) => `${from.u16(number)} ${from.name(name)}`,
  names: { at: 2, count: 1, isCompressible, isLowerInCanonicalForm },
});

export const mx = preferenceName("preference", "mail exchange", true);
export const afsdb = preferenceName("subtype", "host", false);
export const rt = preferenceName("preference", "intermediate host", false);
export const kx = preferenceName("preference", "key exchanger", false);
export const lp = preferenceName("preference", "name", false, false);
