import assert from "node:assert/strict";
import test from "node:test";
import { RhumbError } from "#base/errors.ts";
import { healthEpoch, OVERRIDE, VERDICT } from "#state/health-table.ts";
import type { OverrideSpec } from "#state/snapshot.ts";
import { createBed, httpCheck, NO_HOLD, snapshotOf } from "./bed.ts";

const TWO = { east: ["192.0.2.1"], west: ["192.0.2.2"] };
const EAST = 0;
const EAST_ADDRESS = 1;
const WEST = 2;

test("createHealth() starts optimistic but not quiet, and is quiet after the first pass", () => {
  const bed = createBed();
  bed.health.apply(snapshotOf(TWO));
  assert.equal(bed.row(EAST).verdict, VERDICT.unknown);
  assert.notEqual(bed.row(EAST).flipAtSeconds, 0);
  bed.clock.advance(200);
  assert.equal(bed.row(EAST).verdict, VERDICT.up);
  assert.equal(bed.row(EAST).flipAtSeconds, 0);
  assert.equal(bed.row(EAST).rttMicros, 10_000);
});

test("a refused region goes down 2 s after the first failure, and returns after five passes", () => {
  const bed = createBed();
  bed.health.apply(snapshotOf(TWO));
  bed.clock.advance(20_000);
  bed.probes.answers.set("192.0.2.1", "refused");
  bed.until(() => bed.row(EAST).flipAtSeconds !== 0);
  const tookMs = bed.until(() => bed.row(EAST).verdict === VERDICT.down);
  assert.ok(tookMs >= 1_980 && tookMs <= 2_100, `${tookMs}`);
  assert.equal(bed.row(WEST).verdict, VERDICT.up);
  assert.ok(
    bed.events.some(
      ({ kind, severity, subject }) =>
        kind === "health.transition" && severity === "alarm" && subject === "region/east",
    ),
  );

  bed.probes.answers.delete("192.0.2.1");
  const backMs = bed.until(() => bed.row(EAST).verdict === VERDICT.up);
  assert.ok(backMs > 4 * 4_500 && backMs < 6 * 5_000, `${backMs}`);
  assert.ok(bed.events.some(({ severity, subject }) => severity === "resolved" && subject === "region/east"));
  const { transitions } = bed.health.stats();
  assert.deepEqual(
    transitions.map(({ kind, from, to, cause, count }) => `${kind} ${from} ${to} ${cause} ${count}`).sort(),
    ["address down up probes 1", "address up down refused 1", "region down up probes 1", "region up down addresses 1"],
  );
});

test("a black hole is seen without waiting for each time-out in turn", () => {
  const bed = createBed();
  bed.health.apply(snapshotOf(TWO));
  bed.clock.advance(20_000);
  bed.probes.answers.set("192.0.2.1", "silent");
  bed.until(() => bed.row(EAST).flipAtSeconds !== 0);
  const tookMs = bed.until(() => bed.row(EAST).verdict === VERDICT.down);
  assert.ok(tookMs >= 2_000 && tookMs <= 2_700, `${tookMs}`); // three in turn would take 4 s and more
});

test("flip times in the table are never later than the flip", () => {
  const bed = createBed();
  bed.health.apply(snapshotOf(TWO));
  bed.clock.advance(20_000);
  let flips = 0;
  for (let round = 0; round < 24; round++) {
    const bad = (["refused", "silent"] as const)[round % 2]!;
    for (let step = 0; step < 5_000; step++) {
      // First a mix of passes and failures, then long enough good to recover.
      const isBad = step < 2_000 && (step * 7 + round) % 400 > 40 * (round % 5);
      bed.probes.answers.set("192.0.2.1", isBad ? bad : "pass");
      const before = bed.row(EAST_ADDRESS);
      bed.clock.advance(10);
      if (bed.row(EAST_ADDRESS).verdict === before.verdict) continue;
      flips++;
      assert.notEqual(before.flipAtSeconds, 0);
      assert.ok(before.flipAtSeconds <= Math.floor(bed.clock.nowMs() / 1_000));
    }
  }
  assert.ok(flips >= 20, `${flips}`);
});

