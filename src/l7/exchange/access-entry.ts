/**
 * One request as the access log and traces tell of it.
 * @module
 */

import type { AccessEntry } from "#l7/context.ts";
import type { ExchangePlan } from "#l7/exchange/plan.ts";
import type { Tries } from "#l7/exchange/tries.ts";
import type { Trace } from "#l7/headers/trace-context.ts";
import type { RequestHead } from "#l7/message.ts";
import type { HttpRequest } from "#l7/request.ts";
import type { PoolRef, Route } from "#l7/route.ts";
import type { Arrived } from "#net/arrival.ts";
import type { SpanRecord } from "#state/spans.ts";

/** What an exchange knows at its end. */
export type ExchangeFacts = {
  readonly plan: ExchangePlan;
  readonly arrived: Arrived;
  readonly head: RequestHead;
  readonly request: HttpRequest | undefined;
  readonly route: Route | undefined;
  readonly pool: PoolRef | undefined;
  readonly tries: Tries | undefined;
  readonly trace: Trace | undefined;
  readonly status: number;
  readonly flags: string;
  readonly cache: string | undefined;
  readonly requestOctets: number;
  readonly responseOctets: number;
  /** Unix ms. */
  readonly atMs: number;
  readonly firstOctetMs: number;
  readonly totalMs: number;
};

export function accessEntryOf(facts: ExchangeFacts): AccessEntry {
  const { plan, arrived, head, request, tries, pool } = facts;
  const last = tries?.last;
  return {
    atMs: facts.atMs,
    listener: plan.listener.name,
    rule: facts.route?.spec.name,
    client: request?.client ?? arrived.source.address,
    requestId: request?.requestId ?? "",
    traceId: facts.trace?.traceId,
    method: head.method,
    scheme: head.scheme,
    host: request?.host ?? head.authority,
    target: head.target,
    version: head.version,
    status: facts.status,
    requestOctets: facts.requestOctets,
    responseOctets: facts.responseOctets,
    pool: pool?.spec.name,
    backend: last === undefined ? undefined : last.places.backend(last.row)?.key,
    tries: tries?.count ?? 0,
    queueMs: tries?.queueMs ?? 0,
    connectMs: tries?.connectMs ?? 0,
    firstOctetMs: facts.firstOctetMs,
    totalMs: facts.totalMs,
    flags: facts.flags,
    cache: facts.cache,
    tls: arrived.tls?.version,
  };
}

/** What could not be read as a request, and was answered with this status. @param atMs Unix ms */
export const badRequestEntry = (plan: ExchangePlan, arrived: Arrived, status: number, atMs: number): AccessEntry => ({
  atMs,
  listener: plan.listener.name,
  rule: undefined,
  client: arrived.source.address,
  requestId: "",
  traceId: undefined,
  method: "",
  scheme: arrived.tls === undefined ? "http" : "https",
  host: "",
  target: "",
  version: "",
  status,
  requestOctets: 0,
  responseOctets: 0,
  pool: undefined,
  backend: undefined,
  tries: 0,
  queueMs: 0,
  connectMs: 0,
  firstOctetMs: 0,
  totalMs: 0,
  flags: "DPE",
  cache: undefined,
  tls: arrived.tls?.version,
});

/** By the semantic conventions for HTTP server spans. */
export function spanOf(facts: ExchangeFacts, trace: Trace): SpanRecord {
  const { head, request, route, pool, status } = facts;
  return {
    traceId: trace.traceId,
    spanId: trace.spanId,
    parentSpanId: trace.parentId,
    name: `${head.method} ${route?.spec.name ?? ""}`.trimEnd(),
    startMs: facts.atMs,
    endMs: facts.atMs + facts.totalMs,
    isError: status >= 500 || status === 0,
    attributes: {
      "http.request.method": head.method,
      "url.scheme": head.scheme,
      "url.path": request?.path ?? head.target,
      "server.address": request?.host ?? head.authority,
      "client.address": request?.client ?? facts.arrived.source.address,
      "network.protocol.version": head.version,
      ...(status > 0 && { "http.response.status_code": status }),
      ...(route && { "http.route": route.spec.name }),
      ...(pool && { "rhumb.pool": pool.spec.name }),
      "rhumb.tries": facts.tries?.count ?? 0,
    },
  };
}
