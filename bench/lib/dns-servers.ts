/**
 * Starts a server for a world, pinned to one core, on a port of its own on 127.0.0.1, and stops it.
 * @module
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { mkdirSync } from "node:fs";
import type { Recipe, Site } from "./dns-recipe.ts";
import { firstQuery } from "./dns-world.ts";

/** The core that servers run on; the load runs on the other. */
const SERVER_CORE = 0;
export const LOAD_CORE = 1;
/** For a million names, and millions of nodes of a map. */
const START_TIMEOUT_MS = 180_000;
const STOP_TIMEOUT_MS = 5_000;
const WORDS_LIMIT = 16_000;

export type DnsServer = {
  readonly recipe: Recipe;
  readonly port: number;
  /** Without those that started it and wait. */
  readonly pids: readonly number[];
  /** From the start to the first answer. */
  readonly startMs: number;
  /** What it printed so far, the end of it. */
  words(): string;
  stop(): Promise<void>;
};

/** A port that is free for UDP now. */
async function freePort(): Promise<number> {
  const socket = createSocket("udp4");
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(() => resolve()));
  return port;
}

/** Whether the server gives an answer (not REFUSED or SERVFAIL) for a name of the zone. */
async function answers(port: number): Promise<boolean> {
  const socket = createSocket("udp4");
  try {
    return await new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => resolve(false), 200);
      socket.on("error", () => {});
      socket.on("message", (response) => {
        clearTimeout(timer);
        resolve((response[3]! & 15) === 0 && response[7] === 1);
      });
      socket.send(firstQuery(), port, "127.0.0.1");
    });
  } finally {
    socket.close();
  }
}

/** Processes of the group of `leader`: some servers fork. */
function processesOf(leader: number): number[] {
  const { stdout } = spawnSync("pgrep", ["-g", String(leader)], { encoding: "utf8" });
  return stdout.split("\n").filter(Boolean).map(Number);
}

/** @throws Error with the server's own words when it ends, or does not answer in time */
export async function startServer(recipe: Recipe, { folder, ...rest }: Omit<Site, "port">): Promise<DnsServer> {
  mkdirSync(folder, { recursive: true });
  const port = await freePort();
  const command = recipe.prepare({ folder, port, ...rest });
  const startedMs = performance.now();
  let words = "";
  const child: ChildProcess = spawn("taskset", ["-c", String(SERVER_CORE), ...command], {
    detached: true, // a process group of its own
    stdio: ["ignore", "pipe", "pipe"],
  });
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.on("data", (chunk: Buffer) => {
      words = (words + chunk.toString()).slice(-WORDS_LIMIT);
    });
  }
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const isRunning = () => child.exitCode === null && child.signalCode === null;
  const stop = async () => {
    if (isRunning()) process.kill(-child.pid!, "SIGTERM");
    const timer = setTimeout(() => isRunning() && process.kill(-child.pid!, "SIGKILL"), STOP_TIMEOUT_MS);
    await ended;
    clearTimeout(timer);
  };
  while (isRunning() && performance.now() - startedMs < START_TIMEOUT_MS) {
    if (!(await answers(port))) continue;
    const startMs = Math.round(performance.now() - startedMs);
    return { recipe, port, pids: processesOf(child.pid!), startMs, words: () => words, stop };
  }
  const how = isRunning() ? "does not answer" : `ended with ${child.exitCode ?? child.signalCode}`;
  await stop();
  throw new Error(`${how}\n${words}`);
}