test("a region needs its share of addresses in each family", () => {
  const bed = createBed();
  const addresses = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1", "2001:db8::2"];
  bed.health.apply(
    snapshotOf({
      east: addresses,
      west: ["198.51.100.1", "198.51.100.2", "198.51.100.3", "198.51.100.4", "198.51.100.5"],
    }),
  );
  bed.clock.advance(10_000);
  bed.probes.answers.set("2001:db8::1", "refused");
  bed.clock.advance(20_000);
  assert.equal(bed.row(4).verdict, VERDICT.down);
  assert.equal(bed.row(0).verdict, VERDICT.up); // 3 of 3, and 1 of 2
  bed.probes.answers.set("2001:db8::2", "refused");
  bed.clock.advance(20_000);
  assert.equal(bed.row(0).verdict, VERDICT.down); // IPv4 is whole, but AAAA leads nowhere
});

test("hold, then ramp, then full service, each announced as a flip", () => {
  const failback = { ...NO_HOLD, holdMs: "auto" as const, ramp: [10, 50, 100] };
  const bed = createBed();
  bed.health.apply(snapshotOf(TWO, { failback }));
  bed.clock.advance(20_000);
  bed.probes.answers.set("192.0.2.1", "refused");
  bed.until(() => bed.row(EAST).verdict === VERDICT.down);
  bed.clock.advance(40_000);
  bed.probes.answers.delete("192.0.2.1");
  bed.until(() => bed.row(EAST).isHeldForFailback);
  assert.equal(bed.row(EAST).verdict, VERDICT.up);
  const heldUntil = bed.row(EAST).flipAtSeconds;
  const holdMs = bed.until(() => !bed.row(EAST).isHeldForFailback);
  assert.ok(holdMs > 119_000 && holdMs < 121_000, `${holdMs}`); // min(120 s, 4 × about 60 s)
  assert.equal(heldUntil, Math.floor(bed.clock.nowMs() / 1_000));
  assert.equal(bed.row(EAST).rampPercent, 10);
  bed.until(() => bed.row(EAST).rampPercent === 50);
  const stepMs = bed.until(() => bed.row(EAST).rampPercent === 100);
  assert.ok(stepMs >= 9_900 && stepMs <= 10_100);
  assert.equal(bed.row(EAST).flipAtSeconds, 0);
});

test("approveFailback() ends the wait of mode manual, and refuses regions that do not wait", () => {
  const bed = createBed();
  bed.health.apply(snapshotOf(TWO, { failback: { ...NO_HOLD, mode: "manual" } }));
  bed.clock.advance(20_000);
  bed.probes.answers.set("192.0.2.1", "refused");
  bed.until(() => bed.row(EAST).verdict === VERDICT.down);
  bed.probes.answers.delete("192.0.2.1");
  bed.until(() => bed.row(EAST).isHeldForFailback);
  bed.clock.advance(3_600_000);
  assert.ok(bed.row(EAST).isHeldForFailback);
  assert.ok(bed.health.view()[EAST]!.awaitsApproval);
  assert.throws(() => bed.health.approveFailback("west"), { code: "RHUMB_HEALTH_NOT_HELD" });
  assert.throws(() => bed.health.approveFailback("mars"), { code: "RHUMB_HEALTH_REGION_UNKNOWN" });
  bed.health.approveFailback("east");
  assert.equal(bed.row(EAST).isHeldForFailback, false);
});

