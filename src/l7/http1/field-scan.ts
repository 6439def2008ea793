/**
 * Field lines of a head or of trailers → names and values, and what they say about framing (RFC 9110 §5, RFC 9112 §5, §6).
 *
 * Owns:    rules R9 to R22 as far as one field, or two of the same name, can break them; the structure of lines.
 * Never:   throws, or knows whether it reads a request or a response.
 * @module
 */
import {
  COLON,
  CR,
  FRAMING,
  type FramingField,
  findName,
  isFraming,
  isProtected,
  isToken,
  KNOWN_NAMES,
  LF,
  SPACE,
  TAB,
  TOKEN_LOWER,
  UNKNOWN_NAME,
  VALUE,
} from "#l7/http1/grammar.ts";
import type { HeadFault, HeadLimits } from "#l7/http1/parse.ts";
import { type Fields, removeField } from "#l7/message.ts";

export const fault = (status: number, rule: string, says: string): HeadFault => ({ kind: "bad", status, rule, says });

const BARE_LINE_END = fault(400, "R1", "A line does not end in CRLF");
const TOO_LARGE = fault(431, "R7", "The head is longer than the limit");
const TOO_MANY = fault(431, "R13", "The head has more fields than the limit");
const BLANK_BEFORE_FIELDS = fault(400, "R3", "White space stands before the first field");
const BAD_NAME = fault(400, "R9", "A field name is not a token, or white space stands before its colon");
const NO_NAME = fault(400, "R10", "A field has no name");
const NO_COLON = fault(400, "R10", "A field line has no colon");
const BAD_VALUE = fault(400, "R11", "A field value holds a control character");
const FOLDED = fault(400, "R12", "A field is continued on the next line");
const TWO_HOSTS = fault(400, "R13", "There is more than one Host");
const NOMINATED = fault(400, "R15", "Connection nominates a field that must reach the backend");
const BAD_CONNECTION = fault(400, "R15", "Connection is not a list of tokens");
const BAD_LENGTH = fault(400, "R18", "Content-Length is not a decimal number below 2^53");
const TWO_LENGTHS = fault(400, "R19", "There is more than one Content-Length");
const TWO_CODINGS = fault(400, "R21", "There is more than one Transfer-Encoding");
const BAD_CODING = fault(400, "R21", "Transfer-Encoding is not chunked alone");
const UNKNOWN_CODING = fault(501, "R21", "A transfer coding other than chunked is not implemented");

const KIND = Object.fromEntries(FRAMING.map((name, index) => [name, index])) as Record<FramingField, number>;
const MAX_LENGTH_DIGITS = 16; // of 2^53 − 1

/** @returns octets, or -1: R18 */
export function contentLengthOf(text: string): number {
  if (text.length === 0 || text.length > MAX_LENGTH_DIGITS) return -1;
  let octets = 0;
  for (let at = 0; at < text.length; at++) {
    const digit = text.charCodeAt(at) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    octets = octets * 10 + digit;
  }
  if (text.length > 1 && text.charCodeAt(0) === 0x30) return -1;
  return Number.isSafeInteger(octets) ? octets : -1;
}

const NONE: string[] = [];

/** What the fields of one head say. One object serves all heads of a thread: nothing of it outlives the parse. */
export class FieldScan {
  fields: Fields = [];
  host: string | undefined;
  /** -1: there is none. */
  contentLength = -1;
  isChunked = false;
  closes = false;
  keepsAlive = false;
  nominatesUpgrade = false;
  upgrade: string | undefined;
  expect: string | undefined;
  te: string | undefined;
  keepAlive: string | undefined;
  /** Of `Connection`, but for the options that are known. */
  private nominated: string[] = NONE;

  /**
   * @param text latin1 of `octets` from `base` on
   * @param from octet of the first field line
   * @param to octet of the empty line at the end
   */
  read(
    octets: Uint8Array,
    text: string,
    base: number,
    from: number,
    to: number,
    limits: HeadLimits,
  ): HeadFault | undefined {
    const fields: Fields = [];
    this.fields = fields;
    this.host = undefined;
    this.contentLength = -1;
    this.isChunked = false;
    this.closes = false;
    this.keepsAlive = false;
    this.nominatesUpgrade = false;
    this.upgrade = undefined;
    this.expect = undefined;
    this.te = undefined;
    this.keepAlive = undefined;
    this.nominated = NONE;
    let count = 0;
    for (let at = from; at < to; ) {
      if (++count > limits.fields) return TOO_MANY;
      const start = at;
      while (TOKEN_LOWER[octets[at]!] !== 0) at++;
      if (octets[at] !== COLON || at === start) return this.badName(octets, start, at, from);
      const colon = at++;
      while (octets[at] === SPACE || octets[at] === TAB) at++;
      const value = at;
      while (VALUE[octets[at]!] === 1) at++;
      if (octets[at] !== CR || octets[at + 1] !== LF) return BAD_VALUE;
      let end = at;
      while (end > value && (octets[end - 1] === SPACE || octets[end - 1] === TAB)) end--;
      at += 2;
      const known = findName(octets, start, colon);
      const valueText = text.substring(value - base, end - base);
      if (known === UNKNOWN_NAME) fields.push(text.substring(start - base, colon - base).toLowerCase(), valueText);
      else if (known >= FRAMING.length) fields.push(KNOWN_NAMES[known]!, valueText);
      else {
        const wrong = this.framing(known, valueText);
        if (wrong) return wrong;
      }
    }
    for (const name of this.nominated) removeField(fields, name);
    return undefined;
  }

