/** Vantages that vote: engines as they are, on one clock, joined by messages that take time. */
import assert from "node:assert/strict";
import test from "node:test";
import { VERDICT } from "#state/health-table.ts";
import type { RegionReport } from "#state/reports.ts";
import { createBed, httpCheck, NO_HOLD, snapshotOf } from "./bed.ts";
import { createVantages } from "./vantages.ts";

const THREE = ["ns1", "ns2", "ns3"];
const regionsOf = (count: number): Record<string, string[]> =>
  Object.fromEntries(Array.from({ length: count }, (_, at) => [`r${at}`, [`192.0.2.${at + 1}`]]));
const EAST = "192.0.2.1";

test("three vantages turn a refused region down together, sooner than the slowest would see it", () => {
  const net = createVantages(THREE, snapshotOf(regionsOf(2)));
  net.clock.advance(30_000);
  net.answer(EAST, "refused");
  const first = net.all[0]!;
  const tookMs = first.until(() => net.all.every((bed) => bed.row(0).verdict === VERDICT.down));
  assert.ok(tookMs < 7_100, `${tookMs}`);
  assert.equal(first.row(2).verdict, VERDICT.up);
  const view = first.health.view().find(({ target }) => target === "region/r0/192.0.2.1")!;
  assert.match(view.cause!, /^[23] of 3 vantages \(.*\): refused$/);
  assert.deepEqual(
    view.votes.map(({ voter, isUp, standing }) => [voter, isUp, standing]),
    THREE.map((name) => [name, false, "counts"]),
  );
  net.answer(EAST, "pass");
  first.until(() => net.all.every((bed) => bed.row(0).verdict === VERDICT.up));
});

test("a first failure makes the others look at once, 500 ms apart, without waiting for time-outs", () => {
  const net = createVantages(THREE, snapshotOf(regionsOf(1)));
  net.clock.advance(30_000);
  net.answer(EAST, "silent");
  const signalled = () => net.sent.find(({ votes }) => votes[0]?.state === "failing");
  net.all[0]!.until(() => signalled() !== undefined);
  const other = THREE.find((name) => name !== signalled()!.vantage)!;
  const sentMs = net.clock.monotonicMs();
  net.clock.advance(1_600);
  const looks = net.beds[other]!.probes.startsMs.filter(({ atMs }) => atMs >= sentMs - 10);
  assert.ok(looks.length >= 3, `${looks.length}`);
});

test("a vantage that is not configured does not vote, and nobody votes in our name", () => {
  const net = createVantages(THREE, snapshotOf(regionsOf(1)));
  net.cut.add("ns2").add("ns3");
  net.clock.advance(30_000);
  const { health } = net.beds["ns1"]!;
  const [own] = health.votes().votes;
  for (const vantage of ["ns1", "ns9"])
    health.takeVotes({
      vantage,
      sequence: Number.MAX_SAFE_INTEGER,
      isWhole: true,
      isSound: true,
      votes: [{ ...own!, state: "down" }],
    });
  assert.deepEqual(
    health.view()[1]!.votes.map(({ voter, isUp }) => [voter, isUp]),
    [["ns1", true]],
  );
});

test("one vantage that fails changes nothing but is told, and its own node follows the others", () => {
  const net = createVantages(THREE, snapshotOf(regionsOf(1)));
  net.clock.advance(30_000);
  net.answer(EAST, "silent", "ns1");
  for (let second = 0; second < 100; second++) {
    net.clock.advance(1_000);
    for (const bed of net.all) assert.equal(bed.row(0).verdict, VERDICT.up);
  }
  for (const bed of net.all) {
    assert.deepEqual(
      bed.events
        .filter(({ kind }) => kind === "health.disagreement")
        .map(({ severity, subject }) => [severity, subject]),
      [["warning", "region/r0/192.0.2.1"]],
    );
    assert.equal(bed.health.stats().voting.disagreements.vantages, 1);
  }
  net.answer(EAST, "pass");
  net.clock.advance(60_000);
  assert.equal(net.all[0]!.events.at(-1)!.severity, "resolved");
});

