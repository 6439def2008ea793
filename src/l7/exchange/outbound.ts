/**
 * What a request becomes on its way to a pool: the request that backends get, and the key by which one of them is chosen.
 * @module
 */
import { hashText } from "#base/hash.ts";
import type { CacheFill } from "#l7/cache/cache.ts";
import type { ExchangePlan } from "#l7/exchange/plan.ts";
import { fieldOf } from "#l7/message.ts";
import type { HttpRequest } from "#l7/request.ts";
import type { PoolRef, Route } from "#l7/route.ts";
import { stripCookie } from "#l7/sticky/own-cookie.ts";
import type { OutboundRequest } from "#l7/stream.ts";
import { clientKey } from "#pool/client-key.ts";
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
): OutboundRequest {
  const { head } = request;
  const fields = head.fields.slice();
  if (stickyCookie !== undefined) stripCookie(fields, stickyCookie);
  fill?.editRequest(fields);
  plan.forwarded.edit(fields, request);
  route.editRequest(fields, request);
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
  };
}

/** 32 bits of the first source that is not empty; else of the client's address. */
export function keyOf({ hashOn, hashBits }: PoolSpec, request: HttpRequest): number {
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
