import assert from "node:assert/strict";
import test from "node:test";
import { createMatcher } from "#health/glob.ts";
import { healthEpoch, OVERRIDE, VERDICT } from "#state/health-table.ts";
import { type CheckSpec, type HealthSnapshot, type TargetSpec, UNTIL_CLEARED_MS } from "#state/snapshot.ts";
import { createBed, httpCheck, snapshotOf } from "./bed.ts";

const REGIONS = { east: ["192.0.2.1"], west: ["192.0.2.2"] };
const backendCheck = (over: Partial<CheckSpec> = {}): CheckSpec =>
  ({ ...httpCheck({ name: "backend" }), ...over }) as CheckSpec;

/** Regions as ever, then backends of pool `web` on port 80. */
function withBackends(
  addresses: readonly string[],
  over: { regions?: Readonly<Record<string, readonly string[]>>; check?: CheckSpec } = {},
): HealthSnapshot {
  const base = snapshotOf(over.regions ?? {});
  const check = over.check ?? backendCheck();
  const backends = addresses.map((address, at): TargetSpec => {
    const host = address.includes(":") ? `[${address}]` : address;
    const index = base.targets.length + at;
    return { index, id: `backend/web/${host}:80`, kind: "address", address, check: check.name, isBackend: true };
  });
  return { ...base, targets: [...base.targets, ...backends], checks: [...base.checks, check] };
}
const backend = "10.0.0.1";
const set = { reason: "test", owner: "kim" };

test("a backend is unknown until its first pass, and up at once with it", () => {
  const bed = createBed();
  bed.probes.latencyMs = 50;
  bed.health.apply(withBackends([backend]));
  assert.equal(bed.row(0).verdict, VERDICT.unknown);
  bed.clock.advance(40);
  assert.equal(bed.row(0).verdict, VERDICT.unknown);
  bed.until(() => bed.row(0).verdict !== VERDICT.unknown, 100);
  assert.equal(bed.row(0).verdict, VERDICT.up);
  assert.equal(bed.health.cause(0), "ok");
  assert.deepEqual(
    bed.events.map(({ kind, severity, subject, data }) => `${kind} ${severity} ${subject} ${data?.["from"]}`),
    ["health.transition info backend/web/10.0.0.1:80 unknown"],
  );
});

test("a backend that fails from the start is never called up: unknown, then down by the usual count", () => {
  const bed = createBed();
  bed.probes.answers.set(backend, "refused");
  bed.health.apply(withBackends([backend]));
  const seen = new Set<number>();
  const tookMs = bed.until(() => {
    seen.add(bed.row(0).verdict);
    return bed.row(0).verdict === VERDICT.down;
  });
  assert.deepEqual([...seen], [VERDICT.unknown, VERDICT.down]);
  assert.ok(tookMs >= 2_000 && tookMs <= 2_200, `${tookMs}`);
  assert.equal(bed.health.cause(0), "refused");
  assert.deepEqual(
    bed.health.stats().transitions.map(({ from, to }) => `${from} ${to}`),
    ["unknown down"],
  );
  bed.probes.answers.clear();
  bed.clock.advance(15_000);
  assert.equal(bed.row(0).verdict, VERDICT.down); // a return takes five passes, not one
  bed.until(() => bed.row(0).verdict === VERDICT.up, 15_000);
});

test("one pass among failures makes an unknown backend up, and its failures still count", () => {
  const bed = createBed();
  bed.probes.answers.set(backend, "refused");
  bed.health.apply(withBackends([backend]));
  bed.clock.advance(700); // two failures
  assert.equal(bed.row(0).verdict, VERDICT.unknown);
  bed.probes.answers.clear();
  bed.until(() => bed.row(0).verdict === VERDICT.up, 600);
  bed.probes.answers.set(backend, "refused");
  bed.until(() => bed.row(0).verdict === VERDICT.down, 2_500);
});

test("an address of a region with the same check keeps its optimistic first state and its own monitor", () => {
  const bed = createBed();
  const check = httpCheck();
  const snapshot = withBackends(["192.0.2.1"], { regions: REGIONS, check });
  bed.probes.answers.set("192.0.2.1", "refused");
  bed.health.apply({ ...snapshot, checks: [check] });
  bed.clock.advance(600);
  assert.equal(bed.health.stats().scheduler.monitors, 3);
  assert.equal(bed.row(1).verdict, VERDICT.up); // region/east/192.0.2.1
  assert.equal(bed.row(4).verdict, VERDICT.unknown); // backend/web/192.0.2.1:80
});

