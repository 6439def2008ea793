/**
 * The guard that lets everybody pass: for answers that no stranger asked for (`rhumb answer`, explain, tests).
 * @module
 */
import { ADMIT, COOKIE, type Guard, LIMIT } from "#state/guard.ts";

export const OPEN_GUARD: Guard = {
  admit: () => ADMIT.allow,
  cookie: () => COOKIE.ignored,
  writeCookie: () => undefined,
  limit: () => LIMIT.send,
};
