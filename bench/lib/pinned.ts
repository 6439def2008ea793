/**
 * Programs that run on one core, each in a process group of its own, and end with us, however we end.
 * @module
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { atEnd } from "./at-end.ts";

const START_TIMEOUT_MS = 20_000;
const POLL_MS = 50;
const STOP_TIMEOUT_MS = 5_000;
const WORDS_LIMIT = 16_000;

export type Pinned = {
  /** Without those that started it and wait. */
  readonly pids: readonly number[];
  /** From the start until it was ready. */
  readonly startMs: number;
  /** What it printed so far, the end of it. */
  words(): string;
  /** Stands still until `resume()`: what others on its core must not be disturbed by. */
  pause(): void;
  resume(): void;
  stop(): Promise<void>;
};
export type PinnedOptions = {
  readonly core: number;
  /** @param words what it has printed so far */
  isReady(words: string): Promise<boolean> | boolean;
  readonly timeoutMs?: number;
};

const isRunning = (child: ChildProcess): boolean => child.exitCode === null && child.signalCode === null;

/** The whole group: some servers fork, and children may outlive the leader. */
function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  try {
    process.kill(-child.pid!, signal);
  } catch {
    // All of it has ended.
  }
}

/** Processes of the group of `leader`. */
function processesOf(leader: number): number[] {
  const { stdout } = spawnSync("pgrep", ["-g", String(leader)], { encoding: "utf8" });
  return stdout.split("\n").filter(Boolean).map(Number);
}

/** @throws Error with the program's own words when it ends, or is not ready in time */
export async function startPinned(
  command: readonly string[],
  { core, isReady, timeoutMs = START_TIMEOUT_MS }: PinnedOptions,
): Promise<Pinned> {
  const startedMs = performance.now();
  const child = spawn("taskset", ["-c", String(core), ...command], {
    detached: true, // a process group of its own
    stdio: ["ignore", "pipe", "pipe"],
  });
  const forget = atEnd(() => signalGroup(child, "SIGKILL"));
  let words = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      words = (words + chunk.toString()).slice(-WORDS_LIMIT);
    });
  }
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const stop = async (): Promise<void> => {
    if (isRunning(child)) {
      signalGroup(child, "SIGTERM");
      signalGroup(child, "SIGCONT");
    }
    const timer = setTimeout(() => signalGroup(child, "SIGKILL"), STOP_TIMEOUT_MS);
    await ended;
    clearTimeout(timer);
    signalGroup(child, "SIGKILL");
    forget();
  };
  while (isRunning(child) && performance.now() - startedMs < timeoutMs) {
    if (await isReady(words)) {
      const startMs = Math.round(performance.now() - startedMs);
      return {
        pids: processesOf(child.pid!),
        startMs,
        words: () => words,
        pause: () => signalGroup(child, "SIGSTOP"),
        resume: () => signalGroup(child, "SIGCONT"),
        stop,
      };
    }
    await sleep(POLL_MS);
  }
  const how = isRunning(child) ? "does not answer" : `ended with ${child.exitCode ?? child.signalCode}`;
  await stop();
  throw new Error(`${how}\n${words}`);
}

/** Runs a program to its end. @param output file that takes what it prints: a pipe would wake us while it measures */
export async function runPinned(core: number, command: readonly string[], output: string): Promise<string> {
  const descriptor = openSync(output, "w");
  const child = spawn("taskset", ["-c", String(core), ...command], {
    detached: true,
    stdio: ["ignore", descriptor, descriptor],
  });
  closeSync(descriptor);
  const forget = atEnd(() => signalGroup(child, "SIGKILL"));
  await new Promise<void>((resolve) => child.once("exit", () => resolve()));
  forget();
  return readFileSync(output, "utf8");
}