test("the blast budget lets one region go, freezes the next, and thaws after 60 s", () => {
  const bed = createBed();
  bed.health.apply(snapshotOf({ east: ["192.0.2.1", "192.0.2.2"], west: ["192.0.2.3", "192.0.2.4"] }));
  bed.clock.advance(20_000);
  for (const last of [1, 2, 3, 4]) bed.probes.answers.set(`192.0.2.${last}`, "refused");
  bed.clock.advance(15_000);
  const regions = [bed.row(0), bed.row(3)];
  assert.deepEqual(regions.map(({ verdict }) => verdict).sort(), [VERDICT.up, VERDICT.down]);
  assert.ok(regions.find(({ verdict }) => verdict === VERDICT.up)!.isLowConfidence);
  assert.equal(bed.health.stats().frozen, 2);
  assert.ok(bed.events.some(({ kind, severity }) => kind === "health.blast-budget" && severity === "alarm"));
  const tookMs = bed.until(() => bed.row(0).verdict === VERDICT.down && bed.row(3).verdict === VERDICT.down);
  assert.ok(tookMs > 40_000 && tookMs <= 62_000, `${tookMs}`);
  assert.ok(bed.events.some(({ kind, severity }) => kind === "health.blast-budget" && severity === "resolved"));
});

test("a frozen target whose probes pass again stays up without a trace", () => {
  const bed = createBed();
  bed.health.apply(snapshotOf(TWO));
  bed.clock.advance(20_000);
  for (const last of [1, 2]) bed.probes.answers.set(`192.0.2.${last}`, "refused");
  bed.clock.advance(15_000);
  assert.equal(bed.health.stats().frozen, 1);
  const frozen = bed.row(EAST).verdict === VERDICT.up ? EAST : WEST;
  bed.probes.answers.clear();
  bed.clock.advance(40_000);
  assert.equal(bed.health.stats().frozen, 0);
  assert.equal(bed.row(frozen).verdict, VERDICT.up);
  assert.equal(bed.row(frozen).isLowConfidence, false);
});

test("our own faults count neither way, and let the target go stale", () => {
  const bed = createBed();
  bed.health.apply(snapshotOf(TWO));
  bed.clock.advance(20_000);
  bed.probes.answers.set("192.0.2.1", "self");
  bed.clock.advance(60_000);
  assert.equal(bed.row(EAST).verdict, VERDICT.up);
  assert.ok(bed.row(EAST).isStale && bed.row(EAST_ADDRESS).isStale);
  bed.probes.answers.delete("192.0.2.1");
  bed.clock.advance(6_000);
  assert.equal(bed.row(EAST).isStale, false);
});

test("a check that finds out nothing is told once, and once when it does again or its targets are gone", () => {
  for (const end of ["evidence", "removal"] as const) {
    const bed = createBed();
    bed.health.apply(snapshotOf(TWO));
    for (const last of [1, 2]) bed.probes.answers.set(`192.0.2.${last}`, "self");
    bed.clock.advance(60_000);
    const told = () => bed.events.filter(({ kind }) => kind === "health.stale");
    assert.deepEqual(
      told().map(({ severity, subject }) => `${severity} ${subject}`),
      ["warning check/web"],
    );
    assert.match(told()[0]!.says, /192\.0\.2\.1 .*: self\. Its last verdict stays/);
    if (end === "removal") bed.health.apply(snapshotOf({}));
    else bed.probes.answers.clear();
    bed.clock.advance(6_000);
    assert.deepEqual(
      told().map(({ severity }) => severity),
      ["warning", "resolved"],
      end,
    );
  }
});

test("apply() keeps what is unchanged, stops what is gone within one interval, and shares equal probes", () => {
  const bed = createBed();
  bed.health.apply(snapshotOf({ east: ["192.0.2.1"], west: ["192.0.2.1"], north: ["192.0.2.3"] }));
  assert.equal(bed.health.stats().scheduler.monitors, 2);
  bed.clock.advance(20_000);
  bed.probes.answers.set("192.0.2.1", "refused");
  bed.until(() => bed.row(0).verdict === VERDICT.down && bed.row(2).verdict === VERDICT.down);
  bed.health.apply(snapshotOf({ east: ["192.0.2.1"], west: ["192.0.2.1"] }));
  assert.equal(bed.row(0).verdict, VERDICT.down);
  assert.equal(bed.row(4).verdict, VERDICT.unknown);
  const before = bed.probes.startsMs.length;
  bed.clock.advance(30_000);
  assert.equal(bed.probes.startsMs.slice(before).filter(({ address }) => address === "192.0.2.3").length, 0);
  assert.equal(bed.health.stats().scheduler.monitors, 1);
});

