/** Types of a fixed number of character-strings: HINFO (RFC 1035 §3.3.2), ISDN and X25 (RFC 1183), GPOS. @module */
import type { RdataType } from "#dns/wire/rdata/rdata-type.ts";

const strings = (fields: readonly string[], example: string, optional = 0): RdataType => ({
  example,
  parse(from) {
    for (const [index, field] of fields.entries()) {
      if (index >= fields.length - optional && !from.hasMore()) return;
      from.characterString(field);
    }
  },
  format(from) {
    const texts: string[] = [];
    for (const [index, field] of fields.entries()) {
      if (index >= fields.length - optional && !from.hasMore()) break;
      texts.push(from.characterString(field));
    }
    return texts.join(" ");
  },
});

export const hinfo = strings(["CPU", "operating system"], '"arm64" "Linux"');
export const x25 = strings(["PSDN address"], '"311061700956"');
export const isdn = strings(["ISDN address", "subaddress"], '"150862028003217" "004"', 1);
export const gpos = strings(["longitude", "latitude", "altitude"], '"-32.6882" "116.8652" "10.0"');
