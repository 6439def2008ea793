/**
 * What a request becomes on its way to a pool: the request that backends get, and the key by which one of them is chosen.
 * @module
 */
import { hashText } from "#base/hash.ts";
import type { CacheFill } from "#l7/cache/cache.ts";
import type { ExchangePlan } from "#l7/exchange/plan.ts";
import type { Forwarded } from "#l7/headers/forwarded.ts";
import { type Trace, writeTrace } from "#l7/headers/trace-context.ts";
import type { KnownOutbound } from "#l7/known-fields.ts";
import { areSame, type Fields, fieldOf } from "#l7/message.ts";
import type { HttpRequest } from "#l7/request.ts";
import type { PoolRef, Route } from "#l7/route.ts";
import { stripCookie } from "#l7/sticky/own-cookie.ts";
import type { OutboundRequest } from "#l7/stream.ts";
import { clientKey, hasKey } from "#pool/client-key.ts";
import type { PoolSpec } from "#state/balancer.ts";
import type { KeySource } from "#state/http.ts";

/**
 * @param stickyCookie our own cookie, which is none of the backend's business
 * @param isBodyWanted the client sends its body already: nobody has to let it
 */
export function outboundOf(
  plan: ExchangePlan,
  route: Route,
  { spec }: PoolRef,
  request: HttpRequest,
  fill: CacheFill | undefined,
  stickyCookie: string | undefined,
  isBodyWanted: boolean,
  trace: Trace | undefined,
): OutboundRequest {
  const { head } = request;
  const isEdited = stickyCookie !== undefined || fill !== undefined || trace !== undefined || route.editsRequest;
  const told = isEdited ? undefined : knownOutbound(plan.forwarded, request);
  const fields = (told ?? head).fields.slice();
  if (told === undefined) {
    if (stickyCookie !== undefined) stripCookie(fields, stickyCookie);
    fill?.editRequest(fields);
    plan.forwarded.edit(fields, request);
    route.editRequest(fields, request);
    if (trace !== undefined) writeTrace(fields, trace);
  } else if (told.idAt >= 0) fields[told.idAt] = request.requestId;
  return {
    version: head.version,
    method: fill?.method ?? head.method,
    target: route.rewrite(request),
    scheme: head.scheme,
    authority: spec.upstream.host ?? head.authority,
    fields,
    bodyOctets: head.bodyOctets,
    expectsContinue: head.expectsContinue && !isBodyWanted,
    upgrade: head.upgrade,
    takesTrailers: head.takesTrailers,
    told,
  };
}

/** What is told of a client that said the same before. */
function knownOutbound(forwarded: Forwarded, request: HttpRequest): KnownOutbound | undefined {
  const { known, fields } = request.head;
  // A guard may have changed them.
  if (known === undefined || !areSame(known.fields, fields)) return undefined;
  if (known.outbound?.forwarded !== forwarded) {
    const edited = fields.slice();
    forwarded.edit(edited, request);
    const idAt = forwarded.sendsId ? lastOf(edited, "x-request-id") + 1 : -1;
    known.outbound = { forwarded, fields: edited, idAt, lines: undefined };
  }
  return known.outbound;
}
/** @returns where the last field of this name stands */
function lastOf(fields: Readonly<Fields>, name: string): number {
  let at = fields.length - 2;
  while (fields[at] !== name) at -= 2;
  return at;
}

/** 32 bits of the first source that is not empty; else of the client's address. 0 where the algorithm does not ask. */
export function keyOf({ algorithm, hashOn, hashBits }: PoolSpec, request: HttpRequest): number {
  if (!hasKey(algorithm)) return 0;
  for (const source of hashOn) {
    if (source === "address") break;
    const text = textOf(source, request);
    if (text !== undefined && text !== "") return hashText(text);
  }
  return clientKey(request.client, hashBits);
}

function textOf(source: Exclude<KeySource, "address">, request: HttpRequest): string | undefined {
  if (source === "path") return request.path;
  if (source === "uri") return request.head.target;
  if ("header" in source) return fieldOf(request.head.fields, source.header);
  return "cookie" in source ? request.cookieOf(source.cookie) : request.queryOf(source.query);
}

/** What stickiness knows the client by: a field, where the pool says so and it is not empty, else its address. */
export function nameOf({ sticky }: PoolSpec, request: HttpRequest): string {
  const by = sticky?.by;
  if (by === undefined || typeof by === "string") return request.client;
  return fieldOf(request.head.fields, by.header) || request.client;
}
