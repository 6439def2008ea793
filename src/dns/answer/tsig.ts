/**
 * TSIG where no keys are known: the unsigned record that says BADKEY (RFC 8945 §5.2.1, §5.3.2).
 * @module
 */
import type { Draft } from "#dns/answer/draft.ts";
import { CLASS } from "#dns/wire/classes.ts";
import { MAX_NAME_OCTETS, readName, skipName } from "#dns/wire/name.ts";
import { TSIG_ERROR } from "#dns/wire/rcodes.ts";
import { TYPE } from "#dns/wire/types.ts";

const FUDGE_SECONDS = 300; // RFC 8945 §10
/** Type, class, TTL, rdlength. */
const FIXED_OCTETS = 10;
/** Time signed, fudge, MAC size, original id, error, other length: an empty MAC, no other data. */
const AFTER_ALGORITHM_OCTETS = 6 + 2 + 2 + 2 + 2 + 2;

/**
 * Writes the record at `at`: key and algorithm as the query named them.
 * @returns its end, or -1 where the response has no room for it
 */
export function writeTsigError(draft: Draft, at: number): number {
  const { query, request, out, limitOctets } = draft;
  const rdataAt = query.tsigRdataAt;
  const algorithmOctets = skipName(request, rdataAt, draft.requestOctets) - rdataAt;
  if (at + MAX_NAME_OCTETS + FIXED_OCTETS + algorithmOctets + AFTER_ALGORITHM_OCTETS > limitOctets) return -1;
  // The parser has walked this name; it is within bounds and at most 255 octets long.
  at += readName(request, query.tsigAt, out.subarray(at), draft.requestOctets);
  at = writeUint16(out, at, TYPE.TSIG);
  at = writeUint16(out, at, CLASS.ANY);
  at = writeUint16(out, at, 0);
  at = writeUint16(out, at, 0);
  at = writeUint16(out, at, algorithmOctets + AFTER_ALGORITHM_OCTETS);
  for (let index = 0; index < algorithmOctets; index++) out[at++] = request[rdataAt + index]!;
  const seconds = Math.floor(draft.nowMs! / 1000);
  at = writeUint16(out, at, Math.floor(seconds / 0x1_0000_0000));
  at = writeUint16(out, at, (seconds >>> 16) & 0xffff);
  at = writeUint16(out, at, seconds & 0xffff);
  at = writeUint16(out, at, FUDGE_SECONDS);
  at = writeUint16(out, at, 0);
  // Original id: the octets in front of error and other data, which follow the MAC.
  const macOctets = (request[rdataAt + algorithmOctets + 8]! << 8) | request[rdataAt + algorithmOctets + 9]!;
  const originalIdAt = rdataAt + algorithmOctets + 10 + macOctets;
  out[at++] = request[originalIdAt]!;
  out[at++] = request[originalIdAt + 1]!;
  at = writeUint16(out, at, TSIG_ERROR.BADKEY);
  return writeUint16(out, at, 0);
}

function writeUint16(out: Uint8Array, at: number, value: number): number {
  out[at] = value >>> 8;
  out[at + 1] = value & 0xff;
  return at + 2;
}
