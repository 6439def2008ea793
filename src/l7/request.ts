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
  /** Claims of a token that was verified; a path such as `realm.roles`. */
  claimOf(name: string): string | undefined;
  /** What has come of the body, where a rule asked for it; undefined: it was not asked for, or is longer. */
  readonly body: Uint8Array | undefined;
  /** `$0`, `$1`, … of the regular expression of the rule that matched. */
  readonly captures: readonly string[];
};
