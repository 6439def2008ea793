/**
 * The contract between the responder and its guard: who may ask, who is known by a cookie, who gets too much.
 *
 * Owns:    the types. `dns/guard/guard.ts` makes a `Guard`; `dns/respond.ts` calls it, in the order of the members.
 * Never:   looks at zones, throws, or allocates per packet.
 * Counts:  the guard counts what it alone knows: `dropped_acl`, `dropped_rrl`, `rrl_slipped`, `rrl_would_limit`,
 *          `cookies_valid`, `cookies_bad`. The responder counts everything else.
 * @module
 */
import type { Client } from "#state/respond.ts";

/** What the access lists say of a client. `refuse`: REFUSED with EDE 18 (RFC 8914 §4.19), nothing is looked up. */
export const ADMIT = { drop: 0, allow: 1, refuse: 2 } as const;
export type Admit = (typeof ADMIT)[keyof typeof ADMIT];

/**
 * What a COOKIE option is worth (RFC 7873 §5.2). `ignored`: cookies are off, so the option is unknown and not echoed;
 * `malformed`: length other than 8 or 16..40, the answer is FORMERR; `fresh`: a client cookie alone;
 * `bad`: the server part is not ours, or too old; `valid`: the client owns its address.
 */
export const COOKIE = { ignored: 0, malformed: 1, fresh: 2, bad: 3, valid: 4 } as const;
export type Cookie = (typeof COOKIE)[keyof typeof COOKIE];

/** What to do with a finished response. `truncate`: question and OPT only, TC=1; `badCookie`: RCODE 23 with a cookie. */
export const LIMIT = { send: 0, drop: 1, truncate: 2, badCookie: 3 } as const;
export type Limit = (typeof LIMIT)[keyof typeof LIMIT];

/**
 * Kinds of response that the rate limit tells apart, so that a flood of one kind does not use up the others.
 * `error` is every RCODE but NOERROR and NXDOMAIN.
 */
export const RESPONSE_KIND = { answer: 0, nodata: 1, nxdomain: 2, referral: 3, error: 4 } as const;
export type ResponseKind = (typeof RESPONSE_KIND)[keyof typeof RESPONSE_KIND];

/** Octets of the cookie that `writeCookie` writes: 8 from the client, 16 of ours (RFC 9018 §4). */
export const COOKIE_OCTETS = 24;

export type Guard = {
  /** First thing after the header check, before the message is parsed: must be cheap. */
  admit(client: Client): Admit;
  /**
   * Judges the first COOKIE option of a query.
   * @param at offset in `message` of the option's data (the client cookie), `length` its octets; both within bounds
   */
  cookie(message: Uint8Array, at: number, length: number, client: Client, nowMs: number): Cookie;
  /**
   * Writes `COOKIE_OCTETS` octets at `outAt`: the client cookie that lies at `at` in `message`, then our server cookie:
   * the one received when it is valid and young enough, else a new one. `verdict` is what `cookie()` said.
   */
  writeCookie(
    message: Uint8Array,
    at: number,
    client: Client,
    nowMs: number,
    verdict: Cookie,
    out: Uint8Array,
    outAt: number,
  ): void;
  /**
   * Asked once for each response over UDP, when it is complete. TCP responses are not asked about.
   *
   * @param nameHash stands for what the response is about: the zone's apex for `nxdomain`, `nodata` and `referral`, so
   *   that random names share one bucket; the owner's name for `answer`; 0 for `error`
   * @param cookie the verdict of `cookie()`, `COOKIE.ignored` when there was no option; a valid one is never limited
   */
  limit(
    client: Client,
    nameHash: number,
    kind: ResponseKind,
    responseOctets: number,
    requestOctets: number,
    cookie: Cookie,
    nowMs: number,
  ): Limit;
};
