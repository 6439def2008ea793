/** TXT (RFC 1035 §3.3.14), SPF (RFC 7208 §3.1), AVC: character-strings, one or more. @module */
import type { RdataType } from "#dns/wire/rdata/rdata-type.ts";

export const txt: RdataType = {
  example: '"v=spf1 -all"',
  parse(from) {
    do from.characterString("text");
    while (from.hasMore());
  },
  format(from) {
    const strings: string[] = [];
    do strings.push(from.characterString("text"));
    while (from.hasMore());
    return strings.join(" ");
  },
};
