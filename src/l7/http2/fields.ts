/**
 * Fields of HTTP/2 messages, both ways: what may stand in them (RFC 9113 §8.2), and how they go to `node:http2`, which speaks
 * with backends.
 *
 * Owns:    the rules of names and values. nghttp2 holds backends to most of them, but passes over a regular field that it does
 *          not like where the message has to be refused; at what we send it does not look at all.
 * @module
 */
import { isFieldValue, isFraming, isProtected, SPACE, TAB, TOKEN_LOWER } from "#l7/http1/grammar.ts";
import type { Fields } from "#l7/message.ts";

const COLON = 0x3a;

export const isPseudo = (name: string): boolean => name.charCodeAt(0) === COLON;

/** A token in lower case (RFC 9113 §8.2.1). */
export function isName(name: string): boolean {
  for (let at = 0; at < name.length; at++) {
    const code = name.charCodeAt(at);
    if (TOKEN_LOWER[code] !== code) return false;
  }
  return name.length > 0;
}

/** @returns false: a control, such as CR, LF or NUL, or white space around it (RFC 9113 §8.2.1) */
export function isValue(value: string): boolean {
  if (value.length === 0) return true;
  const first = value.charCodeAt(0);
  const last = value.charCodeAt(value.length - 1);
  return first !== SPACE && first !== TAB && last !== SPACE && last !== TAB && isFieldValue(value);
}

/** Fields that speak of one connection of HTTP/1.1: a message with one of them is malformed (RFC 9113 §8.2.2). */
export function isConnectionField(name: string): boolean {
  switch (name) {
    case "connection":
    case "keep-alive":
    case "proxy-connection":
    case "transfer-encoding":
    case "upgrade":
    case "http2-settings":
      return true;
    default:
      return false;
  }
}

/** Whether a client's trailers are none: the message that they end is malformed then (RFC 9113 §8.1). */
export function isMalformedTrailers(raw: readonly string[]): boolean {
  for (let at = 0; at < raw.length; at += 2)
    if (!isName(raw[at]!) || !isValue(raw[at + 1]!) || isConnectionField(raw[at]!)) return true;
  return false;
}

/** What would change that which was decided by the head is dropped (RFC 9110 §6.5.1). @returns undefined: nothing is left */
export function readTrailers(raw: readonly string[]): Fields | undefined {
  const fields: Fields = [];
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at]!;
    const value = raw[at + 1]!;
    if (isName(name) && isValue(value) && !isFraming(name) && !isProtected(name)) fields.push(name, value);
  }
  return fields.length > 0 ? fields : undefined;
}

/**
 * Adds what may be sent. A rule may have made a value of what a stranger sent: a field that would cut the message, or that
 * speaks of framing, stays behind here, whoever wrote it (R43).
 */
export function pushFields(to: string[], fields: readonly string[]): void {
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at]!;
    const value = fields[at + 1]!;
    if (isName(name) && isFieldValue(value) && !isFraming(name)) to.push(name, value);
  }
}

/** For the parts of Node's API that do not take a list. */
export function fieldsObject(fields: readonly string[]): Record<string, string | string[]> {
  const safe: string[] = [];
  pushFields(safe, fields);
  const object: Record<string, string | string[]> = Object.create(null); // a field may be called `__proto__`
  for (let at = 0; at < safe.length; at += 2) {
    const name = safe[at]!;
    const value = safe[at + 1]!;
    const soFar = object[name];
    if (soFar === undefined) object[name] = value;
    else if (typeof soFar === "string") object[name] = [soFar, value];
    else soFar.push(value);
  }
  return object;
}
