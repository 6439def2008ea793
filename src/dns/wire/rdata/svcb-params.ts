/**
 * Parameters of SVCB and HTTPS records (RFC 9460 §7, §14.3.2): keys, and their values as text and octets.
 * @module
 */
import { formatIp, parseIpv4, parseIpv6 } from "#base/ip.ts";
import { formatCharacterString, unescapeOctets } from "#dns/wire/character-string.ts";
import { quote } from "#dns/wire/rdata/text-reader.ts";
import type { WireProblem } from "#dns/wire/rdata/wire-reader.ts";

export const SVCB_KEY = {
  mandatory: 0,
  alpn: 1,
  "no-default-alpn": 2,
  port: 3,
  ipv4hint: 4,
  ech: 5,
  ipv6hint: 6,
  dohpath: 7, // RFC 9461
  ohttp: 8, // RFC 9540
  "tls-supported-groups": 9,
} as const;

const KEY_TEXTS = new Map<number, string>(Object.entries(SVCB_KEY).map(([text, number]) => [number, text]));
const MAX_VALUE_OCTETS = 0xffff;
/** `tls-supported-groups` and all keys without a row here have octets as values. */
const BACKSLASH = 0x5c;
const COMMA = 0x2c;

export const svcbKeyText = (key: number): string => KEY_TEXTS.get(key) ?? `key${key}`;

/** @returns -1 for an unknown key; 65535 is reserved (RFC 9460 §14.3.2) */
export function svcbKeyNumber(text: string): number {
  const lower = text.toLowerCase();
  if (Object.hasOwn(SVCB_KEY, lower)) return SVCB_KEY[lower as keyof typeof SVCB_KEY];
  if (!/^key(0|[1-9][0-9]{0,4})$/.test(lower)) return -1;
  const number = Number(lower.slice(3));
  return number < 0xffff ? number : -1;
}

const problem = (says: string, fix: string): WireProblem => ({ says, fix });

/**
 * Octets of a value.
 * @param text value with its escapes, quotes removed; undefined for a key without `=`
 */
export function encodeSvcbValue(key: number, text: string | undefined): Uint8Array | WireProblem {
  const name = svcbKeyText(key);
  if (key === SVCB_KEY["no-default-alpn"] || key === SVCB_KEY.ohttp) {
    return text === undefined ? new Uint8Array(0) : problem(`${name} takes no value`, `Write ${name} alone`);
  }
  if (text === undefined || text === "") {
    const isKnown = KEY_TEXTS.has(key);
    return isKnown ? problem(`${name} has no value`, `Write ${name}=value, or remove it`) : new Uint8Array(0);
  }
  if (text.length > MAX_VALUE_OCTETS) return problem(`The value of ${name} is too long`, "Shorten it");
  switch (key) {
    case SVCB_KEY.mandatory:
      return encodeMandatory(text);
    case SVCB_KEY.port: {
      const port = /^[0-9]{1,5}$/.test(text) ? Number(text) : 65_536;
      if (port > 65_535)
        return problem(`The port ${quote(text)} is not a number up to 65535`, "Write such as port=443");
      return Uint8Array.of(port >>> 8, port & 0xff);
    }
    case SVCB_KEY.ipv4hint:
      return encodeAddresses(text, parseIpv4, "ipv4hint=192.0.2.1,192.0.2.2");
    case SVCB_KEY.ipv6hint:
      return encodeAddresses(text, parseIpv6, "ipv6hint=2001:db8::1,2001:db8::2");
    case SVCB_KEY.ech:
      if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)) {
        return problem(`The value of ech ${quote(text)} is not base64`, "Copy the whole ECHConfigList in base64");
      }
      return Uint8Array.fromBase64(text);
    default: {
      const octets = new Uint8Array(text.length * 3);
      const end = unescapeOctets(text, octets, 0);
      if (end < 0) return problem(`The value of ${name} has a bad escape`, "Write \\DDD with three digits up to 255");
      return key === SVCB_KEY.alpn ? encodeAlpn(octets.subarray(0, end)) : octets.slice(0, end);
    }
  }
}

