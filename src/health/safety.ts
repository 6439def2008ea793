/**
 * Safety rules: what operators agreed on when nobody was in a hurry, asked when somebody takes a region out of service (D9; the
 * assertion and gating rules of Amazon's Application Recovery Controller are the model). Pure.
 *
 * An assertion says how many of some regions must stay in service; who finds it broken already may go on. A gate says that a
 * change needs a switch that is on. A switch is an override `up` of `switch/NAME`: it has a reason, an owner and an end, and holds
 * on all nodes.
 *
 * Never:   held against automation: probes say what is, and failing open and the blast budget are there for that.
 * @module
 */
import type { SafetyChange, SafetyRules } from "#state/snapshot.ts";

const SWITCH = "switch/";
const SAYS: Readonly<Record<SafetyChange, string>> = {
  override: "taking a region from service by an override",
  evacuate: "evacuating a region",
};

export type SafetyWorld = {
  /** Whether the region would be out of service after the change. */
  isOut(region: string): boolean;
  isOutNow(region: string): boolean;
  /** Whether an override says `up` of this target. */
  isOn(target: string): boolean;
};

/** @returns whether the rules know this switch, so that a mistyped one is refused */
export const isSwitch = (rules: SafetyRules | undefined, target: string): boolean =>
  rules?.gates.some(({ needs }) => target === `${SWITCH}${needs}`) ?? false;

/** @returns the rule that forbids it, in words; undefined: none does */
export function brokenRule(
  rules: SafetyRules | undefined,
  change: SafetyChange,
  { isOut, isOutNow, isOn }: SafetyWorld,
): string | undefined {
  const gate = rules?.gates.find((one) => one.change === change);
  if (gate !== undefined && !isOn(`${SWITCH}${gate.needs}`))
    return `${SAYS[change]} needs the switch ${gate.needs} to be on (\`rhumb override up ${SWITCH}${gate.needs} --reason …\`)`;
  for (const { atLeast, of } of rules?.assert ?? []) {
    const left = of.filter((region) => !isOut(region));
    if (left.length >= atLeast || left.length === of.filter((region) => !isOutNow(region)).length) continue;
    return `at least ${atLeast} of ${of.join(", ")} must be in service, and ${left.join(", ") || "none"} would be left`;
  }
  return undefined;
}
