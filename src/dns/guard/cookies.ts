/**
 * DNS cookies (RFC 7873) with the interoperable server cookie of RFC 9018.
 *
 * Owns:    the check and the making of server cookies. Secrets come in; nobody stores them here.
 * Never:   decides what an answer without a cookie gets: that is the guard's and the responder's business.
 * Units:   cookie times are Unix seconds in 32 bits and compared by serial arithmetic (RFC 1982), as RFC 9018 §4.3 asks.
 * @module
 */

import { sipHash24, sipKey } from "#base/siphash.ts";
import { COOKIE, COOKIE_OCTETS, type Cookie, type Guard } from "#state/guard.ts";
import type { Client } from "#state/respond.ts";

const CLIENT_COOKIE_OCTETS = 8;
const SERVER_COOKIE_OCTETS = 16;
const VERSION = 1; // RFC 9018 §4.1
/** RFC 9018 §4.3: not older than an hour, not more than five minutes ahead of us, made anew after half an hour. */
const MAX_AGE_SECONDS = 3_600;
const MAX_AHEAD_SECONDS = 300;
const REISSUE_AGE_SECONDS = 1_800;

export type Cookies = { readonly check: Guard["cookie"]; readonly write: Guard["writeCookie"] };

/** @param secrets 16 octets each; the first signs, all are accepted (two while a secret rolls over) */
export function createCookies(secrets: readonly Uint8Array[]): Cookies {
  const keys = secrets.map(sipKey);
  /** client cookie (8) ‖ version (1) ‖ reserved (3) ‖ timestamp (4) ‖ client address (4 or 16): RFC 9018 §4.4 */
  const input = new Uint8Array(CLIENT_COOKIE_OCTETS + 8 + 16);
  const hash = new Uint8Array(8);
  /** Whether the cookie that was checked last may go back as it is; `write` follows `check` of the same query. */
  let isReusable = false;

  function sign(key: number, client: Client): void {
    const octets = client.isIpv6 ? 16 : 4;
    for (let index = 0; index < octets; index++) input[16 + index] = client.address[index]!;
    sipHash24(keys[key]!, input, 16 + octets, hash, 0);
  }

  function check(message: Uint8Array, at: number, length: number, client: Client, nowMs: number): Cookie {
    isReusable = false;
    if (length === CLIENT_COOKIE_OCTETS) return COOKIE.fresh;
    // RFC 7873 §5.2.2: a server cookie has 8 to 32 octets; ours has 16.
    if (length < 16 || length > 40) return COOKIE.malformed;
    if (length !== CLIENT_COOKIE_OCTETS + SERVER_COOKIE_OCTETS || message[at + 8] !== VERSION) return COOKIE.bad;
    const madeAt = (message[at + 12]! << 24) | (message[at + 13]! << 16) | (message[at + 14]! << 8) | message[at + 15]!;
    const ageSeconds = (Math.floor(nowMs / 1_000) - madeAt) | 0;
    if (ageSeconds > MAX_AGE_SECONDS || ageSeconds < -MAX_AHEAD_SECONDS) return COOKIE.bad;
    for (let index = 0; index < 16; index++) input[index] = message[at + index]!;
    for (let key = 0; key < keys.length; key++) {
      sign(key, client);
      let difference = 0; // no early exit: the time taken must not tell how many octets were guessed right
      for (let index = 0; index < 8; index++) difference |= hash[index]! ^ message[at + 16 + index]!;
      if (difference !== 0) continue;
      isReusable = key === 0 && ageSeconds <= REISSUE_AGE_SECONDS;
      return COOKIE.valid;
    }
    return COOKIE.bad;
  }

  function write(
    message: Uint8Array,
    at: number,
    client: Client,
    nowMs: number,
    verdict: Cookie,
    out: Uint8Array,
    outAt: number,
  ): void {
    if (verdict === COOKIE.valid && isReusable) {
      for (let index = 0; index < COOKIE_OCTETS; index++) out[outAt + index] = message[at + index]!;
      return;
    }
    const nowSeconds = Math.floor(nowMs / 1_000);
    for (let index = 0; index < 8; index++) input[index] = message[at + index]!;
    input[8] = VERSION;
    input[9] = input[10] = input[11] = 0;
    input[12] = nowSeconds >>> 24;
    input[13] = nowSeconds >>> 16;
    input[14] = nowSeconds >>> 8;
    input[15] = nowSeconds;
    sign(0, client);
    for (let index = 0; index < 16; index++) out[outAt + index] = input[index]!;
    for (let index = 0; index < 8; index++) out[outAt + 16 + index] = hash[index]!;
  }

  return { check, write };
}
