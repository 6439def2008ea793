/**
 * Spans of requests → an OTLP endpoint, by OpenTelemetry.
 *
 * Owns:    one provider per endpoint and service name, in the main thread: workers send records. Spans have the ids that the
 *          request was passed on with, and are sampled already.
 * Rule:    an endpoint that is away costs spans, never requests: the processor's queue is bounded.
 * @module
 */
import { ROOT_CONTEXT, SpanKind, SpanStatusCode, TraceFlags, type Tracer, trace } from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import type { TracingSpec } from "#state/http.ts";
import type { SpanRecord } from "#state/spans.ts";

type Target = Pick<TracingSpec, "endpoint" | "service">;

export type Tracing = {
  record(target: Target, span: SpanRecord): void;
  /** Exports what waits. */
  close(): Promise<void>;
};

const MAX_WAITING_SPANS = 16_384;
const EXPORT_DELAY_MS = 1_000;
/** Retries included: so long the end of the process may be held up. */
const EXPORT_TIMEOUT_MS = 2_000;

type Exporting = { readonly provider: TracerProvider; readonly tracer: Tracer; next: SpanRecord | undefined };

function open({ endpoint, service }: Target): Exporting {
  /** The ids of the span that is being made. */
  const idGenerator = {
    generateTraceId: () => exporting.next!.traceId,
    generateSpanId: () => exporting.next!.spanId,
  };
  const exporter = new OTLPTraceExporter({ url: endpoint, timeoutMillis: EXPORT_TIMEOUT_MS });
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ "service.name": service }),
    idGenerator,
    spanProcessors: [
      new BatchSpanProcessor({
        exporter,
        maxQueueSize: MAX_WAITING_SPANS,
        scheduledDelayMillis: EXPORT_DELAY_MS,
      }),
    ],
  });
  const exporting: Exporting = { provider, tracer: provider.getTracer("rhumb"), next: undefined };
  return exporting;
}

export function createTracing(): Tracing {
  const targets = new Map<string, Exporting>();
  return {
    record(target, record) {
      const key = `${target.service} ${target.endpoint}`;
      const exporting = targets.get(key) ?? open(target);
      targets.set(key, exporting);
      const { traceId, parentSpanId, name, startMs, endMs, attributes } = record;
      const parent =
        parentSpanId === undefined
          ? ROOT_CONTEXT
          : trace.setSpanContext(ROOT_CONTEXT, {
              traceId,
              spanId: parentSpanId,
              traceFlags: TraceFlags.SAMPLED,
              isRemote: true,
            });
      exporting.next = record;
      const span = exporting.tracer.startSpan(name, { kind: SpanKind.SERVER, startTime: startMs, attributes }, parent);
      if (record.isError) span.setStatus({ code: SpanStatusCode.ERROR });
      span.end(endMs);
    },
    async close() {
      await Promise.allSettled([...targets.values()].map(({ provider }) => provider.shutdown()));
    },
  };
}
