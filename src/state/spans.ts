/**
 * A span of a request as workers hand it to the main thread, which exports it.
 *
 * Owns:    the type. Ids are made where the request is served, as backends are told them before it is over.
 * Units:   Unix ms with fractions.
 * @module
 */

export type SpanRecord = {
  /** 32 and 16 lower-case hex digits (W3C Trace Context). */
  readonly traceId: string;
  readonly spanId: string;
  /** Of the caller; undefined: the trace begins here. */
  readonly parentSpanId: string | undefined;
  readonly name: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly isError: boolean;
  /** By the names of OpenTelemetry's semantic conventions. */
  readonly attributes: Readonly<Record<string, string | number>>;
};
