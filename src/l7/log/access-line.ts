/**
 * One line of the access log, JSON (docs/access-log.md lists the fields).
 *
 * Owns:    the text. Written by hand, as `JSON.stringify` of an object with so many fields costs as much as proxying the
 *          request; only what comes from outside is escaped by it.
 * Units:   ms with three decimals, octets; times of day in RFC 3339 with ms.
 * @module
 */
import type { AccessEntry } from "#l7/context.ts";

/** What comes from outside: latin1 text of the wire, which may hold anything. */
const text = (value: string): string => JSON.stringify(value);
const ms = (value: number): string => (Math.round(value * 1_000) / 1_000).toString();

/** Times of day are told once a millisecond at most. */
let stampMs = Number.NaN;
let stamp = "";
function timeOf(atMs: number): string {
  if (atMs !== stampMs) {
    stampMs = atMs;
    stamp = new Date(atMs).toISOString();
  }
  return stamp;
}

/** @returns one line with its end */
export function accessLine(entry: AccessEntry): string {
  const { rule, traceId, pool, backend, cache, tls } = entry;
  return (
    `{"time":"${timeOf(entry.atMs)}","listener":${text(entry.listener)},"client":${text(entry.client)},` +
    `"method":${text(entry.method)},"scheme":"${entry.scheme}","host":${text(entry.host)},` +
    `"target":${text(entry.target)},"version":"${entry.version}","status":${entry.status},` +
    `"request_octets":${entry.requestOctets},"response_octets":${entry.responseOctets},` +
    (rule === undefined ? "" : `"rule":${text(rule)},`) +
    (pool === undefined ? "" : `"pool":${text(pool)},`) +
    (backend === undefined ? "" : `"backend":"${backend}",`) +
    `"tries":${entry.tries},"queue_ms":${ms(entry.queueMs)},"connect_ms":${ms(entry.connectMs)},` +
    `"first_octet_ms":${ms(entry.firstOctetMs)},"total_ms":${ms(entry.totalMs)},` +
    (entry.flags === "" ? "" : `"flags":"${entry.flags}",`) +
    (cache === undefined ? "" : `"cache":"${cache}",`) +
    (tls === undefined ? "" : `"tls":"${tls}",`) +
    (traceId === undefined ? "" : `"trace_id":"${traceId}",`) +
    `"request_id":${text(entry.requestId)}}\n`
  );
}
