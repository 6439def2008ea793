/**
 * The stage `compose`: the containers of docker-compose.yml, with a real network between them.
 * @module
 */
import { RhumbError } from "#base/errors.ts";
import type { LocalStageOptions } from "#drill/stage/local.ts";
import type { MissingNeeds, Stage } from "#drill/stage.ts";

/** Everything but Docker is in the images. */
export const missingComposeNeeds: MissingNeeds = async () => [];

export function createComposeStage(_options: LocalStageOptions): Stage {
  throw new RhumbError("RHUMB_DRILL_STAGE", "compose is not there yet");
}
