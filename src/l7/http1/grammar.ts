/**
 * Characters and names of HTTP/1.1 as tables (RFC 9110 §5.6, RFC 9112), for parsers and writers.
 *
 * Owns:    which octets may stand where, names that we know, which of them are framing, which nobody may nominate away.
 * Never:   keeps a name that a peer sent: the table of known names is fixed (V8's string hashes collide on purpose:
 *          CVE-2026-21717).
 * @module
 */
import { parseIpv6 } from "#base/ip.ts";

export const TAB = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SPACE = 0x20;
export const COLON = 0x3a;

function octetsOf(...ranges: readonly (string | readonly [from: number, to: number])[]): Uint8Array {
  const table = new Uint8Array(256);
  for (const range of ranges) {
    if (typeof range === "string") for (const char of range) table[char.charCodeAt(0)] = 1;
    else table.fill(1, range[0], range[1] + 1);
  }
  return table;
}
const DIGITS = "0123456789";
const LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/** Of each octet that a token may hold (RFC 9110 §5.6.2), the lower-case one; 0: none. */
export const TOKEN_LOWER: Uint8Array = octetsOf(DIGITS, LETTERS, "!#$%&'*+-.^_`|~").map((isIn, octet) => {
  if (isIn === 0) return 0;
  return octet >= 0x41 && octet <= 0x5a ? octet | 0x20 : octet;
});
/** Of field values: visible ASCII, obs-text, space and tab (RFC 9110 §5.5). */
export const VALUE: Uint8Array = octetsOf([SPACE, 0x7e], [0x80, 0xff], "\t");
/** Of request targets: visible ASCII without what no URI may hold unescaped (RFC 3986 §2), and without the fragment. */
export const TARGET: Uint8Array = octetsOf([0x21, 0x7e]).map((isIn, octet) =>
  '#"<>\\^`{|}'.includes(String.fromCharCode(octet)) ? 0 : isIn,
);
/** Of a host name: unreserved alone. Sub-delimiters and percent are RFC 3986 as well, but of no name that there is. */
const HOST: Uint8Array = octetsOf(DIGITS, LETTERS, "-._~");
/** Values of hexadecimal digits; 255: it is none. */
export const HEX: Uint8Array = new Uint8Array(256).map((_zero, octet) => {
  const value = "0123456789abcdef".indexOf(String.fromCharCode(octet).toLowerCase());
  return value < 0 ? 255 : value;
});

export function isToken(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (!TOKEN_LOWER[text.charCodeAt(at)]) return false;
  return text.length > 0;
}
/** Whether it may stand after the colon of a field. */
export function isFieldValue(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (!VALUE[text.charCodeAt(at)]) return false;
  return true;
}
/** Whether it may stand in a request line. */
export function isTarget(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (!TARGET[text.charCodeAt(at)]) return false;
  return text.length > 0;
}
export function isDigits(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code < 0x30 || code > 0x39) return false;
  }
  return text.length > 0;
}

/**
 * How many of the first octets are controls, tab among them (RFC 5234 CTL). Four at a time: a quarter of what a table costs.
 */
export function countControls(octets: DataView, length: number): number {
  let count = 0;
  let at = 0;
  for (; at + 4 <= length; at += 4) {
    const word = octets.getInt32(at, true);
    const low = word & 0x7f7f7f7f;
    // The high bit of each octet is set where it is at least 0x20, in `low + 0x60…`, or 0x7f, in `low + 0x01…`.
    const found = ((~(low + 0x60606060) | (low + 0x01010101)) & ~word & 0x80808080) >>> 7;
    if (found !== 0) count += Math.imul(found, 0x01010101) >>> 24;
  }
  for (; at < length; at++) {
    const octet = octets.getUint8(at);
    if (octet < 0x20 || octet === 0x7f) count++;
  }
  return count;
}

/** Host and port, as Host and `:authority` have them (RFC 9110 §7.2): a name, an IPv4 address or `[IPv6]`. */
export function isAuthority(text: string): boolean {
  let end = text.length;
  if (text.charCodeAt(0) === 0x5b) {
    end = text.indexOf("]") + 1;
    if (end === 0 || !parseIpv6(text.slice(1, end - 1))) return false;
  } else {
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (HOST[code]) continue;
      if (code !== COLON) return false;
      end = at;
      break;
    }
    if (end === 0) return false;
  }
  if (end === text.length) return true;
  const port = text.slice(end + 1);
  return text.charCodeAt(end) === COLON && port.length <= 5 && isDigits(port) && Number(port) <= 65_535;
}

/**
 * Fields of one connection or of framing: taken out when a head is read, never written as they came (RFC 9110 §7.6.1).
 * What each of them says is told by properties of the head.
 */
