/**
 * Errors as people and programs get them: RFC 9457 problem details, with our code and what to do.
 * @module
 */
import { type ErrorCode, RhumbError } from "#base/errors.ts";

export type ProblemDetails = {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly instance: string;
  readonly code: ErrorCode;
  readonly fix: string;
  /** One per wrong value, where there are several. */
  readonly problems?: readonly unknown[];
};

const STATUS: Partial<Record<ErrorCode, number>> = {
  RHUMB_API_TOKEN: 401,
  RHUMB_API_ROLE: 403,
  RHUMB_API_LOCKED: 429,
  RHUMB_API_BUSY: 429,
  RHUMB_API_HOST: 421, // Misdirected Request (RFC 9110 §15.5.20)
  RHUMB_API_ORIGIN: 403,
  RHUMB_API_CSRF: 403,
  RHUMB_API_INPUT: 400,
  RHUMB_APP_QUESTION: 400,
  RHUMB_GEO_LATENCY_INVALID: 400,
  RHUMB_HEALTH_OVERRIDE_INVALID: 400,
  RHUMB_API_MEDIA_TYPE: 415,
  RHUMB_API_TOO_LARGE: 413,
  RHUMB_API_NOT_FOUND: 404,
  RHUMB_API_CHANGED: 412,
  RHUMB_API_METHOD: 405,
  RHUMB_API_NOT_SUPPORTED: 501,
  RHUMB_API_FAULT: 500,
  RHUMB_BALANCER_UNRESOLVED: 422, // to clients of POST /backends, 409 says that the backend is there already
};
/** What a command refuses is the caller's request against the state of things: 409. What it cannot find: 404. */
const statusOf = (code: ErrorCode): number =>
  STATUS[code] ?? (code === "RHUMB_CONFIG_INVALID" ? 422 : /_(?:NOT_FOUND|UNKNOWN)$/.test(code) ? 404 : 409);

/** A refusal with headers or several problems; everything else throws a plain RhumbError. */
export class ApiError extends RhumbError {
  readonly headers: Readonly<Record<string, string>>;
  readonly problems: readonly unknown[] | undefined;
  constructor(
    code: ErrorCode,
    subject: string,
    extra: { headers?: Readonly<Record<string, string>>; problems?: readonly unknown[] } = {},
  ) {
    super(code, subject);
    this.headers = extra.headers ?? {};
    this.problems = extra.problems;
  }
}

export function problemDetails(error: RhumbError, instance: string): ProblemDetails {
  const problems = error instanceof ApiError ? error.problems : undefined;
  return {
    type: `urn:rhumb:error:${error.code}`,
    title: error.message,
    status: statusOf(error.code),
    detail: `${error.message}. ${error.fix}.`,
    instance,
    code: error.code,
    fix: error.fix,
    ...(problems ? { problems } : {}),
  };
}

/** Turns whatever was thrown into one of our errors; what we did not foresee becomes RHUMB_API_FAULT. */
export function asRhumbError(error: unknown, instance: string, mediaType = ""): RhumbError {
  if (error instanceof RhumbError) return error;
  const { code, statusCode } = (error ?? {}) as { code?: string; statusCode?: number };
  const says = error instanceof Error ? error.message : String(error);
  if (statusCode === 413) return new ApiError("RHUMB_API_TOO_LARGE", says);
  if (statusCode === 415) return new ApiError("RHUMB_API_MEDIA_TYPE", mediaType);
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500 && code?.startsWith("FST_")) {
    return new ApiError("RHUMB_API_INPUT", says);
  }
  if (statusCode === 400) return new ApiError("RHUMB_API_INPUT", says); // a body that is not JSON
  return new ApiError("RHUMB_API_FAULT", instance);
}
