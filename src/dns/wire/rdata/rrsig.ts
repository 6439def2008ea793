/** RRSIG (RFC 4034 §3) and SIG (RFC 2535): a signature over an RRset. @module */
import { DNSSEC_ALGORITHM } from "#dns/wire/rdata/mnemonics.ts";
import type { RdataType } from "#dns/wire/rdata/rdata-type.ts";
import { quote, type TextReader } from "#dns/wire/rdata/text-reader.ts";
import { typeNumber, typeText } from "#dns/wire/types.ts";

export const rrsig: RdataType = {
  example: "A 15 2 300 20270101000000 20261201000000 3613 example.net. c2lnbmF0dXJl",
  parse(from) {
    const covered = from.word("covered type");
    const type = typeNumber(covered);
    if (type < 0) from.fail(`The covered type ${quote(covered)} is unknown`, "Write a known type, or TYPE and number");
    from.putU16(type);
    from.putU8(from.choice("algorithm", DNSSEC_ALGORITHM, 255));
    from.u8("label count");
    from.seconds("original TTL");
    parseTime(from, "expiration");
    parseTime(from, "inception");
    from.u16("key tag");
    from.name("signer");
    from.base64Rest("signature");
  },
  format(from) {
    const head = [typeText(from.u16("covered type")), from.u8("algorithm"), from.u8("label count")];
    const times = [from.u32("original TTL"), formatTime(from.u32("expiration")), formatTime(from.u32("inception"))];
    const tail = [from.u16("key tag"), from.name("signer"), from.base64Rest("signature", 1)];
    return [...head, ...times, ...tail].join(" ");
  },
  names: { at: 18, count: 1, isCompressible: false, isLowerInCanonicalForm: true },
};

/** Seconds since 1970, or YYYYMMDDHHmmSS in UTC (RFC 4034 §3.2). */
function parseTime(from: TextReader, field: string): void {
  const text = from.word(field);
  const parts = /^([0-9]{4})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})$/.exec(text);
  let seconds = -1;
  if (parts) {
    const [year, month, day, hour, minute, second] = parts.slice(1).map(Number) as [
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    const date = new Date(Date.UTC(year, month - 1, day, hour, minute, second));
    if (date.getUTCMonth() === month - 1 && date.getUTCDate() === day && hour < 24 && minute < 60 && second < 60) {
      seconds = date.getTime() / 1_000;
    }
  } else if (/^[0-9]{1,10}$/.test(text)) {
    seconds = Number(text);
  }
  if (seconds < 0 || seconds > 0xffff_ffff * (parts ? 2 : 1)) {
    from.fail(`The ${field} ${quote(text)} is not a time`, "Write YYYYMMDDHHmmSS in UTC, or seconds since 1970");
  }
  from.putU32(seconds % 2 ** 32); // serial-number arithmetic from 2106 on (RFC 4034 §3.1.5)
}

const formatTime = (seconds: number): string =>
  new Date(seconds * 1_000)
    .toISOString()
    .slice(0, 19)
    .replaceAll(/[^0-9]/g, "");
