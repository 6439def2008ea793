/**
 * A field section of HTTP/2 → the head of a response (RFC 9113 §8.3.2), strictly.
 * @module
 */
import { contentLengthOf } from "#l7/http1/field-scan.ts";
import { isConnectionField, isName, isPseudo, isValue } from "#l7/http2/fields.ts";
import { type Fields, type ResponseHead, UNKNOWN_LENGTH } from "#l7/message.ts";

/** Whether a response has room for a body (RFC 9110 §6.4.1). */
export const hasBody = (status: number, method: string): boolean =>
  method !== "HEAD" && status !== 204 && status !== 304 && status >= 200;

/**
 * @param isEnded END_STREAM came with the head
 * @returns what is wrong with it, as text
 */
export function readResponseHead(raw: readonly string[], isEnded: boolean, method: string): ResponseHead | string {
  let status = 0;
  let length = UNKNOWN_LENGTH;
  const fields: Fields = [];
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at]!;
    const value = raw[at + 1]!;
    if (isPseudo(name)) {
      if (name !== ":status" || at > 0 || !/^[1-5][0-9][0-9]$/.test(value))
        return "Its pseudo-headers are not one :status";
      status = Number(value);
      continue;
    }
    if (!isName(name)) return "A field name is not a token in lower case";
    if (!isValue(value)) return "A field value holds a control character, or white space around it";
    if (isConnectionField(name) || name === "te") return "A field speaks of a connection of HTTP/1.1";
    if (name === "content-length") {
      if (length !== UNKNOWN_LENGTH) return "Content-Length stands twice";
      length = contentLengthOf(value);
      if (length < 0) return "Content-Length is not a decimal number below 2^53";
    } else if (name !== "trailer") fields.push(name, value);
  }
  if (status === 0) return "The status is missing";
  if (status === 101) return "HTTP/2 has no 101";
  if (!hasBody(status, method))
    return { status, fields, bodyOctets: 0, declaredOctets: length === UNKNOWN_LENGTH ? undefined : length };
  if (isEnded && length > 0) return "The stream ends before Content-Length is reached";
  return { status, fields, bodyOctets: isEnded ? 0 : length, declaredOctets: undefined };
}