  private badName(octets: Uint8Array, start: number, at: number, first: number): HeadFault {
    const octet = octets[at]!;
    if (at > start) return octet === CR ? NO_COLON : BAD_NAME;
    if (octet === COLON) return NO_NAME;
    if (octet === SPACE || octet === TAB) return start === first ? BLANK_BEFORE_FIELDS : FOLDED;
    return BAD_NAME;
  }

  private framing(kind: number, value: string): HeadFault | undefined {
    switch (kind) {
      case KIND.host:
        if (this.host !== undefined) return TWO_HOSTS;
        this.host = value;
        return undefined;
      case KIND["content-length"]:
        if (this.contentLength >= 0) return TWO_LENGTHS;
        this.contentLength = contentLengthOf(value);
        return this.contentLength < 0 ? BAD_LENGTH : undefined;
      case KIND["transfer-encoding"]:
        if (this.isChunked) return TWO_CODINGS;
        this.isChunked = value === "chunked" || value.toLowerCase() === "chunked";
        return this.isChunked ? undefined : codingFault(value);
      case KIND.connection:
        return this.connection(value);
      case KIND.upgrade:
        this.upgrade = this.upgrade === undefined ? value : `${this.upgrade},${value}`;
        return undefined;
      case KIND.expect:
        this.expect = this.expect === undefined ? value : `${this.expect},${value}`;
        return undefined;
      case KIND.te:
        this.te = this.te === undefined ? value : `${this.te},${value}`;
        return undefined;
      case KIND["keep-alive"]:
        this.keepAlive = value;
        return undefined;
      default:
        return undefined;
    }
  }

  private connection(value: string): HeadFault | undefined {
    if (value === "keep-alive") this.keepsAlive = true;
    else if (value === "close") this.closes = true;
    else
      for (const part of value.split(",")) {
        const option = trimBlank(part).toLowerCase();
        if (option === "close") this.closes = true;
        else if (option === "keep-alive") this.keepsAlive = true;
        else if (option === "upgrade") this.nominatesUpgrade = true;
        else if (option === "")
          continue; // RFC 9110 §5.6.1.2: empty elements of a list
        else if (!isToken(option)) return BAD_CONNECTION;
        else if (isProtected(option) || UNTAKEABLE.has(option)) return NOMINATED;
        else if (!isFraming(option)) this.nominated = [...this.nominated, option];
      }
    return undefined;
  }
}
/** Framing that `Connection` may not nominate; `te`, `keep-alive` and the like it may. */
const UNTAKEABLE: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "expect",
  "host",
  "trailer",
  "transfer-encoding",
]);

/**
 * Octet of the first `CRLF CRLF` from `from` on, or -1. Four octets a step: `Buffer.indexOf` costs as much as all the rest of
 * a short head.
 */
export function headEnd(octets: Uint8Array, from: number): number {
  for (let at = from + 3; at < octets.length; ) {
    const octet = octets[at]!;
    if (octet === CR) at++;
    else if (octet !== LF) at += 4;
    else if (octets[at - 1] === CR && octets[at - 2] === LF && octets[at - 3] === CR) return at - 3;
    else at += 2;
  }
  return -1;
}

/** Without space and tab at its ends; no other white space counts (R11). */
export function trimBlank(text: string): string {
  let from = 0;
  let to = text.length;
  while (from < to && (text.charCodeAt(from) === SPACE || text.charCodeAt(from) === TAB)) from++;
  while (to > from && (text.charCodeAt(to - 1) === SPACE || text.charCodeAt(to - 1) === TAB)) to--;
  return text.slice(from, to);
}

/** What is well formed, and another coding than ours, is not implemented; all else is bad. */
function codingFault(value: string): HeadFault {
  const codings = value.split(",").map((part) => trimBlank(part).toLowerCase());
  if (!codings.every(isToken)) return BAD_CODING;
  const chunked = codings.indexOf("chunked");
  return chunked < 0 || (chunked > 0 && chunked === codings.length - 1) ? UNKNOWN_CODING : BAD_CODING;
}

/**
 * What can be said of lines before the empty line has come: a line's end that is no CRLF, too long, too many. It reads in
 * the order of the wire, so that a head is judged the same however it is cut to pieces.
 *
 * @param from octet of the first field line
 * @param start octet where the head begins, for its length
 */
export function linesFault(octets: Buffer, from: number, start: number, limits: HeadLimits): HeadFault | undefined {
  const most = start + limits.headOctets;
  let count = 0;
  for (let at = from; ; count++) {
    const end = octets.indexOf(LF, at);
    const last = end < 0 ? octets.length : end;
    const wrong = lineEndFault(octets, at, end);
    if (last >= most) return wrong !== undefined && octets.indexOf(CR, at) < most ? wrong : TOO_LARGE;
    if (wrong) return wrong;
    if (end < 0 || end === at + 1) return undefined;
    if (count === limits.fields) return TOO_MANY;
    at = end + 1;
  }
}

/** @param end octet of the LF; -1: it has not come */
export function lineEndFault(octets: Buffer, from: number, end: number): HeadFault | undefined {
  const cr = octets.indexOf(CR, from);
  if (cr >= 0 && (end < 0 ? cr + 1 < octets.length : cr < end - 1)) return BARE_LINE_END;
  return end >= 0 && (cr < 0 || cr > end) ? BARE_LINE_END : undefined;
}
