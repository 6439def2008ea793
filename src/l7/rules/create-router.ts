/**
 * The rules of a listener, made ready once per configuration: which of them has a request, and what it means.
 * @module
 */
import type { Rng } from "#base/rng.ts";
import type { Subrequest } from "#l7/context.ts";
import type { PoolRef, Router } from "#l7/route.ts";
import type { RateLimits } from "#l7/rules/rate-limits.ts";
import type { RuleSpec } from "#state/http.ts";

/** What rules need of the worker that they run in. */
export type RuleEnv = {
  pool(index: number): PoolRef;
  /** Shared by all workers. */
  readonly rateLimits: RateLimits;
  /** Number of the listener in shared tables. */
  readonly listener: number;
  readonly subrequest: Subrequest;
  /** So much more (or less) is awaited of the event loop. */
  waiting(change: number): void;
  readonly rng: Rng;
  /** Unix ms: tokens and cookies end by it. */
  unixMs(): number;
  /** A WAF that is not enforced found something, or one that is. */
  found?(rule: string, what: string): void;
};

export function createRouter(_rules: readonly RuleSpec[], _env: RuleEnv): Router {
  return { route: () => undefined };
}
