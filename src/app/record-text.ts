/**
 * Records of a decoded message as text: `owner ttl IN TYPE rdata`.
 * @module
 */
import { classText } from "#dns/wire/classes.ts";
import type { DecodedRecord } from "#dns/wire/decode-message.ts";
import { formatName } from "#dns/wire/name.ts";
import { formatRdata } from "#dns/wire/rdata/table.ts";
import { TYPE, typeText } from "#dns/wire/types.ts";

const recordText = (record: DecodedRecord): string =>
  `${formatName(record.owner)} ${record.ttlSeconds} ${classText(record.class)} ` +
  `${typeText(record.type)} ${formatRdata(record.type, record.rdata)}`;

/** OPT is no record of a zone, and left out. */
export const recordTexts = (records: readonly DecodedRecord[]): string[] =>
  records.filter((record) => record.type !== TYPE.OPT).map(recordText);
