/**
 * Heads → text of the wire (RFC 9112). Framing is always our own: never a peer's, never two kinds of it (R26).
 *
 * Owns:    the order of fields, `Connection`, and the last check that no value ends a line (R43): what was decoded, rewritten
 *          or filled in from a template is checked here, whoever made it.
 * Units:   one code unit per octet (latin1).
 * @module
 */
import { writeLatin1 } from "#base/latin1.ts";
import { countControls, isFieldValue, isFraming, isProtected, isTarget, isToken } from "#l7/http1/grammar.ts";
import type { KnownRequestLines } from "#l7/known-fields.ts";
import { areSame, type Fields, type Reply, type RequestHead, type ResponseHead, UNKNOWN_LENGTH } from "#l7/message.ts";
import type { OutboundRequest } from "#l7/stream.ts";

export type RequestOptions = {
  /** `Host` that the backend sees; undefined: the client's. */
  readonly host: string | undefined;
  /** Whether fields with `_` in their names go along (R16). */
  readonly keepsUnderscores: boolean;
  /** Whether trailers of the response are passed on, so that the backend may send them. */
  readonly passesTrailers: boolean;
};

/** Longer heads are looked at field by field. */
const scratch = Buffer.alloc(65_536);
const scratchView = new DataView(scratch.buffer, scratch.byteOffset, scratch.length);
/** Methods whose body is expected: that it is empty is said (RFC 9110 §8.6). */
const hasBodyByNature = (method: string): boolean => method === "POST" || method === "PUT" || method === "PATCH";

/** @returns undefined: method, target or host could not be written as one (R43) */
export function writeRequestHead(request: OutboundRequest, options: RequestOptions): string | undefined {
  const host = options.host ?? request.authority;
  const { method, target, bodyOctets } = request;
  if (!isTarget(target) || !isToken(method)) return undefined;
  const lines = knownLines(request, host, options) ?? hostAndFields(host, request.fields, options);
  if (lines === undefined) return undefined;
  let text = `${method} ${target} HTTP/1.1\r\n${lines}`;
  if (bodyOctets > 0) text += `content-length: ${bodyOctets}\r\n`;
  else if (bodyOctets === UNKNOWN_LENGTH) text += "transfer-encoding: chunked\r\n";
  else if (hasBodyByNature(method)) text += "content-length: 0\r\n";
  if (request.expectsContinue) text += "expect: 100-continue\r\n";
  if (request.upgrade !== undefined) text += "connection: upgrade\r\nupgrade: websocket\r\n";
  else if (request.takesTrailers && options.passesTrailers) text += "connection: te\r\nte: trailers\r\n";
  return `${text}\r\n`;
}

/** @returns undefined: the host could not be written as one */
function hostAndFields(host: string, fields: Readonly<Fields>, options: RequestOptions): string | undefined {
  const start = `host: ${host}\r\n`;
  let text = start;
  let lines = 1;
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at]!;
    if (isFraming(name) || (name.indexOf("_") >= 0 && !passesUnderscore(name, options))) continue;
    text += `${name}: ${fields[at + 1]!}\r\n`;
    lines++;
  }
  if (isWhole(text, lines)) return text;
  if (!isFieldValue(host)) return undefined;
  const passed = fields.filter(
    (_, at) => !fields[at & ~1]!.includes("_") || passesUnderscore(fields[at & ~1]!, options),
  );
  return start + fieldsThatAreWhole(passed);
}

/** `hostAndFields` of what was written before but for the request's id, which holds no line's end: we made it or looked at it. */
function knownLines({ told, fields }: OutboundRequest, host: string, options: RequestOptions): string | undefined {
  if (told === undefined) return undefined;
  const { idAt, lines } = told;
  if (lines === undefined || lines.host !== host || lines.keepsUnderscores !== options.keepsUnderscores) {
    const text = hostAndFields(host, fields, options);
    told.lines = text === undefined ? undefined : splitAtId(text, host, options, idAt < 0 ? "" : fields[idAt]!);
    return text;
  }
  return idAt < 0 ? lines.before : lines.before + fields[idAt]! + lines.after;
}
const ID_LINE = "\r\nx-request-id: ";
/** @param id "": there is none */
function splitAtId(text: string, host: string, { keepsUnderscores }: RequestOptions, id: string): KnownRequestLines {
  const at = id === "" ? text.length : text.indexOf(`${ID_LINE}${id}\r\n`) + ID_LINE.length;
  return { host, keepsUnderscores, before: text.slice(0, at), after: text.slice(at + id.length) };
}

/** A backend that takes `_` for `-` must not read framing or who the client is from such a field, whatever is configured. */
const passesUnderscore = (name: string, options: RequestOptions): boolean => {
  if (!options.keepsUnderscores) return false;
  const taken = name.replaceAll("_", "-");
  return !isFraming(taken) && !isProtected(taken);
};

/** `none`: there is no body, or it is dropped; `length`: as it is; `chunked`; `close`: as it is, then the connection ends. */
export type ResponseFraming = "none" | "length" | "chunked" | "close";
/** What is answered. */
export type Asked = Pick<RequestHead, "method" | "version" | "upgrade">;

/** How a response's body is framed for who asked (RFC 9112 §6.3). */
export function responseFraming(request: Asked, head: ResponseHead): ResponseFraming {
  const { status, bodyOctets } = head;
  if (bodyOctets === 0 || request.method === "HEAD" || status < 200 || status === 204 || status === 304) return "none";
  if (bodyOctets !== UNKNOWN_LENGTH) return "length";
  return request.version === "1.0" ? "close" : "chunked";
}

