/**
 * Responses that we make ourselves, where no backend answers: short, with the request's id, and nothing about our insides.
 *
 * Owns:    their form, `application/problem+json` (RFC 9457).
 * @module
 */
import { STATUS_CODES } from "node:http";
import { fieldOf, type Reply, type RequestHead, type ResponseHead } from "#l7/message.ts";
import { LISTENER_COUNTER } from "#state/counters.ts";
import type { UpstreamSpec } from "#state/http.ts";

/** After so long it may go better (RFC 9110 §10.2.3). */
const RETRY_AFTER_SECONDS = "1";
const PROBLEM = "application/problem+json";

/** @param requestId undefined: the request could not be read so far */
export function ownReply(status: number, requestId: string | undefined): Reply {
  const title = STATUS_CODES[status] ?? "Error";
  const fields = ["content-type", PROBLEM, "cache-control", "no-store"];
  if (status === 429 || status === 503) fields.push("retry-after", RETRY_AFTER_SECONDS);
  return { status, fields, body: `${JSON.stringify({ title, status, requestId })}\n` };
}

/**
 * Whether a request of gRPC would lose its status on the way: that stands in trailers, which backends over HTTP/1.1 do not
 * send, or which do not pass. gRPC-Web is made for HTTP/1.1.
 */
export const losesGrpcStatus = ({ method, version, fields }: RequestHead, upstream: UpstreamSpec): boolean =>
  upstream.protocol === "http1" &&
  !upstream.passesTrailers &&
  version === "2" &&
  method === "POST" &&
  /^application\/grpc(?:$|[+;\s])/i.test(fieldOf(fields, "content-type") ?? "");

/** UNIMPLEMENTED, as a response of trailers alone: whoever speaks gRPC reads no other body. */
export const GRPC_REFUSAL: Reply = {
  status: 200,
  fields: [
    ...["content-type", "application/grpc", "grpc-status", "12"],
    ...["grpc-message", "The backends are asked over HTTP/1.1, which has no room for gRPC"],
  ],
  body: "",
};

/** What is sent of a reply: its head, and its body, empty where the request or the status has no room for one. */
export function replyMessage(
  { status, fields, body }: Reply,
  method: string,
): { readonly head: ResponseHead; readonly body: Uint8Array } {
  const octets = typeof body === "string" ? Buffer.from(body) : body;
  const hasRoom = status >= 200 && status !== 204 && status !== 304;
  if (method === "HEAD" || !hasRoom) {
    const declaredOctets = hasRoom ? octets.length : undefined;
    return { head: { status, fields: [...fields], bodyOctets: 0, declaredOctets }, body: octets.subarray(0, 0) };
  }
  return {
    head: { status, fields: [...fields], bodyOctets: octets.length, declaredOctets: undefined },
    body: octets,
  };
}

/** @returns where in a listener's counters a response is counted; -1: none was sent */
export const classCounter = (status: number): number => CLASS_COUNTERS[Math.trunc(status / 100)] ?? -1;
const { http_1xx, http_2xx, http_3xx, http_4xx, http_5xx } = LISTENER_COUNTER;
const CLASS_COUNTERS: readonly number[] = [-1, http_1xx, http_2xx, http_3xx, http_4xx, http_5xx];
