/**
 * Makes a response to a request from a stored one (RFC 9111 §4, RFC 9110 §13 and §14).
 *
 * Owns:    conditions of the client (304), ranges (206, 416), HEAD, Age.
 * @module
 */
import type { CacheFill, CacheHit } from "#l7/cache/cache.ts";
import { splitList } from "#l7/cache/directives.ts";
import { parseHttpDate } from "#l7/cache/http-date.ts";
import { rangeOf, sliced } from "#l7/cache/range.ts";
import type { StoredResponse } from "#l7/cache/stored-response.ts";
import { type Fields, fieldOf, listOf, type RequestHead } from "#l7/message.ts";

/** Of a 304: what a client's own cache may have to change (RFC 9110 §15.4.5). */
const OF_304: ReadonlySet<string> = new Set([
  "cache-control",
  "content-location",
  "date",
  "etag",
  "expires",
  "last-modified",
  "vary",
]);

const NO_BODY: readonly Uint8Array[] = [];

/** @param cacheStatus value of Cache-Status; undefined: none is added */
export function hitOf(
  stored: StoredResponse,
  request: RequestHead,
  steadyMs: number,
  outcome: CacheHit["outcome"],
  cacheStatus: string | undefined,
  refresh: CacheFill | undefined,
): CacheHit {
  const isWhole = stored.status !== 200 || !hasCondition(request.fields);
  let status = stored.status;
  let fields: Fields;
  let body = stored.body;
  let octets = stored.bodyOctets;
  if (isWhole) fields = stored.fields.slice();
  else if (isNotModified(stored, request.fields)) {
    status = 304;
    fields = [];
    for (let at = 0; at < stored.fields.length; at += 2)
      if (OF_304.has(stored.fields[at]!)) fields.push(stored.fields[at]!, stored.fields[at + 1]!);
  } else {
    fields = stored.fields.slice();
    const range = wantedRange(stored, request);
    if (range === "unsatisfiable") {
      status = 416;
      fields = ["date", fieldOf(stored.fields, "date")!, "content-range", `bytes */${octets}`];
      body = NO_BODY;
      octets = 0;
    } else if (range !== undefined) {
      status = 206;
      fields.push("content-range", `bytes ${range.first}-${range.last}/${octets}`);
      body = sliced(body, range);
      octets = range.last - range.first + 1;
    }
  }
  fields.push("age", String(Math.floor(stored.ageMs(steadyMs) / 1000)));
  if (cacheStatus !== undefined) fields.push("cache-status", cacheStatus);
  const hasBody = request.method !== "HEAD" && status !== 304;
  return {
    head: {
      status,
      fields,
      bodyOctets: hasBody ? octets : 0,
      declaredOctets: hasBody || status === 304 || status === 204 ? undefined : octets,
    },
    body: hasBody ? body : NO_BODY,
    coded: hasBody && body === stored.body ? stored.coded : undefined,
    outcome,
    refresh,
  };
}

function hasCondition(fields: readonly string[]): boolean {
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at];
    if (name === "if-none-match" || name === "if-modified-since" || name === "range") return true;
  }
  return false;
}

/** RFC 9110 §13.2.2, steps 3 and 4: If-Modified-Since counts only without If-None-Match. */
function isNotModified(stored: StoredResponse, fields: readonly string[]): boolean {
  const tags = listOf(fields, "if-none-match");
  if (tags !== undefined) {
    if (tags === "*") return true;
    const etag = stored.etag === undefined ? undefined : withoutWeakness(stored.etag);
    return etag !== undefined && splitList(tags).some((tag) => withoutWeakness(tag) === etag);
  }
  const since = listOf(fields, "if-modified-since");
  if (since === undefined) return false;
  const sinceMs = parseHttpDate(since, stored.dateMs);
  // Without Last-Modified: it has not changed since it was made, at least.
  return sinceMs !== undefined && (stored.changedMs ?? stored.dateMs) <= sinceMs;
}

const withoutWeakness = (tag: string): string => (tag.startsWith("W/") ? tag.slice(2) : tag);

function wantedRange(stored: StoredResponse, request: RequestHead): ReturnType<typeof rangeOf> {
  const field = listOf(request.fields, "range");
  if (field === undefined || request.method !== "GET") return undefined;
  const ifRange = fieldOf(request.fields, "if-range");
  if (ifRange !== undefined && !isSameAs(stored, ifRange)) return undefined;
  return rangeOf(field, stored.bodyOctets);
}

/** RFC 9110 §13.1.5: strong comparison; a date must be the very one, and old enough to be strong (§8.8.2.2). */
function isSameAs(stored: StoredResponse, ifRange: string): boolean {
  if (ifRange.startsWith('"')) return stored.etag === ifRange;
  return stored.lastModified === ifRange && stored.changedMs !== undefined && stored.dateMs - stored.changedMs >= 1000;
}