/**
 * The final head, or that of 101.
 * @param framing of `responseFraming`
 * @param persists the connection takes another request: never with `close`
 */
export function writeResponseHead(
  request: Asked,
  head: ResponseHead,
  framing: ResponseFraming,
  persists: boolean,
): string {
  const { status } = head;
  const text = statusLine(status) + (linesAgain(head) ?? writtenFields(head.fields));
  if (status === 101) return `${text}connection: upgrade\r\nupgrade: ${request.upgrade ?? "websocket"}\r\n\r\n`;
  return text + framingOf(request, head, framing) + connectionOf(request, persists);
}

/** `writtenFields` of a response whose fields nobody has changed. */
function linesAgain({ known, fields }: ResponseHead): string | undefined {
  if (known === undefined || !areSame(known.fields, fields)) return undefined;
  known.lines ??= writtenFields(fields);
  return known.lines;
}

function framingOf(request: Asked, head: ResponseHead, framing: ResponseFraming): string {
  const { status, bodyOctets, declaredOctets } = head;
  if (framing === "length") return `content-length: ${bodyOctets}\r\n`;
  if (framing === "chunked") return "transfer-encoding: chunked\r\n";
  if (framing === "close" || status < 200 || status === 204) return "";
  if (request.method !== "HEAD" && status !== 304) return "content-length: 0\r\n";
  const declared = declaredOctets ?? bodyOctets;
  return declared > 0 || declaredOctets === 0 ? `content-length: ${declared}\r\n` : "";
}

function connectionOf(request: Asked, persists: boolean): string {
  if (!persists) return "connection: close\r\n\r\n";
  return request.version === "1.0" ? "connection: keep-alive\r\n\r\n" : "\r\n";
}

/** 100, 103 and the like; never to HTTP/1.0 (R29). */
export const writeInformational = (status: number, fields: Fields): string =>
  `${statusLine(status)}${writtenFields(fields)}\r\n`;

/** A whole response of our own. */
export function writeReply(request: Asked, reply: Reply, persists: boolean): string {
  const body = typeof reply.body === "string" ? Buffer.from(reply.body, "utf8") : Buffer.from(reply.body);
  const head = { status: reply.status, fields: reply.fields, bodyOctets: body.length, declaredOctets: undefined };
  const framing = responseFraming(request, head);
  const text = writeResponseHead(request, head, framing, persists && framing !== "close");
  return framing === "length" ? text + body.toString("latin1") : text;
}

/**
 * Whether a head holds as many line ends as it has lines, and no other control character; tabs are looked at one by one, by
 * who asks. It is judged as the octets that it will be on the wire.
 */
function isWhole(text: string, lines: number): boolean {
  return text.length <= scratch.length && countControls(scratchView, writeLatin1(scratch, text, 0)) === 2 * lines;
}
function writtenFields(fields: Fields): string {
  let text = "";
  let lines = 0;
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at]!;
    if (isFraming(name)) continue;
    text += `${name}: ${fields[at + 1]!}\r\n`;
    lines++;
  }
  return isWhole(text, lines) ? text : fieldsThatAreWhole(fields);
}

/** Without those that would end a line amid their value, or begin one. */
function fieldsThatAreWhole(fields: Fields): string {
  let text = "";
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at]!;
    const value = fields[at + 1]!;
    if (!isFraming(name) && isToken(name) && isFieldValue(value)) text += `${name}: ${value}\r\n`;
  }
  return text;
}

const REASONS: Readonly<Record<number, string>> = {
  100: "Continue",
  101: "Switching Protocols",
  102: "Processing",
  103: "Early Hints",
  200: "OK",
  201: "Created",
  202: "Accepted",
  203: "Non-Authoritative Information",
  204: "No Content",
  205: "Reset Content",
  206: "Partial Content",
  207: "Multi-Status",
  208: "Already Reported",
  226: "IM Used",
  300: "Multiple Choices",
  301: "Moved Permanently",
  302: "Found",
  303: "See Other",
  304: "Not Modified",
  305: "Use Proxy",
  307: "Temporary Redirect",
  308: "Permanent Redirect",
  400: "Bad Request",
  401: "Unauthorized",
  402: "Payment Required",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  406: "Not Acceptable",
  407: "Proxy Authentication Required",
  408: "Request Timeout",
  409: "Conflict",
  410: "Gone",
  411: "Length Required",
  412: "Precondition Failed",
  413: "Content Too Large",
  414: "URI Too Long",
  415: "Unsupported Media Type",
  416: "Range Not Satisfiable",
  417: "Expectation Failed",
  418: "I'm a teapot",
  421: "Misdirected Request",
  422: "Unprocessable Content",
  423: "Locked",
  424: "Failed Dependency",
  425: "Too Early",
  426: "Upgrade Required",
  428: "Precondition Required",
  429: "Too Many Requests",
  431: "Request Header Fields Too Large",
  451: "Unavailable For Legal Reasons",
  500: "Internal Server Error",
  501: "Not Implemented",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
  505: "HTTP Version Not Supported",
  506: "Variant Also Negotiates",
  507: "Insufficient Storage",
  508: "Loop Detected",
  510: "Not Extended",
  511: "Network Authentication Required",
};
/** @returns the reason phrase of RFC 9110 §15 and the IANA registry; empty for others */
export const reasonOf = (status: number): string => REASONS[status] ?? "";
const STATUS_LINES: string[] = Array.from({ length: 600 }, (_, status) => `HTTP/1.1 ${status} ${reasonOf(status)}\r\n`);
/** A status that there is not cannot come from a parser; what a rule asks for wrongly is an error of ours. */
const statusLine = (status: number): string => STATUS_LINES[status >= 100 && status < 600 ? status : 500]!;
