/**
 * A field section of HTTP/2 → the head of a request (RFC 9113 §8.3.1), strictly.
 *
 * Rule:    what HTTP/1.1 behind us could read in another way is refused: smuggling by HTTP/2 lives on the way down (R26). No
 *          field of the connection, one length, one host, nothing in a value that cuts.
 * @module
 */
import { contentLengthOf } from "#l7/http1/field-scan.ts";
import { isAuthority, isTarget, isToken } from "#l7/http1/grammar.ts";
import { isConnectionField, isName, isPseudo, isValue } from "#l7/http2/fields.ts";
import type { HeadMemo } from "#l7/http2/head-memo.ts";
import type { HeaderList } from "#l7/http2/hpack/header-list.ts";
import { addKey } from "#l7/http2/websocket.ts";
import { type Fields, type RequestHead, UNKNOWN_LENGTH } from "#l7/message.ts";

/** Why a request does not become one. */
export class Refusal {
  /** Of docs/http1-rules.md. */
  readonly rule: string;
  /** To answer with; 400: nothing is answered, the stream is reset with PROTOCOL_ERROR (RFC 9113 §8.1.1). */
  readonly status: number;
  readonly says: string;

  constructor(rule: string, status: number, says: string) {
    this.rule = rule;
    this.status = status;
    this.says = says;
  }
}

const malformed = (says: string): Refusal => new Refusal("R26", 400, says);
const BAD_PSEUDO = malformed("A pseudo-header stands twice, or is none that this request may have");
const LATE_PSEUDO = malformed("A pseudo-header stands after a field");
const BAD_NAME = malformed("A field name is not a token in lower case");
const BAD_VALUE = malformed("A field value holds a control character, or white space around it");
const CONNECTION_FIELD = malformed("A field speaks of a connection of HTTP/1.1");
const BAD_TE = malformed("TE is not `trailers`");
const BAD_LENGTH = malformed("Content-Length is not a decimal number below 2^53, or stands twice");
const EARLY_END = malformed("The stream ends before Content-Length is reached");
const BAD_METHOD = malformed("The method is missing, or not a token");
const BAD_SCHEME = malformed("The scheme is missing, or neither http nor https");
const BAD_PATH = malformed("The path is missing, or not a path");
const BAD_AUTHORITY = malformed("The authority is missing, or not a host name or address with a port");
const TWO_HOSTS = malformed("Host is not the authority");
const TOO_MANY = new Refusal("R13", 431, "The head has more fields than the limit");
const TOO_LARGE = new Refusal("R7", 431, "The head is longer than the limit");
const OTHER_EXPECTATION = new Refusal("R29", 417, "Expect is not 100-continue");
const CONNECT = new Refusal("R30", 501, "CONNECT is not implemented but for WebSockets");

/**
 * @param isEnded END_STREAM came with the head
 * @param scheme of the connection: what the client says of it decides nothing
 */
export function readRequestHead(
  list: HeaderList,
  isEnded: boolean,
  scheme: "http" | "https",
  memo: HeadMemo,
): RequestHead | Refusal {
  let method: string | undefined;
  let said: string | undefined;
  let path: string | undefined;
  let authority: string | undefined;
  let protocol: string | undefined;
  let host: string | undefined;
  let length = UNKNOWN_LENGTH;
  let cookieAt = -1;
  let takesTrailers = false;
  let expectsContinue = false;
  let isPastPseudo = false;
  const { raw } = list;
  const fields: Fields = [];

  if (list.isTooLong) return TOO_LARGE;
  if (list.isTooMany) return TOO_MANY;
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at]!;
    const value = raw[at + 1]!;
    if (isPseudo(name)) {
      if (isPastPseudo) return LATE_PSEUDO;
      if (name === ":method" && method === undefined) method = value;
      else if (name === ":path" && path === undefined) path = value;
      else if (name === ":scheme" && said === undefined) said = value;
      else if (name === ":authority" && authority === undefined) authority = value;
      else if (name === ":protocol" && protocol === undefined) protocol = value;
      else return BAD_PSEUDO;
      continue;
    }
    isPastPseudo = true;
    if (!isName(name)) return BAD_NAME;
    if (!isValue(value)) return BAD_VALUE;
    if (isConnectionField(name)) return CONNECTION_FIELD;
    switch (name) {
      case "te":
        if (value.toLowerCase() !== "trailers") return BAD_TE;
        takesTrailers = true;
        break;
      case "host":
        if (host !== undefined) return TWO_HOSTS;
        host = value;
        break;
      case "content-length":
        if (length !== UNKNOWN_LENGTH) return BAD_LENGTH;
        length = contentLengthOf(value);
        if (length < 0) return BAD_LENGTH;
        break;
      case "expect":
        if (value.toLowerCase() !== "100-continue") return OTHER_EXPECTATION;
        expectsContinue = true;
        break;
      case "trailer":
        break;
      case "cookie":
        // Crumbs that were sent by themselves, to compress better, are one field again (RFC 9113 §8.2.3).
        if (cookieAt < 0) {
          cookieAt = fields.length + 1;
          fields.push(name, value);
        } else fields[cookieAt] += `; ${value}`;
        break;
      default:
        fields.push(name, value);
    }
  }

  if (method === undefined || !isToken(method)) return BAD_METHOD;
  const isTunnel = method === "CONNECT" && protocol === "websocket";
  if (method === "CONNECT" && !isTunnel) return CONNECT;
  if (protocol !== undefined && !isTunnel) return BAD_PSEUDO;
  if (said !== "http" && said !== "https") return BAD_SCHEME;
  if (path === undefined || !isPath(path, method)) return BAD_PATH;
  authority ??= host;
  if (authority === undefined || !isAuthority(authority)) return BAD_AUTHORITY;
  if (host !== undefined && host.toLowerCase() !== authority.toLowerCase()) return TWO_HOSTS;
  if (isEnded && (length > 0 || isTunnel)) return EARLY_END;
  if (isTunnel && length !== UNKNOWN_LENGTH) return BAD_LENGTH;

  if (isTunnel) addKey(fields);
  const bodyOctets = isEnded || isTunnel ? 0 : length;
  return {
    version: "2",
    method: isTunnel ? "GET" : method,
    target: path,
    scheme,
    authority,
    fields,
    bodyOctets,
    expectsContinue: expectsContinue && bodyOctets !== 0,
    upgrade: protocol,
    takesTrailers,
    known: isTunnel ? undefined : memo.recall(authority, fields, list.octets),
  };
}

/** Origin form, or `*` of OPTIONS. */
const isPath = (path: string, method: string): boolean =>
  (path.startsWith("/") && isTarget(path)) || (path === "*" && method === "OPTIONS");
