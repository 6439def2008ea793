/**
 * What every command shares: an example in its help, exit codes, and for those that ask a running node its address,
 * token and form of output.
 * @module
 */
import { Command } from "commander";
import { RhumbError } from "#base/errors.ts";
import { type ApiClient, createApiClient, parseApiAddress } from "#cli/api-client.ts";
import { findToken } from "#cli/token.ts";

const DEFAULT_API = "http://127.0.0.1:8053";

/** Sets the exit code of the process once the action is done; 0 unless it says otherwise. */
export type Exit = (code: number) => void;

export function command(name: string, summary: string, example: string): Command {
  return new Command(name)
    .description(summary)
    .addHelpText("after", `\nExample:\n  ${example.replaceAll("\n", "\n  ")}`);
}

export type ApiOptions = { readonly api: string; readonly token?: string; readonly json?: boolean };

/** A command that asks a running node. */
export function apiCommand(name: string, summary: string, example: string): Command {
  return command(name, summary, example)
    .option(
      "--api <url>",
      "control API: http://, https://, or unix:PATH (env RHUMB_API)",
      process.env["RHUMB_API"] ?? DEFAULT_API,
    )
    .option("--token <token>", "bearer token (env RHUMB_TOKEN; else run/token is looked for)")
    .option("--json", "print the API's answer as JSON");
}

export function clientFor({ api, token: given }: ApiOptions): ApiClient {
  const { isLocal } = parseApiAddress(api);
  const token = findToken({ given, env: process.env, config: undefined, cwd: process.cwd(), isLocal });
  return createApiClient({ api, token });
}

/** Wrong use that commander does not see by itself: exit code 2. */
export const wrongUse = (says: string): never => {
  throw new RhumbError("RHUMB_CLI_USAGE", says);
};
