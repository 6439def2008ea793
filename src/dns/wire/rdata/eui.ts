/** EUI48 and EUI64 (RFC 7043): link-layer addresses as pairs of hex digits with hyphens. @module */
import type { RdataType } from "#dns/wire/rdata/rdata-type.ts";
import { quote } from "#dns/wire/rdata/text-reader.ts";

const eui = (octets: number, example: string): RdataType => ({
  example,
  parse(from) {
    const text = from.word("address");
    const isWellFormed = text.length === octets * 3 - 1 && /^[0-9a-f]{2}(-[0-9a-f]{2})*$/i.test(text);
    if (!isWellFormed) from.fail(`The address ${quote(text)} is malformed`, `Write it such as ${example}`);
    else from.putBytes(Uint8Array.fromHex(text.replaceAll("-", "")));
  },
  format: (from) =>
    from
      .bytes(octets, "address")
      .toHex()
      .replaceAll(/(..)(?=.)/g, "$1-"),
});

export const eui48 = eui(6, "00-00-5e-00-53-2a");
export const eui64 = eui(8, "00-00-5e-ef-10-00-00-2a");