test("apply() with a changed check starts from the old verdict, not from hope", () => {
  const bed = createBed();
  bed.health.apply(snapshotOf(TWO));
  bed.clock.advance(20_000);
  bed.probes.answers.set("192.0.2.1", "refused");
  bed.until(() => bed.row(EAST).verdict === VERDICT.down);
  bed.health.apply(snapshotOf(TWO, { check: httpCheck({ path: "/other" }) }));
  assert.equal(bed.row(EAST).verdict, VERDICT.down);
  bed.clock.advance(20_000);
  assert.equal(bed.row(EAST).verdict, VERDICT.down);
});

test("apply() refuses more targets than the table holds, and changes nothing", () => {
  const bed = createBed();
  bed.health.apply(snapshotOf(TWO));
  const many = Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`r${index}`, []]));
  assert.throws(() => bed.health.apply(snapshotOf(many)), { code: "RHUMB_HEALTH_TABLE_FULL" });
  assert.equal(bed.health.view().length, 4);
});

test("a region without a check is unknown for ever and quiet", () => {
  const bed = createBed();
  bed.health.apply(snapshotOf(TWO, { checkNameOf: () => undefined }));
  bed.clock.advance(60_000);
  assert.equal(bed.row(EAST).verdict, VERDICT.unknown);
  assert.equal(bed.row(EAST).flipAtSeconds, 0);
  assert.equal(bed.row(EAST).isStale, false);
  assert.equal(bed.probes.startsMs.length, 0);
});

test("the epoch stands still while nothing happens, the second of the last write does not", () => {
  const bed = createBed();
  bed.health.apply(snapshotOf(TWO));
  bed.clock.advance(20_000);
  const epoch = healthEpoch(bed.table);
  bed.clock.advance(600_000);
  assert.equal(healthEpoch(bed.table), epoch);
  assert.ok(Math.abs(bed.table[2]! - bed.clock.nowMs() / 1_000) < 2);
});

test("onChange() is told once per published change, of all rows that changed", () => {
  const bed = createBed();
  bed.health.apply(snapshotOf(TWO));
  bed.clock.advance(20_000);
  const heard: (readonly number[])[] = [];
  const end = bed.health.onChange((changed) => heard.push([...changed].sort()));
  bed.health.setOverride({ target: "*", verb: "drain", weightPercent: 50, reason: "test", owner: "kim" });
  assert.deepEqual(heard, [[EAST, WEST]]);
  end();
  bed.health.clearOverride("*");
  assert.equal(heard.length, 1);
});

test("setLoad() shows in the load word", () => {
  const bed = createBed();
  bed.health.apply(snapshotOf(TWO));
  bed.health.setLoad(EAST, 730);
  bed.clock.advance(100);
  assert.equal(bed.row(EAST).loadPermille, 730);
});

test("a region that turns slow shows its excess over the baseline", () => {
  const bed = createBed();
  bed.health.apply(snapshotOf(TWO));
  bed.clock.advance(120_000);
  assert.equal(bed.row(EAST).excessRttTenthsMs, 0);
  bed.probes.rttMicros = 60_000;
  bed.clock.advance(300_000);
  const { excessRttTenthsMs, rttMicros } = bed.row(EAST);
  assert.ok(excessRttTenthsMs > 480 && excessRttTenthsMs <= 500, `${excessRttTenthsMs}`);
  assert.ok(rttMicros > 52_000); // moves of less than a tenth are not published
});

// ── overrides ──────────────────────────────────────────────────────────────────────────────────────────────────────

const override = (over: Partial<OverrideSpec>): OverrideSpec => ({
  id: "one",
  target: "region/east",
  verb: "down",
  weightPercent: 100,
  reason: "test",
  owner: "kim",
  createdAtMs: 1_800_000_000_000,
  untilMs: 1_800_003_600_000,
  origin: "file",
  ...over,
});

