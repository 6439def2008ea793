/**
 * Reads `Cache-Control` (RFC 9111 §5.2) of requests and responses.
 *
 * Owns:    the grammar. What is wrong in it is read the careful way: a number that is none counts as 0, and of several the
 *          least counts.
 * Units:   seconds, as on the wire; no more than `MAX_SECONDS`.
 * @module
 */

/** RFC 9111 §1.2.2: what is greater counts as this. */
export const MAX_SECONDS = 2 ** 31;

export type Directives = {
  noStore: boolean;
  noCache: boolean;
  /** Of `no-cache="a, b"` and `private="a, b"`: names in lower case. */
  fields: string[];
  isPrivate: boolean;
  isPublic: boolean;
  mustRevalidate: boolean;
  proxyRevalidate: boolean;
  mustUnderstand: boolean;
  noTransform: boolean;
  onlyIfCached: boolean;
  maxAge: number | undefined;
  sMaxAge: number | undefined;
  minFresh: number | undefined;
  /** Without a value: `MAX_SECONDS`. */
  maxStale: number | undefined;
  staleWhileRevalidate: number | undefined;
  staleIfError: number | undefined;
};

const none = (): Directives => ({
  noStore: false,
  noCache: false,
  fields: [],
  isPrivate: false,
  isPublic: false,
  mustRevalidate: false,
  proxyRevalidate: false,
  mustUnderstand: false,
  noTransform: false,
  onlyIfCached: false,
  maxAge: undefined,
  sMaxAge: undefined,
  minFresh: undefined,
  maxStale: undefined,
  staleWhileRevalidate: undefined,
  staleIfError: undefined,
});

/** What holds where there is no such field; nobody changes it. */
export const NO_DIRECTIVES: Readonly<Directives> = Object.freeze(none());

/** @param list all values of the field, joined by commas */
export function parseDirectives(list: string | undefined): Readonly<Directives> {
  if (list === undefined) return NO_DIRECTIVES;
  const found = none();
  for (const member of splitList(list)) {
    const equals = member.indexOf("=");
    const name = (equals < 0 ? member : member.slice(0, equals)).toLowerCase();
    set(found, name, equals < 0 ? undefined : member.slice(equals + 1));
  }
  return found;
}

function set(found: Directives, name: string, value: string | undefined): void {
  switch (name) {
    case "no-store":
      found.noStore = true;
      return;
    case "no-cache":
    case "private":
      // With field names it is about those alone (RFC 9111 §5.2.2.4, §5.2.2.7); what cannot be read is about everything.
      if (value !== undefined && /^"[^"\\]+"$/.test(value)) {
        for (const field of splitList(value.slice(1, -1))) found.fields.push(field.toLowerCase());
      } else if (name === "private") found.isPrivate = true;
      else found.noCache = true;
      return;
    case "public":
      found.isPublic = true;
      return;
    case "must-revalidate":
      found.mustRevalidate = true;
      return;
    case "proxy-revalidate":
      found.proxyRevalidate = true;
      return;
    case "must-understand":
      found.mustUnderstand = true;
      return;
    case "no-transform":
      found.noTransform = true;
      return;
    case "only-if-cached":
      found.onlyIfCached = true;
      return;
    case "max-age":
      found.maxAge = least(found.maxAge, seconds(value));
      return;
    case "s-maxage":
      found.sMaxAge = least(found.sMaxAge, seconds(value));
      return;
    case "min-fresh":
      found.minFresh = Math.max(found.minFresh ?? 0, parseSeconds(value) ?? MAX_SECONDS);
      return;
    case "max-stale":
      found.maxStale = least(found.maxStale, value === undefined ? MAX_SECONDS : seconds(value));
      return;
    case "stale-while-revalidate":
      found.staleWhileRevalidate = least(found.staleWhileRevalidate, seconds(value));
      return;
    case "stale-if-error":
      found.staleIfError = least(found.staleIfError, seconds(value));
      return;
  }
}

const seconds = (value: string | undefined): number => parseSeconds(value) ?? 0;
const least = (a: number | undefined, b: number): number => (a === undefined ? b : Math.min(a, b));

/** delta-seconds, as a token or quoted (RFC 9111 §5.2: both are to be read). @returns undefined: it is none */
export function parseSeconds(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const digits = /^(?:"(\d+)"|(\d+))$/.exec(value);
  return digits === null ? undefined : Math.min(MAX_SECONDS, Number(digits[1] ?? digits[2]));
}

/** Members of a list (RFC 9110 §5.6.1), without white space around them; a comma in a quoted string does not part them. */
export function splitList(list: string): string[] {
  const members: string[] = [];
  let from = 0;
  let isQuoted = false;
  for (let at = 0; at <= list.length; at++) {
    const code = at === list.length ? 0x2c : list.charCodeAt(at);
    if (isQuoted && at < list.length) {
      if (code === 0x5c && at + 1 < list.length) at++;
      else if (code === 0x22) isQuoted = false;
    } else if (code === 0x22) isQuoted = true;
    else if (code === 0x2c) {
      const member = list.slice(from, at).trim();
      if (member !== "") members.push(member);
      from = at + 1;
    }
  }
  return members;
}
