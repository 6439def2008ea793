/**
 * Octets of a client → the head of a request, what frames its body, and whether the connection goes on (RFC 9112 §3, §6, §9).
 *
 * Owns:    rules R1 to R8, R17, R20, R21, R28 to R31 as far as a request's head can break them.
 * Never:   throws, or judges a head that was cut to pieces otherwise than the same head whole.
 * @module
 */
import { readLatin1 } from "#base/latin1.ts";
import { FieldScan, fault, headEnd, lineEndFault, linesFault } from "#l7/http1/field-scan.ts";
import { CR, isAuthority, LF, SPACE, TARGET, TOKEN_LOWER } from "#l7/http1/grammar.ts";
import type { Framing, HeadFault, HeadLimits, RequestParse } from "#l7/http1/parse.ts";
import type { RequestMemo } from "#l7/http1/request-memo.ts";
import { type HttpVersion, UNKNOWN_LENGTH } from "#l7/message.ts";

const MAX_EMPTY_LINES = 4;
/** The longest registered method has 17 characters. */
const MAX_METHOD = 32;
/** `CRLF CRLF`. */
const END_OCTETS = 4;

const MORE: RequestParse = { kind: "more" };
const NO_BODY: Framing = { kind: "none" };
const CHUNKED: Framing = { kind: "chunked" };

const EMPTY_LINES = fault(400, "R2", "Too many empty lines before the request");
const BAD_METHOD = fault(400, "R4", "The method is not a token");
const LONG_METHOD = fault(501, "R4", "The method is longer than any there is");
const BAD_LINE = fault(400, "R4", "The request line is not method, target and version with one space between");
const BAD_VERSION = fault(400, "R5", "The version is not HTTP/1.0 or HTTP/1.1");
const OTHER_VERSION = fault(505, "R5", "The version is not HTTP/1.0 or HTTP/1.1");
const BAD_TARGET = fault(
  400,
  "R6",
  "The request target holds what no target may, or has a form that the method does not take",
);
const OTHER_SCHEME = fault(421, "R6", "The request target names another scheme than the connection has");
const LONG_LINE = fault(414, "R7", "The request line is longer than the limit");
const TOO_LARGE = fault(431, "R7", "The head is longer than the limit");
const NO_HOST = fault(400, "R17", "Host is missing");
const BAD_HOST = fault(400, "R17", "Host is not a host name or address with a port");
const OTHER_HOST = fault(400, "R17", "Host is not the host of the request target");
const BOTH_FRAMINGS = fault(400, "R20", "Content-Length and Transfer-Encoding stand together");
const OLD_CODING = fault(400, "R21", "HTTP/1.0 has no Transfer-Encoding");
const OTHER_EXPECTATION = fault(417, "R29", "Expect is not 100-continue");
const CONNECT = fault(501, "R30", "CONNECT is not implemented");
const UPGRADE_WITH_BODY = fault(400, "R30", "A request that upgrades has a body");

const scan = new FieldScan();
/** Of the request line that was read last. */
const line = { method: "", target: "", authority: undefined as string | undefined, version: "1.1" as HttpVersion };

/**
 * @param octets all that has come and was not consumed
 * @param scheme of the connection
 * @param memo of the connection. What is read does not depend on it
 */
export function parseRequestHead(
  octets: Buffer,
  limits: HeadLimits,
  scheme: "http" | "https",
  memo?: RequestMemo,
): RequestParse {
  const again = memo === undefined || memo.block === "" ? undefined : readAgain(octets, limits, scheme, memo);
  if (again !== undefined) return again;
  let start = 0;
  while (octets[start] === CR && octets[start + 1] === LF) {
    start += 2;
    if (start > 2 * MAX_EMPTY_LINES) return EMPTY_LINES;
  }
  const end = headEnd(octets, start);
  const length = end + END_OCTETS - start;
  if (end < 0 || length > limits.headOctets)
    return prefixFault(octets, start, limits, scheme) ?? (end < 0 ? MORE : TOO_LARGE);
  const text = readLatin1(octets, start, end + 2);
  const lineEnd = text.indexOf("\r");
  const wrong =
    lineEnd > limits.lineOctets
      ? LONG_LINE
      : (readLine(octets, text, start, start + lineEnd, scheme) ??
        (octets[start + lineEnd + 1] === LF
          ? scan.read(octets, text, start, start + lineEnd + 2, end + 2, limits)
          : BAD_LINE) ??
        conclude());
  if (wrong) return prefixFault(octets, start, limits, scheme) ?? wrong;
  if (memo !== undefined && isPlain()) memo.keep(text, lineEnd + 2, scan.host!, scan.fields);
  return accepted(length + start, scheme);
}

