/**
 * Entry of the `rhumb` command; `bin/rhumb` starts it.
 * @module
 */
import { run } from "#cli/run.ts";

// `rhumb events | head` closes the pipe early: that is an end, not a failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  process.exit(error.code === "EPIPE" ? 0 : 1);
});

process.exitCode = await run(process.argv.slice(2));