test("setOverride() acts at once, and its end is an announced change", () => {
  const bed = createBed();
  bed.health.apply(snapshotOf(TWO));
  bed.clock.advance(20_000);
  const set = bed.health.setOverride({ target: "east", verb: "down", reason: "test", owner: "kim", forMs: 600_000 });
  assert.deepEqual([set.target, set.origin, set.matches], ["region/east", "api", ["region/east"]]);
  assert.equal(bed.row(EAST).override, OVERRIDE.down);
  assert.equal(bed.row(EAST).verdict, VERDICT.up);
  assert.equal(bed.row(EAST).flipAtSeconds, Math.floor(set.untilMs! / 1_000));
  assert.equal(bed.row(EAST_ADDRESS).override, OVERRIDE.none);
  assert.equal(bed.health.view()[EAST]!.serving, "down");
  bed.until(() => bed.row(EAST).override === OVERRIDE.none, 700_000);
  assert.ok(bed.clock.nowMs() >= set.untilMs! && bed.clock.nowMs() <= set.untilMs! + 1_100);
  assert.deepEqual(bed.stored.overrides, []);
});

test("a `down` of hours warns 15 minutes before it ends, and returns through the ramp", () => {
  const bed = createBed();
  bed.health.apply(snapshotOf(TWO, { failback: { ...NO_HOLD, ramp: [10, 100] } }));
  bed.clock.advance(20_000);
  const set = bed.health.setOverride({ target: "east", verb: "down", reason: "test", owner: "kim" });
  assert.equal(set.untilMs! - set.createdAtMs, 4 * 3_600_000);
  const warned = (): boolean => bed.events.some(({ kind }) => kind === "health.override-expiring");
  bed.clock.advance(3_600_000 * 3.7);
  assert.equal(warned(), false);
  bed.clock.advance(3_600_000 * 0.1);
  assert.equal(warned(), true);
  bed.until(() => bed.row(EAST).override === OVERRIDE.none, 900_000);
  assert.equal(bed.row(EAST).rampPercent, 10);
});

test("setOverride() refuses what matches nothing, what empties a service, and nonsense", () => {
  const bed = createBed({ wouldEmpty: (isOut) => (isOut(EAST) && isOut(WEST) ? "www" : undefined) });
  bed.health.apply(snapshotOf(TWO));
  const set = (target: string, over: object = {}, force = false) =>
    bed.health.setOverride({ target, verb: "down", reason: "test", owner: "kim", ...over }, { force });
  assert.throws(() => set("mars"), { code: "RHUMB_HEALTH_OVERRIDE_NO_MATCH" });
  assert.throws(
    () => set("*"),
    (error) => error instanceof RhumbError && /www/.test(error.message),
  );
  set("east");
  assert.throws(() => set("west"), { code: "RHUMB_HEALTH_OVERRIDE_EMPTIES_SERVICE" });
  assert.throws(() => set("west", { verb: "drain" }), { code: "RHUMB_HEALTH_OVERRIDE_EMPTIES_SERVICE" });
  set("west", { verb: "drain", weightPercent: 5 });
  set("west", {}, true);
  for (const over of [
    { reason: " " },
    { verb: "sideways" },
    { weightPercent: 101, verb: "drain" },
    { forMs: -1 },
    { untilMs: 1 },
  ]) {
    assert.throws(() => set("east", over), { code: "RHUMB_HEALTH_OVERRIDE_INVALID" });
  }
});

test("setOverride() counts regions that are down by themselves: the last one that is up needs force", () => {
  const bed = createBed({ wouldEmpty: (isOut) => (isOut(EAST) && isOut(WEST) ? "www" : undefined) });
  bed.health.apply(snapshotOf(TWO));
  bed.clock.advance(20_000);
  bed.probes.answers.set("192.0.2.2", "refused");
  bed.until(() => bed.row(WEST).verdict === VERDICT.down);
  const down = { target: "east", verb: "down", reason: "test", owner: "kim" } as const;
  assert.throws(() => bed.health.setOverride(down), { code: "RHUMB_HEALTH_OVERRIDE_EMPTIES_SERVICE" });
  bed.health.setOverride({ ...down, target: "west", verb: "ignore-health" });
  bed.health.setOverride(down);
});

