/** DSYNC (RFC 9859 §2.1): where a parent takes notifications. @module */
import type { RdataType } from "#dns/wire/rdata/rdata-type.ts";
import { quote } from "#dns/wire/rdata/text-reader.ts";
import { typeNumber, typeText } from "#dns/wire/types.ts";

export const dsync: RdataType = {
  example: "CDS 1 5300 scanner.example.net.",
  parse(from) {
    const text = from.word("type");
    const type = typeNumber(text);
    if (type < 0) from.fail(`The type ${quote(text)} is unknown`, "Write CDS, CSYNC, or TYPE and a number");
    from.putU16(type);
    from.putU8(from.choice("scheme", { NOTIFY: 1 }, 255));
    from.u16("port");
    from.name("target");
  },
  format: (from) => `${typeText(from.u16("type"))} ${from.u8("scheme")} ${from.u16("port")} ${from.name("target")}`,
  names: { at: 5, count: 1, isCompressible: false, isLowerInCanonicalForm: false },
};
