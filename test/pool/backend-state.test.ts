import assert from "node:assert/strict";
import test from "node:test";
import { type BackendFacts, standingOf } from "#pool/backend-state.ts";
import { BACKEND_STATE, BACKEND_STATE_NAMES } from "#state/backend-table.ts";
import { OVERRIDE, VERDICT } from "#state/health-table.ts";

const HEALTHY: BackendFacts = {
  verdict: VERDICT.up,
  override: OVERRIDE.none,
  weightPercent: 100,
  isEnabled: true,
  hasCheck: true,
  isEjected: false,
};
const drain = (weightPercent: number) => ({ override: OVERRIDE.drain, weightPercent });

for (const [facts, expected] of [
  [{}, "active healthy 100"],
  [{ verdict: VERDICT.held }, "active healthy 100"],
  [{ verdict: VERDICT.unknown }, "unknown not-yet-probed 100"],
  [{ verdict: VERDICT.down }, "down check-failed 100"],
  [{ verdict: VERDICT.down, hasCheck: false }, "active no-check 100"],
  [{ verdict: VERDICT.unknown, hasCheck: false }, "active no-check 100"],
  [{ isEjected: true }, "ejected ejected 100"],
  [{ isEjected: true, hasCheck: false }, "ejected ejected 100"],
  [{ isEjected: true, verdict: VERDICT.down }, "down check-failed 100"],
  [{ isEjected: true, verdict: VERDICT.unknown }, "unknown not-yet-probed 100"],
  // The operator first.
  [{ isEnabled: false }, "maint disabled 100"],
  [{ isEnabled: false, override: OVERRIDE.up }, "maint disabled 100"],
  [{ override: OVERRIDE.down }, "maint override-down 100"],
  [{ override: OVERRIDE.down, verdict: VERDICT.down }, "maint override-down 100"],
  [drain(0), "drain override-drain 0"],
  [{ ...drain(0), verdict: VERDICT.down }, "drain override-drain 0"],
  [{ ...drain(0), isEjected: true }, "drain override-drain 0"],
  [drain(20), "active healthy 20"],
  [{ ...drain(20), verdict: VERDICT.down }, "down check-failed 20"],
  [{ ...drain(20), isEjected: true }, "ejected ejected 20"],
  [{ ...drain(20), hasCheck: false }, "active no-check 20"],
  [{ override: OVERRIDE.up, verdict: VERDICT.down }, "active override-up 100"],
  [{ override: OVERRIDE.up, verdict: VERDICT.unknown }, "active override-up 100"],
  [{ override: OVERRIDE.up, isEjected: true }, "active override-up 100"],
  [{ override: OVERRIDE.ignoreHealth, verdict: VERDICT.down }, "active no-check 100"],
  [{ override: OVERRIDE.ignoreHealth, verdict: VERDICT.unknown }, "active no-check 100"],
  [{ override: OVERRIDE.ignoreHealth, isEjected: true }, "ejected ejected 100"],
] as const satisfies readonly (readonly [Partial<BackendFacts>, string])[]) {
  test(`standingOf(${JSON.stringify(facts)}) is ${expected}`, () => {
    const { state, reason, sharePercent } = standingOf({ ...HEALTHY, ...facts });
    assert.equal(`${BACKEND_STATE_NAMES[state]} ${reason} ${sharePercent}`, expected);
  });
}

test("standingOf() knows a state for all that can be, and never sends clients against an operator's word", () => {
  for (const verdict of Object.values(VERDICT))
    for (const override of Object.values(OVERRIDE))
      for (const weightPercent of override === OVERRIDE.drain ? [0, 1, 99, 100] : [100])
        for (const isEnabled of [true, false])
          for (const hasCheck of [true, false])
            for (const isEjected of [true, false]) {
              const facts = { verdict, override, weightPercent, isEnabled, hasCheck, isEjected };
              const { state, sharePercent } = standingOf(facts);
              assert.notEqual(state, BACKEND_STATE.none);
              assert.equal(sharePercent, weightPercent);
              const isOut = !isEnabled || override === OVERRIDE.down || sharePercent === 0;
              if (isOut) assert.ok(state === BACKEND_STATE.maint || state === BACKEND_STATE.drain);
              else assert.ok(state !== BACKEND_STATE.maint && state !== BACKEND_STATE.drain);
            }
});
