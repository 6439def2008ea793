/** NSEC3 and NSEC3PARAM (RFC 5155 §3, §4): denial of existence by hashes of names. @module */
import { formatBase32hex, parseBase32hex } from "#dns/wire/base32hex.ts";
import type { RdataType } from "#dns/wire/rdata/rdata-type.ts";
import { quote, type TextReader } from "#dns/wire/rdata/text-reader.ts";
import { formatTypeList, parseTypeList } from "#dns/wire/rdata/type-list.ts";
import type { WireReader } from "#dns/wire/rdata/wire-reader.ts";

export const nsec3param: RdataType = { example: "1 0 0 -", parse: parseParameters, format: formatParameters };

export const nsec3: RdataType = {
  example: "1 0 0 - 2t7b4g4vsa5smi47k61mv5bv1a22bojr A RRSIG",
  parse(from) {
    parseParameters(from);
    const text = from.word("next hashed name");
    const hash = parseBase32hex(text);
    if (!hash || hash.length === 0 || hash.length > 255) {
      from.fail(`The next hashed name ${quote(text)} is not base32hex`, "Use 0 to 9 and a to v (RFC 4648 §7)");
      return;
    }
    from.putU8(hash.length);
    from.putBytes(hash);
    parseTypeList(from);
  },
  format(from) {
    const parameters = formatParameters(from);
    const octets = from.u8("hash length");
    if (octets === 0) from.fail("The next hashed name is empty", "Give the hash");
    return `${parameters} ${formatBase32hex(from.bytes(octets, "next hashed name"))}${formatTypeList(from)}`;
  },
};

function parseParameters(from: TextReader): void {
  from.u8("hash algorithm");
  from.u8("flags");
  from.u16("iterations");
  const salt = from.word("salt");
  if (salt.length > 510)
    from.fail(`The salt has ${salt.length / 2} octets`, "Use at most 255; none is best (RFC 9276)");
  from.putU8(salt === "-" ? 0 : salt.length >>> 1);
  if (salt !== "-") from.hex("salt", salt);
}

function formatParameters(from: WireReader): string {
  const numbers = [from.u8("hash algorithm"), from.u8("flags"), from.u16("iterations")];
  const salt = from.bytes(from.u8("salt length"), "salt");
  return `${numbers.join(" ")} ${salt.length === 0 ? "-" : salt.toHex()}`;
}
