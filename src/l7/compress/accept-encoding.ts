/**
 * Reads `Accept-Encoding` (RFC 9110 §12.5.3).
 * @module
 */
import type { Coding } from "#l7/compress/compression.ts";

/**
 * @param offered best first
 * @returns the coding with the highest weight, the best of those with the same; undefined: none that the client takes, or it
 *   would rather have none
 */
export function negotiate(field: string, offered: readonly Coding[]): Coding | undefined {
  const weights = new Map<string, number>();
  for (const member of field.split(",")) {
    const semicolon = member.indexOf(";");
    const name = (semicolon < 0 ? member : member.slice(0, semicolon)).trim().toLowerCase();
    if (name === "") continue;
    const weight = semicolon < 0 ? 1 : weightOf(member.slice(semicolon + 1));
    weights.set(name === "x-gzip" ? "gzip" : name, weight);
  }
  const others = weights.get("*") ?? 0;
  let best: Coding | undefined;
  // What says nothing of identity takes it, but asks for nothing less than a coding.
  let bestWeight = weights.get("identity") ?? 0;
  for (const coding of offered) {
    const weight = weights.get(coding) ?? others;
    if (weight > 0 && (weight > bestWeight || (best === undefined && weight === bestWeight))) {
      best = coding;
      bestWeight = weight;
    }
  }
  return best;
}

/** What is no weight is 0: a coding that the client did not clearly ask for is not sent. */
function weightOf(parameters: string): number {
  const found = /^[ \t]*q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)[ \t]*$/i.exec(parameters);
  return found === null ? 0 : Number(found[1]);
}
