/**
 * Runs the programs by which the kernel is told: nft, conntrack, ip. All else of kernel mode gets `Run` handed in.
 *
 * Owns:    child processes and their time limit.
 * @module
 */
import { spawn } from "node:child_process";
import { RhumbError } from "#base/errors.ts";

export type Ran = {
  /** Exit status; null: killed because it took too long. */
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
};
/** Rejects where the program is not there; an exit status is told, not thrown. */
export type Run = (program: string, args: readonly string[], input?: string) => Promise<Ran>;

/** A ruleset with a dozen full hash tables loads in a few seconds. */
const TIME_LIMIT_MS = 60_000;
/** `sbin` is not on everybody's path. */
const PATH = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin";
const MAX_OUTPUT_CHARACTERS = 32 << 20;

export function createRun(timeLimitMs = TIME_LIMIT_MS): Run {
  return (program, args, input = "") => {
    const { promise, resolve, reject } = Promise.withResolvers<Ran>();
    const child = spawn(program, args, {
      env: { PATH, LANG: "C.UTF-8" },
      stdio: ["pipe", "pipe", "pipe"],
      timeout: timeLimitMs,
      killSignal: "SIGKILL",
    });
    const output = { out: "", err: "" };
    for (const [stream, name] of [
      [child.stdout, "out"],
      [child.stderr, "err"],
    ] as const)
      stream.setEncoding("utf8").on("data", (chunk: string) => {
        if (output[name].length < MAX_OUTPUT_CHARACTERS) output[name] += chunk;
      });
    child.on("error", (cause) => reject(new RhumbError("RHUMB_NFT_MISSING", program, { cause })));
    child.on("close", (code) => resolve({ code, ...output }));
    // A program that ends without reading all makes the pipe break; its exit status says more.
    child.stdin.on("error", () => {});
    child.stdin.end(input);
    return promise;
  };
}

/** How many lines of what a program says go into an error: nft repeats the line of the script under each. */
const SAID_LINES = 3;

/** The error of a program that did not do what it was told. */
export function faultOf(program: string, { code, err }: Ran): RhumbError {
  const said = err
    .split("\n")
    .filter((line) => line.trim() !== "")
    .slice(0, SAID_LINES)
    .map((line) => line.slice(0, 200))
    .join("; ");
  if (/operation not permitted|permission denied|must be root/i.test(err))
    return new RhumbError("RHUMB_NFT_FORBIDDEN", said);
  return new RhumbError("RHUMB_NFT_REFUSED", code === null ? `${program} did not end in time` : `${program}: ${said}`);
}
