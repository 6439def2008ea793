/**
 * What can be wrong with octets or with the text of a name. Codec functions return one of these negative numbers
 * instead of throwing: garbage packets must stay cheap for us.
 * @module
 */
export const FAULT = {
  /** The octets end before the field does. */
  truncated: -1,
  /** Label types 01 and 10 (RFC 6891 §5), or a pointer where none is allowed. */
  badLabel: -2,
  /** More than 255 octets on the wire (RFC 1035 §2.3.4). */
  nameTooLong: -3,
  /** A compression pointer that does not point backwards. */
  badPointer: -4,
  /** More than 16 compression pointers in one name. */
  tooManyPointers: -5,
  /** Text: a label of more than 63 octets (RFC 1035 §2.3.4). */
  labelTooLong: -6,
  /** Text: two dots in a row, or a dot in front. */
  emptyLabel: -7,
  /** Text: a backslash that is not followed by a character or by three digits up to 255 (RFC 1035 §5.1). */
  badEscape: -8,
  /** Text: no character at all. */
  emptyName: -9,
} as const;

export type Fault = (typeof FAULT)[keyof typeof FAULT];

const SENTENCES: Readonly<Record<Fault, { says: string; fix: string }>> = {
  [-1]: { says: "is cut off", fix: "Give all its octets" },
  [-2]: { says: "has a label type that is not in use", fix: "Use labels of 0 to 63 octets, without compression" },
  [-3]: { says: "is longer than 255 octets", fix: "Use fewer or shorter labels" },
  [-4]: { says: "has a compression pointer that does not point backwards", fix: "Point to an earlier name" },
  [-5]: { says: "needs more than 16 compression pointers", fix: "Write the name out" },
  [-6]: { says: "has a label longer than 63 octets", fix: "Shorten the label" },
  [-7]: { says: "has an empty label", fix: "Remove the extra dot" },
  [-8]: { says: "has a bad escape", fix: "Write \\. for a dot in a label, or \\DDD with three digits from 000 to 255" },
  [-9]: { says: "is empty", fix: "Write a name; the root is a single dot" },
};

/** Half a sentence that follows the name of the thing that has the fault, and what to do about it. */
export const describeFault = (fault: number): { says: string; fix: string } =>
  SENTENCES[fault as Fault] ?? { says: "is malformed", fix: "Correct it" };
