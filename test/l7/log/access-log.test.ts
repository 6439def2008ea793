import assert from "node:assert/strict";
import test from "node:test";
import { createSeededRng } from "#base/rng.ts";
import type { AccessEntry } from "#l7/context.ts";
import { accessLine } from "#l7/log/access-line.ts";
import { createAccessLog } from "#l7/log/access-log.ts";

const entry = (changes: Partial<AccessEntry> = {}): AccessEntry => ({
  atMs: Date.UTC(2026, 0, 2, 3, 4, 5, 678),
  listener: "web",
  rule: "rules[0]",
  client: "192.0.2.7",
  requestId: "0123",
  traceId: undefined,
  method: "GET",
  scheme: "https",
  host: "www.example",
  target: "/a?b=c",
  version: "1.1",
  status: 200,
  requestOctets: 0,
  responseOctets: 12,
  pool: "app",
  backend: "10.0.0.1:80",
  tries: 1,
  queueMs: 0,
  connectMs: 0.2504,
  firstOctetMs: 1.5,
  totalMs: 2,
  flags: "",
  cache: undefined,
  tls: "TLSv1.3",
  ...changes,
});

test("accessLine() is one line of JSON, without what a request did not have", () => {
  assert.deepEqual(JSON.parse(accessLine(entry())), {
    time: "2026-01-02T03:04:05.678Z",
    listener: "web",
    client: "192.0.2.7",
    method: "GET",
    scheme: "https",
    host: "www.example",
    target: "/a?b=c",
    version: "1.1",
    status: 200,
    request_octets: 0,
    response_octets: 12,
    rule: "rules[0]",
    pool: "app",
    backend: "10.0.0.1:80",
    tries: 1,
    queue_ms: 0,
    connect_ms: 0.25,
    first_octet_ms: 1.5,
    total_ms: 2,
    tls: "TLSv1.3",
    request_id: "0123",
  });
});

test("what clients send cannot end the line or the text that it stands in", () => {
  const rng = createSeededRng(3);
  for (let round = 0; round < 500; round++) {
    const hostile = Array.from({ length: 20 }, () => String.fromCharCode(Math.floor(rng() * 256))).join("");
    const line = accessLine(entry({ method: hostile, host: hostile, target: hostile, requestId: hostile }));
    assert.equal(line.indexOf("\n"), line.length - 1);
    const read = JSON.parse(line) as Record<string, unknown>;
    for (const key of ["method", "host", "target", "request_id"]) assert.equal(read[key], hostile);
  }
});

test("errors are always written, others by their share", () => {
  const written: string[] = [];
  const log = createAccessLog({ send: (_, lines) => written.push(lines), rng: createSeededRng(5) });
  const spec = { path: "access.log", samplePercent: 10 };
  for (let count = 0; count < 2_000; count++) log.write(spec, entry({ status: count % 2 === 0 ? 200 : 503 }));
  log.tick();
  const statuses = written
    .join("")
    .trimEnd()
    .split("\n")
    .map((line) => (JSON.parse(line) as { status: number }).status);
  assert.equal(statuses.filter((status) => status === 503).length, 1_000);
  const sampled = statuses.filter((status) => status === 200).length;
  assert.ok(sampled > 60 && sampled < 140, `${sampled} of 1,000`);
});

test("lines go out by file, in their order, at the tick or when there are many", () => {
  const sent: [string, number][] = [];
  const log = createAccessLog({ send: (path, lines) => sent.push([path, lines.length]), rng: () => 0 });
  const each = accessLine(entry()).length;
  log.write({ path: "a", samplePercent: 100 }, entry());
  log.write({ path: "b", samplePercent: 100 }, entry());
  assert.deepEqual(sent, []);
  log.tick();
  log.tick();
  assert.deepEqual(sent, [
    ["a", each],
    ["b", each],
  ]);
  for (let octets = 0; octets < 32_768; octets += each) log.write({ path: "a", samplePercent: 100 }, entry());
  assert.equal(sent.length, 3);
});
