/**
 * Exponential backoff with full jitter (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
 * @module
 */
import type { Rng } from "#base/rng.ts";

/** @returns ms to wait before attempt `attempt` (0 is the first retry), in [0, min(cap, base × 2^attempt)] */
export const backoffMs = (attempt: number, baseMs: number, capMs: number, rng: Rng): number =>
  rng() * Math.min(capMs, baseMs * 2 ** Math.min(attempt, 30));
