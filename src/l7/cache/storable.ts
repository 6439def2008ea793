/**
 * Whether a response may be stored (RFC 9111 §3), and which of its fields.
 *
 * Owns:    the decision. It is pure.
 * @module
 */
import type { Directives } from "#l7/cache/directives.ts";
import { HEURISTIC, type Lifetime } from "#l7/cache/freshness.ts";
import type { Fields, ResponseHead } from "#l7/message.ts";

/** Final statuses of RFC 9110 that `must-understand` lets us store: we know what they ask of a cache. */
const UNDERSTOOD: ReadonlySet<number> = new Set([
  200, 203, 204, 300, 301, 302, 303, 307, 308, 401, 403, 404, 405, 406, 409, 410, 411, 414, 415, 422, 500, 501, 502,
  503, 504,
]);

/**
 * Never stored: parts and confirmations, and answers to the form of one request (its fields, its length, its range), which a
 * client could make up for all others (cache-poisoned denial of service, Nguyen, Lo Iacono and Federrath, CCS 2019).
 */
const OF_ONE_REQUEST: ReadonlySet<number> = new Set([
  206, 304, 400, 408, 412, 413, 416, 417, 421, 425, 426, 428, 429, 431,
]);

/** Of one connection, or of who asked; framing was taken out before. The body's length is counted. */
const NOT_STORED: ReadonlySet<string> = new Set([
  "age",
  "connection",
  "content-length",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authentication-info",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

export type StorableRequest = {
  readonly method: string;
  /** Carries Authorization, or had to show who it is to pass a guard. */
  readonly isAuthorized: boolean;
  readonly hasNoStore: boolean;
};

export function isStorable(
  request: StorableRequest,
  head: Pick<ResponseHead, "status" | "fields">,
  directives: Readonly<Directives>,
  lifetime: Lifetime,
): boolean {
  if (request.method !== "GET" || request.hasNoStore) return false;
  if (head.status < 200 || OF_ONE_REQUEST.has(head.status)) return false;
  if (directives.mustUnderstand) {
    // It lifts no-store for who knows the status (RFC 9111 §5.2.2.3).
    if (!UNDERSTOOD.has(head.status)) return false;
  } else if (directives.noStore) return false;
  if (directives.isPrivate) return false;
  const isShared = directives.isPublic || directives.sMaxAge !== undefined;
  if (request.isAuthorized && !isShared && !directives.mustRevalidate) return false;
  // RFC 9111 §7.3 allows it; but a session that goes to somebody else is worse than a miss, so it must be said twice.
  if (head.fields.includes("set-cookie") && !isShared) return false;
  return lifetime.isExplicit || directives.isPublic || HEURISTIC.has(head.status);
}

/** Fields to store: without those of one connection and those that `private="…"` and `no-cache="…"` name. */
export function storedFields(fields: readonly string[], directives: Readonly<Directives>): Fields {
  const stored: Fields = [];
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at]!;
    if (!NOT_STORED.has(name) && !directives.fields.includes(name)) stored.push(name, fields[at + 1]!);
  }
  return stored;
}

/** Not taken from a 304: they describe the body that is stored (RFC 9111 §3.2), or are not stored at all. */
const KEPT: ReadonlySet<string> = new Set(["content-encoding", "content-md5", "content-range", "etag"]);

/** The stored fields after a 304, or a HEAD, confirmed them (RFC 9111 §3.2): each name that came replaces what was there. */
export function updatedFields(stored: readonly string[], came: readonly string[]): Fields {
  const names = new Set<string>();
  for (let at = 0; at < came.length; at += 2) if (!KEPT.has(came[at]!)) names.add(came[at]!);
  const fields: Fields = [];
  for (let at = 0; at < stored.length; at += 2) if (!names.has(stored[at]!)) fields.push(stored[at]!, stored[at + 1]!);
  for (let at = 0; at < came.length; at += 2) if (names.has(came[at]!)) fields.push(came[at]!, came[at + 1]!);
  return fields;
}
