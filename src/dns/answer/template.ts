/**
 * A compiled answer: the records of a response without its header, question and OPT, ready to copy.
 *
 * An answer is compiled for the shortest name that could ask for it: the name itself, or the part of it that all names
 * below a wildcard, a cut or an apex have in common. For a longer name every compression pointer but C00C moves by the
 * difference; names are compressed against that common part only, so that this is the whole truth.
 * @module
 */
import type { ResponseKind } from "#state/guard.ts";

export type Template = {
  readonly octets: Uint8Array;
  /** Positions in `octets` of the pointers that move. */
  readonly pointers: Uint16Array;
  /** Octets of the name that it was compiled for. */
  readonly baseOctets: number;
  readonly answerCount: number;
  readonly authorityCount: number;
  readonly additionalCount: number;
  /** Without the sibling glue at its end, which may be left out (RFC 9471 §3). */
  readonly neededOctets: number;
  readonly neededAdditional: number;
  readonly rcode: number;
  readonly isAuthoritative: boolean;
  readonly kind: ResponseKind;
  /** A service's addresses come after `octets`; -1: none. */
  readonly service: number;
  /** Owner of those: a pointer with its two upper bits, which moves unless it is C00C. */
  readonly steerOwner: number;
};

/** Short answers are copied faster octet by octet than through `set()`; measured by `bench/respond.ts`. */
const LOOP_OCTETS = 96;

/**
 * Copies the answer behind the question, which ends at `at` and whose name has `nameOctets`.
 *
 * @param length octets of the template to copy, up to the end of a record
 * @returns the end of what was written, or -1 when that would lie behind `limit`
 */
export function copyTemplate(
  template: Template,
  out: Uint8Array,
  at: number,
  nameOctets: number,
  limit: number,
  length = template.octets.length,
): number {
  const { octets, pointers } = template;
  if (at + length > limit) return -1;
  if (length <= LOOP_OCTETS) for (let index = 0; index < length; index++) out[at + index] = octets[index]!;
  else out.set(length === octets.length ? octets : octets.subarray(0, length), at);
  const delta = nameOctets - template.baseOctets;
  if (delta !== 0) {
    for (let index = 0; index < pointers.length; index++) {
      if (pointers[index]! >= length) break;
      const position = at + pointers[index]!;
      const pointer = ((out[position]! << 8) | out[position + 1]!) + delta;
      out[position] = pointer >>> 8;
      out[position + 1] = pointer & 0xff;
    }
  }
  return at + length;
}
