/** CAA (RFC 8659 §4.1): which authorities may issue certificates. @module */

import { formatCharacterString } from "#dns/wire/character-string.ts";
import type { RdataType } from "#dns/wire/rdata/rdata-type.ts";

const ADVICE = "Use 1 to 15 letters and digits, such as issue, issuewild or iodef";

export const caa: RdataType = {
  example: '0 issue "ca.example.net"',
  parse(from) {
    from.u8("flags");
    const tag = from.word("tag");
    if (!/^[A-Za-z0-9]{1,15}$/.test(tag)) from.fail(`The tag ${JSON.stringify(tag.slice(0, 40))} is malformed`, ADVICE);
    from.putU8(tag.length);
    for (let index = 0; index < tag.length; index++) from.putU8(tag.charCodeAt(index));
    from.rawText("value");
  },
  format(from) {
    const flags = from.u8("flags");
    const tag = String.fromCharCode(...from.bytes(from.u8("tag length"), "tag"));
    if (!/^[A-Za-z0-9]{1,15}$/.test(tag)) from.fail("The tag is malformed", ADVICE);
    return `${flags} ${tag} ${formatCharacterString(from.rest("value"))}`;
  },
};
