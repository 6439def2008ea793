/**
 * The stages that there are, by name.
 * @module
 */
import type { Log } from "#base/log.ts";
import type { Need } from "#drill/scenario.ts";
import type { Stage } from "#drill/stage.ts";

export const STAGE_NAMES = ["local", "compose"] as const;
export type StageName = (typeof STAGE_NAMES)[number];

export type StageOptions = {
  readonly world: Readonly<Record<string, unknown>>;
  /** A folder that is there and empty. */
  readonly folder: string;
  readonly log: Log;
  readonly needs: readonly Need[];
};

/** Not started yet. @throws RhumbError where the world asks for what the stage does not know */
export async function openStage(name: StageName, options: StageOptions): Promise<Stage> {
  switch (name) {
    case "local":
      return (await import("#drill/stage/local.ts")).createLocalStage(options);
    case "compose":
      return (await import("#drill/stage/compose.ts")).createComposeStage(options);
    default:
      return name satisfies never;
  }
}
