/**
 * Tokens of beacons: that a page of ours was given out, when, to which network, and of which regions it may speak.
 *
 * Shape:   `v1.PAYLOAD.MAC`; PAYLOAD is base64url of the JSON `{ "t": Unix seconds, "r": [regions], "i": "random text",
 *          "n": "198.51.100.0/24" }` (`n` may be missing), MAC is base64url of HMAC-SHA256 (RFC 2104) over `v1.PAYLOAD`. Any
 *          language can make one.
 * Never:   throws on what clients send.
 * Units:   seconds in tokens, Unix ms outside.
 * @module
 */
import { createHmac, timingSafeEqual } from "node:crypto";

/** A page that stays open longer fetches another one. */
export const TOKEN_LIFE_MS = 600_000;
/** How far the clock of who made it may be ahead of ours. */
const AHEAD_MS = 60_000;
export const MAX_REGIONS = 16;
const MAC_OCTETS = 32;

export type Token = {
  readonly issuedAtMs: number;
  readonly regions: readonly string[];
  /** Undefined: whoever comes with it first. */
  readonly network: string | undefined;
  /** The same for every use of one token. */
  readonly id: string;
};
export type TokenFault = "malformed" | "forged" | "expired";

const sign = (text: string, key: string): Buffer => createHmac("sha256", key).update(text).digest();

export function makeToken(
  token: {
    readonly regions: readonly string[];
    readonly network?: string;
    readonly atMs: number;
    /** Random: two pages of one second do not share what one of them may send. */
    readonly nonce: string;
  },
  key: string,
): string {
  const { regions, network, atMs, nonce } = token;
  const payload = {
    t: Math.floor(atMs / 1_000),
    r: regions,
    i: nonce,
    ...(network === undefined ? {} : { n: network }),
  };
  const text = `v1.${Buffer.from(JSON.stringify(payload)).toString("base64url")}`;
  return `${text}.${sign(text, key).toString("base64url")}`;
}

/** @returns the token, or why it is none. Nothing in it is looked at before its signature. */
export function readToken(text: string, key: string, nowMs: number): Token | TokenFault {
  const match = /^(v1\.([A-Za-z0-9_-]{1,700}))\.([A-Za-z0-9_-]{43})$/.exec(text);
  if (!match) return "malformed";
  const [, signed, payload, mac] = match as unknown as [string, string, string, string];
  const given = Buffer.from(mac, "base64url");
  if (given.length !== MAC_OCTETS || !timingSafeEqual(given, sign(signed, key))) return "forged";
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(payload, "base64url").toString());
  } catch {
    return "malformed";
  }
  const { t, r, n } = (value ?? {}) as Record<string, unknown>;
  const isGood =
    typeof t === "number" &&
    Number.isFinite(t) &&
    Array.isArray(r) &&
    r.length <= MAX_REGIONS &&
    r.every((region) => typeof region === "string") &&
    (n === undefined || typeof n === "string");
  if (!isGood) return "malformed";
  const issuedAtMs = t * 1_000;
  if (nowMs - issuedAtMs > TOKEN_LIFE_MS || issuedAtMs - nowMs > AHEAD_MS) return "expired";
  return { issuedAtMs, regions: r as string[], network: n as string | undefined, id: mac };
}
