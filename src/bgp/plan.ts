/**
 * The life of one prefix at one node (D15): starting → ready → advertised → draining → withdrawn, and back.
 *
 * Pure. What is wanted comes from `desired()`; what this decides, `create-bgp.ts` brings to ExaBGP.
 *
 * | from | to | when |
 * |---|---|---|
 * | any but `starting` | `withdrawn` | the self-check is down: at once; a flap, held down, if it was announced |
 * | `starting`, `ready`, `withdrawn` | `advertised` | serving works, nobody wants it away, and no hold-down runs |
 * | `starting`, `withdrawn` | `ready` | serving works, but it is held down or wanted away |
 * | `advertised` | `draining` | somebody wants it away, and enough others announce it |
 * | `draining` | `advertised` | wanted back, or too few others are left |
 * | `draining` | `withdrawn` | it has drained for `waitMs` |
 *
 * Units:   ms of a steady clock.
 * @module
 */
import { addFlap, NO_PENALTY, type Penalty } from "#bgp/hold-down.ts";
import type { Serving } from "#bgp/serving.ts";
import type { AnycastSpec, AnycastWish, PrefixPhase } from "#state/anycast.ts";

export type PrefixPlan = {
  readonly phase: PrefixPhase;
  readonly sinceMs: number;
  readonly says: string;
  readonly heldUntilMs: number | undefined;
  readonly penalty: Penalty;
  readonly flaps: number;
  /** Why a planned withdrawal was refused, while it is still wanted. */
  readonly refused: string | undefined;
};

/** What this node's prefixes are to be. */
export type Desired =
  | { readonly kind: "wait"; readonly says: string }
  | { readonly kind: "announce"; readonly says: string }
  | { readonly kind: "leave"; readonly says: string; readonly isForced: boolean }
  | { readonly kind: "withdraw"; readonly says: string };

export type PlanTerms = Pick<AnycastSpec, "drain" | "holdDown">;

export const newPlan = (nowMs: number): PrefixPlan => ({
  phase: "starting",
  sinceMs: nowMs,
  says: "Waits for the first result of the self-check",
  heldUntilMs: undefined,
  penalty: NO_PENALTY,
  flaps: 0,
  refused: undefined,
});

/** @param isStopping the process ends: it drains, whoever else is left */
export function desired(serving: Serving, wishes: readonly AnycastWish[], isStopping: boolean): Desired {
  if (serving.state === "down") return { kind: "withdraw", says: `The self-check fails: ${serving.says}` };
  if (isStopping) return { kind: "leave", says: "The process stops", isForced: true };
  const away = wishes.find((wish) => wish.kind === "withdraw");
  if (away) return { kind: "leave", says: `${away.owner} withdrew it: ${away.reason}`, isForced: false };
  if (serving.state === "unknown") return { kind: "wait", says: `Waits for the self-check: ${serving.says}` };
  return { kind: "announce", says: "This node serves" };
}

/**
 * @param whyNot why this node must go on announcing, as far as the phase it is asked for goes; undefined: it may leave
 */
export function nextPlan(
  now: PrefixPlan,
  want: Desired,
  nowMs: number,
  terms: PlanTerms,
  whyNot: (isDraining: boolean) => string | undefined,
): PrefixPlan {
  const to = (phase: PrefixPhase, says: string): PrefixPlan => {
    if (phase === now.phase)
      return says === now.says && now.refused === undefined ? now : { ...now, says, refused: undefined };
    return { ...now, phase, sinceMs: nowMs, says, refused: undefined };
  };
  const isAnnounced = now.phase === "advertised" || now.phase === "draining";
  switch (want.kind) {
    case "wait":
      return now;
    case "withdraw":
      return isAnnounced ? flapped(now, want.says, nowMs, terms) : to("withdrawn", want.says);
    case "announce": {
      const { heldUntilMs } = now;
      if (!isAnnounced && heldUntilMs !== undefined && nowMs < heldUntilMs)
        return to("ready", "This node serves; held down because the prefix was withdrawn before");
      return { ...to("advertised", want.says), heldUntilMs: undefined };
    }
    case "leave": {
      if (now.phase === "starting" || now.phase === "ready") return to("ready", want.says);
      if (now.phase === "withdrawn") return to("withdrawn", want.says);
      const isDraining = now.phase === "draining";
      const refused = want.isForced ? undefined : whyNot(isDraining);
      if (refused !== undefined) return { ...to("advertised", `${want.says}; refused, since ${refused}`), refused };
      // A node that stops while it drains for another reason keeps the time that it has drained.
      if (isDraining && nowMs - now.sinceMs >= terms.drain.waitMs) return to("withdrawn", want.says);
      return to("draining", want.says);
    }
    default:
      return want satisfies never;
  }
}

/** The route went away though nobody had planned it: by us, or by the guard while this process stood still. */
export function flapped(now: PrefixPlan, says: string, nowMs: number, terms: PlanTerms): PrefixPlan {
  const { penalty, holdMs } = addFlap(now.penalty, nowMs, terms.holdDown);
  return {
    phase: "withdrawn",
    sinceMs: nowMs,
    says,
    heldUntilMs: nowMs + holdMs,
    penalty,
    flaps: now.flaps + 1,
    refused: undefined,
  };
}
