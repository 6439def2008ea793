/**
 * Docker and compose as programs: what the compose stage asks of them.
 *
 * Owns:    which compose is here (the plugin `docker compose`, or docker-compose 1.29), and one running look at each router.
 * Units:   ms.
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { RhumbError } from "#base/errors.ts";

export type Run = { readonly code: number; readonly output: string; readonly errors: string };
export type RunOptions = { readonly input?: string; readonly timeoutMs?: number; readonly env?: NodeJS.ProcessEnv };

/** @returns code −1 where the program is missing or did not end in time */
export async function run(command: readonly string[], options: RunOptions = {}): Promise<Run> {
  const { input = "", timeoutMs = 60_000, env = process.env } = options;
  const child = spawn(command[0]!, command.slice(1), { env, timeout: timeoutMs, killSignal: "SIGKILL" });
  let output = "";
  let errors = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors += text;
  });
  child.stdin.on("error", () => {});
  child.stdin.end(input);
  const { promise, resolve } = Promise.withResolvers<number>();
  child.on("error", (error) => {
    errors += error.message;
    resolve(-1);
  });
  child.on("close", (code) => resolve(code ?? -1));
  return { code: await promise, output, errors };
}

const lastLine = (text: string): string => text.trim().split("\n").at(-1) ?? "";

/** @throws RhumbError `RHUMB_DRILL_STEP` with the last words of the program */
export async function must(command: readonly string[], options?: RunOptions): Promise<string> {
  const { code, output, errors } = await run(command, options);
  if (code === 0) return output;
  throw new RhumbError(
    "RHUMB_DRILL_STEP",
    `${command.slice(0, 3).join(" ")} … ended with ${code}: ${lastLine(errors)}`,
  );
}

/** The words before compose's own; undefined: there is no compose. */
export async function findCompose(): Promise<readonly string[] | undefined> {
  if ((await run(["docker", "compose", "version"])).code === 0) return ["docker", "compose"];
  return (await run(["docker-compose", "version"])).code === 0 ? ["docker-compose"] : undefined;
}

export type Container = { readonly id: string; readonly service: string; readonly state: string };

/** All containers of a project that stay: `setup` has ended by itself. */
export async function listContainers(project: string): Promise<Container[]> {
  const format = '{{.ID}} {{.Label "com.docker.compose.service"}} {{.State}}';
  const filter = `label=com.docker.compose.project=${project}`;
  const text = await must(["docker", "ps", "--all", "--no-trunc", "--filter", filter, "--format", format]);
  return text
    .split("\n")
    .map((line) => line.split(" "))
    .flatMap(([id, service, state]) => (id && service && state && service !== "setup" ? [{ id, service, state }] : []));
}

/** A shell in a container that answers each line with what `command` prints: an exec for each look would cost more than the look. */
export type Asker = { ask(): Promise<string>; close(): void };

export function openAsker(container: string, command: string): Asker {
  const end = "--end--";
  const script = `while read -r _; do ${command}; echo ${end}; done`;
  const child: ChildProcess = spawn("docker", ["exec", "-i", "-u", "rhumb", container, "sh", "-c", script], {
    stdio: ["pipe", "pipe", "ignore"],
  });
  const waiting: ((text: string) => void)[] = [];
  let text = "";
  let isOver = false;
  createInterface({ input: child.stdout! }).on("line", (line) => {
    if (line !== end) {
      text += `${line}\n`;
      return;
    }
    waiting.shift()?.(text);
    text = "";
  });
  const over = (): void => {
    isOver = true;
    for (const answer of waiting.splice(0)) answer("");
  };
  child.on("error", over);
  child.on("close", over);
  child.stdin!.on("error", () => {});
  return {
    ask() {
      const { promise, resolve } = Promise.withResolvers<string>();
      if (isOver) resolve("");
      else {
        waiting.push(resolve);
        child.stdin!.write("\n");
      }
      return promise;
    },
    close: () => void child.stdin!.end(),
  };
}
