/**
 * Takes a cookie of ours out of a request, so that backends neither see nor log it.
 * @module
 */
import type { Fields } from "#l7/message.ts";

/** Takes all cookies of this name out of the `cookie` fields, in place; a field that had nothing else goes. */
export function stripCookie(fields: Fields, name: string): void {
  for (let at = fields.length - 2; at >= 0; at -= 2) {
    const value = fields[at + 1]!;
    if (fields[at] !== "cookie" || !value.includes(name)) continue;
    const rest = value
      .split(";")
      .filter((pair) => !isOf(pair, name))
      .join(";")
      .trim();
    if (rest === "") fields.splice(at, 2);
    else fields[at + 1] = rest;
  }
}

function isOf(pair: string, name: string): boolean {
  const text = pair.trimStart();
  const equals = text.indexOf("=");
  return equals >= 0 && text.slice(0, equals).trimEnd() === name;
}
