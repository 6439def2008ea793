/** Safety rules: what they forbid, whom they let go on, and how an operator goes past them. */
import assert from "node:assert/strict";
import test from "node:test";
import { brokenRule, type SafetyWorld } from "#health/safety.ts";
import type { SafetyRules } from "#state/snapshot.ts";
import { createBed, snapshotOf } from "./bed.ts";

const RULES: SafetyRules = {
  assert: [{ atLeast: 2, of: ["east", "west", "south"] }],
  gates: [{ change: "evacuate", needs: "maintenance" }],
};
const worldOf = (outNow: readonly string[], out: readonly string[], on: readonly string[] = []): SafetyWorld => ({
  isOut: (region) => out.includes(region) || outNow.includes(region),
  isOutNow: (region) => outNow.includes(region),
  isOn: (target) => on.includes(target),
});
const WINDOW = ["switch/maintenance"];

for (const { says, change, outNow = [], out, on = [], broken } of [
  { says: "one of three may go", change: "override", out: ["east"], broken: undefined },
  {
    says: "two may not",
    change: "override",
    out: ["east", "west"],
    broken: /at least 2 of .*, and south would be left/,
  },
  {
    says: "nor one where one is out",
    change: "override",
    outNow: ["south"],
    out: ["east"],
    broken: /west would be left/,
  },
  { says: "nor the last", change: "override", outNow: ["south", "west"], out: ["east"], broken: /none would be left/ },
  {
    says: "a region outside of the rule may",
    change: "override",
    outNow: ["south"],
    out: ["north"],
    broken: undefined,
  },
  {
    says: "what is broken already forbids nothing that does not add to it",
    change: "override",
    outNow: ["south", "west"],
    out: ["north"],
    broken: undefined,
  },
  { says: "a gate is shut", change: "evacuate", out: ["east"], broken: /needs the switch maintenance/ },
  { says: "until its switch is on", change: "evacuate", out: ["east"], on: WINDOW, broken: undefined },
  { says: "and the rest holds behind it", change: "evacuate", out: ["east", "west"], on: WINDOW, broken: /at least 2/ },
] as const)
  test(`brokenRule(): ${says}`, () => {
    const rule = brokenRule(RULES, change, worldOf(outNow, out, on));
    if (broken === undefined) assert.equal(rule, undefined);
    else assert.match(rule ?? "no rule", broken);
  });

test("brokenRule() has nothing to say without rules", () => {
  assert.equal(brokenRule(undefined, "evacuate", worldOf([], ["east", "west", "south"])), undefined);
});

test("an override that breaks a rule is refused, and by force is told to everybody; a switch opens its gate until it ends", () => {
  const bed = createBed();
  const regions = { east: ["192.0.2.1"], west: ["192.0.2.2"] };
  bed.health.apply({
    ...snapshotOf(regions),
    safety: {
      assert: [{ atLeast: 1, of: ["east", "west"] }],
      gates: [{ change: "override", needs: "maintenance" }],
    },
  });
  const set = (target: string, verb: "up" | "down" | "drain", more: object = {}, force = false) =>
    bed.health.setOverride({ target, verb, reason: "a test", owner: "kim", ...more }, { force });
  const refused = (says: RegExp) => (error: { code?: string; message: string }) =>
    error.code === "RHUMB_HEALTH_SAFETY" && says.test(error.message);
  for (const verb of ["down", "drain"] as const)
    assert.throws(() => set("east", verb), refused(/needs the switch maintenance/), verb);
  set("east", "up");
  set("east", "drain", { weightPercent: 100 });
  assert.throws(() => set("switch/maintenence", "up"), { code: "RHUMB_HEALTH_OVERRIDE_NO_MATCH" });

  set("switch/maintenance", "up", { forMs: 600_000 });
  set("east", "down");
  assert.throws(() => set("west", "down"), refused(/at least 1 of east, west .*none would be left/));
  assert.match(bed.health.ruleAgainstLeaving("west") ?? "", /none would be left/);
  const told = () => bed.events.flatMap(({ kind, says }) => (kind === "health.safety" ? [says] : []));
  assert.deepEqual(told(), []);
  set("west", "down", {}, true);
  assert.match(told().join(), /kim went past a safety rule for region\/west \(a test\): at least 1/);

  bed.health.clearOverride("region/west");
  bed.clock.advance(601_000);
  assert.throws(() => set("east", "down"), refused(/needs the switch/), "its switch has gone off by itself");
});