function encodeMandatory(text: string): Uint8Array | WireProblem {
  const keys: number[] = [];
  for (const part of text.split(",")) {
    const key = svcbKeyNumber(part);
    if (key < 0) return problem(`mandatory names the unknown key ${quote(part)}`, "Use known keys, or keyNNN");
    keys.push(key);
  }
  const octets = new Uint8Array(keys.length * 2);
  for (const [index, key] of keys.sort((left, right) => left - right).entries()) {
    octets[index * 2] = key >>> 8;
    octets[index * 2 + 1] = key & 0xff;
  }
  return octets;
}

function encodeAddresses(
  text: string,
  parse: (text: string) => Uint8Array | undefined,
  example: string,
): Uint8Array | WireProblem {
  const octets: number[] = [];
  for (const part of text.split(",")) {
    const address = parse(part);
    if (!address) return problem(`The hint ${quote(part)} is not an address of its family`, `Write such as ${example}`);
    octets.push(...address);
  }
  return Uint8Array.from(octets);
}

/** A comma-separated list in which `\,` and `\\` stand for themselves (RFC 9460 appendix A.1), after `\DDD` is undone. */
function encodeAlpn(octets: Uint8Array): Uint8Array | WireProblem {
  const ids: number[][] = [[]];
  for (let at = 0; at < octets.length; at++) {
    const octet = octets[at]!;
    if (octet === COMMA) ids.push([]);
    else if (octet === BACKSLASH && at + 1 < octets.length) ids.at(-1)!.push(octets[++at]!);
    else ids.at(-1)!.push(octet);
  }
  const wire: number[] = [];
  for (const id of ids) {
    if (id.length === 0 || id.length > 255) {
      return problem(
        `alpn has a protocol of ${id.length} octets`,
        'Write names of 1 to 255 octets, as in alpn="h2,h3"',
      );
    }
    wire.push(id.length, ...id);
  }
  return Uint8Array.from(wire);
}

/** `key=value` text of one parameter; `encodeSvcbValue()` gives the octets back. */
export function formatSvcbParam(key: number, value: Uint8Array): string | WireProblem {
  const name = svcbKeyText(key);
  const malformed = (fix: string): WireProblem => problem(`The value of ${name} has ${value.length} octets`, fix);
  switch (key) {
    case SVCB_KEY.mandatory: {
      if (value.length === 0 || value.length % 2 !== 0) return malformed("Use two for each key");
      const keys: string[] = [];
      for (let at = 0; at < value.length; at += 2) keys.push(svcbKeyText((value[at]! << 8) | value[at + 1]!));
      return `${name}=${keys.join(",")}`;
    }
    case SVCB_KEY.alpn:
      return formatAlpn(value);
    case SVCB_KEY["no-default-alpn"]:
    case SVCB_KEY.ohttp:
      return value.length === 0 ? name : malformed("Use none");
    case SVCB_KEY.port:
      return value.length === 2 ? `${name}=${(value[0]! << 8) | value[1]!}` : malformed("Use two");
    case SVCB_KEY.ipv4hint:
    case SVCB_KEY.ipv6hint: {
      const octets = key === SVCB_KEY.ipv4hint ? 4 : 16;
      if (value.length === 0 || value.length % octets !== 0) return malformed(`Use ${octets} for each address`);
      const addresses: string[] = [];
      for (let at = 0; at < value.length; at += octets) addresses.push(formatIp(value.subarray(at, at + octets)));
      return `${name}=${addresses.join(",")}`;
    }
    case SVCB_KEY.ech:
      return value.length > 0 ? `${name}=${value.toBase64()}` : malformed("Give the ECHConfigList");
    default:
      if (value.length > 0) return `${name}=${formatCharacterString(value)}`;
      return KEY_TEXTS.has(key) ? malformed("Give a value") : name;
  }
}

function formatAlpn(value: Uint8Array): string | WireProblem {
  const escaped: number[] = [];
  for (let at = 0; at < value.length; ) {
    const end = at + 1 + value[at]!;
    if (value[at] === 0 || end > value.length) return problem("A protocol in alpn is empty or cut off", "Correct it");
    if (escaped.length > 0) escaped.push(COMMA);
    for (at++; at < end; at++) {
      if (value[at] === COMMA || value[at] === BACKSLASH) escaped.push(BACKSLASH);
      escaped.push(value[at]!);
    }
  }
  if (value.length === 0) return problem("alpn has no value", "Name at least one protocol");
  return `alpn=${formatCharacterString(Uint8Array.from(escaped))}`;
}
