/**
 * How long a response is fresh, and how old it is (RFC 9111 §4.2).
 *
 * Owns:    the arithmetic. It is pure.
 * Units:   ms; wall-clock times are Unix ms.
 * @module
 */
import { type Directives, MAX_SECONDS, parseSeconds } from "#l7/cache/directives.ts";
import { parseHttpDate } from "#l7/cache/http-date.ts";
import { fieldOf, listOf } from "#l7/message.ts";

/** Statuses that may be stored without being told how long they are fresh (RFC 9110 §15.1). */
export const HEURISTIC: ReadonlySet<number> = new Set([200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501]);

/** Part of the time since the last change for which a response counts as fresh (RFC 9111 §4.2.2), and the most of it. */
const HEURISTIC_PART = 0.1;
const HEURISTIC_MOST_MS = 24 * 3_600_000;

export type Lifetime = {
  readonly ms: number;
  /** Whether the response itself said so. */
  readonly isExplicit: boolean;
};

/** @param dateMs of the response, or when it came */
export function lifetimeOf(
  status: number,
  fields: readonly string[],
  directives: Readonly<Directives>,
  dateMs: number,
  defaultTtlMs: number,
): Lifetime {
  const told = directives.sMaxAge ?? directives.maxAge;
  if (told !== undefined) return { ms: told * 1000, isExplicit: true };
  const expires = listOf(fields, "expires");
  if (expires !== undefined) {
    // Several, or no date: it is over already (RFC 9111 §5.3).
    const expiresMs = parseHttpDate(expires, dateMs);
    return { ms: expiresMs === undefined ? 0 : Math.max(0, expiresMs - dateMs), isExplicit: true };
  }
  if (!HEURISTIC.has(status) && !directives.isPublic) return { ms: 0, isExplicit: false };
  if (defaultTtlMs > 0) return { ms: defaultTtlMs, isExplicit: false };
  const changedMs = parseHttpDate(fieldOf(fields, "last-modified") ?? "", dateMs);
  if (changedMs === undefined || changedMs > dateMs) return { ms: 0, isExplicit: false };
  return { ms: Math.min(HEURISTIC_MOST_MS, (dateMs - changedMs) * HEURISTIC_PART), isExplicit: false };
}

/**
 * The age that a response had when it came (RFC 9111 §4.2.3, corrected_initial_age).
 * @param delayMs from sending the request to the response's head
 */
export function initialAgeMs(fields: readonly string[], dateMs: number, cameMs: number, delayMs: number): number {
  const told = fieldOf(fields, "age");
  let toldSeconds = 0;
  if (told !== undefined) {
    // Of a list the first counts; what is no number may be any age, so it is the highest (RFC 9111 §5.1).
    const comma = told.indexOf(",");
    toldSeconds = parseSeconds((comma < 0 ? told : told.slice(0, comma)).trim()) ?? MAX_SECONDS;
  }
  return Math.max(0, cameMs - dateMs, toldSeconds * 1000 + delayMs);
}
