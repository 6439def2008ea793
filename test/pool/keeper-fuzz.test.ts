/** Backends that flap, come, go and fail, under operators who change their minds: what must hold at every moment. */
import assert from "node:assert/strict";
import test from "node:test";
import { createSeededRng } from "#base/rng.ts";
import type { PoolSpec } from "#state/balancer.ts";
import { createKeeperBed } from "./keeper-bed.ts";
import { backendAt, OUTLIER_DEFAULTS, poolOf } from "./specs.ts";

const ROWS = [1, 2, 3, 4, 5, 6, 7, 8];
const HOUR_MS = 3_600_000;

for (const seed of [1, 2, 3, 4, 5, 6]) {
  test(`whatever happens (seed ${seed}), words stay in range, nobody active expires, and all trouble ends`, () => {
    const rng = createSeededRng(seed);
    const pick = <Item>(from: readonly Item[]): Item => from[Math.floor(rng() * from.length)]!;
    const bed = createKeeperBed();
    const base: Partial<PoolSpec> = {
      check: "backend",
      outlier: { ...OUTLIER_DEFAULTS, maxEjectionPercent: 40 },
      slowStart: { windowMs: 20_000, aggression: 1, minPercent: 10 },
      panicPercent: 50,
      drainMs: 5_000,
    };
    let spec = poolOf([], base);
    const someSpec = (): PoolSpec =>
      poolOf(
        ROWS.filter(() => rng() < 0.8).map((row) =>
          backendAt(row, { weight: 1 + (row % 3), priority: row > 6 ? 1 : 0, isEnabled: rng() < 0.9 }),
        ),
        {
          ...base,
          closesOnDown: rng() < 0.5,
          isFailOpen: rng() < 0.7,
          algorithm: pick(["p2c", "maglev"] as const),
          outlier: { ...base.outlier!, isEnabled: rng() < 0.8 },
        },
      );
    const weightOf = (row: number): number => spec.backends.find(({ target }) => target === row)?.weight ?? 0;

    const wordsNow = (): string => ROWS.map((row) => `${bed.state(row)} ${bed.weight(row)}`).join(",");
    let words = wordsNow();
    let epoch = 0;
    let expired = 0;
    const look = (): void => {
      const now = wordsNow();
      if (now === words) assert.equal(bed.epoch(), epoch, "the epoch moved for nothing");
      else assert.ok(bed.epoch() > epoch, "a change was not published");
      assert.equal(bed.changes, bed.epoch());
      words = now;
      epoch = bed.epoch();
      for (const row of ROWS) {
        const most = weightOf(row) * 1_000;
        assert.ok(bed.weight(row) >= 0 && bed.weight(row) <= most, `${row}: ${bed.weight(row)}`);
        if (most === 0) assert.ok(["none", "maint"].includes(bed.state(row)));
        else assert.notEqual(bed.state(row), "none");
      }
      for (; expired < bed.expired.length; expired++) {
        const { row } = bed.expired[expired]!;
        assert.ok(["drain", "maint", "down", "none"].includes(bed.state(row)), `${row} is ${bed.state(row)}`);
      }
    };

    for (let step = 0; step < 3_000; step++) {
      const row = pick(ROWS);
      const dice = rng();
      if (dice < 0.02) {
        spec = someSpec();
        bed.keeper.apply([spec]);
      } else if (dice < 0.3) bed.say({ [row]: { verdict: pick(["up", "up", "down", "unknown"] as const) } });
      else if (dice < 0.35)
        bed.say({ [row]: { override: pick(["none", "none", "down", "drain", "up", "ignoreHealth"] as const) } });
      else if (dice < 0.5) bed.fail(row, Math.ceil(rng() * 6));
      else if (dice < 0.7) bed.succeed(row, Math.ceil(rng() * 50));
      else if (dice < 0.8) bed.setActive(row, Math.floor(rng() * 3));
      else {
        bed.clock.advance(1_000 * rng() * rng());
        bed.run(250);
      }
      look();
    }

    // Everybody is well again, nobody says anything any more, and time passes.
    spec = poolOf(
      ROWS.map((row) => backendAt(row)),
      base,
    );
    bed.keeper.apply([spec]);
    bed.say(Object.fromEntries(ROWS.map((row) => [row, { verdict: "up", override: "none" }])));
    for (const row of ROWS) bed.succeed(row, 1);
    bed.run(HOUR_MS / 4);
    for (const row of ROWS) assert.deepEqual([bed.state(row), bed.weight(row)], ["active", 1_000]);
    const open = new Set<string>();
    for (const { kind, subject, severity } of bed.events) {
      const key = `${kind} ${subject}`;
      if (severity === "resolved") assert.ok(open.delete(key), `${key} ended without having begun`);
      else if (severity !== "info") open.add(key);
    }
    assert.deepEqual([...open], []);
  });
}