test("an address overridden down counts as down for its region, one overridden up as up", () => {
  const bed = createBed();
  bed.health.apply(snapshotOf({ east: ["192.0.2.1", "192.0.2.2"] }, { upThreshold: 1 }));
  bed.clock.advance(20_000);
  bed.health.setOverride({ target: "region/east/192.0.2.1", verb: "down", reason: "test", owner: "kim" });
  assert.equal(bed.row(0).verdict, VERDICT.down);
  bed.health.setOverride({ target: "region/east/*", verb: "up", reason: "test", owner: "kim" });
  assert.equal(bed.row(0).verdict, VERDICT.up);
  assert.equal(bed.row(1).override, OVERRIDE.up);
});

test("file overrides come first, the API's after; clearing one of the file is refused", () => {
  const bed = createBed();
  bed.health.apply(
    snapshotOf(TWO, { fileOverrides: [override({ target: "region/*", verb: "drain", weightPercent: 30 })] }),
  );
  assert.deepEqual([bed.row(EAST).override, bed.row(EAST).weightPercent], [OVERRIDE.drain, 30]);
  bed.health.setOverride({ target: "east", verb: "up", reason: "test", owner: "kim" });
  assert.equal(bed.row(EAST).override, OVERRIDE.up);
  assert.equal(bed.row(WEST).override, OVERRIDE.drain);
  assert.throws(() => bed.health.clearOverride("region/*"), { code: "RHUMB_HEALTH_OVERRIDE_FROM_FILE" });
  assert.equal(bed.health.clearOverride("east").length, 1);
  assert.equal(bed.health.clearOverride("east").length, 0);
  assert.equal(bed.row(EAST).override, OVERRIDE.drain);
  bed.clock.advance(3_700_000);
  assert.equal(bed.row(EAST).override, OVERRIDE.none);
});

test("overrides of the API are there again after a restart, those that ran out meanwhile are told", () => {
  const live = override({ id: "a", origin: "api", verb: "drain", weightPercent: 20 });
  const dead = override({ id: "b", origin: "api", target: "region/west", untilMs: 1_799_999_999_000 });
  const bed = createBed({ overrides: [live, dead] });
  bed.health.apply(snapshotOf(TWO));
  bed.clock.advance(1_500);
  assert.equal(bed.row(EAST).weightPercent, 20);
  assert.equal(bed.row(WEST).override, OVERRIDE.none);
  assert.ok(bed.events.some(({ kind, subject }) => kind === "health.override-expired" && subject === "region/west"));
  assert.deepEqual(
    bed.stored.overrides.map(({ id }) => id),
    ["a"],
  );
});

test("no override ends while the blast budget has something frozen", () => {
  const bed = createBed();
  bed.health.apply(snapshotOf({ ...TWO, north: ["192.0.2.3"] }));
  bed.clock.advance(20_000);
  bed.health.setOverride({ target: "north", verb: "drain", reason: "test", owner: "kim", forMs: 20_000 });
  for (const last of [1, 2]) bed.probes.answers.set(`192.0.2.${last}`, "refused");
  bed.until(() => bed.health.stats().frozen === 1);
  bed.clock.advance(20_000);
  assert.equal(bed.health.stats().frozen, 1);
  assert.equal(bed.row(4).override, OVERRIDE.drain);
  bed.until(() => bed.health.stats().frozen === 0);
  bed.clock.advance(1_100);
  assert.equal(bed.row(4).override, OVERRIDE.none);
});

