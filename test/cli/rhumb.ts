/** Runs `rhumb` as a child process, the way people do. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const main = join(import.meta.dirname, "../../src/main.ts");
/** Stripped and compiled sources, kept between the many children of one test file. */
const cache = mkdtempSync(join(tmpdir(), "rhumb-cache-"));
process.on("exit", () => rmSync(cache, { recursive: true, force: true }));

/** The environment of a child: nothing of ours but the path. */
export const childEnv = (more: Record<string, string> = {}): Record<string, string> => ({
  PATH: process.env["PATH"] ?? "",
  NODE_COMPILE_CACHE: cache,
  ...more,
});

export type Outcome = { readonly code: number | null; readonly out: string; readonly err: string };

export function rhumb(
  words: readonly string[],
  options: { env?: Record<string, string>; cwd?: string; input?: string } = {},
): Promise<Outcome> {
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  const child = spawn(process.execPath, [main, ...words], {
    env: childEnv(options.env),
    cwd: options.cwd ?? "/",
    stdio: ["pipe", "pipe", "pipe"],
  });
  let out = "";
  let err = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    out += chunk;
  });
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    err += chunk;
  });
  child.stdin.end(options.input ?? "");
  child.on("close", (code) => resolve({ code, out, err }));
  return promise;
}

export { main as mainFile };
