import assert from "node:assert/strict";
import test from "node:test";
import { CHECK_SCHEMAS, overrideSchema } from "#health/config.ts";
import { serviceSchema } from "#steer/config.ts";

test("a check probes every 5 s for 2 s, is down by 3 failures over 2 s, forgives after 5, is up after 5 (ruling 10)", () => {
  const check = CHECK_SCHEMAS.http.parse({ kind: "http", port: 80 });
  assert.deepEqual(
    [check.interval, check.timeout, check.thresholds, check.downSpan],
    [5_000, 2_000, { down: 3, up: 5, ok: 5 }, 2_000],
  );
});

test("failback is automatic, held by the outage's length, and ramps only after 30 s down (ruling 10)", () => {
  const { failback } = CHECK_SCHEMAS.tcp.parse({ kind: "tcp", port: 80 });
  assert.deepEqual(failback, { mode: "auto", hold: "auto", ramp: [10, 25, 50, 100], step: 30_000, after: 30_000 });
});

test("every kind of check of the design is there", () => {
  assert.deepEqual(Object.keys(CHECK_SCHEMAS).sort(), ["dns", "grpc", "http", "https", "script", "tcp", "tls"]);
});

for (const { verb, expected } of [
  { verb: "up", expected: { verb: "up", weightPercent: 100 } },
  { verb: "down", expected: { verb: "down", weightPercent: 100 } },
  { verb: "drain", expected: { verb: "drain", weightPercent: 0 } },
  { verb: "drain=20", expected: { verb: "drain", weightPercent: 20 } },
  { verb: "ignore-health", expected: { verb: "ignore-health", weightPercent: 100 } },
  { verb: "drain=101", expected: undefined },
  { verb: "DOWN", expected: undefined },
]) {
  const fields = { target: "region/eu-west", reason: "r", owner: "kim", until: "2027-01-01T00:00:00Z" };
  test(`health/overrides.yaml ${expected ? "takes" : "refuses"} the verb ${verb} (ruling 22)`, () => {
    const result = overrideSchema.safeParse({ ...fields, verb });
    assert.deepEqual(result.data?.verb, expected);
  });
}

test("an override of the file without reason, owner or end is refused (ruling 22)", () => {
  const whole = { target: "eu-west", verb: "down", reason: "r", owner: "kim", until: "2027-01-01T00:00:00Z" };
  assert.equal(overrideSchema.safeParse(whole).success, true);
  for (const key of ["target", "verb", "reason", "owner", "until"])
    assert.equal(overrideSchema.safeParse({ ...whole, [key]: undefined }).success, false, key);
});

test("no TTL can be configured as 0: resolvers treat it in too many ways", () => {
  const service = (ttl: object) => serviceSchema.safeParse({ regions: ["a"], ttl }).success;
  assert.equal(service({ min: "1s", max: "1s" }), true);
  assert.equal(service({ min: "0s", max: "30s" }), false);
  assert.equal(service({ max: "0s" }), false);
  assert.equal(service({ max: "500ms" }), false);
});
