/**
 * Our own chunking of bodies (RFC 9112 §7.1): no extension, nothing of what the sender's chunks were.
 *
 * Owns:    chunk lines and trailers. The payload itself is written as it is.
 * @module
 */
import { isFieldValue, isFraming, isProtected, isToken } from "#l7/http1/grammar.ts";
import type { Fields } from "#l7/message.ts";

/** Goes after each chunk's data. */
export const CHUNK_END = "\r\n";
/** Ends a chunked body that has no trailers. */
export const LAST_CHUNK = "0\r\n\r\n";

/** @param octets of the data that follows; 0 would end the body */
export const chunkHead = (octets: number): string => `${octets.toString(16)}\r\n`;

/** Ends a chunked body. What may not stand in trailers is left out (RFC 9110 §6.5.1). */
export function writeLastChunk(trailers: Fields | undefined): string {
  if (trailers === undefined) return LAST_CHUNK;
  let text = "0\r\n";
  for (let at = 0; at < trailers.length; at += 2) {
    const name = trailers[at]!;
    const value = trailers[at + 1]!;
    if (isFraming(name) || isProtected(name) || !isToken(name) || !isFieldValue(value)) continue;
    text += `${name}: ${value}\r\n`;
  }
  return `${text}\r\n`;
}
