import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { createManualClock } from "#base/clock.ts";
import { parseState, restoreState, saveState, saveStateNow } from "#health/state-file.ts";
import { VERDICT } from "#state/health-table.ts";
import { createBed, NO_HOLD, snapshotOf } from "./bed.ts";

const TWO = { east: ["192.0.2.1"], west: ["192.0.2.2"] };
const EAST = 0;

/** Beds of the test that runs: each is closed before its folder goes, for it may be writing there. */
const beds = new Set<ReturnType<typeof createBed>>();
function openBed(options: Parameters<typeof createBed>[0]): ReturnType<typeof createBed> {
  const bed = createBed(options);
  beds.add(bed);
  return bed;
}

function stateFile(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "rhumb-health-"));
  t.after(async () => {
    await Promise.all([...beds].map((bed) => bed.health.close()));
    beds.clear();
    rmSync(folder, { recursive: true, force: true });
  });
  return join(folder, "health.json");
}

/** A run in which east goes down and the process ends. @returns Unix ms of its end */
function runAndDie(file: string): number {
  const bed = openBed({ stateFile: file });
  bed.health.apply(snapshotOf(TWO));
  bed.clock.advance(20_000);
  bed.probes.answers.set("192.0.2.1", "refused");
  bed.until(() => bed.row(EAST).verdict === VERDICT.down);
  bed.health.close();
  return bed.clock.nowMs();
}

test("a restart within 10 minutes knows what is down, and how fast the others are", (t) => {
  const file = stateFile(t);
  const bed = openBed({ stateFile: file, clock: createManualClock(runAndDie(file) + 590_000) });
  bed.health.apply(snapshotOf(TWO));
  assert.equal(bed.row(EAST).verdict, VERDICT.down);
  assert.equal(bed.row(2).verdict, VERDICT.up);
  assert.equal(bed.row(2).rttMicros, 10_000);
  const view = bed.health.view()[EAST]!;
  assert.equal(view.state, "down");
  assert.ok(view.sinceMs! < bed.clock.nowMs() - 580_000);
  bed.clock.advance(1_100);
  assert.ok(bed.row(2).isStale === false, "fresh after its first probe");
  bed.until(() => bed.row(EAST).verdict === VERDICT.up); // and evidence beats memory
});

test("a restart raises the alarms again that were open before it", (t) => {
  const file = stateFile(t);
  const bed = openBed({ stateFile: file, clock: createManualClock(runAndDie(file) + 60_000) });
  bed.health.apply(snapshotOf(TWO));
  const told = (severity: string) => bed.events.filter((event) => event.severity === severity);
  assert.deepEqual(
    [...told("alarm"), ...told("warning")].map(({ kind, subject }) => `${kind} ${subject}`),
    ["health.transition region/east", "health.transition region/east/192.0.2.1"],
  );
  bed.health.apply(snapshotOf(TWO)); // a reload is no restart
  assert.equal(told("alarm").length, 1);
  bed.until(() => bed.row(EAST).verdict === VERDICT.up);
  assert.equal(told("resolved").length, 2);
});

test("a restart later than that starts optimistic", (t) => {
  const file = stateFile(t);
  const bed = openBed({ stateFile: file, clock: createManualClock(runAndDie(file) + 601_000) });
  bed.health.apply(snapshotOf(TWO));
  assert.equal(bed.row(EAST).verdict, VERDICT.unknown);
});

test("a restart does not cut a hold short", (t) => {
  const file = stateFile(t);
  const failback = { ...NO_HOLD, holdMs: 300_000 };
  const first = openBed({ stateFile: file });
  first.health.apply(snapshotOf(TWO, { failback }));
  first.clock.advance(20_000);
  first.probes.answers.set("192.0.2.1", "refused");
  first.until(() => first.row(EAST).verdict === VERDICT.down);
  first.probes.answers.clear();
  first.until(() => first.row(EAST).isHeldForFailback);
  first.clock.advance(100_000);
  first.health.close();
  const bed = openBed({ stateFile: file, clock: createManualClock(first.clock.nowMs() + 50_000) });
  bed.health.apply(snapshotOf(TWO, { failback }));
  const tookMs = bed.until(() => !bed.row(EAST).isHeldForFailback);
  assert.ok(tookMs >= 149_000 && tookMs <= 151_000, `${tookMs}`);
});

for (const [name, text] of [
  ["half a file", '{"version":1,"savedAtMs":18000'],
  ["another version", '{"version":9,"savedAtMs":1,"monitors":{},"regions":{}}'],
  ["a wrong shape", '{"version":1,"savedAtMs":1800000000000,"monitors":{"a":{"isUp":"yes"}},"regions":{}}'],
  ["nothing", ""],
] as const) {
  test(`a corrupt state file (${name}) is set aside and told, and the start goes on`, (t) => {
    const file = stateFile(t);
    writeFileSync(file, text);
    const bed = openBed({ stateFile: file });
    bed.health.apply(snapshotOf(TWO));
    assert.equal(bed.row(EAST).verdict, VERDICT.unknown);
    assert.ok(bed.events.some(({ kind, severity }) => kind === "store.fault" && severity === "warning"));
    assert.equal(readFileSync(`${file}.corrupt`, "utf8"), text);
    bed.health.close();
    assert.equal(restoreState(file, bed.clock.nowMs()).kind, "state");
  });
}

test("a folder that cannot be written is told once, and nothing stops", (t) => {
  const file = join(stateFile(t), "no", "such", "folder", "health.json");
  const bed = openBed({ stateFile: file });
  bed.health.apply(snapshotOf(TWO));
  bed.health.close();
  assert.equal(bed.events.filter(({ kind }) => kind === "store.fault").length, 1);
});

test("saveState() does not replace what was saved while it was writing", async (t) => {
  const file = stateFile(t);
  const state = { savedAtMs: 5, monitors: {}, regions: {} };
  const slow = saveState(file, state, () => false);
  saveStateNow(file, { ...state, savedAtMs: 6 });
  await slow;
  const restored = restoreState(file, 7);
  assert.equal(restored.kind === "state" && restored.state.savedAtMs, 6);
  assert.equal(existsSync(`${file}.new`), false);
});

test("saveState() and saveStateNow() replace the file whole, and leave nothing else behind", async (t) => {
  const file = stateFile(t);
  const state = { savedAtMs: 5, monitors: {}, regions: {} };
  await saveState(file, state);
  saveStateNow(file, { ...state, savedAtMs: 6 });
  assert.equal(parseState(readFileSync(file, "utf8")).savedAtMs, 6);
  assert.deepEqual([existsSync(`${file}.new`), existsSync(`${file}.last`)], [false, false]);
});
