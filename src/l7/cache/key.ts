/**
 * What a response is stored under: scheme, authority, path and query (rule R45), and the fields that it varies by.
 *
 * Owns:    both texts. A request whose parts could be joined to the key of another one has no key.
 * @module
 */
import { splitList } from "#l7/cache/directives.ts";
import { listOf, type RequestHead } from "#l7/message.ts";

/**
 * @returns the URL; undefined: it cannot be cached. Letters of the authority count the same in both cases, and the scheme's
 *   own port is none; path and query are taken octet by octet, as two texts of one path may be two resources
 */
export function keyOf(head: Pick<RequestHead, "scheme" | "authority" | "target">): string | undefined {
  const { scheme, authority, target } = head;
  // An authority with a slash would make `a/b` + `/c` the same as `a` + `/b/c`.
  if (target.charCodeAt(0) !== 0x2f || /[^A-Za-z0-9._~\-:[\]%!$&'()*+,;=]/.test(authority)) return undefined;
  let host = authority.toLowerCase();
  const port = scheme === "https" ? ":443" : ":80";
  if (host.endsWith(port)) host = host.slice(0, -port.length);
  return `${scheme}://${host}${target}`;
}

/** @returns names in lower case, sorted; undefined: no other request can be answered with it (`*`, RFC 9111 §4.1) */
export function varyNames(fields: readonly string[]): readonly string[] | undefined {
  const vary = listOf(fields, "vary");
  if (vary === undefined) return [];
  const names = new Set(splitList(vary).map((name) => name.toLowerCase()));
  if (names.has("*")) return undefined;
  // The key has them.
  names.delete("host");
  return [...names].sort();
}

/** Fields of a request that select a response, as one text: equal texts, equal meaning. */
export function selectorOf(names: readonly string[], fields: readonly string[]): string {
  let selector = "";
  for (const name of names) {
    const value = listOf(fields, name);
    selector += value === undefined ? "-\n" : `+${ORDERLESS.has(name) ? normalised(value) : value}\n`;
  }
  return selector;
}

/** Lists of which neither order nor case nor white space says anything: weights do (RFC 9110 §12.5). */
const ORDERLESS: ReadonlySet<string> = new Set(["accept-encoding", "accept-language", "accept-charset"]);

const normalised = (value: string): string =>
  splitList(value.toLowerCase())
    .map((member) => member.replace(/[ \t]/g, ""))
    .sort()
    .join(",");