test("without the others, the last verdict is held for 30 s, then the one vote decides, marked so", () => {
  const net = createVantages(THREE, snapshotOf(regionsOf(1)));
  net.clock.advance(30_000);
  net.cut.add("ns1");
  const ns1 = net.beds["ns1"]!;
  net.clock.advance(20_000); // their votes grow old
  net.answer(EAST, "refused");
  ns1.until(() => ns1.row(0).verdict === VERDICT.held, 10_000);
  assert.ok(ns1.row(0).isLowConfidence);
  assert.equal(ns1.health.view()[1]!.verdict, "held");
  let flipAtSeconds = 0;
  const heldMs = ns1.until(() => {
    const isDown = ns1.row(0).verdict === VERDICT.down;
    if (!isDown) ({ flipAtSeconds } = ns1.row(0));
    return isDown;
  });
  assert.ok(flipAtSeconds > 0 && flipAtSeconds <= Math.floor(net.clock.nowMs() / 1_000));
  assert.ok(heldMs > 10_000 && heldMs < 30_000, `${heldMs}`);
  assert.ok(ns1.row(1).isLowConfidence);
  assert.equal(net.beds["ns2"]!.row(0).verdict, VERDICT.down);
  assert.ok(!net.beds["ns2"]!.row(1).isLowConfidence);
  net.cut.clear();
  net.answer(EAST, "pass");
  ns1.until(() => net.all.every((bed) => bed.row(0).verdict === VERDICT.up && !bed.row(0).isLowConfidence));
});

test("a node whose own probes cannot run follows the others, and says when they are gone as well", () => {
  const net = createVantages(THREE, snapshotOf(regionsOf(1)));
  const ns1 = net.beds["ns1"]!;
  net.answer(EAST, "self", "ns1");
  net.clock.advance(30_000);
  assert.deepEqual([ns1.row(1).verdict, ns1.row(1).isStale, ns1.row(1).isLowConfidence], [VERDICT.up, false, false]);
  net.answer(EAST, "refused", "ns2", "ns3");
  ns1.until(() => ns1.row(1).verdict === VERDICT.down, 10_000);
  net.cut.add("ns1");
  net.clock.advance(25_000);
  assert.deepEqual([ns1.row(1).verdict, ns1.row(1).isStale, ns1.row(1).isLowConfidence], [VERDICT.down, true, true]);
});

test("what another vantage has seen fail is announced as a possible flip before this one has looked", () => {
  const net = createVantages(THREE, snapshotOf(regionsOf(1)));
  net.clock.advance(30_000);
  const ns1 = net.beds["ns1"]!;
  const own = ns1.health.votes().votes[0]!;
  const failing = { ...own, state: "failing", ageMs: 0, sinceMs: 0 } as const;
  const sequence = Number.MAX_SAFE_INTEGER;
  assert.equal(ns1.row(0).flipAtSeconds, 0);
  for (const vantage of ["ns2", "ns3"])
    ns1.health.takeVotes({ vantage, sequence, isWhole: false, isSound: true, votes: [failing] });
  net.clock.advance(10);
  assert.notEqual(ns1.row(0).flipAtSeconds, 0);
});

test("a node that starts into an outage hears of it from the others, as a change from unknown", () => {
  const net = createVantages(THREE, snapshotOf(regionsOf(1)));
  net.answer(EAST, "self", "ns1");
  net.answer(EAST, "refused", "ns2", "ns3");
  net.cut.add("ns1");
  net.clock.advance(20_000);
  const ns1 = net.beds["ns1"]!;
  assert.equal(ns1.row(1).verdict, VERDICT.unknown);
  net.cut.clear();
  ns1.until(() => ns1.row(1).verdict === VERDICT.down, 10_000);
  const { data } = ns1.events.find(({ subject }) => subject === "region/r0/192.0.2.1")!;
  assert.deepEqual(data, { from: "unknown", to: "down", cause: "refused" });
});

