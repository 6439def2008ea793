/**
 * The query log's file: JSON lines, appended.
 *
 * Owns:    the open file, and the lines that wait for the disk. A disk that is slow or full costs lines, never answers.
 * Units:   characters of text for what waits.
 * @module
 */
import { type FileHandle, open } from "node:fs/promises";
import type { Clock } from "#base/clock.ts";
import type { Emit } from "#state/events.ts";

/** More than this waiting means that the disk does not keep up: what comes then is left out. */
const MAX_WAITING = 8 * 1_048_576;
/** After a fault, until the next attempt. */
const RETRY_MS = 10_000;
/** Who asks for what is nobody else's business. */
const MODE = 0o600;

export type QueryFile = {
  /** Closes what is open and opens `path` anew: another file, or the same one after log rotation. Undefined: none. */
  reopen(path: string | undefined): void;
  write(lines: string): void;
  /** Resolves when what was given is written, or cannot be. */
  flushed(): Promise<void>;
  close(): Promise<void>;
};

export function createQueryFile(options: { clock: Clock; emit: Emit }): QueryFile {
  const { clock, emit } = options;
  let path: string | undefined;
  let handle: FileHandle | undefined;
  let waiting = 0;
  let isFaulty = false;
  let retryAtMs = 0;
  /** One write after the other, and each to the file of its time. */
  let queue: Promise<void> = Promise.resolve();

  const tell = (severity: "alarm" | "resolved", says: string): void =>
    emit({ kind: "query-log.fault", atMs: clock.nowMs(), severity, subject: path ?? "query log", says });

  async function shut(): Promise<void> {
    const old = handle;
    handle = undefined;
    await old?.close().catch(() => {}); // what was written is the kernel's
  }

  async function append(lines: string): Promise<void> {
    waiting -= lines.length;
    if (path === undefined || clock.monotonicMs() < retryAtMs) return;
    try {
      handle ??= await open(path, "a", MODE);
      await handle.appendFile(lines);
    } catch (error) {
      await shut();
      retryAtMs = clock.monotonicMs() + RETRY_MS;
      if (!isFaulty) tell("alarm", `The query log cannot be written: ${(error as Error).message}`);
      isFaulty = true;
      return;
    }
    if (isFaulty) tell("resolved", "The query log is written again");
    isFaulty = false;
  }

  return {
    reopen(next) {
      queue = queue.then(async () => {
        await shut();
        if (isFaulty && next !== path) {
          tell("resolved", "The query log goes elsewhere");
          isFaulty = false;
        }
        path = next;
        retryAtMs = 0;
      });
    },
    write(lines) {
      if (waiting + lines.length > MAX_WAITING) return;
      waiting += lines.length;
      queue = queue.then(() => append(lines));
    },
    flushed: () => queue,
    close() {
      queue = queue.then(shut);
      return queue;
    },
  };
}
