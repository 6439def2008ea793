/**
 * The plan of an answer that is not compiled yet: which RRsets go where, under which owner.
 *
 * Writer:  `walk.ts`. Reader: `compile.ts`, which turns it into a template.
 * Never:   holds more than one answer: there is one plan per worker. It grows to the largest answer it has seen.
 * @module
 */

import { MAX_NAME_OCTETS } from "#dns/wire/name.ts";
import { RCODE } from "#dns/wire/rcodes.ts";
import { RESPONSE_KIND, type ResponseKind } from "#state/guard.ts";

/** Words of an entry. */
export const ENTRY = {
  /** Position of the owner in `Plan.names`, or `OWNER_IS_QNAME`. */
  ownerAt: 0,
  /** RRset of the zone; -1: a CNAME made up for a DNAME, to the name at `targetAt`. */
  rrset: 1,
  ttlSeconds: 2,
  targetAt: 3,
} as const;
const ENTRY_WORDS = 4;
export const OWNER_IS_QNAME = -1;

export type Plan = {
  entries: Int32Array;
  /** Entries are in the order of the sections; these many are in each. */
  answers: number;
  authorities: number;
  additionals: number;
  /** Entries at the end that may be left out. */
  optional: number;
  /** Uncompressed names that entries refer to, back to back. */
  names: Uint8Array;
  namesEnd: number;
  rcode: number;
  isAuthoritative: boolean;
  kind: ResponseKind;
  service: number;
  /** Position in `names` of the name that the service answers for, or `OWNER_IS_QNAME`. */
  steerOwnerAt: number;
  /** Label of the question's name from which on it is the same for all names that this answer serves. */
  baseLabel: number;
};

export const createPlan = (): Plan => ({
  entries: new Int32Array(64 * ENTRY_WORDS),
  answers: 0,
  authorities: 0,
  additionals: 0,
  optional: 0,
  names: new Uint8Array(64 * MAX_NAME_OCTETS),
  namesEnd: 0,
  rcode: RCODE.NOERROR,
  isAuthoritative: true,
  kind: RESPONSE_KIND.answer,
  service: -1,
  steerOwnerAt: OWNER_IS_QNAME,
  baseLabel: 0,
});

export function clearPlan(plan: Plan): void {
  plan.answers = 0;
  plan.authorities = 0;
  plan.additionals = 0;
  plan.optional = 0;
  plan.namesEnd = 0;
  plan.rcode = RCODE.NOERROR;
  plan.isAuthoritative = true;
  plan.kind = RESPONSE_KIND.answer;
  plan.service = -1;
  plan.steerOwnerAt = OWNER_IS_QNAME;
  plan.baseLabel = 0;
}

/** Adds an entry behind the last one; the caller counts it in its section. */
export function addEntry(plan: Plan, ownerAt: number, rrset: number, ttlSeconds: number, targetAt = 0): void {
  const word = entryCount(plan) * ENTRY_WORDS;
  if (word + ENTRY_WORDS > plan.entries.length) {
    const larger = new Int32Array(plan.entries.length * 2);
    larger.set(plan.entries);
    plan.entries = larger;
  }
  plan.entries[word + ENTRY.ownerAt] = ownerAt;
  plan.entries[word + ENTRY.rrset] = rrset;
  plan.entries[word + ENTRY.ttlSeconds] = ttlSeconds;
  plan.entries[word + ENTRY.targetAt] = targetAt;
}

export const entryCount = (plan: Plan): number => plan.answers + plan.authorities + plan.additionals;
export const entryWord = (plan: Plan, entry: number, word: number): number => plan.entries[entry * ENTRY_WORDS + word]!;

/** Keeps a copy of `length` octets of a name. @returns its position in `plan.names` */
export function keepName(plan: Plan, source: Uint8Array, at: number, length: number): number {
  const start = plan.namesEnd;
  if (start + length > plan.names.length) {
    const larger = new Uint8Array(plan.names.length * 2);
    larger.set(plan.names);
    plan.names = larger;
  }
  for (let index = 0; index < length; index++) plan.names[start + index] = source[at + index]!;
  plan.namesEnd = start + length;
  return start;
}
