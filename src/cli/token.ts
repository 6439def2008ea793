/**
 * The token of the control API, from where it may lie (ruling 20): --token, RHUMB_TOKEN, then `run/token` near the
 * configuration or the working folder. One that was merely found goes to this machine alone.
 * @module
 */
import { readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

export function findToken(options: {
  given: string | undefined;
  env: Readonly<Record<string, string | undefined>>;
  /** Path of rhumb.yaml, when the caller named one. */
  config: string | undefined;
  cwd: string;
  isLocal: boolean;
}): string | undefined {
  const { given, env, config, cwd, isLocal } = options;
  if (given !== undefined) return given;
  if (env["RHUMB_TOKEN"]) return env["RHUMB_TOKEN"].trim();
  if (!isLocal) return undefined;
  const installed = join(import.meta.dirname, "../.."); // `npm start` writes run/token there, from wherever it is called
  const folders = [...(config === undefined ? [] : [dirname(resolve(cwd, config))]), cwd, installed, "/etc/rhumb"];
  for (const folder of folders) {
    try {
      const token = readFileSync(join(folder, "run/token"), "utf8").trim();
      if (token !== "") return token;
    } catch {
      // not there, or not ours to read
    }
  }
  return undefined;
}
