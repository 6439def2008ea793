/**
 * The signed cookie by which a client comes back to its backend: `NAME=v1.KEY.BACKEND.ENDS.MAC`.
 *
 * Owns:    the value: id of the key, id of the backend without `backend-`, Unix seconds in base 36, and the first 128 bits of
 *          HMAC-SHA-256 (RFC 2104) over the pool's name and all before it. It survives restarts and needs no shared state:
 *          every node with the same keys reads it. Compared in constant time.
 * Never:   decides whether the backend may be used: a good cookie says whom the client had, no more.
 * Units:   Unix ms.
 * @module
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import type { BackendSpec, PoolSpec } from "#state/balancer.ts";

const VERSION = "v1";
const MAC_OCTETS = 16;
const BACKEND_PREFIX = "backend-";
/** Cookies that were found good and are not looked at again. */
const MAX_KNOWN = 8_192;
/** A value of ours is shorter than this. */
const MAX_OCTETS = 256;

export type StickyCookie = {
  readonly name: string;
  /** @returns whom the client had; undefined: the cookie is none of ours, was changed, has ended, or its backend is gone */
  read(value: string, nowMs: number): StickyClient | undefined;
  /** Value of a `Set-Cookie` field. @param isSecure the client came by TLS */
  write(backend: BackendSpec, isSecure: boolean, nowMs: number): string;
};
export type StickyClient = {
  /** As in `BackendSpec.key`. */
  readonly backend: string;
  /** Less than half of its time is left, or it was signed by an older key: the client should get a new one. */
  readonly isOld: boolean;
};
type Known = { readonly backend: string; readonly endsMs: number; readonly isOldKey: boolean };

/** @returns undefined: the pool has no sticky cookie */
export function createStickyCookie(pool: PoolSpec): StickyCookie | undefined {
  const { sticky, name: poolName, backends } = pool;
  if (sticky?.by !== "cookie" || sticky.cookie === undefined) return undefined;
  const { cookie, ttlMs } = sticky;
  const secrets = new Map(cookie.keys.map(({ id, secret }) => [id, secret]));
  const signing = cookie.keys[0]!;
  const keysById = new Map(backends.map(({ id, key }) => [id, key]));
  const known = new Map<string, Known>();

  const macOf = (text: string, secret: string): Buffer =>
    createHmac("sha256", secret).update(`${poolName}\0${text}`).digest().subarray(0, MAC_OCTETS);

  function verify(value: string): Known | undefined {
    const [version, keyId, id, ends, mac, ...more] = value.split(".");
    if (version !== VERSION || mac === undefined || more.length > 0) return undefined;
    const secret = secrets.get(keyId!);
    const backend = keysById.get(BACKEND_PREFIX + id!);
    if (secret === undefined || backend === undefined || !/^[0-9a-z]{1,9}$/.test(ends!)) return undefined;
    const given = Buffer.from(mac, "base64url");
    if (given.length !== MAC_OCTETS) return undefined;
    const text = value.slice(0, value.length - mac.length - 1);
    if (!timingSafeEqual(given, macOf(text, secret))) return undefined;
    return { backend, endsMs: Number.parseInt(ends!, 36) * 1_000, isOldKey: keyId !== signing.id };
  }

  const attributes = [
    `Path=${cookie.path}`,
    ...(cookie.domain === undefined ? [] : [`Domain=${cookie.domain}`]),
    `Max-Age=${Math.round(ttlMs / 1_000)}`,
    "HttpOnly",
    `SameSite=${cookie.sameSite}`,
  ].join("; ");

  return {
    name: cookie.name,
    read(value, nowMs) {
      if (value.length > MAX_OCTETS) return undefined;
      const client = known.get(value) ?? verify(value);
      if (client === undefined || client.endsMs <= nowMs) return undefined;
      if (known.size >= MAX_KNOWN) known.clear();
      known.set(value, client);
      return { backend: client.backend, isOld: client.isOldKey || client.endsMs - nowMs < ttlMs / 2 };
    },
    write({ id }, isSecure, nowMs) {
      const ends = Math.ceil((nowMs + ttlMs) / 1_000).toString(36);
      const text = `${VERSION}.${signing.id}.${id.slice(BACKEND_PREFIX.length)}.${ends}`;
      const mac = macOf(text, signing.secret).toString("base64url");
      const secure = cookie.isSecure === "auto" ? isSecure : cookie.isSecure;
      return `${cookie.name}=${text}.${mac}; ${attributes}${secure ? "; Secure" : ""}`;
    },
  };
}
