/**
 * Globs over domain names: `*` stands for any characters, dots included.
 * @module
 */

/** Case and a last dot do not matter. Takes time in the product of both lengths at most, whatever the glob. */
export function createNameMatcher(glob: string): (name: string) => boolean {
  const pattern = tidy(glob);
  return (name) => matches(pattern, tidy(name));
}

const tidy = (name: string): string => name.toLowerCase().replace(/(?<=.)\.$/, "");

/** Walks along both; where they part, the last star takes one character more. */
function matches(pattern: string, text: string): boolean {
  let at = 0;
  let star = -1;
  let starTook = 0;
  let next = 0;
  while (next < text.length) {
    if (pattern[at] === "*") {
      star = at++;
      starTook = next;
    } else if (pattern[at] === text[next]) {
      at++;
      next++;
    } else if (star >= 0) {
      at = star + 1;
      next = ++starTook;
    } else return false;
  }
  while (pattern[at] === "*") at++;
  return at === pattern.length;
}
