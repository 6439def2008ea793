/**
 * Does the steps of a drill and knows how to undo each: whatever has begun is undone, in reverse order, whatever came.
 * @module
 */
import { type Clock, systemClock } from "#base/clock.ts";
import type { DoneStep } from "#drill/collected.ts";
import type { Step } from "#drill/scenario.ts";
import type { Stage, Undo } from "#drill/stage.ts";
import { stepSays } from "#drill/step-words.ts";

/** A step, or its undoing, that takes longer has failed: an upgrade of all nodes takes less. */
const STEP_TIMEOUT_MS = 90_000;

export type Disturber = {
  /** Steps of one target wait for each other. @throws what the stage throws */
  act(step: Step): Promise<void>;
  /** Undoes what is still there. @returns what could not be undone */
  healAll(): Promise<readonly string[]>;
  /** In the order in which they began. */
  readonly done: readonly DoneStep[];
};

export async function within<T>(promise: Promise<T>, timeoutMs: number, what: string): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`${what} takes longer than ${timeoutMs / 1_000} s`)), timeoutMs);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

export function createDisturber(
  stage: Pick<Stage, "perform">,
  clock: Pick<Clock, "nowMs"> = systemClock,
  timeoutMs = STEP_TIMEOUT_MS,
): Disturber {
  const undos: { readonly target: string; readonly undo: Undo }[] = [];
  const done: DoneStep[] = [];
  /** What is under way, by target. */
  const chains = new Map<string, Promise<unknown>>();

  async function undo(entry: (typeof undos)[number]): Promise<void> {
    undos.splice(undos.indexOf(entry), 1);
    await within(entry.undo(), timeoutMs, `healing ${entry.target}`);
  }
  async function disturb(step: Step): Promise<void> {
    const performing = stage.perform(step);
    // What comes to its end too late still has to be undone.
    void performing.then(
      (undoIt) => undos.push({ target: step.target, undo: undoIt }),
      () => {},
    );
    await within(performing, timeoutMs, `${step.action} ${step.target}`);
  }
  async function heal(target: string): Promise<void> {
    for (let entry = undos.findLast((each) => each.target === target); entry; ) {
      await undo(entry);
      entry = undos.findLast((each) => each.target === target);
    }
  }

  return {
    done,
    async act(step) {
      const before = chains.get(step.target);
      const acting = (async () => {
        await before?.catch(() => {});
        const entry = { step, atMs: clock.nowMs(), doneAtMs: Number.NaN, says: stepSays(step) };
        done.push(entry);
        try {
          await (step.action === "heal" ? heal(step.target) : disturb(step));
        } finally {
          entry.doneAtMs = clock.nowMs();
        }
      })();
      chains.set(step.target, acting);
      await acting;
    },
    async healAll() {
      await Promise.allSettled(chains.values());
      const failed: string[] = [];
      for (let entry = undos.at(-1); entry; entry = undos.at(-1)) {
        const { target } = entry;
        await undo(entry).catch((error: unknown) => {
          failed.push(`${target} could not be healed: ${(error as Error).message}`);
        });
      }
      return failed;
    },
  };
}
