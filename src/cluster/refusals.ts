/**
 * What was refused of what came from outside, and when people are told of it.
 *
 * Owns:    the counts, and one alarm for each (reason, node), told once and ended after a quiet minute.
 * Never:   raises an alarm for what is merely late or double.
 * @module
 */
import type { Clock } from "#base/clock.ts";
import type { TakenAs } from "#cluster/transport.ts";
import type { Emit } from "#state/events.ts";

export const REFUSED = ["unsigned", "unknownNode", "old", "damaged", "full"] as const;
export type RefusedAs = (typeof REFUSED)[number];

const QUIET_MS = 60_000;
/** Names come from what was refused: no more of them at a time. */
const MAX_ALARMS = 64;

const SENTENCES: Readonly<Record<Exclude<RefusedAs, "old">, (node: string) => string>> = {
  unsigned: (node) => `A record in the name of ${node} came without a signature, and was refused`,
  unknownNode: (node) =>
    `A record of ${node} was refused: it is not among cluster.nodes. Enrol its key on all nodes, or stop it`,
  damaged: (node) =>
    `A record in the name of ${node} was refused: its signature or its form is wrong. Its key was replaced, or somebody writes who should not`,
  full: (node) => `A record of ${node} was refused: there are too many of its kind, or it is too large`,
};

export type Refusals = {
  add(as: RefusedAs, node: string): void;
  counts(): Readonly<Record<RefusedAs, number>>;
  /** Ends alarms that have been quiet. */
  tick(): void;
};
export const isRefused = (as: TakenAs): as is RefusedAs => as !== "new" && as !== "known";

export function createRefusals(options: { readonly clock: Clock; readonly emit: Emit }): Refusals {
  const { clock, emit } = options;
  const counts: Record<RefusedAs, number> = { unsigned: 0, unknownNode: 0, old: 0, damaged: 0, full: 0 };
  const alarms = new Map<string, number>();
  return {
    add(as, node) {
      counts[as]++;
      if (as === "old") return;
      const subject = `${as}/${node === "" ? "?" : node}`;
      const isNew = !alarms.has(subject);
      if (isNew && alarms.size >= MAX_ALARMS) return;
      alarms.set(subject, clock.monotonicMs());
      if (isNew)
        emit({
          kind: "cluster.refused",
          atMs: clock.nowMs(),
          severity: "alarm",
          subject,
          says: SENTENCES[as](node === "" ? "a node that cannot be read" : JSON.stringify(node)),
        });
    },
    counts: () => counts,
    tick() {
      for (const [subject, atMs] of alarms) {
        if (clock.monotonicMs() - atMs < QUIET_MS) continue;
        alarms.delete(subject);
        emit({
          kind: "cluster.refused",
          atMs: clock.nowMs(),
          severity: "resolved",
          subject,
          says: `Nothing of ${subject} was refused for a minute`,
        });
      }
    },
  };
}
