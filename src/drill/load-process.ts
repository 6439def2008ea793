/**
 * One load process per client place: started, given its order, listened to, ended by the end of its input.
 * @module
 */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { RhumbError } from "#base/errors.ts";
import type { LoadLine, LoadSpec } from "#drill/load/protocol.ts";

/** From the end of the input until a request that was the last to start has its answer or its time-out, twice over. */
const END_MS = 15_000;
const READY_MS = 30_000;
const WORDS_KEPT = 2_000;

export type LoadProcess = {
  /** @throws RhumbError where the process ends before, or is not ready in time */
  readonly ready: Promise<void>;
  /** Resolves with why, if it ends before it is told to. */
  readonly failed: Promise<string>;
  /** Ends the input and waits for the last lines. */
  end(): Promise<void>;
};

/** @param command words before `drill load` */
export function startLoadProcess(
  command: readonly string[],
  spec: LoadSpec,
  onLine: (line: LoadLine) => void,
): LoadProcess {
  const [program = "", ...words] = command;
  const child = spawn(program, [...words, "drill", "load"], { stdio: ["pipe", "pipe", "pipe"] });
  const name = `the load of ${spec.place.continent}`;
  const { promise: ready, resolve: isReady, reject: isNotReady } = Promise.withResolvers<void>();
  const { promise: failed, resolve: fail } = Promise.withResolvers<string>();
  const { promise: ended, resolve: hasEnded } = Promise.withResolvers<void>();
  let isEnding = false;
  let lastWords = "";
  const giveUp = (says: string): void => {
    isNotReady(new RhumbError("RHUMB_DRILL_LOAD", says));
    if (!isEnding) fail(says);
  };
  const timer = setTimeout(() => giveUp(`${name} is not ready after ${READY_MS / 1_000} s`), READY_MS);
  void ready.catch(() => {}).finally(() => clearTimeout(timer));

  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    lastWords = (lastWords + text).slice(-WORDS_KEPT);
  });
  createInterface({ input: child.stdout }).on("line", (text) => {
    let line: LoadLine;
    try {
      line = JSON.parse(text) as LoadLine;
    } catch {
      return giveUp(`${name} says what is not JSON: ${text.slice(0, 200)}`);
    }
    if (line.kind === "ready") isReady();
    onLine(line);
  });
  child.on("error", (error) => giveUp(`${name} does not start: ${error.message}`));
  child.on("close", (code, signal) => {
    giveUp(`${name} ended with ${signal ?? code}: ${lastWords.trim() || "it said nothing"}`);
    hasEnded();
  });
  // It has gone already: `close` says so.
  child.stdin.on("error", () => {});
  child.stdin.write(`${JSON.stringify(spec)}\n`);

  return {
    ready,
    failed,
    async end() {
      isEnding = true;
      child.stdin.end();
      const late = setTimeout(() => child.kill("SIGKILL"), END_MS);
      await ended;
      clearTimeout(late);
    },
  };
}
