/** Health and keeper together, as a balancer runs them: from probes and operators' words to states. */
import assert from "node:assert/strict";
import test from "node:test";
import { silentLog } from "#base/log.ts";
import { createKeeper } from "#pool/keeper.ts";
import { BACKEND_STATE_NAMES, backendState, createBackendTable } from "#state/backend-table.ts";
import { type TargetSpec, UNTIL_CLEARED_MS } from "#state/snapshot.ts";
import { createBed, httpCheck } from "../health/bed.ts";
import { backendAt, poolOf } from "./specs.ts";

test("probes and overrides reach the backend table, and events name their cause", () => {
  const bed = createBed();
  const table = createBackendTable(8);
  const keeper = createKeeper({
    table,
    healthTable: bed.table,
    clock: bed.clock,
    rng: Math.random,
    emit: (event) => bed.events.push(event),
    log: silentLog,
    counters: () => [],
    onExpire: () => {},
    cause: bed.health.cause,
  });
  bed.health.onChange(keeper.healthChanged);
  const backends = [0, 1, 2].map((row) => backendAt(row));
  const pool = poolOf(backends, { check: "web" });
  const targets = backends.map(
    ({ target, key, address }): TargetSpec => ({
      index: target,
      id: `backend/web/${key}`,
      kind: "address",
      address,
      check: "web",
      isBackend: true,
    }),
  );
  const states = (): string[] => backends.map(({ target }) => BACKEND_STATE_NAMES[backendState(table, target)]);

  bed.probes.answers.set("10.0.0.2", "refused");
  bed.health.apply({
    targets,
    checks: [httpCheck()],
    fileOverrides: [],
    vantage: "lb1",
    vantages: [],
    quorum: 1,
    references: [],
  });
  keeper.apply([pool]);
  assert.deepEqual(states(), ["unknown", "unknown", "unknown"]);
  bed.clock.advance(200);
  assert.deepEqual(states(), ["active", "active", "unknown"]);
  bed.clock.advance(5_000);
  assert.deepEqual(states(), ["active", "active", "down"]);
  // The balancer worries; health has told what it saw.
  const told = bed.events.filter(({ subject }) => subject === "backend/web/10.0.0.2:80");
  assert.deepEqual(
    told.map(({ kind, severity, says }) => `${kind} ${severity} ${says}`),
    [
      "health.transition info backend/web/10.0.0.2:80 is down: refused",
      "backend.transition warning backend/web/10.0.0.2:80 is down: refused",
    ],
  );

  const say = { reason: "test", owner: "kim", untilMs: UNTIL_CLEARED_MS };
  bed.health.setOverride({ target: "backend/web/10.0.0.0:80", verb: "down", ...say });
  bed.health.setOverride({ target: "backend/web/10.0.0.1:80", verb: "drain", ...say });
  assert.deepEqual(states(), ["maint", "drain", "down"]);
  const glob = bed.health.setOverride({ target: "backend/web/*", verb: "up", ...say });
  assert.deepEqual(states(), ["active", "active", "active"]);
  bed.health.clearOverride(glob.id);
  bed.health.clearOverride("backend/web/10.0.0.0:80");
  bed.health.clearOverride("backend/web/10.0.0.1:80");
  assert.deepEqual(states(), ["active", "active", "down"]);
});
