/** CSYNC (RFC 7477 §2.1): what a parent may copy from this zone. @module */
import type { RdataType } from "#dns/wire/rdata/rdata-type.ts";
import { formatTypeList, parseTypeList } from "#dns/wire/rdata/type-list.ts";

export const csync: RdataType = {
  example: "2026072601 3 A NS AAAA",
  parse(from) {
    from.u32("serial");
    from.u16("flags");
    parseTypeList(from);
  },
  format: (from) => `${from.u32("serial")} ${from.u16("flags")}${formatTypeList(from)}`,
};
