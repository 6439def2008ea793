/**
 * The error of a start whose configuration is refused.
 * @module
 */
import { RhumbError } from "#base/errors.ts";
import type { Problem } from "#base/problem.ts";

/** The configuration was refused at start; `problems` says all that is wrong. */
export class StartRefused extends RhumbError {
  readonly problems: readonly Problem[];
  constructor(config: string, problems: readonly Problem[]) {
    super("RHUMB_CONFIG_INVALID", config);
    this.problems = problems;
  }
}
