/**
 * One range of octets of a stored body (RFC 9110 §14).
 *
 * Owns:    which octets are meant. Several ranges are answered with the whole: a list of them is cheap to ask for and dear to
 *          answer.
 * Units:   octets; `last` is of the range.
 * @module
 */
export type Range = { readonly first: number; readonly last: number };

/** @returns undefined: the field is to be ignored; `unsatisfiable`: 416 */
export function rangeOf(field: string, octets: number): Range | "unsatisfiable" | undefined {
  const found = /^bytes=[ \t]*(\d*)-(\d*)[ \t]*$/i.exec(field);
  if (found === null) return undefined;
  const [, from, to] = found as unknown as [string, string, string];
  if (from === "") {
    if (to === "") return undefined;
    const count = Math.min(Number(to), octets);
    return count === 0 ? "unsatisfiable" : { first: octets - count, last: octets - 1 };
  }
  const first = Number(from);
  const last = to === "" ? octets - 1 : Math.min(Number(to), octets - 1);
  if (to !== "" && Number(to) < first) return undefined;
  return first >= octets ? "unsatisfiable" : { first, last };
}

/** Pieces of a range, without copying. */
export function sliced(pieces: readonly Uint8Array[], range: Range): Uint8Array[] {
  const slices: Uint8Array[] = [];
  let start = 0;
  for (const piece of pieces) {
    const end = start + piece.length;
    if (end > range.first && start <= range.last)
      slices.push(piece.subarray(Math.max(0, range.first - start), Math.min(piece.length, range.last + 1 - start)));
    start = end;
  }
  return slices;
}