test("votes on another check do not count for ours", () => {
  const net = createVantages(THREE, snapshotOf(regionsOf(1)));
  const other = snapshotOf(regionsOf(1), { check: httpCheck({ path: "/other" }) });
  for (const name of ["ns2", "ns3"])
    net.beds[name]!.health.apply({ ...other, vantage: name, vantages: THREE, quorum: 2 });
  net.clock.advance(30_000);
  net.answer(EAST, "refused", "ns2", "ns3");
  net.clock.advance(30_000);
  assert.equal(net.beds["ns2"]!.row(0).verdict, VERDICT.down);
  const { verdict, isLowConfidence } = net.beds["ns1"]!.row(0);
  assert.deepEqual([verdict, isLowConfidence], [VERDICT.up, true]);
});

test("flip times of three vantages are never later than the flip", () => {
  const net = createVantages(THREE, snapshotOf(regionsOf(1)));
  net.clock.advance(30_000);
  let flips = 0;
  for (let round = 0; round < 12; round++) {
    const bad = (["refused", "silent"] as const)[round % 2]!;
    for (let step = 0; step < 5_000; step++) {
      for (const [index, name] of THREE.entries()) {
        const isBad = step < 2_500 && (step * 7 + round + index * 31) % 400 > 40 * (round % 5);
        net.answer(EAST, isBad ? bad : "pass", name);
      }
      const before = net.all.map((bed) => bed.row(1));
      net.clock.advance(10);
      for (const [index, bed] of net.all.entries()) {
        const isUp = (verdict: number): boolean => verdict !== VERDICT.down;
        if (isUp(bed.row(1).verdict) === isUp(before[index]!.verdict)) continue;
        flips++;
        assert.notEqual(before[index]!.flipAtSeconds, 0);
        assert.ok(before[index]!.flipAtSeconds <= Math.floor(net.clock.nowMs() / 1_000));
      }
    }
  }
  assert.ok(flips >= 20, `${flips}`);
});

// ── quarantine ───────────────────────────────────────────────────────────────────────────────────────────────────────

const quarantined = (bed: ReturnType<typeof createBed>): string[] =>
  bed.health.vantages().flatMap(({ vantage, quarantine }) => (quarantine === null ? [] : [vantage]));

test("a vantage that has lost its network is put into quarantine by all, itself included, and let out when it is well", () => {
  const net = createVantages(THREE, snapshotOf(regionsOf(6)));
  const addresses = Object.values(regionsOf(6)).flat();
  net.clock.advance(30_000);
  for (const address of addresses) net.answer(address, "silent", "ns1");
  const ns2 = net.beds["ns2"]!;
  ns2.until(() => net.all.every((bed) => quarantined(bed).join() === "ns1"), 20_000);
  assert.equal(net.beds["ns1"]!.health.votes().isSound, false);
  for (const bed of net.all) {
    const told = bed.events.filter(({ kind }) => kind === "health.quarantine");
    assert.deepEqual(
      told.map(({ severity, subject }) => [severity, subject]),
      [["warning", "vantage/ns1"]],
    );
  }
  // What it says is no half of a quorum any more.
  net.answer(EAST, "refused", "ns3");
  for (let second = 0; second < 60; second++) {
    net.clock.advance(1_000);
    for (const bed of net.all) assert.notEqual(bed.row(0).verdict, VERDICT.down);
  }
  assert.deepEqual([ns2.row(0).verdict, ns2.row(0).isLowConfidence], [VERDICT.held, true]);
  net.answer(EAST, "refused", "ns2");
  ns2.until(() => net.all.every((bed) => bed.row(0).verdict === VERDICT.down), 10_000);

  for (const address of addresses) net.answer(address, "pass");
  const cleanMs = ns2.until(() => net.all.every((bed) => quarantined(bed).length === 0));
  assert.ok(cleanMs > 60_000 && cleanMs < 180_000, `${cleanMs}`);
  assert.equal(net.all[0]!.events.findLast(({ kind }) => kind === "health.quarantine")!.severity, "resolved");
});