test("backends lie outside the blast budget: all go down, and regions have no more room through them", () => {
  const bed = createBed();
  const all = Array.from({ length: 20 }, (_, at) => `10.0.0.${at + 1}`);
  bed.health.apply(withBackends(all, { regions: REGIONS }));
  bed.clock.advance(20_000);
  for (const address of all) bed.probes.answers.set(address, "refused");
  bed.clock.advance(15_000);
  for (const at of all.keys()) assert.equal(bed.row(4 + at).verdict, VERDICT.down);
  assert.equal(bed.health.stats().frozen, 0);
  assert.ok(!bed.events.some(({ kind }) => kind === "health.blast-budget"));
  for (const address of ["192.0.2.1", "192.0.2.2"]) bed.probes.answers.set(address, "refused");
  bed.clock.advance(15_000);
  // 30 % of 22 targets would be six; of the two that count it is none, and one region may go.
  assert.equal(bed.health.stats().frozen, 1);
});

test("a known backend keeps its verdict over a changed check", () => {
  const bed = createBed();
  bed.health.apply(withBackends([backend]));
  bed.clock.advance(1_000);
  bed.health.apply(withBackends([backend], { check: backendCheck({ intervalMs: 3_000 }) }));
  assert.equal(bed.row(0).verdict, VERDICT.up);
});

test("times of a backend are shown to people, but do not move the epoch of the table", () => {
  const bed = createBed();
  bed.health.apply(withBackends([backend]));
  bed.clock.advance(1_000);
  const before = healthEpoch(bed.table);
  for (const rttMicros of [1_000, 90_000, 5_000]) {
    bed.probes.rttMicros = rttMicros;
    bed.clock.advance(6_000);
  }
  bed.probes.answers.set(backend, "refused");
  bed.until(() => bed.health.view()[0]!.nextFlipAtMs !== null);
  assert.equal(healthEpoch(bed.table), before);
  assert.notEqual(bed.health.view()[0]!.rttMs, null);
  bed.until(() => bed.row(0).verdict === VERDICT.down);
  assert.equal(healthEpoch(bed.table), before + 1);
});

for (const [glob, id, expected] of [
  ["backend/web/10.0.0.1:80", "backend/web/10.0.0.1:80", true],
  ["backend/web/10.0.0.1:80", "backend/web/10.0.0.1:8080", false],
  ["backend/web/*", "backend/web/10.0.0.1:80", true],
  ["backend/web/*", "backend/web/[2001:db8::1]:80", true],
  ["backend/web/*", "backend/api/10.0.0.1:80", false],
  ["backend/*/10.0.0.1:*", "backend/api/10.0.0.1:8080", true],
  ["backend/web/[2001:db8::1]:80", "backend/web/[2001:db8::1]:80", true],
  ["backend/web/[2001:db8::*]:80", "backend/web/[2001:db8::7]:80", true],
] as const) {
  test(`createMatcher(${glob}) ${expected ? "takes" : "leaves"} ${id}`, () =>
    assert.equal(createMatcher(glob)(id), expected));
}

test("overrides on backends reach their words: maintenance, drain, and a glob over a pool", () => {
  const bed = createBed();
  bed.health.apply(withBackends(["10.0.0.1", "2001:db8::1"]));
  const down = bed.health.setOverride({ target: "backend/web/10.0.0.1:80", verb: "down", ...set });
  assert.equal(down.untilMs! - down.createdAtMs, 4 * 3_600_000);
  assert.deepEqual([bed.row(0).override, bed.row(1).override], [OVERRIDE.down, OVERRIDE.none]);
  bed.health.setOverride({ target: "backend/web/*", verb: "drain", weightPercent: 20, ...set });
  assert.deepEqual(
    [0, 1].map((row) => [bed.row(row).override, bed.row(row).weightPercent]),
    [
      [OVERRIDE.drain, 20],
      [OVERRIDE.drain, 20],
    ],
  );
});

test("an override on a backend may be without an end; one on a region may not", () => {
  const bed = createBed();
  bed.health.apply(withBackends([backend], { regions: REGIONS }));
  bed.clock.advance(1_000);
  const stays = { verb: "drain", untilMs: UNTIL_CLEARED_MS, ...set } as const;
  const made = bed.health.setOverride({ target: "backend/web/*", ...stays });
  assert.equal(made.untilMs, null);
  assert.equal(bed.health.listOverrides()[0]!.untilMs, null);
  assert.equal(bed.row(4).flipAtSeconds, 0);
  const told = bed.events.find(({ kind }) => kind === "health.override-set")!;
  assert.match(told.says, /kim set drain to 0 percent on backend\/web\/\* until it is cleared: test/);
  assert.equal(told.data?.["untilMs"], null);
  bed.clock.advance(5 * 3_600_000); // others end after 4 h
  assert.equal(bed.row(4).override, OVERRIDE.drain);
  assert.throws(() => bed.health.setOverride({ target: "region/east", ...stays }), /within a year/);
  assert.equal(bed.health.clearOverride(made.id).length, 1);
  assert.equal(bed.row(4).override, OVERRIDE.none);
  // And it survives a restart as it is stored: a plain number.
  assert.equal(JSON.parse(JSON.stringify(UNTIL_CLEARED_MS)), UNTIL_CLEARED_MS);
});
