/**
 * How near the end of a certificate is, in steps at which people are told.
 * @module
 */
import { X509Certificate } from "node:crypto";

const DAY_MS = 86_400_000;
/** Days before the end; at the last one it is over. */
export const EXPIRY_STEPS_DAYS = [21, 7, 1, 0] as const;

/** @returns 0 where the end is far away, up to 4 where it is past */
export const expiryStep = (notAfterMs: number, nowMs: number): number =>
  EXPIRY_STEPS_DAYS.filter((days) => notAfterMs - nowMs <= days * DAY_MS).length;

/** Of the first certificate of a chain. @throws where it is none */
export const notAfterMs = (chain: string): number => new X509Certificate(chain).validToDate.getTime();
