/** Which failures are followed by another try, and what they mean when they are not. */
import assert from "node:assert/strict";
import test from "node:test";
import { createSeededRng } from "#base/rng.ts";
import { backoffOf, FAULT_VERDICTS, isStale, mayRetryFault, mayRetryStatus } from "#l7/exchange/retry.ts";
import type { UpstreamFault } from "#l7/stream.ts";
import { type HttpRetrySpec, RETRY_CONDITIONS, type RetryCondition } from "#state/http.ts";

const fault = (kind: UpstreamFault["kind"], changes: Partial<UpstreamFault> = {}): UpstreamFault => ({
  kind,
  isReused: false,
  hasAnswered: false,
  hasSent: true,
  says: "",
  ...changes,
});
const on = (...conditions: RetryCondition[]): HttpRetrySpec => ({
  on: conditions,
  isNonIdempotentToo: false,
  bufferOctets: 0,
  hedgeMs: 0,
});
const ALL = on(...RETRY_CONDITIONS);

for (const { kind, condition } of [
  { kind: "refused", condition: "connect-failure" },
  { kind: "unreachable", condition: "connect-failure" },
  { kind: "connect-timeout", condition: "connect-failure" },
  { kind: "tls", condition: "connect-failure" },
  { kind: "reset", condition: "reset" },
  { kind: "reset", condition: "empty-response" },
  { kind: "timeout", condition: "timeout" },
] as const) {
  test(`mayRetryFault() follows ${kind} by another try for ${condition}, and for nothing that is not listed`, () => {
    const isSent = kind === "reset" || kind === "timeout";
    assert.ok(mayRetryFault(fault(kind, { hasSent: isSent }), "GET", on(condition)));
    assert.ok(!mayRetryFault(fault(kind, { hasSent: isSent }), "GET", on()));
    assert.ok(!mayRetryFault(fault(kind, { hasSent: isSent }), "GET", on("503")));
    // What never went out is sent by any method (R36).
    assert.equal(mayRetryFault(fault(kind, { hasSent: isSent }), "POST", on(condition)), !isSent);
    assert.ok(mayRetryFault(fault(kind, { hasSent: isSent }), "POST", { ...ALL, isNonIdempotentToo: true }));
    assert.ok(!mayRetryFault(fault(kind, { hasAnswered: true }), "GET", ALL));
  });
}
test("mayRetryFault() does not follow a response that broke the rules", () => {
  assert.ok(!mayRetryFault(fault("bad-response"), "GET", ALL));
});

for (const { status, condition, expected } of [
  { status: 500, condition: "5xx", expected: true },
  { status: 503, condition: "5xx", expected: true },
  { status: 503, condition: "503", expected: true },
  { status: 502, condition: "503", expected: false },
  { status: 504, condition: "504", expected: true },
  { status: 500, condition: "502", expected: false },
  { status: 404, condition: "5xx", expected: false },
] as const)
  test(`mayRetryStatus() of ${status} with ${condition}: ${expected}`, () => {
    assert.equal(mayRetryStatus(status, "PUT", on(condition)), expected);
    assert.equal(mayRetryStatus(status, "POST", on(condition)), false);
  });

test("isStale() is a connection that was closed as it was used again, where sending again changes nothing", () => {
  assert.ok(isStale(fault("reset", { isReused: true }), "GET"));
  assert.ok(!isStale(fault("reset"), "GET"));
  assert.ok(!isStale(fault("reset", { isReused: true }), "POST"));
  assert.ok(isStale(fault("reset", { isReused: true, hasSent: false }), "POST"));
  assert.ok(!isStale(fault("reset", { isReused: true, hasAnswered: true }), "GET"));
  assert.ok(!isStale(fault("timeout", { isReused: true }), "GET"));
});

test("backoffOf() grows from 25 to 250 ms, with jitter below", () => {
  const rng = createSeededRng(7);
  for (const [tries, mostMs] of [
    [0, 25],
    [1, 50],
    [3, 200],
    [4, 250],
    [60, 250],
  ] as const)
    for (let count = 0; count < 100; count++) {
      const ms = backoffOf(tries, rng);
      assert.ok(ms >= 0 && ms <= mostMs);
    }
  assert.equal(
    backoffOf(60, () => 1),
    250,
  );
});

test("what timed out is 504, all else that failed 502", () => {
  const late = Object.entries(FAULT_VERDICTS).filter(([, { status }]) => status === 504);
  assert.deepEqual(late.map(([kind]) => kind).sort(), ["connect-timeout", "timeout"]);
});
