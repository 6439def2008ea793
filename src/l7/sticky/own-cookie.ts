/**
 * A cookie of ours among those of a request: what it says, and how it is taken out, so that backends neither see nor log it.
 * @module
 */
import type { Fields } from "#l7/message.ts";

/**
 * All values of this name, in their order: who may set cookies for a domain above ours can put one of the same name before
 * ours (RFC 6265 §8.6).
 */
export function cookieValues(fields: readonly string[], name: string): string[] {
  const values: string[] = [];
  for (let at = 0; at < fields.length; at += 2) {
    if (fields[at] !== "cookie" || !fields[at + 1]!.includes(name)) continue;
    for (const pair of fields[at + 1]!.split(";"))
      if (isOf(pair, name)) values.push(pair.slice(pair.indexOf("=") + 1).trim());
  }
  return values;
}

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
