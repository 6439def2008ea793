/**
 * Words of other products as words of our files: names, spans of time, counts, endpoints.
 * @module
 */
import { endpointText, formatIp, maskIp, parseIp, parseIpv6 } from "#base/ip.ts";
import { formatDurationMs } from "#base/units.ts";
import { parseEndpoint } from "#pool/config.ts";

/** Leaves room for the numbers that make a name unique; ours end at 63 characters. */
const MAX_NAME = 48;

export type Names = {
  /** The name of ours for one of theirs, always the same. */
  of(theirs: string): string;
  /** A name that nobody else has. */
  fresh(wanted: string): string;
};

/** Ours are lower case. Dots become dashes: in messages a dot stands between the steps of a path. */
export function createNames(): Names {
  const known = new Map<string, string>();
  const used = new Set<string>();
  /** Numbers that names have got so far: without it, a thousand equal names cost a million looks. */
  const counts = new Map<string, number>();
  const fresh = (wanted: string): string => {
    const plain = wanted
      .toLowerCase()
      .slice(0, 4 * MAX_NAME)
      .replace(/[^a-z0-9_-]+/g, "-")
      .replace(/^[-_]+|[-_]+$/g, "")
      .slice(0, MAX_NAME);
    // `none` is what a pool's check is called that there is not.
    const base = plain === "" || plain === "none" ? "unnamed" : plain;
    let name = base;
    let count = counts.get(base) ?? 1;
    while (used.has(name)) name = `${base}-${++count}`;
    counts.set(base, count);
    used.add(name);
    return name;
  };
  return {
    fresh,
    of(theirs) {
      const name = known.get(theirs) ?? fresh(theirs);
      known.set(theirs, name);
      return name;
    },
  };
}

/** Spans of time as ours say them, forced into what a setting allows. */
export const durationText = (ms: number, minMs: number, maxMs: number): string =>
  formatDurationMs(Math.round(Math.min(Math.max(ms, minMs), maxMs)));

export const SECOND = 1_000;
export const MINUTE = 60_000;
export const HOUR = 3_600_000;
export const DAY = 86_400_000;

/** @param units ms of each unit @param plain ms of a number without one @returns ms, or undefined where it is no time */
export function parseTime(text: string, units: Readonly<Record<string, number>>, plain: number): number | undefined {
  let rest = text.trim();
  if (rest === "" || rest.length > 64) return undefined;
  if (/^[0-9]+(\.[0-9]+)?$/.test(rest)) return Number(rest) * plain;
  let ms = 0;
  while (rest !== "") {
    const part = /^([0-9]+(?:\.[0-9]+)?) *([a-zA-Z]+) */.exec(rest);
    if (!part || !Object.hasOwn(units, part[2]!)) return undefined;
    ms += Number(part[1]) * units[part[2]!]!;
    rest = rest.slice(part[0].length);
  }
  return ms;
}

/** @returns a whole number from `min` to `max`, or undefined */
export function parseCount(text: string | undefined, min: number, max: number): number | undefined {
  if (text === undefined || !/^[0-9]{1,15}$/.test(text)) return undefined;
  const count = Number(text);
  return count >= min && count <= max ? count : undefined;
}

/** `10.0.0.1:80` of an address or host name, with or without its port; undefined where it is neither. */
export function parseServerAddress(text: string, defaultPort: number | undefined): string | undefined {
  const isBareIpv6 = parseIpv6(text) !== undefined;
  const withPort = isBareIpv6
    ? `[${text}]:${defaultPort}`
    : /^(\[[^\]]+\]|[^:]+)$/.test(text)
      ? `${text}:${defaultPort}`
      : text;
  const endpoint = parseEndpoint(withPort);
  if (!endpoint) return undefined;
  // The name of this machine is no name of the DNS.
  if (/(^|\.)localhost$/.test(endpoint.host)) return endpointText("127.0.0.1", endpoint.port);
  return endpointText(endpoint.host, endpoint.port);
}

/** `*`, an address or nothing, and a port, as a place to listen. */
export function listenText(host: string, port: number): string {
  const bare = host.replace(/^\[|\]$/g, "");
  if (bare === "" || bare === "*") return `0.0.0.0:${port}`;
  return endpointText(bare === "localhost" ? "127.0.0.1" : bare, port);
}
export const isListenHost = (host: string): boolean =>
  ["", "*", "localhost"].includes(host) || parseIp(host.replace(/^\[|\]$/g, "")) !== undefined;

/** An address or network as a network without host bits; undefined where it is neither. */
export function parseNetwork(text: string): string | undefined {
  const [address = "", bits, ...more] = text.split("/");
  const bytes = parseIp(address);
  if (!bytes || more.length > 0) return undefined;
  const length = bits === undefined ? bytes.length * 8 : parseCount(bits, 0, bytes.length * 8);
  return length === undefined ? undefined : `${formatIp(maskIp(bytes, length))}/${length}`;
}
/** A pool takes no more (`pool/config.ts`). */
export const MAX_BACKENDS = 10_000;
export const EVERYBODY = ["0.0.0.0/0", "::/0"] as const;

/** An entry of a table by a word of somebody else, who may well write `constructor`. */
export const lookUp = <T>(table: Readonly<Record<string, T>>, word: string): T | undefined =>
  Object.hasOwn(table, word) ? table[word] : undefined;
