/**
 * Records of a decoded message as text: `owner ttl IN TYPE rdata`.
 * @module
 */
import type { DecodedRecord } from "#dns/wire/decode-message.ts";
import { TYPE } from "#dns/wire/types.ts";
import { formatRecord } from "#dns/zone/format-record.ts";

/** OPT is no record of a zone, and left out. */
export const recordTexts = (records: readonly DecodedRecord[]): string[] =>
  records.filter(({ type }) => type !== TYPE.OPT).map(formatRecord);
