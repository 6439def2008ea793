/**
 * What a probe is: one execution of a check against one address, from here.
 *
 * Owns:    the types that all kinds of probes share, and how an operating system's error is told to people.
 * Never:   counts, decides, or sets timers. The scheduler holds the deadline and calls `expire()`.
 * Units:   µs.
 * @module
 */
import type { CheckSpec } from "#state/snapshot.ts";

/**
 * Why a probe failed. `self` and `stalled` are our own fault (no file descriptors, no local port, a script that cannot
 * be started, an event loop that stood still): such a result is evidence of nothing and counts neither way.
 */
export type ErrorClass =
  | "none"
  | "timeout"
  | "refused"
  | "reset"
  | "unreachable"
  | "tls"
  | "certificate"
  | "protocol"
  | "status"
  | "body"
  | "rcode"
  | "answer"
  | "not-serving"
  | "script"
  | "self"
  | "stalled";

/** Durations of the parts; 0 where a part was not reached or does not exist for this kind. */
export type ProbePhases = {
  readonly connectMicros: number;
  readonly tlsMicros: number;
  /** From the request's last octet to the answer's first. */
  readonly answerMicros: number;
  readonly totalMicros: number;
};

export type ProbeResult = {
  readonly ok: boolean;
  /** One exchange with the target, its thinking time included; 0 when the probe has no such thing (scripts). */
  readonly rttMicros: number;
  readonly phases: ProbePhases;
  readonly errorClass: ErrorClass;
  /** Status of HTTP or rcode of DNS, where an answer told one. */
  readonly status?: number | undefined;
  /** For people: `HTTP status 503, expected 200-299`. */
  readonly says: string;
};

export type RunningProbe = {
  /** Time is up: ends the probe with a result of class `timeout` that says how far it came. */
  expire(): void;
  /** Ends the probe without a result. All sockets and processes are gone when this returns, or being killed. */
  cancel(): void;
};

/** Starts one probe; `done` is called at most once, never after `cancel()`, perhaps before this returns. */
export type StartProbe = (address: string, check: CheckSpec, done: (result: ProbeResult) => void) => RunningProbe;

export const NO_PHASES: ProbePhases = { connectMicros: 0, tlsMicros: 0, answerMicros: 0, totalMicros: 0 };

/** Monotonic time in ms, handed in. */
export type MonotonicMs = () => number;

export const microsBetween = (fromMs: number, toMs: number): number =>
  fromMs === 0 ? 0 : Math.max(1, Math.round((toMs - fromMs) * 1_000));

export const isInconclusive = (result: ProbeResult): boolean =>
  result.errorClass === "self" || result.errorClass === "stalled";

const CLASS_OF_CODE: Readonly<Record<string, ErrorClass>> = {
  ECONNREFUSED: "refused",
  ECONNRESET: "reset",
  EPIPE: "reset",
  ECONNABORTED: "reset",
  EHOSTUNREACH: "unreachable",
  ENETUNREACH: "unreachable",
  EHOSTDOWN: "unreachable",
  ENETDOWN: "unreachable",
  ETIMEDOUT: "timeout",
  EMFILE: "self",
  ENFILE: "self",
  ENOBUFS: "self",
  ENOMEM: "self",
  EADDRNOTAVAIL: "self",
  EACCES: "self",
  EPERM: "self",
};

const SENTENCE: Readonly<Partial<Record<string, string>>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset by the target",
  EPIPE: "connection closed by the target",
  ECONNABORTED: "connection aborted",
  EHOSTUNREACH: "no route to the host",
  ENETUNREACH: "network unreachable from here",
  ETIMEDOUT: "connection timed out",
  EMFILE: "this process has no file descriptors left (raise LimitNOFILE)",
  ENFILE: "this machine has no file descriptors left",
  EADDRNOTAVAIL: "no local port left for this destination",
  EACCES: "this machine forbids the connection",
  EPERM: "this machine forbids the connection",
};

export function classOfError(error: NodeJS.ErrnoException, otherwise: ErrorClass): ErrorClass {
  return (error.code !== undefined ? CLASS_OF_CODE[error.code] : undefined) ?? otherwise;
}

export function sayError(error: NodeJS.ErrnoException): string {
  return (error.code !== undefined ? SENTENCE[error.code] : undefined) ?? error.message;
}
