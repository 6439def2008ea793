/**
 * Script probe: a file of the operator's checks folder; exit status 0 is a pass.
 *
 * It gets RHUMB_ADDRESS, RHUMB_CHECK, RHUMB_TIMEOUT_MS and a fixed PATH, and nothing else of our environment; it runs in
 * the folder of the file, in a process group of its own, as `user` where that is configured. When time is up, or the
 * script has ended and left children behind, the whole group is killed. The first 4 KiB of its output are kept.
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
  sayError,
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

export function startScriptProbe(
  address: string,
  check: ScriptCheck,
  monotonicMs: MonotonicMs,
  done: (result: ProbeResult) => void,
): RunningProbe {
  const startedMs = monotonicMs();
  let child: ChildProcess | undefined;
  let output = "";
  let isOver = false;

  const killGroup = (): void => {
    if (child?.pid === undefined) return;
    try {
      process.kill(-child.pid, "SIGKILL");
    } catch {
      // ESRCH: nobody is left in the group
    }
    child.stdout?.destroy();
    child.stderr?.destroy();
  };
  const finish = (ok: boolean, errorClass: ErrorClass, says: string): void => {
    if (isOver) return;
    isOver = true;
    killGroup();
    const line = output.trim().split("\n", 1)[0]!.slice(0, MAX_SAY_CHARACTERS);
    const phases = { ...NO_PHASES, totalMicros: microsBetween(startedMs, monotonicMs()) };
    done({ ok, rttMicros: 0, phases, errorClass, says: line === "" ? says : `${says}: ${line}` });
  };
  const collect = (chunk: Buffer): void => {
    if (output.length < MAX_OUTPUT_OCTETS) output += chunk.toString("utf8", 0, MAX_OUTPUT_OCTETS - output.length);
  };

  try {
    const identity = check.user === undefined ? undefined : findUser(check.user, readFileSync("/etc/passwd", "utf8"));
    if (check.user !== undefined && identity === undefined) throw new Error(`no user ${check.user} in /etc/passwd`);
    child = spawn(check.file, [...check.args], {
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
    child.stdout?.on("data", collect);
    child.stderr?.on("data", collect);
    child.on("error", (error) => finish(false, "self", `the script cannot be started: ${sayError(error)}`));
    // "exit", not "close": a grandchild that holds the pipe must not keep the probe waiting.
    child.on("exit", (code, signal) => {
      setImmediate(() => {
        if (code === 0) finish(true, "none", "exit status 0");
        else finish(false, "script", signal === null ? `exit status ${code}` : `killed by ${signal}`);
      });
    });
  } catch (error) {
    finish(false, "self", `the script cannot be started: ${sayError(error as NodeJS.ErrnoException)}`);
  }

  return {
    expire: () => finish(false, "timeout", `no result within ${check.timeoutMs} ms, killed`),
    cancel() {
      isOver = true;
      killGroup();
    },
  };
}
