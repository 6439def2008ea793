/**
 * What two nodes say to each other where there is no Redis: the body of POST /records, and its answer.
 *
 * Writer:  `cluster/` of the node that asks. Readers: `api/` of the other, which hands it to its `cluster/`.
 * @module
 */
import type { RecordKind } from "#state/shared.ts";

export type RecordExchange = {
  /** Signed lines behind their age (`cluster/seal.ts`). */
  readonly copies: readonly string[];
  readonly signals: readonly string[];
  /** Kinds of which `digest` names all that the asking node has. */
  readonly kinds: readonly RecordKind[];
  /** Stamps by `KIND KEY`. */
  readonly digest: Readonly<Record<string, string>>;
  /** Hash over all stamps of a kind, for kinds that seldom change: where it differs, the next digest names them. */
  readonly sums: Readonly<Partial<Record<RecordKind, string>>>;
};

export type RecordExchangeAnswer = {
  /** What the answering node has newer. */
  readonly copies: readonly string[];
  /** Ids of what it lacks or has older. */
  readonly want: readonly string[];
  /** Kinds whose sums differ. */
  readonly unequal: readonly RecordKind[];
};

/** Room for the largest record, whose quotes are escaped once more, and more. */
export const MAX_EXCHANGE_OCTETS = 20 * 1_048_576;

/** What an answering node is to the API. */
export type RecordDoor = {
  exchange(request: RecordExchange): RecordExchangeAnswer;
  /** Takes one signed line. @returns why it was refused; undefined: it is kept, or was known */
  take(line: string): string | undefined;
};
