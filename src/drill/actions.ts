/**
 * What a step of a drill may do: to which kinds of target, with which options, and what it needs.
 *
 * Readers: `read-scenario.ts` (is a step well-formed?), the runner and the measures (is it a fault, and of which region?).
 *          How it is done is the stage's; `Stage.can` says what a stage cannot do.
 * @module
 */
import type { Action, Need, Step } from "#drill/scenario.ts";

export const TARGET_KINDS = [
  "region",
  "backend",
  "balancer",
  "node",
  "nodes",
  "balancers",
  "redis",
  "exabgp",
  "vantage",
] as const;
export type TargetKind = (typeof TARGET_KINDS)[number];

/** How a target of each kind is written. */
export const TARGET_FORMS: Readonly<Record<TargetKind, { readonly form: string; readonly pattern: RegExp }>> = {
  region: { form: "region/eu-west", pattern: /^region\/[a-z0-9][a-z0-9._-]*$/ },
  backend: { form: "backend/eu-west/1", pattern: /^backend\/[a-z0-9][a-z0-9._-]*\/[0-9]+$/ },
  balancer: { form: "balancer/eu-west", pattern: /^balancer\/[a-z0-9][a-z0-9._-]*$/ },
  node: { form: "node/ns1", pattern: /^node\/[a-z0-9][a-z0-9._-]*$/ },
  nodes: { form: "nodes", pattern: /^nodes$/ },
  balancers: { form: "balancers", pattern: /^balancers$/ },
  redis: { form: "redis", pattern: /^redis$/ },
  exabgp: { form: "exabgp/eu-west", pattern: /^exabgp\/[a-z0-9][a-z0-9._-]*$/ },
  vantage: { form: "vantage/ns1", pattern: /^vantage\/[a-z0-9][a-z0-9._-]*$/ },
};

/** Keys of a step that belong to some actions alone. */
export const STEP_OPTIONS = ["by", "share", "factor", "up", "down", "times", "change"] as const;
export type StepOption = (typeof STEP_OPTIONS)[number];

type ActionRow = {
  readonly targets: readonly TargetKind[];
  /** Must be given. */
  readonly options: readonly StepOption[];
  /** May be given. */
  readonly mayHave: readonly StepOption[];
  readonly needs: readonly Need[];
  /** Takes its region out of service, so that clients are expected elsewhere afterwards. */
  readonly movesClients: boolean;
};
const row = (targets: readonly TargetKind[], more: Partial<ActionRow> = {}): ActionRow => ({
  targets,
  options: [],
  mayHave: [],
  needs: [],
  movesClients: false,
  ...more,
});

export const ACTION_TABLE: Readonly<Record<Action, ActionRow>> = {
  kill: row(["region", "balancer", "backend", "node"], { movesClients: true }),
  pause: row(["region", "balancer", "backend", "node"], { movesClients: true }),
  partition: row(["region", "node", "redis"], { movesClients: true }),
  slow: row(["region", "backend"], { options: ["by"], movesClients: true }),
  "error-rate": row(["region", "backend"], { options: ["share"], movesClients: true }),
  overload: row(["region"], { options: ["factor"] }),
  flap: row(["region"], { options: ["up", "down", "times"], movesClients: true }),
  drain: row(["region", "backend"], { mayHave: ["share"], movesClients: true }),
  evacuate: row(["region"], { movesClients: true }),
  withdraw: row(["region"], { needs: ["exabgp"] }),
  "kill-exabgp": row(["exabgp"], { needs: ["exabgp"] }),
  "kill-redis": row(["redis"], { needs: ["redis"] }),
  "sick-vantage": row(["vantage"]),
  "stale-map": row(["node", "nodes"]),
  "bad-config": row(["node"], { mayHave: ["change"] }),
  "lose-node": row(["node"]),
  "skew-clock": row(["node"], { options: ["by"] }),
  upgrade: row(["nodes", "balancers", "node", "balancer"]),
  heal: row(TARGET_KINDS),
};

/** @returns which kind of target the text names, if any */
export const targetKind = (target: string): TargetKind | undefined =>
  TARGET_KINDS.find((kind) => TARGET_FORMS[kind].pattern.test(target));

export const isFault = ({ action }: Pick<Step, "action">): boolean => action !== "heal";

/** The time-out of health checks by default: a region that answers sooner is slow, and up. */
const SLOW_IS_DOWN_MS = 2_000;
/** Fewer responses that fail leave a region up: it still serves most of its clients. */
const ERRORS_ARE_DOWN_SHARE = 0.5;

/** @returns the region whose clients a step sends elsewhere; undefined: none is expected to move */
export function movedRegion({ action, target, options }: Pick<Step, "action" | "target" | "options">) {
  if (action === "slow" && Number(options["ms"]) < SLOW_IS_DOWN_MS) return undefined;
  if (action === "error-rate" && Number(options["share"]) < ERRORS_ARE_DOWN_SHARE) return undefined;
  const kind = targetKind(target);
  const isWhole = kind === "region" || kind === "balancer";
  return ACTION_TABLE[action].movesClients && isWhole ? target.split("/")[1] : undefined;
}

/** Takes a region out on purpose: nothing there fails. */
export const isOnPurpose = ({ action }: Pick<Step, "action">): boolean => action === "drain" || action === "evacuate";

/**
 * @returns the region whose anycast route a step takes away. A region that is slow, or fails in part, keeps it: BGP
 * knows of its own serving alone.
 */
export function withdrawnRegion({ action, target }: Pick<Step, "action" | "target">): string | undefined {
  const kind = targetKind(target);
  if (kind !== "region" && kind !== "balancer" && kind !== "exabgp") return undefined;
  const takesRoute = ["kill", "pause", "evacuate", "withdraw", "kill-exabgp", "flap"].includes(action);
  return takesRoute ? target.split("/")[1] : undefined;
}
