/**
 * The command line: builds the commands, runs one, and turns whatever happens into an exit code: 0 done, 1 it failed,
 * 2 wrong use. Errors are two lines: what failed, what to do.
 * @module
 */
import { Command, CommanderError } from "commander";
import { type ErrorCode, RhumbError } from "#base/errors.ts";
import { formatProblem, type Problem } from "#base/problem.ts";
import { ApiRefusal } from "#cli/api-client.ts";
import { command, type Exit } from "#cli/command.ts";
import { anycastCommand } from "#cli/commands/anycast.ts";
import { backendCommand, listenerCommand, poolCommand } from "#cli/commands/backend.ts";
import { clusterCommand } from "#cli/commands/cluster.ts";
import { backupCommand, checkCommand, configCommand, initCommand, restoreCommand } from "#cli/commands/config.ts";
import { curlCommand } from "#cli/commands/curl.ts";
import { digCommand } from "#cli/commands/dig.ts";
import { drainCommand } from "#cli/commands/drain.ts";
import { drillCommand } from "#cli/commands/drill.ts";
import { geoCommand } from "#cli/commands/geo.ts";
import { cacheCommand, certificateCommand, ruleCommand } from "#cli/commands/http.ts";
import { importCommand } from "#cli/commands/import.ts";
import { lookCommands } from "#cli/commands/look.ts";
import { failbackCommand, notifyCommand, overrideCommand } from "#cli/commands/override.ts";
import { queryCommands } from "#cli/commands/queries.ts";
import { regionCommand } from "#cli/commands/region.ts";
import { answerCommand, demoCommand, doctorCommand, startCommand } from "#cli/commands/run.ts";
import { topCommand } from "#cli/commands/top.ts";
import { complain, paint, plain, say, sayJson } from "#cli/output.ts";
import { readVersion } from "#cli/version.ts";

export function buildProgram(exit: Exit): Command {
  const program = new Command("rhumb")
    .description("A global server load balancer: GeoDNS steering from real health, one configuration, one view.")
    .version(readVersion(), "-V, --version", "print the version")
    .addHelpText(
      "after",
      "\nExample:\n  rhumb demo\n  rhumb explain www.demo.example A --from 198.51.100.0/24\n\nExit codes: 0 done, 1 it failed, 2 wrong use.",
    );
  const version = command("version", "print the versions of rhumb and Node", "rhumb version")
    .option("--json", "print JSON")
    .action(({ json }: { json?: boolean }) => {
      const versions = { rhumb: readVersion(), node: process.versions.node };
      if (json) sayJson(versions);
      else say(`rhumb ${versions.rhumb} on Node ${versions.node}`);
    });
  const commands = [
    startCommand(exit),
    checkCommand(exit),
    demoCommand(exit),
    ...lookCommands(exit),
    ...queryCommands(exit),
    backendCommand(),
    poolCommand(),
    listenerCommand(),
    ruleCommand(),
    cacheCommand(),
    certificateCommand(),
    topCommand(),
    overrideCommand(),
    failbackCommand(),
    drainCommand(),
    regionCommand(),
    anycastCommand(),
    drillCommand(exit),
    configCommand(),
    geoCommand(exit),
    answerCommand(exit),
    digCommand(),
    curlCommand(),
    doctorCommand(exit),
    initCommand(),
    importCommand(exit),
    clusterCommand(),
    backupCommand(),
    restoreCommand(),
    notifyCommand(exit),
    version,
  ];
  for (const child of commands) program.addCommand(child);
  throwInsteadOfExit(program);
  return program;
}

function throwInsteadOfExit(parent: Command): void {
  parent.exitOverride().showHelpAfterError("(--help shows how)");
  for (const child of parent.commands) throwInsteadOfExit(child);
}

/** @param words what stands behind `rhumb` @returns the exit code */
export async function run(words: readonly string[]): Promise<number> {
  let exitCode = 0;
  const program = buildProgram((code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync([...words], { from: "user" });
    return exitCode;
  } catch (error) {
    return report(error);
  }
}

/** The command asks for what cannot be had, rather than that something went wrong. */
const WRONG_USE: readonly ErrorCode[] = ["RHUMB_CLI_USAGE", "RHUMB_DRILL_NEEDS", "RHUMB_DRILL_CANNOT"];

function report(error: unknown): number {
  if (error instanceof CommanderError) {
    // Help and version that were asked for are no error; a group without its command, and all else, is wrong use.
    return error.exitCode === 0 ? 0 : 2;
  }
  if (error instanceof ApiRefusal) {
    for (const problem of error.problems) {
      if ("file" in problem) complain(plain(formatProblem(problem as unknown as Problem)));
    }
    complain(`${paint("rhumb:", "red")} ${plain(error.message)}\n${plain(error.fix)}`);
    return error.status === 400 ? 2 : 1;
  }
  if (error instanceof RhumbError) {
    complain(`${paint("rhumb:", "red")} ${plain(error.message)}\n${error.fix}`);
    return WRONG_USE.includes(error.code) ? 2 : 1;
  }
  complain(`${paint("rhumb:", "red")} ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  return 1;
}
