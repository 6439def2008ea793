/**
 * HTTP messages as every part of `l7/` sees them, whichever version they came by.
 *
 * Owns:    the shape of heads and what is said of a body. Framing and hop-by-hop fields are taken out of `fields` when a
 *          message is read, told by properties, and written anew when it is sent: nothing of a peer's framing is passed on.
 * Units:   octets. Texts are latin1: one code unit per octet of the wire.
 * @module
 */

import type { KnownFields, KnownLines } from "#l7/known-fields.ts";

/** Names and values in turn, in the order of the wire; names in lower case, values without white space around them. */
export type Fields = string[];

export type HttpVersion = "1.0" | "1.1" | "2";

/** Of `bodyOctets`: how many is known at its end (chunked, close, HTTP/2 without Content-Length). */
export const UNKNOWN_LENGTH = -1;

export type RequestHead = {
  readonly version: HttpVersion;
  readonly method: string;
  /** Origin form, as it was sent: path and query; `*` of OPTIONS. */
  readonly target: string;
  readonly scheme: "http" | "https";
  /** Host and port as they were sent; empty: HTTP/1.0 without Host. */
  readonly authority: string;
  /** Without Host, framing and hop-by-hop fields. */
  readonly fields: Fields;
  /** 0: there is none. */
  readonly bodyOctets: number;
  /** Waits for 100 before it sends its body. */
  readonly expectsContinue: boolean;
  /** Token of `Upgrade` that we pass on (`websocket`), or the `:protocol` of an extended CONNECT. */
  readonly upgrade: string | undefined;
  /** Said `TE: trailers`. */
  readonly takesTrailers: boolean;
  /** Where the same fields came before: what is known of them. */
  readonly known?: KnownFields | undefined;
};

export type ResponseHead = {
  readonly status: number;
  /** Without framing and hop-by-hop fields. */
  readonly fields: Fields;
  /** 0: there is none; of HEAD and 304 see `declaredOctets`. */
  readonly bodyOctets: number;
  /** What Content-Length said, where there is no body (HEAD, 304): it is passed on. */
  readonly declaredOctets: number | undefined;
  /** Where the same fields came before: what is known of them. */
  readonly known?: KnownLines | undefined;
};

/** A response of our own. */
export type Reply = {
  readonly status: number;
  readonly fields: Fields;
  readonly body: string | Uint8Array;
};

/** @returns the first value of a field, by its name in lower case */
export function fieldOf(fields: readonly string[], name: string): string | undefined {
  for (let at = 0; at < fields.length; at += 2) if (fields[at] === name) return fields[at + 1];
  return undefined;
}

/** @returns all values of a field, joined as RFC 9110 §5.3 has it; undefined: there is none. Not for Set-Cookie. */
export function listOf(fields: readonly string[], name: string): string | undefined {
  let list: string | undefined;
  for (let at = 0; at < fields.length; at += 2)
    if (fields[at] === name) list = list === undefined ? fields[at + 1]! : `${list}, ${fields[at + 1]!}`;
  return list;
}

/** Whether two lists say the same in the same order. */
export function areSame(fields: readonly string[], others: readonly string[]): boolean {
  if (fields.length !== others.length) return false;
  for (let at = 0; at < fields.length; at++) if (fields[at] !== others[at]) return false;
  return true;
}

/** Takes all fields of this name out, in place. */
export function removeField(fields: Fields, name: string): void {
  let to = 0;
  for (let at = 0; at < fields.length; at += 2) {
    if (fields[at] === name) continue;
    fields[to++] = fields[at]!;
    fields[to++] = fields[at + 1]!;
  }
  fields.length = to;
}

/** One field of this name, with this value, at the place of the first of them or at the end. */
export function setField(fields: Fields, name: string, value: string): void {
  for (let at = 0; at < fields.length; at += 2) {
    if (fields[at] !== name) continue;
    if (fields.indexOf(name, at + 2) >= 0) break;
    fields[at + 1] = value;
    return;
  }
  removeField(fields, name);
  fields.push(name, value);
}
