/** Overrides that other nodes share: the newest of each target, one order everywhere, and who is told of what. */
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { createManualClock } from "#base/clock.ts";
import { createSeededRng } from "#base/rng.ts";
import { createOverrides, type SharedOverride } from "#health/overrides.ts";
import type { RhumbEvent } from "#state/events.ts";
import { compareVersions } from "#state/shared.ts";
import type { OverrideSpec } from "#state/snapshot.ts";

const NOW_MS = Date.parse("2026-06-01T00:00:00Z");
const HOUR_MS = 3_600_000;

function world(saved: readonly OverrideSpec[] = []) {
  const clock = createManualClock(NOW_MS);
  const events: RhumbEvent[] = [];
  let stored = saved;
  const overrides = createOverrides({
    clock,
    rng: createSeededRng(1),
    emit: (event) => events.push(event),
    store: { load: () => stored, save: (all) => (stored = [...all]) },
  });
  return {
    clock,
    overrides,
    events,
    stored: () => stored,
    says: () => events.map(({ kind, says }) => `${kind}: ${says}`),
  };
}
function spec(target: string, over: Partial<OverrideSpec> = {}): OverrideSpec {
  const times = { createdAtMs: NOW_MS, untilMs: NOW_MS + HOUR_MS };
  return {
    id: `${target}-1`,
    target,
    verb: "down",
    weightPercent: 100,
    reason: "a test",
    owner: "kim",
    ...times,
    origin: "api",
    ...over,
  };
}
const shared = (sequence: number, target: string, one: OverrideSpec | null, node = "ns2"): SharedOverride => ({
  target,
  spec: one,
  version: { epoch: 1, sequence, node },
});

test("setShared() takes what another node set, keeps it for a restart, and tells of it once", () => {
  const { overrides, stored, says } = world();
  const list = [shared(1, "region/eu", spec("region/eu"))];
  assert.equal(overrides.setShared(list), true);
  assert.equal(overrides.setShared(list), false);
  assert.equal(overrides.find("region/eu")?.verb, "down");
  assert.deepEqual(
    stored().map(({ target }) => target),
    ["region/eu"],
  );
  assert.deepEqual(says(), ["health.override-set: kim set down on region/eu at another node: a test"]);
});

test("setShared() ends what was cleared elsewhere, and leaves alone what others do not speak of", () => {
  const { overrides, says } = world([spec("region/eu"), spec("region/us")]);
  assert.equal(overrides.setShared([shared(1, "region/eu", null)]), true);
  assert.deepEqual(
    overrides.list().map(({ target }) => target),
    ["region/us"],
  );
  assert.deepEqual(says(), ["health.override-cleared: The override down on region/eu was cleared at another node"]);
});

test("setShared() of a target that both sides of a split set: the newer one counts, and the loser's operator is told", () => {
  const { overrides, says } = world([spec("region/eu", { id: "mine", owner: "ada" })]);
  overrides.setShared([shared(2, "region/eu", spec("region/eu", { id: "theirs", verb: "up" }))]);
  assert.deepEqual(
    overrides.list().map(({ id }) => id),
    ["theirs"],
  );
  assert.match(says().join(), /kim set up on region\/eu at another node in place of down by ada: a test/);
});

test("setShared() orders by version: the last match is the same on all nodes, and what is not shared yet comes last", () => {
  const { overrides } = world();
  overrides.add(spec("region/e*", { verb: "up" }));
  const all = [
    shared(7, "region/eu*", spec("region/eu*", { verb: "drain" })),
    shared(3, "region/eu", spec("region/eu")),
  ];
  overrides.setShared(all);
  assert.deepEqual(
    overrides.list().map(({ target }) => target),
    ["region/eu", "region/eu*", "region/e*"],
  );
  overrides.setShared([...all, shared(1, "region/e*", spec("region/e*", { verb: "up" }))]);
  assert.deepEqual(
    overrides.list().map(({ target }) => target),
    ["region/e*", "region/eu", "region/eu*"],
  );
  assert.equal(overrides.find("region/eu")?.verb, "drain");
});

test("setShared() does not bring back what has ended, and freezing keeps what would end", () => {
  const { overrides, clock, events } = world();
  const list = [shared(1, "region/eu", spec("region/eu"))];
  overrides.setShared(list);
  clock.advance(HOUR_MS);
  assert.deepEqual(overrides.tick(true), []);
  overrides.setShared([]); // the record has ended as well: that clears nothing
  assert.equal(overrides.list().length, 1);
  assert.equal(overrides.tick(false).length, 1);
  assert.equal(overrides.setShared(list), false);
  assert.deepEqual(overrides.list(), []);
  assert.equal(events.at(-1)?.kind, "health.override-expired");
});

