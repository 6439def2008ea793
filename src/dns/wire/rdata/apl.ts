/** APL (RFC 3123 §4): lists of address prefixes. @module */
import { formatIp, parseCidr } from "#base/ip.ts";
import type { RdataType } from "#dns/wire/rdata/rdata-type.ts";
import { quote } from "#dns/wire/rdata/text-reader.ts";

export const apl: RdataType = {
  example: "1:192.168.32.0/21 !1:192.168.38.0/28 2:2001:db8::/32",
  parse(from) {
    while (from.hasMore()) {
      const text = from.word("prefix");
      const match = /^(!?)([12]):(.+\/[0-9]+)$/.exec(text);
      const cidr = match ? parseCidr(match[3]!) : undefined;
      if (!match || !cidr || cidr.bytes.length !== (match[2] === "1" ? 4 : 16)) {
        from.fail(`The prefix ${quote(text)} is malformed`, "Write such as 1:192.0.2.0/24, 2:2001:db8::/32 or !1:…");
        return;
      }
      let used = cidr.bytes.length;
      while (used > 0 && cidr.bytes[used - 1] === 0) used--; // RFC 3123 §4: no trailing zero octets
      from.putU16(Number(match[2]));
      from.putU8(cidr.bits);
      from.putU8((match[1] === "!" ? 0x80 : 0) | used);
      from.putBytes(cidr.bytes.subarray(0, used));
    }
  },
  format(from) {
    const texts: string[] = [];
    while (from.hasMore()) {
      const family = from.u16("address family");
      const bits = from.u8("prefix length");
      const flagged = from.u8("address length");
      const octets = family === 1 ? 4 : 16;
      const used = from.bytes(flagged & 0x7f, "address");
      if (family !== 1 && family !== 2) from.fail(`The address family ${family} is unknown`, "Use 1 or 2");
      if (bits > octets * 8 || used.length > octets) {
        from.fail("A prefix is longer than its address family allows", "Use up to /32 or /128");
        break;
      }
      if (used.length > 0 && used.at(-1) === 0) from.fail("An address ends in zero octets", "Leave them out");
      const address = new Uint8Array(octets);
      address.set(used);
      if (!hasOnlyBits(address, bits)) from.fail("An address has bits beyond its prefix", "Clear them");
      texts.push(`${flagged >= 0x80 ? "!" : ""}${family}:${formatIp(address)}/${bits}`);
    }
    return texts.join(" ");
  },
};

const hasOnlyBits = (address: Uint8Array, bits: number): boolean =>
  address.every((octet, index) => {
    const left = Math.min(8, Math.max(0, bits - index * 8));
    return (octet & (0xff >>> left)) === 0;
  });
