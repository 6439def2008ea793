/**
 * Script probe: a file of the operator's checks folder; exit status 0 is a pass.
 *
 * It gets RHUMB_ADDRESS, RHUMB_CHECK, RHUMB_TIMEOUT_MS and a fixed PATH, and nothing else of our environment; it runs in
 * the folder of the file, in a process group of its own, as `user` where that is configured. When time is up, or the
 * script has ended and left children behind, the whole group is killed. The first 4 KiB of
 * each output are kept; the first line, of the error output if there is any, is told.
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname } from "node:path";
import {
  type ErrorClass,
  type MonotonicMs,
  microsBetween,
  NO_PHASES,
  type ProbeResult,
  type RunningProbe,
} from "#health/probes/probe.ts";
import type { CheckSpec } from "#state/snapshot.ts";

type ScriptCheck = Extract<CheckSpec, { kind: "script" }>;

const MAX_OUTPUT_OCTETS = 4_096;
const MAX_SAY_CHARACTERS = 200;
const PATH = "/usr/local/bin:/usr/bin:/bin";

export type Identity = { readonly uid: number; readonly gid: number };

/**
 * A user by name, or `uid:gid`.
 *
 * @param passwd text of /etc/passwd; users of directories (LDAP, systemd) are not in it and must be given by number
 * @returns undefined when there is no such user
 */
export function findUser(user: string, passwd: string): Identity | undefined {
  const numeric = /^([0-9]+):([0-9]+)$/.exec(user);
  if (numeric !== null) return { uid: Number(numeric[1]), gid: Number(numeric[2]) };
  for (const line of passwd.split("\n")) {
    const [name, , uid, gid] = line.split(":");
    if (name === user && uid && gid) return { uid: Number(uid), gid: Number(gid) };
  }
  return undefined;
}

/** Why the system would not start a script. */
export function saySpawnFault({ code, message }: NodeJS.ErrnoException, user: string | undefined): string {
  if (code === "EPERM" && user !== undefined) return `only root may run it as ${user}`;
  if (code === "EACCES") return "it is not executable, or lies where this user may not read";
  if (code === "ENOENT") return "it is not there, or the interpreter in its first line is not";
  if (code === "EAGAIN" || code === "ENOMEM") return "the system has no room for another process";
  return message;
}

export function startScriptProbe(
  address: string,
  check: ScriptCheck,
  monotonicMs: MonotonicMs,
  done: (result: ProbeResult) => void,
): RunningProbe {
  const startedMs = monotonicMs();
  let child: ChildProcess | undefined;
  const output = { out: "", err: "" };
  let isOver = false;
  let ending: { readonly code: number | null; readonly signal: NodeJS.Signals | null } | undefined;

  const killGroup = (): void => {
    if (child?.pid === undefined) return;
    try {
      process.kill(-child.pid, "SIGKILL");
    } catch {
      // ESRCH: nobody is left in the group
    }
  };
  const end = (): void => {
    killGroup();
    child?.stdout?.destroy();
    child?.stderr?.destroy();
  };
  const finish = (ok: boolean, errorClass: ErrorClass, says: string): void => {
    if (isOver) return;
    isOver = true;
    end();
    const line = (output.err.trim() || output.out.trim()).split("\n", 1)[0]!.slice(0, MAX_SAY_CHARACTERS);
    const phases = { ...NO_PHASES, totalMicros: microsBetween(startedMs, monotonicMs()) };
    done({ ok, rttMicros: 0, phases, errorClass, says: line === "" ? says : `${says}: ${line}` });
  };
  const tellEnding = (): void => {
    if (ending?.code === 0) finish(true, "none", "exit status 0");
    else finish(false, "script", ending?.signal ? `killed by ${ending.signal}` : `exit status ${ending?.code}`);
  };
  const collect = (stream: "out" | "err") => (chunk: Buffer) => {
    const room = MAX_OUTPUT_OCTETS - output[stream].length;
    if (room > 0) output[stream] += chunk.toString("utf8", 0, room);
  };

  try {
    const identity = check.user === undefined ? undefined : findUser(check.user, readFileSync("/etc/passwd", "utf8"));
    if (check.user !== undefined && identity === undefined) throw new Error(`no user ${check.user} in /etc/passwd`);
    const args = check.args.map((argument) => argument.replaceAll("{address}", address));
    child = spawn(check.file, args, {
      cwd: dirname(check.file),
      env: {
        PATH,
        LANG: "C.UTF-8",
        RHUMB_ADDRESS: address,
        RHUMB_CHECK: check.name,
        RHUMB_TIMEOUT_MS: `${check.timeoutMs}`,
      },
      detached: true, // setsid(): a group of its own
      stdio: ["ignore", "pipe", "pipe"],
      ...(identity === undefined ? {} : identity),
    });
    child.stdout?.on("data", collect("out"));
    child.stderr?.on("data", collect("err"));
    child.on("error", (error) =>
      finish(false, "self", `the script cannot be started: ${saySpawnFault(error, check.user)}`),
    );
    // Children that the script leaves behind hold its pipes: they are killed first, so that "close" (all output read) comes.
    child.on("exit", (code, signal) => {
      ending = { code, signal };
      killGroup();
    });
    child.on("close", tellEnding);
  } catch (error) {
    finish(false, "self", `the script cannot be started: ${saySpawnFault(error as Error, check.user)}`);
  }

  return {
    expire() {
      // A child that left the group may hold the pipes for ever; the script itself has spoken.
      if (ending !== undefined) tellEnding();
      else finish(false, "timeout", `no result within ${check.timeoutMs} ms, killed`);
    },
    cancel() {
      isOver = true;
      end();
    },
  };
}
