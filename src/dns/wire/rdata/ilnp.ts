/** NID, L32 and L64 (RFC 6742 §2): identifiers and locators of ILNP. @module */
import { parseIpv6 } from "#base/ip.ts";
import type { RdataType } from "#dns/wire/rdata/rdata-type.ts";
import { quote } from "#dns/wire/rdata/text-reader.ts";

export const l32: RdataType = {
  example: "10 10.1.2.0",
  parse(from) {
    from.u16("preference");
    from.ipv4("locator");
  },
  format: (from) => `${from.u16("preference")} ${from.ip(4, "locator")}`,
};

/** Four groups of up to four hex digits: the first half of an IPv6 address. NID and L64 look the same. */
export const l64: RdataType = {
  example: "10 2001:db8:1140:1000",
  parse(from) {
    from.u16("preference");
    const text = from.word("locator");
    const bytes = text.includes("::") || text.includes(".") ? undefined : parseIpv6(`${text}::`);
    if (!bytes || text.split(":").length !== 4) {
      from.fail(
        `The locator ${quote(text)} is malformed`,
        "Write four groups of hex digits, such as 14:4fff:ff20:ee64",
      );
    } else {
      from.putBytes(bytes.subarray(0, 8));
    }
  },
  format(from) {
    const preference = from.u16("preference");
    const groups = [from.u16("locator"), from.u16("locator"), from.u16("locator"), from.u16("locator")];
    return `${preference} ${groups.map((group) => group.toString(16)).join(":")}`;
  },
};