test("files stay this node's own, before what is shared", () => {
  const { overrides } = world();
  overrides.setFile([spec("region/*", { id: "file-1", origin: "file", verb: "drain", weightPercent: 5 })]);
  overrides.setShared([shared(1, "region/eu", spec("region/eu"))]);
  assert.deepEqual([overrides.find("region/eu")?.verb, overrides.find("region/us")?.verb], ["down", "drain"]);
});

for (const { name, over } of [
  { name: "a verb that there is not", over: { verb: "explode" } },
  { name: "no end", over: { untilMs: undefined } },
  { name: "a share above 100 %", over: { weightPercent: 101 } },
  { name: "another target than its key", over: { target: "region/us" } },
  { name: "an id that is no text", over: { id: 7 } },
]) {
  test(`setShared() leaves out ${name}`, () => {
    const { overrides } = world();
    const bad = { ...spec("region/eu"), ...over } as OverrideSpec;
    assert.equal(overrides.setShared([shared(1, "region/eu", bad), shared(2, "region/ok", spec("region/ok"))]), true);
    assert.deepEqual(
      overrides.list().map(({ target }) => target),
      ["region/ok"],
    );
  });
}

test("setShared(): whatever comes in whatever order, nodes that have seen the same agree", () => {
  const change = fc.record({
    target: fc.constantFrom("region/eu", "region/us", "region/e*", "region/*"),
    verb: fc.constantFrom("up", "down", null),
    node: fc.constantFrom("ns1", "ns2"),
    sequence: fc.integer({ min: 1, max: 20 }),
  });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 20 }), fc.infiniteStream(fc.nat()), (changes, dice) => {
      const records = changes.map(({ target, verb, node, sequence }): SharedOverride => {
        const one = verb === null ? null : spec(target, { id: `${target}-${node}-${sequence}-${verb}`, verb });
        return shared(sequence, target, one, node);
      });
      const distinct = [
        ...new Map(records.map((one) => [`${one.version.sequence} ${one.version.node}`, one])).values(),
      ];
      const see = (order: readonly SharedOverride[]) => {
        const { overrides } = world();
        const table = new Map<string, SharedOverride>();
        for (const record of order) {
          const before = table.get(record.target);
          if (!before || compareVersions(record.version, before.version) > 0) table.set(record.target, record);
          overrides.setShared([...table.values()]);
        }
        return overrides.list().map(({ id }) => id);
      };
      const shuffled = distinct
        .map((one) => [dice.next().value!, one] as const)
        .sort(([a], [b]) => a - b)
        .map(([, one]) => one);
      assert.deepEqual(see(distinct), see([...shuffled, ...distinct]));
    }),
    { seed: 7 },
  );
});

const drainedTo = (weightPercent: number) => ({
  region: "eu",
  weightPercent,
  reason: "kernel upgrade",
  sinceMs: NOW_MS,
  nextMs: undefined,
});
for (const [what, said, found] of [
  ["drains a region of which nobody says anything", undefined, ["evacuation", 50]],
  ["drains one that an operator has put up", { verb: "up" }, ["evacuation", 50]],
  ["drains one that an operator drains less", { verb: "drain", weightPercent: 75 }, ["evacuation", 50]],
  ["leaves one down that an operator has put down", { verb: "down" }, ["kim", 100]],
  ["leaves one to the operator who takes more from it", { verb: "drain", weightPercent: 10 }, ["kim", 10]],
] as const)
  test(`setEvacuations() ${what}`, () => {
    const { overrides } = world(said ? [spec("region/eu", said)] : []);
    overrides.setEvacuations([drainedTo(50)]);
    const { owner, weightPercent } = overrides.find("region/eu")!;
    assert.deepEqual([owner, weightPercent], found);
    assert.equal(overrides.find("region/us"), undefined);
    overrides.setEvacuations([]);
    assert.equal(overrides.find("region/eu")?.owner, said && "kim");
  });

test("the drain of an evacuation is listed, is not stored, and ends with the evacuation alone", () => {
  const { overrides, clock, stored } = world();
  overrides.setEvacuations([drainedTo(0)]);
  assert.deepEqual(
    overrides.list().map(({ id, target, owner }) => [id, target, owner]),
    [["evacuation-eu", "region/eu", "evacuation"]],
  );
  assert.throws(() => overrides.clear("region/eu"), { code: "RHUMB_HEALTH_OVERRIDE_OF_EVACUATION" });
  clock.advance(48 * HOUR_MS);
  assert.deepEqual(overrides.tick(false), []);
  assert.equal(overrides.find("region/eu")?.owner, "evacuation");
  assert.deepEqual(stored(), []);
});
