/**
 * The head of a request as it goes to a backend over HTTP/2.
 * @module
 */
import { isFieldValue, isTarget, isToken } from "#l7/http1/grammar.ts";
import { pushFields } from "#l7/http2/fields.ts";
import { fieldOf, UNKNOWN_LENGTH } from "#l7/message.ts";
import type { OutboundRequest } from "#l7/stream.ts";
import type { UpstreamSpec } from "#state/http.ts";

/** Its status stands in trailers: they are part of what it is, whatever is configured. */
export const isGrpc = (fields: readonly string[]): boolean =>
  fieldOf(fields, "content-type")?.startsWith("application/grpc") === true;

/** @returns names and values in turn, as Node takes them; undefined: something in it would cut the message */
export function writeRequestHead(
  request: OutboundRequest,
  spec: UpstreamSpec,
  isSecure: boolean,
  passesTrailers: boolean,
): string[] | undefined {
  const { method, target, fields, bodyOctets, upgrade } = request;
  const authority = spec.host ?? request.authority;
  if (!isToken(method) || !isTarget(target) || !isFieldValue(authority)) return undefined;
  const raw = [":method", upgrade === undefined ? method : "CONNECT", ":scheme", isSecure ? "https" : "http"];
  raw.push(":path", target);
  if (authority !== "") raw.push(":authority", authority);
  if (upgrade !== undefined) raw.push(":protocol", upgrade);
  pushFields(raw, upgrade === undefined && spec.keepsUnderscores ? fields : kept(request, spec.keepsUnderscores));
  if (bodyOctets !== UNKNOWN_LENGTH && bodyOctets > 0) raw.push("content-length", String(bodyOctets));
  if (request.expectsContinue) raw.push("expect", "100-continue");
  if (request.takesTrailers && passesTrailers) raw.push("te", "trailers");
  return raw;
}

/** Without what CGI takes for another field, and without the key that is HTTP/1.1's (RFC 8441 §5). */
function kept({ fields, upgrade }: OutboundRequest, keepsUnderscores: boolean): readonly string[] {
  const isDropped = (name: string): boolean =>
    (!keepsUnderscores && name.indexOf("_") >= 0) || (upgrade !== undefined && name === "sec-websocket-key");
  let isWhole = true;
  for (let at = 0; at < fields.length && isWhole; at += 2) isWhole = !isDropped(fields[at]!);
  if (isWhole) return fields;
  const left: string[] = [];
  for (let at = 0; at < fields.length; at += 2) if (!isDropped(fields[at]!)) left.push(fields[at]!, fields[at + 1]!);
  return left;
}