/** Whether its fields come to the same with every method and target of HTTP/1.1: nothing but them is to be told. */
const isPlain = (): boolean =>
  line.version === "1.1" &&
  !scan.isChunked &&
  scan.contentLength < 0 &&
  !scan.closes &&
  scan.upgrade === undefined &&
  scan.te === undefined;

/**
 * A head whose fields are those that the memo has, and that is all that has come.
 * @returns undefined: it is another one, or something is wrong with its line; it is to be read as every head is
 */
function readAgain(
  octets: Buffer,
  limits: HeadLimits,
  scheme: "http" | "https",
  { block, authority, known }: RequestMemo,
): RequestParse | undefined {
  const { length } = octets;
  const lineEnd = length - END_OCTETS - block.length;
  if (lineEnd <= 0 || lineEnd > limits.lineOctets || length > limits.headOctets) return undefined;
  if (octets[length - 1] !== LF || octets[length - 2] !== CR) return undefined;
  if (octets[lineEnd] !== CR || octets[lineEnd + 1] !== LF) return undefined;
  const text = readLatin1(octets, 0, length - 2);
  if (text.slice(lineEnd + 2) !== block || readLine(octets, text, 0, lineEnd, scheme) !== undefined) return undefined;
  if (line.version !== "1.1" || line.authority !== undefined) return undefined;
  return {
    kind: "request",
    length,
    head: {
      version: "1.1",
      method: line.method,
      target: line.target,
      scheme,
      authority,
      fields: known!.fields.slice(),
      bodyOctets: 0,
      expectsContinue: false,
      upgrade: undefined,
      takesTrailers: false,
      known,
    },
    framing: NO_BODY,
    persists: true,
  };
}

/** What is wrong already, in the order of the wire, though the head may not be complete. */
function prefixFault(
  octets: Buffer,
  start: number,
  limits: HeadLimits,
  scheme: "http" | "https",
): HeadFault | undefined {
  if (octets.length === start || (octets.length === start + 1 && octets[start] === CR)) return undefined;
  const first = octets[start]!;
  if (first !== CR && first !== LF && TOKEN_LOWER[first] === 0) return BAD_METHOD;
  const end = octets.indexOf(LF, start);
  const wrong = lineEndFault(octets, start, end);
  const length = (end < 0 ? octets.length : end) - start;
  if (length > limits.lineOctets + 1 || (length === limits.lineOctets + 1 && octets[start + limits.lineOctets] !== CR))
    return LONG_LINE;
  if (wrong || end < 0) return wrong;
  return (
    readLine(octets, octets.toString("latin1", start, end + 1), start, end - 1, scheme) ??
    linesFault(octets, end + 1, start, limits)
  );
}

/** @param end octet of the CR */
function readLine(octets: Buffer, text: string, start: number, end: number, scheme: string): HeadFault | undefined {
  let at = start;
  while (TOKEN_LOWER[octets[at]!] !== 0) at++;
  if (octets[at] !== SPACE) return at === end ? BAD_LINE : BAD_METHOD;
  if (at === start) return BAD_METHOD;
  if (at - start > MAX_METHOD) return LONG_METHOD;
  const target = ++at;
  while (TARGET[octets[at]!] === 1) at++;
  if (at === target) return octets[at] === SPACE || at === end ? BAD_LINE : BAD_TARGET;
  if (octets[at] !== SPACE) return at === end ? BAD_VERSION : BAD_TARGET;
  const version = text.substring(at + 1 - start, end - start);
  if (version === "HTTP/1.1") line.version = "1.1";
  else if (version === "HTTP/1.0") line.version = "1.0";
  else if (version.startsWith(" ") || version.endsWith(" ")) return BAD_LINE;
  else return /^HTTP\/\d\.\d$/.test(version) ? OTHER_VERSION : BAD_VERSION;
  line.method = methodOf(text.substring(0, target - 1 - start));
  line.target = text.substring(target - start, at - start);
  line.authority = undefined;
  if (line.method === "CONNECT") return CONNECT;
  return octets[target] === 0x2f ? undefined : otherForm(scheme);
}

