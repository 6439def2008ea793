/**
 * Drain by hand: an operator says that this node is not to be sent clients. `/readyz` then says no, and whoever moves
 * a VIP, a route or a record after it takes clients elsewhere; those who come all the same are served as ever.
 *
 * Owns:    whether, since when and by whom. Not kept over a restart: a fresh process is ready again.
 * @module
 */
import type { DrainView } from "#api/views.ts";
import type { Clock } from "#base/clock.ts";
import type { Emit } from "#state/events.ts";

export type NodeDrain = {
  /** Once more while draining: the new reason, the same beginning. */
  start(reason: string | undefined, owner: string): DrainView;
  stop(owner: string): DrainView;
  view(): DrainView;
};

const READY: DrainView = { isDraining: false, sinceMs: null, owner: null, reason: null };

export function createNodeDrain(clock: Clock, emit: Emit): NodeDrain {
  let now: DrainView = READY;
  const tell = (severity: "warning" | "resolved", says: string): void =>
    emit({ kind: "node.drain", atMs: clock.nowMs(), severity, subject: "node", says });
  return {
    start(reason, owner) {
      now = { isDraining: true, sinceMs: now.sinceMs ?? clock.nowMs(), owner, reason: reason ?? null };
      tell(
        "warning",
        `${owner} drains this node${reason === undefined ? "" : `: ${reason}`}. It serves, and says that it is not ready`,
      );
      return now;
    },
    stop(owner) {
      if (now.isDraining) tell("resolved", `${owner} has ended the drain of this node`);
      now = READY;
      return now;
    },
    view: () => now,
  };
}