const withReferences = (count: number) => ({
  ...snapshotOf(regionsOf(2)),
  references: [
    { address: "198.51.100.1", check: "web" },
    { address: "198.51.100.2", check: "web" },
  ].slice(0, count),
});

test("a vantage whose references fail does not vote, and is not steered by them", () => {
  const net = createVantages(THREE, withReferences(1));
  net.clock.advance(30_000);
  net.answer("198.51.100.1", "refused", "ns3");
  net.beds["ns1"]!.until(() => net.all.every((bed) => quarantined(bed).join() === "ns3"), 20_000);
  assert.ok(net.sent.some(({ vantage, isSound, votes }) => vantage === "ns3" && !isSound && votes.length === 0));
  assert.equal(net.beds["ns1"]!.health.view().length, 4);
  assert.equal(net.beds["ns3"]!.health.stats().frozen, 0);
});

test("a vantage that leaves the configuration leaves no alarm behind", () => {
  const net = createVantages(THREE, withReferences(1));
  const { health, events } = net.beds["ns1"]!;
  net.clock.advance(30_000);
  net.answer("198.51.100.1", "refused", "ns3");
  net.clock.advance(20_000);
  health.apply({ ...withReferences(1), vantage: "ns1", vantages: ["ns1", "ns2"], quorum: 2 });
  net.clock.advance(1_100);
  assert.deepEqual(
    events.filter(({ kind }) => kind === "health.quarantine").map(({ severity, subject }) => [severity, subject]),
    [
      ["warning", "vantage/ns3"],
      ["resolved", "vantage/ns3"],
    ],
  );
});

test("a reference that nobody reaches is the reference's fault", () => {
  const net = createVantages(THREE, withReferences(1));
  net.clock.advance(30_000);
  net.answer("198.51.100.1", "refused");
  net.clock.advance(30_000);
  for (const bed of net.all) assert.deepEqual(quarantined(bed), []);
});

test("a node alone goes on with its own votes when its references fail, and says so", () => {
  const bed = createBed();
  bed.health.apply(withReferences(2));
  bed.clock.advance(10_000);
  bed.probes.answers.set("198.51.100.1", "refused");
  bed.clock.advance(20_000);
  assert.equal(bed.health.votes().isSound, true); // one of two
  bed.probes.answers.set("198.51.100.2", "refused");
  bed.probes.answers.set(EAST, "refused");
  bed.until(() => bed.row(0).verdict === VERDICT.down, 20_000);
  assert.equal(bed.health.votes().isSound, false);
  assert.equal(bed.events.filter(({ kind }) => kind === "health.quarantine").length, 1);
});

// ── what regions say of themselves ───────────────────────────────────────────────────────────────────────────────────

const reportOf = (region: string, isServing: boolean, node = `lb-${region}`): RegionReport => ({
  region,
  node,
  admittedRps: 1,
  queued: 0,
  shedRps: 0,
  inFlight: 0,
  capacityRps: null,
  healthyBackends: isServing ? 2 : 0,
  backends: 2,
  isServing,
  says: isServing ? "" : "pool web has 0 of 2 backends",
  listeners: [],
});

