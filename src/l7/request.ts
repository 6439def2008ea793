/**
 * A request as rules, guards and headers see it: what was read, who sent it, and what was worked out of it so far.
 *
 * Owns:    types alone. One object per request; what costs (cookies, query, claims) is worked out when first asked for
 *          (`request-view.ts`).
 * @module
 */
import type { RequestHead } from "#l7/message.ts";
import type { Arrived } from "#net/arrival.ts";

export type HttpRequest = {
  readonly head: RequestHead;
  readonly arrived: Arrived;
  /** The client's address, by the trusted hops of X-Forwarded-For. */
  readonly client: string;
  /** Kept of a trusted peer, else ours. */
  readonly requestId: string;
  /** Host without port, lower case. */
  readonly host: string;
  /** Decoded, dot segments and double slashes removed: what rules match. The backend gets the path as it was sent. */
  readonly path: string;
  /** Without `?`; as it was sent. */
  readonly query: string;
  queryOf(name: string): string | undefined;
  cookieOf(name: string): string | undefined;
  /** Claims of a token that was verified, as text; a path such as `realm.roles` (`claimText` of `rules/claims.ts`). */
  claimOf(name: string): string | undefined;
  /** What has come of the body, where a rule asked for it; undefined: it was not asked for, or is longer. */
  readonly body: Uint8Array | undefined;
  /** Whether a rule asked for the body, and it is there or known to be longer: nobody asks again. */
  readonly isBodyKnown: boolean;
  // ── what rules/ writes ──
  /** Of the token that the rule that matched, or its guard, has verified. */
  claims: Readonly<Record<string, unknown>> | undefined;
  /** `$0`, `$1`, … of the regular expression of the rule that matched, where the rule has a use for them. */
  captures: readonly string[];
};
