/**
 * What tests of real daemons share: finding programs, free ports, starting and stopping by pid.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { TestContext } from "node:test";
import { createPorts } from "#base/ports.ts";

export const findTool = (tool: string): string | undefined =>
  ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin", "/sbin", "/bin"]
    .map((folder) => join(folder, tool))
    .find(existsSync);

/** Why a test is skipped, or false. In CI nothing is. */
export function without(...tools: readonly string[]): string | false {
  const missing = tools.filter((tool) => !findTool(tool));
  return missing.length > 0 && !process.env["CI"] && `not installed: ${missing.join(", ")}`;
}

const ports = createPorts();
/** @returns the first of `count` in a row that nobody uses, by TCP or UDP, and that no other test is given */
export const freePort = (count?: number): Promise<number> => ports.take(count);

/** A folder with these files in it, removed when the test ends. */
export function folderWith(context: Pick<TestContext, "after">, files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), "rhumb-system-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  writeAll(folder, files);
  return folder;
}

export function writeAll(folder: string, files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
}

/** Starts a program and ends it when the test ends. Resolves once its output has `ready`. */
export async function startDaemon(
  context: Pick<TestContext, "after">,
  command: readonly string[],
  ready: RegExp,
): Promise<ChildProcess> {
  const [program = "", ...args] = command;
  const child = spawn(findTool(program) ?? program, args, { stdio: ["ignore", "pipe", "pipe"] });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let output = "";
  const take = (chunk: Buffer): void => {
    output += chunk.toString();
    if (ready.test(output)) resolve();
  };
  child.stdout.on("data", take);
  child.stderr.on("data", take);
  child.on("error", reject);
  child.on("exit", (code) => reject(new Error(`${program} ended with ${code}:\n${output}`)));
  context.after(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((done) => child.once("exit", done));
    child.kill("SIGKILL");
    await ended;
  });
  await promise;
  return child;
}