/** One node, and regions that report each second what `serving` says; undefined: nothing. */
function createReported(count: number, failback = NO_HOLD) {
  const bed = createBed();
  const names = Object.keys(regionsOf(count));
  const serving = new Map<string, boolean | undefined>(names.map((name) => [name, true]));
  bed.health.apply(snapshotOf(regionsOf(count), { failback }));
  const report = (): void => {
    for (const [name, isServing] of serving)
      if (isServing !== undefined) bed.health.takeReport(reportOf(name, isServing), true);
    bed.clock.after(1_000, report);
  };
  bed.clock.after(500, report);
  bed.clock.advance(20_000);
  return { bed, serving, verdicts: () => names.map((_, index) => bed.row(2 * index).verdict) };
}
const { up, down } = VERDICT;
const told = (bed: ReturnType<typeof createBed>, wanted: string) =>
  bed.events.filter(({ kind }) => kind === wanted).map(({ severity, subject }) => `${severity} ${subject}`);

test("a region that says no is left though its port answers, and comes back when it says yes", () => {
  const { bed, serving, verdicts } = createReported(3);
  assert.deepEqual(verdicts(), [up, up, up]);
  serving.set("r0", false);
  let flipAtSeconds = 0;
  const tookMs = bed.until(() => {
    const isDown = bed.row(0).verdict === down;
    if (!isDown) ({ flipAtSeconds } = bed.row(0));
    return isDown;
  });
  assert.ok(tookMs >= 2_000 && tookMs <= 4_000, `${tookMs}`);
  assert.ok(flipAtSeconds > 0 && flipAtSeconds <= Math.floor(bed.clock.nowMs() / 1_000));
  assert.equal(bed.health.view()[1]!.cause, "the region says that it does not serve: pool web has 0 of 2 backends");
  assert.deepEqual(verdicts(), [down, up, up]);
  bed.clock.advance(20_000);
  assert.deepEqual(told(bed, "health.disagreement"), ["warning region/r0"]);
  const views = bed.health.view()[1]!.votes.map(({ voter, isUp, state }) => [voter, isUp, state]);
  assert.deepEqual(views, [
    ["ns1", true, "up"],
    ["region/r0", false, "not-serving"],
  ]);
  assert.notEqual(bed.row(0).flipAtSeconds, 0);
  serving.set("r0", true);
  const backMs = bed.until(() => bed.row(0).verdict === up);
  assert.ok(backMs >= 5_000 && backMs <= 7_000, `${backMs}`);
  bed.clock.advance(5_000);
  assert.deepEqual(told(bed, "health.disagreement"), ["warning region/r0", "resolved region/r0"]);
});

test("a report that wavers, or one of two that says no, changes nothing", () => {
  const { bed, serving, verdicts } = createReported(3);
  for (let second = 0; second < 40; second++) {
    serving.set("r0", second % 2 === 0);
    bed.health.takeReport(reportOf("r1", false, "second"), true);
    bed.clock.advance(1_000);
    assert.deepEqual(verdicts(), [up, up, up]);
  }
});

test("a region's yes does not keep it in service when the port is dead", () => {
  const { bed, verdicts } = createReported(3);
  bed.probes.answers.set(EAST, "refused");
  const tookMs = bed.until(() => bed.row(0).verdict === down);
  assert.ok(tookMs < 7_100, `${tookMs}`);
  bed.clock.advance(5_000);
  assert.deepEqual(told(bed, "health.disagreement"), []); // who sees an outage first is no matter
  bed.clock.advance(10_000);
  assert.deepEqual(verdicts(), [down, up, up]);
  assert.deepEqual(told(bed, "health.disagreement"), ["warning region/r0"]);
});

test("a region that dies, and so reports no more, contradicts nobody, however soon its probes fail", () => {
  for (let phaseMs = 0; phaseMs < 5_000; phaseMs += 1_000) {
    const { bed, serving } = createReported(3);
    bed.clock.advance(phaseMs);
    serving.set("r0", undefined);
    bed.probes.answers.set(EAST, "refused");
    bed.clock.advance(60_000);
    assert.equal(bed.row(0).verdict, down);
    assert.deepEqual(told(bed, "health.disagreement"), []);
  }
});

