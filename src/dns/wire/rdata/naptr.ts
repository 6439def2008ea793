/** NAPTR (RFC 3403 §4.1): rewriting rules. @module */
import type { RdataType } from "#dns/wire/rdata/rdata-type.ts";

export const naptr: RdataType = {
  example: '100 10 "u" "sip+E2U" "!^.*$!sip:info@example.net!" .',
  parse(from) {
    from.u16("order");
    from.u16("preference");
    from.characterString("flags");
    from.characterString("services");
    from.characterString("regular expression");
    from.name("replacement");
  },
  format: (from) =>
    [
      from.u16("order"),
      from.u16("preference"),
      from.characterString("flags"),
      from.characterString("services"),
      from.characterString("regular expression"),
      from.name("replacement"),
    ].join(" "),
  names: { at: afterThreeStrings, count: 1, isCompressible: false, isLowerInCanonicalForm: true },
};

function afterThreeStrings(rdata: Uint8Array): number {
  let at = 4;
  for (let string = 0; string < 3; string++) at += 1 + (rdata[at] ?? 0);
  return at;
}