test("the warning of an override's end ends with it, however that comes (ruling 22)", () => {
  for (const end of ["expiry", "clear", "replacement"] as const) {
    const bed = createBed();
    bed.health.apply(snapshotOf(TWO));
    const set = () =>
      bed.health.setOverride({ target: "east", verb: "down", reason: "test", owner: "kim", forMs: 3_600_000 });
    set();
    bed.clock.advance(50 * 60_000);
    const warnings = () =>
      bed.events.filter(({ kind }) => kind === "health.override-expiring").map(({ severity }) => severity);
    assert.deepEqual(warnings(), ["warning"], end);
    if (end === "expiry") bed.clock.advance(11 * 60_000);
    else if (end === "clear") bed.health.clearOverride("east");
    else set();
    assert.deepEqual(warnings(), ["warning", "resolved"], end);
  }
});

test("an override acts and ends also while the store cannot be written, and an alarm says so once", () => {
  let isFull = true;
  const store = {
    load: () => [],
    save() {
      if (isFull) throw new Error("disk full");
    },
  };
  const bed = createBed({ store });
  bed.health.apply(snapshotOf(TWO));
  const faults = () => bed.events.filter(({ kind }) => kind === "store.fault").map(({ severity }) => severity);
  bed.health.setOverride({ target: "east", verb: "down", reason: "test", owner: "kim", forMs: 5_000 });
  assert.equal(bed.row(EAST).override, OVERRIDE.down);
  bed.clock.advance(7_000); // its end is saved by the housekeeping, which must survive the fault
  assert.equal(bed.row(EAST).override, OVERRIDE.none);
  assert.deepEqual(faults(), ["alarm"]);
  isFull = false;
  bed.health.setOverride({ target: "east", verb: "drain", reason: "test", owner: "kim" });
  assert.deepEqual(faults(), ["alarm", "resolved"]);
});

test("a `down` that outlived a restart returns through the ramp as well (ruling 22)", () => {
  const failback = { ...NO_HOLD, ramp: [10, 100] };
  const old = override({ origin: "api", createdAtMs: 1_799_990_000_000, untilMs: 1_800_000_005_000 });
  const bed = createBed({ overrides: [old] });
  bed.health.apply(snapshotOf(TWO, { failback }));
  bed.until(() => bed.row(EAST).override === OVERRIDE.none, 10_000);
  assert.equal(bed.row(EAST).rampPercent, 10);
});

test("transitions say from, to and cause, of addresses and regions alike", () => {
  const bed = createBed();
  bed.health.apply(snapshotOf(TWO, { failback: { ...NO_HOLD, holdMs: 10_000 } }));
  bed.clock.advance(20_000);
  bed.probes.answers.set("192.0.2.1", "refused");
  bed.until(() => bed.row(EAST).verdict === VERDICT.down);
  bed.probes.answers.clear();
  bed.until(() => bed.row(EAST).isHeldForFailback);
  bed.until(() => !bed.row(EAST).isHeldForFailback);
  const told = bed.events
    .filter(({ data }) => data?.["cause"] !== undefined)
    .map(({ subject, data }) => `${subject} ${data!["from"]} ${data!["to"]} ${data!["cause"]}`);
  assert.deepEqual(told, [
    "region/east/192.0.2.1 up down refused",
    "region/east up down addresses",
    "region/east/192.0.2.1 down up probes",
    "region/east down hold probes",
    "region/east hold up hold-ended",
  ]);
});

test("alarms of a target end when it leaves the configuration", () => {
  const bed = createBed();
  bed.health.apply(snapshotOf(TWO));
  bed.clock.advance(20_000);
  bed.probes.answers.set("192.0.2.2", "refused");
  bed.until(() => bed.row(WEST).verdict === VERDICT.down);
  bed.health.apply(snapshotOf({ east: ["192.0.2.1"] }));
  const open = new Set<string>();
  for (const { kind, subject, severity } of bed.events) {
    if (severity === "resolved") open.delete(`${kind} ${subject}`);
    else if (severity !== "info") open.add(`${kind} ${subject}`);
  }
  assert.deepEqual([...open], []);
});
