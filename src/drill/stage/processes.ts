/**
 * The processes of a stage: started, watched by what they print, signalled by name, and never left behind.
 *
 * Owns:    a log file for each, below `folder`; the keeper, which kills them all when the runner is gone.
 * Units:   ms.
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createWriteStream, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { RhumbError } from "#base/errors.ts";
import type { KeeperOrder } from "#drill/stage/keeper-process.ts";

const START_TIMEOUT_MS = 60_000;
const HAND_OVER_TIMEOUT_MS = 60_000;
/** Of the output of one that failed: enough to see why. */
const LAST_WORDS_CHARACTERS = 800;
const POLL_MS = 20;

export type Command = {
  readonly name: string;
  readonly words: readonly [string, ...string[]];
  readonly cwd: string;
  /** It serves once it has printed this; not given: at once, or when it sends "ready" where it `hears`. */
  readonly ready?: RegExp;
  /** Talks with us by messages. */
  readonly hears?: boolean;
  /** On top of our own environment. */
  readonly env?: Readonly<Record<string, string>>;
};

export type Processes = {
  /** Resolves when it serves. @throws RhumbError with its last words */
  start(command: Command): Promise<void>;
  /** Runs to its end. @returns what it printed. @throws RhumbError where it fails */
  run(command: Command): Promise<string>;
  isRunning(name: string): boolean;
  /** Those that run, by name. */
  running(): readonly string[];
  signal(name: string, signal: NodeJS.Signals): void;
  /** SIGKILL, or the signal that is named; resolves when it has ended. */
  end(name: string, signal?: NodeJS.Signals): Promise<void>;
  /** SIGUSR2: resolves when another process has taken its place, and serves as `name` from then on. */
  handOver(name: string): Promise<void>;
  send(name: string, message: object): void;
  onMessage(name: string, heard: (message: unknown) => void): void;
  /** @param heard called with each pid that serves under a name, before it serves */
  onPid(heard: (name: string, pid: number) => void): void;
  /** At the end of the runner, however it comes. */
  atEnd(command: readonly [string, ...string[]]): void;
  /** Kills all of them; resolves when they have ended. */
  close(): Promise<void>;
};

type Running = { child: ChildProcess; pid: number; successor: number | undefined; output: string };

const environment = (): NodeJS.ProcessEnv => ({ ...process.env, NODE_OPTIONS: "", NODE_TEST_CONTEXT: undefined });
const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT" && process.platform !== "linux";
  }
};
const sleep = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

export function createProcesses(folder: string): Processes {
  mkdirSync(join(folder, "logs"), { recursive: true });
  const all = new Map<string, Running>();
  const listeners: ((name: string, pid: number) => void)[] = [];
  // In a session of its own: what ends our group must not end it.
  const keeper = spawn(process.execPath, [join(import.meta.dirname, "keeper-process.ts")], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
    env: environment(),
  });
  keeper.stdin.on("error", () => {});
  const order = (what: KeeperOrder): void => void keeper.stdin.write(`${JSON.stringify(what)}\n`);

  const isRunning = (name: string): boolean => {
    const one = all.get(name);
    if (!one) return false;
    if (one.successor !== undefined) return isAlive(one.successor);
    return one.child.exitCode === null && one.child.signalCode === null;
  };
  const fault = (name: string, output: string, what: string): RhumbError =>
    new RhumbError("RHUMB_DRILL_STAGE", `${name} ${what}: ${output.slice(-LAST_WORDS_CHARACTERS).trim()}`);

  function launch({ name, words: [program, ...words], cwd, hears, env }: Command): Running {
    const child = spawn(program, words, {
      cwd,
      env: { ...environment(), ...env },
      stdio: ["ignore", "pipe", "pipe", ...(hears ? ["ipc" as const] : [])],
      detached: true,
    });
    const one: Running = { child, pid: child.pid ?? 0, successor: undefined, output: "" };
    const log = createWriteStream(join(folder, "logs", `${name}.log`), { flags: "a" });
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        log.write(text);
        one.output = (one.output + text).slice(-16_384);
        child.emit("said");
      });
    }
    child.once("close", () => log.end());
    if (child.pid !== undefined) order({ kind: "keep", pid: child.pid });
    child.once("exit", () => order({ kind: "forget", pid: one.pid }));
    return one;
  }

  /** Resolves with the pid of what took over, when the process before has ended. */
  async function successorOf(name: string, pid: number): Promise<number> {
    const deadlineMs = performance.now() + HAND_OVER_TIMEOUT_MS;
    let heir: number | undefined;
    for (;;) {
      try {
        const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
        if (text !== "") heir = Number(text.split(" ").at(-1));
      } catch {}
      if (heir !== undefined) order({ kind: "keep", pid: heir });
      if (!isAlive(pid)) {
        if (heir !== undefined && isAlive(heir)) return heir;
        throw fault(name, all.get(name)!.output, "ended, and nothing took its place");
      }
      if (performance.now() > deadlineMs) throw fault(name, all.get(name)!.output, "did not hand over in a minute");
      await sleep(POLL_MS);
    }
  }

  return {
    isRunning,
    running: () => [...all.keys()].filter(isRunning),
    async start(command) {
      const { name, ready, hears } = command;
      const one = launch(command);
      all.set(name, one);
      for (const heard of listeners) heard(name, one.pid);
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      one.child.once("error", (error) => reject(fault(name, error.message, "cannot be started")));
      one.child.once("exit", (code, signal) => reject(fault(name, one.output, `ended with ${signal ?? code}`)));
      if (ready) one.child.on("said", () => ready.test(one.output) && resolve());
      else if (hears) one.child.once("message", () => resolve());
      else one.child.once("spawn", resolve);
      const timer = setTimeout(
        () => reject(fault(name, one.output, "does not serve after a minute")),
        START_TIMEOUT_MS,
      );
      await promise.finally(() => clearTimeout(timer));
    },
    async run(command) {
      const one = launch(command);
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      one.child.once("error", reject);
      one.child.once("close", () => resolve());
      await promise;
      if (one.child.exitCode !== 0) throw fault(command.name, one.output, `ended with ${one.child.exitCode}`);
      return one.output;
    },
    signal(name, signal) {
      const one = all.get(name);
      if (one && isRunning(name)) process.kill(one.successor ?? one.pid, signal);
    },
    async end(name, signal = "SIGKILL") {
      const one = all.get(name);
      if (!one || !isRunning(name)) return;
      process.kill(one.successor ?? one.pid, signal);
      while (isRunning(name)) await sleep(POLL_MS);
    },
    async handOver(name) {
      const one = all.get(name);
      if (!one || !isRunning(name)) throw fault(name, "", "does not run");
      const before = one.successor ?? one.pid;
      process.kill(before, "SIGUSR2");
      one.successor = await successorOf(name, before);
      for (const heard of listeners) heard(name, one.successor);
      order({ kind: "forget", pid: before });
    },
    send: (name, message) => void all.get(name)?.child.send(message),
    onMessage: (name, heard) => void all.get(name)?.child.on("message", heard),
    onPid: (heard) => void listeners.push(heard),
    atEnd: (command) => order({ kind: "atEnd", command }),
    async close() {
      for (const name of all.keys()) {
        // One that is stopped ends by SIGKILL all the same.
        const one = all.get(name)!;
        if (isRunning(name)) process.kill(one.successor ?? one.pid, "SIGKILL");
      }
      for (const name of all.keys()) while (isRunning(name)) await sleep(POLL_MS);
      const ended = new Promise<void>((done) => keeper.once("exit", () => done()));
      keeper.stdin.end();
      if (keeper.exitCode === null) await ended;
    },
  };
}