/** Constants are compared by where they are, which the text of a head that is equal to them is not. */
const METHODS: ReadonlyMap<string, string> = new Map(
  ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"].map((method) => [method, method]),
);
const methodOf = (text: string): string => (text === "GET" ? "GET" : (METHODS.get(text) ?? text));

/** Absolute form, and `*` (RFC 9112 §3.2.2, §3.2.4). */
function otherForm(scheme: string): HeadFault | undefined {
  if (line.target === "*") return line.method === "OPTIONS" ? undefined : BAD_TARGET;
  const named = /^https?(?=:\/\/)/i.exec(line.target)?.[0];
  if (named === undefined) return BAD_TARGET;
  if (named.toLowerCase() !== scheme) return OTHER_SCHEME;
  const rest = line.target.slice(named.length + 3);
  const end = rest.search(/[/?]/);
  line.authority = end < 0 ? rest : rest.slice(0, end);
  if (!isAuthority(line.authority)) return BAD_TARGET;
  const path = end < 0 ? "" : rest.slice(end);
  line.target = path === "" && line.method === "OPTIONS" ? "*" : path.startsWith("/") ? path : `/${path}`;
  return undefined;
}

/** What line and fields say together. */
function conclude(): HeadFault | undefined {
  const isOld = line.version === "1.0";
  if (scan.isChunked && scan.contentLength >= 0) return BOTH_FRAMINGS;
  if (scan.isChunked && isOld) return OLD_CODING;
  if (scan.host === undefined) {
    if (!isOld) return NO_HOST;
  } else if (!isAuthority(scan.host)) return BAD_HOST;
  else if (line.authority !== undefined && line.authority.toLowerCase() !== scan.host.toLowerCase()) return OTHER_HOST;
  if (scan.expect !== undefined && !isOld && scan.expect.toLowerCase() !== "100-continue") return OTHER_EXPECTATION;
  if (scan.upgrade !== undefined && upgradeOf() !== undefined && (scan.isChunked || scan.contentLength > 0))
    return UPGRADE_WITH_BODY;
  return undefined;
}

/** `websocket`, or undefined: what else is offered is not passed on, so that nothing behind us can agree to it. */
function upgradeOf(): string | undefined {
  if (!scan.nominatesUpgrade || line.version === "1.0" || line.method !== "GET") return undefined;
  return scan.upgrade!.split(",").some((token) => token.trim().toLowerCase() === "websocket") ? "websocket" : undefined;
}

function accepted(length: number, scheme: "http" | "https"): RequestParse {
  const isOld = line.version === "1.0";
  const bodyOctets = scan.isChunked ? UNKNOWN_LENGTH : Math.max(0, scan.contentLength);
  return {
    kind: "request",
    length,
    head: {
      version: line.version,
      method: line.method,
      target: line.target,
      scheme,
      authority: scan.host ?? line.authority ?? "",
      fields: scan.fields,
      bodyOctets,
      expectsContinue: scan.expect !== undefined && !isOld && bodyOctets !== 0,
      upgrade: scan.upgrade === undefined ? undefined : upgradeOf(),
      takesTrailers: scan.te !== undefined && takesTrailers(scan.te),
      known: undefined,
    },
    framing: scan.isChunked ? CHUNKED : bodyOctets === 0 ? NO_BODY : { kind: "length", octets: bodyOctets },
    persists: !scan.closes && (!isOld || scan.keepsAlive),
  };
}

const takesTrailers = (te: string): boolean => te.split(",").some((part) => part.trim().toLowerCase() === "trailers");
