/**
 * Values of `Cache-Status` (RFC 9211), and what they count as.
 * @module
 */

/** Why a request went to a backend (RFC 9211 §2.2). */
export type Forwarded = "bypass" | "method" | "uri-miss" | "vary-miss" | "request" | "stale" | "partial";

export const hitStatus = (leftMs: number): string => `rhumb; hit; ttl=${Math.floor(leftMs / 1000)}`;

/** @param status of the backend where it is not that of the response */
export function forwardStatus(why: Forwarded, status: number | undefined, stored: boolean, collapsed: boolean): string {
  let text = `rhumb; fwd=${why}`;
  if (status !== undefined) text += `; fwd-status=${status}`;
  if (stored) text += "; stored";
  if (collapsed) text += "; collapsed";
  return text;
}