export const FRAMING = [
  "host",
  "content-length",
  "transfer-encoding",
  "connection",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "upgrade",
  "expect",
  "http2-settings",
] as const;
export type FramingField = (typeof FRAMING)[number];
const FRAMING_SET: ReadonlySet<string> = new Set(FRAMING);
/** Bit n: some of them has n characters. Most names are told apart by that. */
const FRAMING_LENGTHS = FRAMING.reduce((lengths, name) => lengths | (1 << name.length), 0);
/** @param name in lower case */
export const isFraming = (name: string): boolean =>
  name.length < 18 && ((FRAMING_LENGTHS >>> name.length) & 1) === 1 && FRAMING_SET.has(name);

const END_TO_END: ReadonlySet<string> = new Set([
  "age",
  "authorization",
  "cache-control",
  "cookie",
  "date",
  "etag",
  "expires",
  "forwarded",
  "location",
  "max-forwards",
  "origin",
  "pragma",
  "range",
  "retry-after",
  "set-cookie",
  "traceparent",
  "tracestate",
  "vary",
  "via",
  "warning",
  "www-authenticate",
  "x-real-ip",
  "x-request-id",
]);
const END_TO_END_PREFIXES = ["access-control-", "content-", "if-", "sec-", "x-forwarded-"];
/**
 * Fields of which what is decided here (framing, routing, who the client is, whether it may) depends. `Connection` must not
 * take them out on the way, and trailers must not bring them in (RFC 9110 §6.5.1).
 */
export const isProtected = (name: string): boolean =>
  END_TO_END.has(name) || END_TO_END_PREFIXES.some((prefix) => name.startsWith(prefix));

// ── names that are known ─────────────────────────────────────────────────────────────────────────────────────────

const COMMON = `accept accept-charset accept-encoding accept-language accept-ranges access-control-allow-credentials
access-control-allow-headers access-control-allow-methods access-control-allow-origin access-control-expose-headers
access-control-max-age access-control-request-headers access-control-request-method age allow alt-svc authorization
cache-control cache-status content-disposition content-encoding content-language content-location content-range
content-security-policy content-type cookie date dnt etag expires forwarded from if-match if-modified-since if-none-match
if-range if-unmodified-since last-modified link location max-forwards origin permissions-policy pragma priority
proxy-authenticate proxy-authorization range referer referrer-policy retry-after sec-ch-ua sec-ch-ua-mobile
sec-ch-ua-platform sec-fetch-dest sec-fetch-mode sec-fetch-site sec-fetch-user sec-websocket-accept
sec-websocket-extensions sec-websocket-key sec-websocket-protocol sec-websocket-version server set-cookie
strict-transport-security traceparent tracestate upgrade-insecure-requests user-agent vary via warning www-authenticate
x-content-type-options x-forwarded-for x-forwarded-host x-forwarded-port x-forwarded-proto x-frame-options x-powered-by
x-real-ip x-request-id x-requested-with x-xss-protection`;
/** Framing fields first: the place of a name in this list tells which it is. */
export const KNOWN_NAMES: readonly string[] = [...FRAMING, ...COMMON.split(/\s+/)];
export const UNKNOWN_NAME = -1;

const SLOTS = 1024;
const slots = new Int16Array(SLOTS).fill(UNKNOWN_NAME);
const knownOctets = KNOWN_NAMES.map((name) => Buffer.from(name, "latin1"));
const slotOf = (first: number, middle: number, last: number, length: number): number =>
  (first * 31 + middle * 17 + last * 131 + length * 7) & (SLOTS - 1);
for (const [index, octets] of knownOctets.entries()) {
  let slot = slotOf(octets[0]!, octets[octets.length >>> 1]!, octets.at(-1)!, octets.length);
  while (slots[slot] !== UNKNOWN_NAME) slot = (slot + 1) & (SLOTS - 1);
  slots[slot] = index;
}

/**
 * @param from where a name stands that is a token, and is not empty
 * @returns its place in `KNOWN_NAMES`, whatever the case it is written in; or `UNKNOWN_NAME`
 */
export function findName(octets: Uint8Array, from: number, to: number): number {
  const length = to - from;
  let slot = slotOf(
    TOKEN_LOWER[octets[from]!]!,
    TOKEN_LOWER[octets[from + (length >>> 1)]!]!,
    TOKEN_LOWER[octets[to - 1]!]!,
    length,
  );
  for (;;) {
    const index = slots[slot]!;
    if (index === UNKNOWN_NAME) return UNKNOWN_NAME;
    const known = knownOctets[index]!;
    if (known.length === length) {
      let at = 0;
      while (at < length && known[at] === TOKEN_LOWER[octets[from + at]!]) at++;
      if (at === length) return index;
    }
    slot = (slot + 1) & (SLOTS - 1);
  }
}
