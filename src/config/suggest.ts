/**
 * "Did you mean": the nearest of a list of words.
 * @module
 */

/** Edits (insert, delete, replace, swap of neighbours) that turn `a` into `b`: optimal string alignment. */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let above = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let row = 1; row <= a.length; row++) {
    const line = [row];
    for (let column = 1; column <= b.length; column++) {
      const isSame = a[row - 1] === b[column - 1];
      let cost = Math.min(line[column - 1]! + 1, above[column]! + 1, above[column - 1]! + (isSame ? 0 : 1));
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1])
        cost = Math.min(cost, before[column - 2]! + 1);
      line.push(cost);
    }
    before = above;
    above = line;
  }
  return above[b.length]!;
}

const MAX_WORD = 64;

/** @returns the word of `words` nearest to `word`, if it is near enough to be a slip of the keyboard */
function nearestWord(word: string, words: Iterable<string>): string | undefined {
  if (word.length > MAX_WORD) return undefined;
  let best: string | undefined;
  let bestDistance = Math.floor(Math.max(word.length, 3) / 3) + 1;
  for (const candidate of words) {
    if (candidate.length > MAX_WORD) continue;
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** Fix for an unknown word: the nearest one, else all of them (up to a dozen). */
export function suggest(word: string, words: readonly string[], noun: string): string {
  const near = nearestWord(word, words);
  if (near !== undefined) return `Did you mean \`${near}\`?`;
  if (words.length === 0) return `There is no ${noun} yet: define it first`;
  const listed = words.slice(0, 12).join(", ");
  return `Known: ${listed}${words.length > 12 ? ", …" : ""}`;
}
