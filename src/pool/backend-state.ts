/**
 * What a backend is at this moment, from all that is known and said of it: one table, first match wins. Pure.
 *
 * The operator comes first, then the checks, then real traffic. A partial drain (`drain=20`) is no state: health decides
 * as ever, and the backend keeps that share of its weight.
 * @module
 */
import { BACKEND_STATE, type BackendState } from "#state/backend-table.ts";
import { OVERRIDE, type Override, VERDICT, type Verdict } from "#state/health-table.ts";

export type BackendFacts = {
  readonly verdict: Verdict;
  readonly override: Override;
  /** Share that `drain` leaves; 100 without one. */
  readonly weightPercent: number;
  /** False: in maintenance by configuration. */
  readonly isEnabled: boolean;
  /** False: it is not probed, and its verdict says nothing. */
  readonly hasCheck: boolean;
  /** By outlier detection. */
  readonly isEjected: boolean;
};

export type BackendReason =
  | "disabled"
  | "override-down"
  | "override-drain"
  | "override-up"
  | "check-failed"
  | "not-yet-probed"
  | "ejected"
  | "no-check"
  | "healthy";

type Rule = {
  readonly reason: BackendReason;
  readonly state: BackendState;
  readonly applies: (facts: BackendFacts) => boolean;
};

/** `ignore-health`: as if there were no check. */
const isJudged = ({ hasCheck, override }: BackendFacts): boolean => hasCheck && override !== OVERRIDE.ignoreHealth;

const RULES: readonly Rule[] = [
  { reason: "disabled", state: BACKEND_STATE.maint, applies: ({ isEnabled }) => !isEnabled },
  { reason: "override-down", state: BACKEND_STATE.maint, applies: ({ override }) => override === OVERRIDE.down },
  {
    reason: "override-drain",
    state: BACKEND_STATE.drain,
    applies: ({ override, weightPercent }) => override === OVERRIDE.drain && weightPercent === 0,
  },
  { reason: "override-up", state: BACKEND_STATE.active, applies: ({ override }) => override === OVERRIDE.up },
  {
    reason: "check-failed",
    state: BACKEND_STATE.down,
    applies: (facts) => isJudged(facts) && facts.verdict === VERDICT.down,
  },
  {
    reason: "not-yet-probed",
    state: BACKEND_STATE.unknown,
    applies: (facts) => isJudged(facts) && facts.verdict === VERDICT.unknown,
  },
  { reason: "ejected", state: BACKEND_STATE.ejected, applies: ({ isEjected }) => isEjected },
  { reason: "no-check", state: BACKEND_STATE.active, applies: (facts) => !isJudged(facts) },
  { reason: "healthy", state: BACKEND_STATE.active, applies: () => true },
];

export type BackendStanding = {
  readonly state: BackendState;
  readonly reason: BackendReason;
  /** Share of its weight that an operator leaves it, 0 to 100. */
  readonly sharePercent: number;
};

export function standingOf(facts: BackendFacts): BackendStanding {
  const { state, reason } = RULES.find(({ applies }) => applies(facts))!;
  return { state, reason, sharePercent: facts.override === OVERRIDE.drain ? facts.weightPercent : 100 };
}
