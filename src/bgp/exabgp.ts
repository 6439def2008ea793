/**
 * Conversation with ExaBGP: one command, its answer, then the next.
 *
 * Each answer ends with the line `done` or `error`; what a command shows comes before it. A conversation begins with
 * `version`, and whatever comes before its answer belongs to somebody else. Lines that are too long or too many end it.
 *
 * Units:   ms.
 * @module
 */
import type { Clock, Timer } from "#base/clock.ts";
import { type Pipes, pipeFault, type ReadPipe, type WritePipe } from "#bgp/pipes.ts";

export type Answer = { readonly isDone: boolean; readonly lines: readonly string[] };
/** The conversation has ended; `says` completes "ExaBGP does not answer: …". */
export class LinkFault extends Error {}

export type ExabgpLink = {
  /** As it says itself: `4.2.21`. */
  readonly version: string;
  /** @throws LinkFault, by rejecting: nothing can be asked after it */
  ask(command: string): Promise<Answer>;
  close(): void;
};

const ANSWER_MS = 2_000;
/** A pipe that is full is looked at again. */
const FULL_MS = 10;
/** Of one answer: some thousand routes. */
const MAX_ANSWER_OCTETS = 1_048_576;

/** @throws LinkFault, by rejecting */
export async function openExabgp(
  paths: { readonly in: string; readonly out: string },
  pipes: Pipes,
  clock: Clock,
): Promise<ExabgpLink> {
  let writer: WritePipe | undefined;
  let reader: ReadPipe | undefined;
  let fault: LinkFault | undefined;
  let rest = "";
  let octets = 0;
  let version: string | undefined;
  let lines: string[] = [];
  let waiting: { resolve(answer: Answer): void; reject(fault: LinkFault): void; deadline: Timer } | undefined;
  let retry: Timer | undefined;

  const end = (says: string): LinkFault => {
    fault ??= new LinkFault(says);
    writer?.close();
    reader?.close();
    writer = undefined;
    reader = undefined;
    retry?.cancel();
    const asked = waiting;
    waiting = undefined;
    asked?.deadline.cancel();
    asked?.reject(fault);
    return fault;
  };

  const take = (text: string): void => {
    octets += text.length;
    if (octets > MAX_ANSWER_OCTETS) {
      end("its answer has no end");
      return;
    }
    const parts = (rest + text).split("\n");
    rest = parts.pop()!;
    for (const line of parts) {
      if (!waiting) continue; // an answer to nobody: left by another program, or by who was here before
      version ??= /^exabgp (\S+)$/.exec(line)?.[1];
      if (version === undefined) continue; // a late `done` of a command of before would count as ours
      if (line !== "done" && line !== "error") {
        if (line !== "") lines.push(line);
        continue;
      }
      const { resolve, deadline } = waiting;
      waiting = undefined;
      deadline.cancel();
      resolve({ isDone: line === "done", lines });
    }
  };

  const send = (bytes: Uint8Array): void => {
    try {
      const taken = writer!.write(bytes);
      if (taken < bytes.length) retry = clock.after(FULL_MS, () => send(bytes.subarray(taken)));
    } catch (error) {
      end(pipeFault(paths.in, error));
    }
  };

  const ask = (command: string): Promise<Answer> => {
    if (fault) return Promise.reject(fault);
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    lines = [];
    octets = 0;
    const deadline = clock.after(ANSWER_MS, () => end(`no answer to \`${command}\` for ${ANSWER_MS / 1_000} s`));
    waiting = { resolve, reject, deadline };
    send(Buffer.from(`${command}\n`));
    return promise;
  };

  try {
    reader = pipes.openRead(paths.out, take);
  } catch (error) {
    throw end(pipeFault(paths.out, error));
  }
  try {
    writer = pipes.openWrite(paths.in);
  } catch (error) {
    throw end(pipeFault(paths.in, error));
  }
  await ask("version");
  return { version: version!, ask, close: () => void end("closed") };
}
