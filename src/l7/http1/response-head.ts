/**
 * Octets of a backend → the head of a response, what frames its body, and whether the connection may be used again
 * (RFC 9112 §4, §6.3, §9.3).
 *
 * Owns:    rules R31, R32 and R34 as far as a response's head can break them; those of lines and fields as for requests.
 * Never:   throws, or judges a head that was cut to pieces otherwise than the same head whole.
 * @module
 */
import { readLatin1 } from "#base/latin1.ts";
import { FieldScan, fault, headEnd, lineEndFault, linesFault } from "#l7/http1/field-scan.ts";
import { CR, LF, SPACE, VALUE } from "#l7/http1/grammar.ts";
import type { Framing, HeadFault, HeadLimits, ParsedResponse, ResponseParse } from "#l7/http1/parse.ts";
import type { ResponseMemo } from "#l7/http1/response-memo.ts";
import { UNKNOWN_LENGTH } from "#l7/message.ts";

/** `CRLF CRLF`. */
const END_OCTETS = 4;
const VERSION = Buffer.from("HTTP/1.", "latin1");

const MORE: ResponseParse = { kind: "more" };
const NO_BODY: Framing = { kind: "none" };
const CHUNKED: Framing = { kind: "chunked" };
const TO_THE_END: Framing = { kind: "close" };

const LONG_LINE = fault(502, "R7", "The status line is longer than the limit");
const TOO_LARGE = fault(502, "R7", "The head is longer than the limit");
const EMPTY_LINE = fault(502, "R2", "An empty line stands before the response");
const NOT_HTTP = fault(502, "R5", "The response does not begin with HTTP/1.0 or HTTP/1.1");
const BAD_STATUS = fault(502, "R32", "The status is not a number from 100 to 599");
const BAD_REASON = fault(502, "R32", "The reason holds a control character");
const BOTH_FRAMINGS = fault(502, "R20", "Content-Length and Transfer-Encoding stand together");
const OLD_CODING = fault(502, "R21", "HTTP/1.0 has no Transfer-Encoding");
const INTERIM_BODY = fault(502, "R32", "An interim response has a body");
const NO_UPGRADE = fault(502, "R34", "101 does not say what it switches to");

const scan = new FieldScan();
/** Of the status line that was read last. */
const line = { isOld: false, status: 0 };

/**
 * @param requestMethod what is answered: HEAD has no body
 * @param memo of the connection. What is read does not depend on it
 */
export function parseResponseHead(
  octets: Buffer,
  limits: HeadLimits,
  requestMethod: string,
  memo?: ResponseMemo,
): ResponseParse {
  if (memo?.parsed !== undefined && requestMethod !== "HEAD" && beginsWith(octets, memo.text))
    return again(memo.parsed);
  const end = headEnd(octets, 0);
  const length = end + END_OCTETS;
  if (end < 0 || length > limits.headOctets) return prefixFault(octets, limits) ?? (end < 0 ? MORE : TOO_LARGE);
  const text = readLatin1(octets, 0, length);
  const lineEnd = text.indexOf("\r");
  const wrong =
    lineEnd > limits.lineOctets
      ? LONG_LINE
      : (readLine(octets, lineEnd) ?? scan.read(octets, text, 0, lineEnd + 2, end + 2, limits) ?? conclude());
  if (wrong) return asResponse(prefixFault(octets, limits) ?? wrong);
  const parsed = accepted(length, requestMethod);
  if (memo !== undefined && requestMethod !== "HEAD") memo.keep(text, parsed);
  return parsed;
}

/** @param head with its empty line, which comes first because most that differ do so in their length */
const beginsWith = (octets: Buffer, head: string): boolean =>
  octets.length >= head.length &&
  octets[head.length - 1] === LF &&
  octets[head.length - 3] === LF &&
  readLatin1(octets, 0, head.length) === head;

/** Fields are each response's own: they are edited on their way. */
const again = ({ length, head, framing, persists, keepAliveMs, upgrade }: ParsedResponse): ParsedResponse => ({
  kind: "response",
  length,
  head: {
    status: head.status,
    fields: head.fields.slice(),
    bodyOctets: head.bodyOctets,
    declaredOctets: head.declaredOctets,
    known: head.known,
  },
  framing,
  persists,
  keepAliveMs,
  upgrade,
});

