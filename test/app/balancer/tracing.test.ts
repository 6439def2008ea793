import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import test from "node:test";
import { createTracing } from "#app/balancer/tracing.ts";
import type { SpanRecord } from "#state/spans.ts";

const span = (changes: Partial<SpanRecord> = {}): SpanRecord => ({
  traceId: "0af7651916cd43dd8448eb211c80319c",
  spanId: "b7ad6b7169203331",
  parentSpanId: undefined,
  name: "GET rules[0]",
  startMs: 1_700_000_000_000.25,
  endMs: 1_700_000_000_002.5,
  isError: false,
  attributes: { "http.request.method": "GET", "http.response.status_code": 200 },
  ...changes,
});

type Exported = {
  resourceSpans: {
    resource: { attributes: { key: string; value: { stringValue?: string } }[] };
    scopeSpans: { spans: Record<string, unknown>[] }[];
  }[];
};

test("spans reach the endpoint with the ids and times that the worker gave them", async (t) => {
  const received: Exported[] = [];
  const server = createServer(async (request, response) => {
    received.push(JSON.parse(await text(request)) as Exported);
    response.end("{}");
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  t.after(() => server.close());
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/traces`;

  const tracing = createTracing();
  tracing.record({ endpoint, service: "edge" }, span());
  tracing.record(
    { endpoint, service: "edge" },
    span({ spanId: "00f067aa0ba902b7", parentSpanId: "b7ad6b7169203331", isError: true }),
  );
  await tracing.close();

  const resource = received[0]!.resourceSpans[0]!;
  assert.equal(resource.resource.attributes.find(({ key }) => key === "service.name")?.value.stringValue, "edge");
  const spans = received.flatMap(({ resourceSpans }) => resourceSpans[0]!.scopeSpans[0]!.spans);
  assert.deepEqual(
    spans.map(({ traceId, spanId, parentSpanId, startTimeUnixNano, endTimeUnixNano, kind, status }) => ({
      traceId,
      spanId,
      parentSpanId,
      startTimeUnixNano,
      endTimeUnixNano,
      kind,
      status,
    })),
    [
      {
        traceId: span().traceId,
        spanId: span().spanId,
        parentSpanId: undefined,
        startTimeUnixNano: "1700000000000250000",
        endTimeUnixNano: "1700000000002500000",
        kind: 2,
        status: { code: 0 },
      },
      {
        traceId: span().traceId,
        spanId: "00f067aa0ba902b7",
        parentSpanId: "b7ad6b7169203331",
        startTimeUnixNano: "1700000000000250000",
        endTimeUnixNano: "1700000000002500000",
        kind: 2,
        status: { code: 2 },
      },
    ],
  );
});

test("an endpoint that is away costs spans alone", async () => {
  const tracing = createTracing();
  tracing.record({ endpoint: "http://127.0.0.1:1/v1/traces", service: "edge" }, span());
  await tracing.close();
});
