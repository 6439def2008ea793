/** URI (RFC 7553 §4). @module */
import { formatCharacterString } from "#dns/wire/character-string.ts";
import type { RdataType } from "#dns/wire/rdata/rdata-type.ts";

export const uri: RdataType = {
  example: '10 1 "https://example.net/"',
  parse(from) {
    from.u16("priority");
    from.u16("weight");
    if (from.rawText("target") === 0) from.fail("The target is empty", "Write a URI in quotes");
  },
  format: (from) => `${from.u16("priority")} ${from.u16("weight")} ${formatCharacterString(from.rest("target", 1))}`,
};
