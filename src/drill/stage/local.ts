/**
 * The stage `local`: DNS nodes, and regions with a balancer and two backends each, as processes on loopback, with a
 * user-space relay on each way between them.
 * @module
 */
import { RhumbError } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import type { Need } from "#drill/scenario.ts";
import type { Stage } from "#drill/stage.ts";

export type LocalStageOptions = {
  /** `world:` of the drill. */
  readonly world: Readonly<Record<string, unknown>>;
  /** A folder that is there and empty; the stage writes below it and removes nothing of it. */
  readonly folder: string;
  readonly log: Log;
  readonly needs: readonly Need[];
};

/** @throws RhumbError `RHUMB_DRILL_STAGE` where `world` has a key or value that the stage does not know */
export function createLocalStage(options: LocalStageOptions): Stage {
  throw new RhumbError("RHUMB_DRILL_STAGE", `not yet in ${options.folder}`);
}