/** What a client would be told is told of a backend by one status. */
const asResponse = (wrong: HeadFault): HeadFault => (wrong.status === 502 ? wrong : { ...wrong, status: 502 });

/** What is wrong already, in the order of the wire, though the head may not be complete. */
function prefixFault(octets: Buffer, limits: HeadLimits): HeadFault | undefined {
  if (octets[0] === CR) return EMPTY_LINE;
  for (let at = 0; at < VERSION.length && at < octets.length; at++) if (octets[at] !== VERSION[at]) return NOT_HTTP;
  const end = octets.indexOf(LF);
  const wrong = lineEndFault(octets, 0, end);
  const length = end < 0 ? octets.length : end;
  if (length > limits.lineOctets + 1 || (length === limits.lineOctets + 1 && octets[limits.lineOctets] !== CR))
    return LONG_LINE;
  if (wrong || end < 0) return wrong && asResponse(wrong);
  const later = readLine(octets, end - 1) ?? linesFault(octets, end + 1, 0, limits);
  return later && asResponse(later);
}

const isDigit = (octet: number | undefined): boolean => octet !== undefined && octet >= 0x30 && octet <= 0x39;

/** `HTTP/1.1 200 Reason`; of the reason nothing is kept, and it may be missing with its space. @param end octet of the CR */
function readLine(octets: Buffer, end: number): HeadFault | undefined {
  if (octets[0] === CR) return EMPTY_LINE;
  for (let at = 0; at < VERSION.length; at++) if (octets[at] !== VERSION[at]) return NOT_HTTP;
  const minor = octets[7];
  if ((minor !== 0x30 && minor !== 0x31) || octets[8] !== SPACE) return NOT_HTTP;
  if (!isDigit(octets[9]) || !isDigit(octets[10]) || !isDigit(octets[11])) return BAD_STATUS;
  if (end !== 12 && octets[12] !== SPACE) return BAD_STATUS;
  line.isOld = minor === 0x30;
  line.status = octets[9]! * 100 + octets[10]! * 10 + octets[11]! - 0x30 * 111;
  if (line.status < 100 || line.status > 599) return BAD_STATUS;
  let at = 12;
  while (VALUE[octets[at]!] === 1) at++;
  return at === end && octets[at + 1] === LF ? undefined : BAD_REASON;
}

/** What line and fields say together. */
function conclude(): HeadFault | undefined {
  if (scan.isChunked && scan.contentLength >= 0) return BOTH_FRAMINGS;
  if (scan.isChunked && line.isOld) return OLD_CODING;
  if (line.status < 200 && (scan.isChunked || scan.contentLength > 0)) return INTERIM_BODY;
  if (line.status === 101 && (scan.upgrade === undefined || !scan.nominatesUpgrade)) return NO_UPGRADE;
  return undefined;
}

function accepted(length: number, requestMethod: string): ParsedResponse {
  const { status, isOld } = line;
  const hasNoBody = status < 200 || status === 204 || status === 304 || requestMethod === "HEAD";
  const declared = scan.contentLength;
  const framing: Framing = hasNoBody
    ? NO_BODY
    : scan.isChunked
      ? CHUNKED
      : declared < 0
        ? TO_THE_END
        : declared === 0
          ? NO_BODY
          : { kind: "length", octets: declared };
  // A backend that frames a body of 204 may go on to send one: what comes next on that connection is not to be trusted.
  const isDoubtful = status === 204 && (scan.isChunked || declared > 0);
  return {
    kind: "response",
    length,
    head: {
      status,
      fields: scan.fields,
      bodyOctets: framing.kind === "none" ? 0 : framing.kind === "length" ? framing.octets : UNKNOWN_LENGTH,
      declaredOctets: hasNoBody && declared >= 0 ? declared : undefined,
      known: undefined,
    },
    framing,
    persists: framing.kind !== "close" && !scan.closes && !isDoubtful && (!isOld || scan.keepsAlive),
    keepAliveMs: scan.keepAlive === undefined ? undefined : keepAliveMs(scan.keepAlive),
    upgrade: status === 101 ? scan.upgrade!.toLowerCase() : undefined,
  };
}

function keepAliveMs(value: string): number | undefined {
  const seconds = /(?:^|[,\s])timeout=(\d{1,6})(?:$|[,\s])/i.exec(value)?.[1];
  return seconds === undefined ? undefined : Number(seconds) * 1000;
}
