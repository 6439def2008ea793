/**
 * What a failed try means: whether the request may be sent again, what the client is told, what the backend is charged with.
 *
 * Rule:    what may have been carried out is sent again only where that changes nothing (RFC 9110 §9.2.2), and nothing is
 *          once an octet of a response has come (R36). Pure.
 * @module
 */
import type { UpstreamFault } from "#l7/stream.ts";
import type { PlaceFault } from "#pool/place.ts";
import type { HttpRetrySpec, RetryCondition } from "#state/http.ts";

const IDEMPOTENT: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"]);
export const isIdempotent = (method: string): boolean => IDEMPOTENT.has(method);

/** Between two tries at the same backend, at most. */
const BACKOFF_MS = 25;
const MAX_BACKOFF_MS = 250;
/** @param rng uniform in [0, 1) */
export const backoffOf = (tries: number, rng: () => number): number =>
  rng() * Math.min(MAX_BACKOFF_MS, BACKOFF_MS * 2 ** Math.min(tries, 10));

/** It says more about the connection than about the backend: it was closed while it lay idle, or as we wrote to it. */
export const isStale = (fault: UpstreamFault, method: string): boolean =>
  fault.kind === "reset" && fault.isReused && !fault.hasAnswered && (!fault.hasSent || isIdempotent(method));

export function mayRetryFault(
  fault: UpstreamFault,
  method: string,
  { on, isNonIdempotentToo }: HttpRetrySpec,
): boolean {
  if (fault.hasAnswered) return false;
  if (fault.hasSent && !isIdempotent(method) && !isNonIdempotentToo) return false;
  switch (fault.kind) {
    case "refused":
    case "unreachable":
    case "connect-timeout":
    case "tls":
      return on.includes("connect-failure");
    case "reset":
      return (
        on.includes("reset") || on.includes("empty-response") || (!fault.hasSent && on.includes("connect-failure"))
      );
    case "timeout":
      return on.includes("timeout");
    case "other":
      return !fault.hasSent && on.includes("connect-failure");
    case "bad-response":
      return false;
    default:
      return fault.kind satisfies never;
  }
}

const STATUS_CONDITIONS: Readonly<Record<number, RetryCondition>> = { 502: "502", 503: "503", 504: "504" };
export function mayRetryStatus(status: number, method: string, { on, isNonIdempotentToo }: HttpRetrySpec): boolean {
  if (status < 500 || !(isIdempotent(method) || isNonIdempotentToo)) return false;
  const condition = STATUS_CONDITIONS[status];
  return on.includes("5xx") || (condition !== undefined && on.includes(condition));
}

type Verdict = { readonly status: 502 | 504; readonly flag: string; readonly charge: PlaceFault };
/** What becomes of a request that no other try follows: its status, its flag in the log, and its backend's failure. */
export const FAULT_VERDICTS: Readonly<Record<UpstreamFault["kind"], Verdict>> = {
  refused: { status: 502, flag: "UF", charge: "refused" },
  unreachable: { status: 502, flag: "UF", charge: "unreachable" },
  "connect-timeout": { status: 504, flag: "UF", charge: "timeout" },
  tls: { status: 502, flag: "UF", charge: "other" },
  reset: { status: 502, flag: "UC", charge: "reset" },
  timeout: { status: 504, flag: "UT", charge: "timeout" },
  "bad-response": { status: 502, flag: "UPE", charge: "other" },
  other: { status: 502, flag: "UF", charge: "other" },
};