test("a report that ends, or is no longer heard, leaves the region to the probes", () => {
  for (const end of ["told", "silent"] as const) {
    const { bed, serving } = createReported(3);
    serving.set("r0", false);
    bed.until(() => bed.row(0).verdict === down);
    serving.set("r0", undefined);
    if (end === "told") bed.health.takeReport(reportOf("r0", false), false);
    const tookMs = bed.until(() => bed.row(0).verdict === up);
    assert.ok(end === "told" ? tookMs < 100 : tookMs > 10_000 && tookMs < 17_000, `${end} ${tookMs}`);
  }
});

test("when most regions say no at once while their probes pass, no report counts, and nobody waits for a hold", () => {
  const { bed, serving, verdicts } = createReported(3, { ...NO_HOLD, holdMs: 120_000 });
  serving.set("r0", false);
  bed.until(() => bed.row(0).verdict === down);
  bed.clock.advance(20_000);
  serving.set("r1", false);
  bed.until(() => told(bed, "health.reports-ignored").length > 0, 10_000);
  assert.deepEqual(told(bed, "health.reports-ignored"), ["alarm health"]);
  bed.clock.advance(100);
  assert.deepEqual(verdicts(), [up, up, up]);
  assert.equal(bed.row(0).isHeldForFailback, false);
  serving.set("r2", false);
  bed.clock.advance(300_000);
  assert.deepEqual(verdicts(), [up, up, up]);
  // Probes count as ever meanwhile.
  bed.probes.answers.set("192.0.2.3", "refused");
  bed.until(() => bed.row(4).verdict === down, 10_000);
  for (const name of ["r0", "r1", "r2"]) serving.set(name, true);
  const calmMs = bed.until(() => told(bed, "health.reports-ignored").length > 1);
  assert.ok(calmMs >= 60_000 && calmMs < 75_000, `${calmMs}`);
  serving.set("r0", false);
  bed.until(() => bed.row(0).verdict === down, 10_000);
});

test("regions that say no one after the other, minutes apart, are believed; the only region never is", () => {
  const { bed, serving, verdicts } = createReported(3);
  serving.set("r0", false);
  bed.clock.advance(90_000);
  serving.set("r1", false);
  bed.clock.advance(30_000);
  assert.deepEqual(verdicts(), [down, down, up]);
  const only = createReported(1);
  only.serving.set("r0", false);
  only.bed.clock.advance(30_000);
  assert.deepEqual(only.verdicts(), [up]);
  assert.deepEqual(told(only.bed, "health.reports-ignored"), ["alarm health"]);
});

test("a region without a check is known by its own word alone", () => {
  const bed = createBed();
  bed.health.apply(snapshotOf({ r0: [EAST], r1: ["192.0.2.2"] }, { checkNameOf: () => undefined }));
  assert.equal(bed.row(0).verdict, VERDICT.unknown);
  bed.health.takeReport(reportOf("r0", true), true);
  bed.clock.advance(100);
  assert.deepEqual([bed.row(0).verdict, bed.row(2).verdict], [up, VERDICT.unknown]);
  bed.health.takeReport(reportOf("r0", false), true);
  bed.clock.advance(100);
  assert.deepEqual([bed.row(0).verdict, bed.row(0).flipAtSeconds > 0], [up, true]);
  bed.clock.advance(4_000);
  assert.equal(bed.row(0).verdict, down);
  assert.match(bed.health.view()[1]!.cause!, /pool web has 0 of 2/);
  assert.match(bed.health.view()[0]!.cause!, /0 of 1 IPv4/);
  bed.clock.advance(20_000); // it says no more
  assert.equal(bed.row(1).verdict, VERDICT.unknown);
});

test("a report of a region that is not configured changes nothing", () => {
  const { bed, verdicts } = createReported(2);
  bed.health.takeReport(reportOf("r7", false), true);
  bed.clock.advance(5_000);
  assert.deepEqual(verdicts(), [up, up]);
});
