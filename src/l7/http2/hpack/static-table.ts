/**
 * The fields that both sides of HTTP/2 know from the beginning (RFC 7541 appendix A).
 * @module
 */

const TABLE = `:authority|:method=GET|:method=POST|:path=/|:path=/index.html|:scheme=http|:scheme=https|:status=200|:status=204
:status=206|:status=304|:status=400|:status=404|:status=500|accept-charset|accept-encoding=gzip, deflate|accept-language
accept-ranges|accept|access-control-allow-origin|age|allow|authorization|cache-control|content-disposition|content-encoding
content-language|content-length|content-location|content-range|content-type|cookie|date|etag|expect|expires|from|host
if-match|if-modified-since|if-none-match|if-range|if-unmodified-since|last-modified|link|location|max-forwards
proxy-authenticate|proxy-authorization|range|referer|refresh|retry-after|server|set-cookie|strict-transport-security
transfer-encoding|user-agent|vary|via|www-authenticate`;

const pairs = TABLE.split(/[|\n]/).map((pair) => {
  const equals = pair.indexOf("=");
  return equals < 0 ? [pair, ""] : [pair.slice(0, equals), pair.slice(equals + 1)];
});

/** Index 0 is none. */
export const STATIC_NAMES: readonly string[] = ["", ...pairs.map(([name]) => name!)];
export const STATIC_VALUES: readonly string[] = ["", ...pairs.map(([, value]) => value!)];
/** Indexes from here on are of the dynamic table, the newest entry first. */
export const FIRST_DYNAMIC = STATIC_NAMES.length;

const nameIndexes = new Map<string, number>();
for (let index = FIRST_DYNAMIC - 1; index > 0; index--) nameIndexes.set(STATIC_NAMES[index]!, index);
/** @returns the first index with this name; 0: none */
export const staticNameIndex = (name: string): number => nameIndexes.get(name) ?? 0;

/** Size of a dynamic table where nobody says otherwise, in octets (RFC 9113 §6.5.2). */
export const DEFAULT_TABLE_OCTETS = 4_096;
/** What an entry counts beside its name and value (RFC 7541 §4.1). */
export const ENTRY_OVERHEAD = 32;
