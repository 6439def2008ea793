/**
 * The path of a request as rules match it: decoded once, without dot segments, empty segments and parameters.
 *
 * Owns:    rule R40. The backend gets the path as it was sent; that it may read it otherwise than a rule did is what makes
 *          bypasses (CVE-2025-66490, CVE-2013-4547), so what has more than one reading is read as the deepest path that any
 *          backend may see, or refused:
 *
 *          `//`                    one slash
 *          `%2f` `%5c`             a slash, as nginx reads the first and Windows the second
 *          `;parameters`           taken off the segment, as servlets do
 *          `/./` `/../` `%2e`      dot segments, resolved (RFC 3986 §5.2.4)
 *          dot segments with parameters or beside an encoded slash, and above the root: refused
 *          `%25`                   `%`, and not decoded again
 *          encoded controls, bad escapes, what is no UTF-8: refused
 * @module
 */
import { HEX } from "#l7/http1/grammar.ts";

const PERCENT = 0x25;
/** All that makes a path other than itself. */
const UNUSUAL = /[%;\\]|\/[/.]/;
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** @param target origin form, or `*`; @returns undefined: refuse it with 400 */
export function normalisePath(target: string): string | undefined {
  const end = target.indexOf("?");
  const raw = end < 0 ? target : target.slice(0, end);
  return UNUSUAL.test(raw) ? normalised(raw) : raw;
}

function normalised(raw: string): string | undefined {
  if (!raw.startsWith("/")) return undefined;
  const kept: string[] = [];
  let endsInSlash = false;
  for (const written of raw.slice(1).split(/[/\\]/)) {
    const parameters = written.indexOf(";");
    const segment = decoded(parameters < 0 ? written : written.slice(0, parameters));
    if (segment === undefined) return undefined;
    const parts = segment.split(/[/\\]/);
    if (parts.some(isDots) && (parts.length > 1 || parameters >= 0)) return undefined;
    for (const part of parts) {
      endsInSlash = part === "" || isDots(part);
      if (part === ".." && kept.pop() === undefined) return undefined;
      if (!endsInSlash) kept.push(part);
    }
  }
  return kept.length === 0 ? "/" : `/${kept.join("/")}${endsInSlash ? "/" : ""}`;
}

const isDots = (segment: string): boolean => segment === "." || segment === "..";

/** Escapes and what is not ASCII → text. */
function decoded(segment: string): string | undefined {
  if (segment.indexOf("%") < 0) return segment;
  const octets = new Uint8Array(segment.length);
  let length = 0;
  for (let at = 0; at < segment.length; at++) {
    let octet = segment.charCodeAt(at);
    if (octet === PERCENT) {
      const high = HEX[segment.charCodeAt(at + 1)] ?? 255;
      const low = HEX[segment.charCodeAt(at + 2)] ?? 255;
      if (high === 255 || low === 255) return undefined;
      octet = high * 16 + low;
      if (octet < 0x20 || octet === 0x7f) return undefined;
      at += 2;
    }
    octets[length++] = octet;
  }
  try {
    return utf8.decode(octets.subarray(0, length));
  } catch {
    return undefined;
  }
}
