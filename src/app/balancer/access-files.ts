/**
 * Files of the access log: lines of all workers, appended in the order in which they came.
 *
 * Owns:    the open files. A file that was moved away (logrotate) is opened anew within a second, and by `reopen()`.
 * Rule:    a full disk or a slow one never stops a request: up to `MAX_WAITING_OCTETS` wait, then lines are dropped, which is
 *          said once and counted.
 * @module
 */
import { type FileHandle, open, stat } from "node:fs/promises";
import type { Clock } from "#base/clock.ts";
import type { Log } from "#base/log.ts";

const MAX_WAITING_OCTETS = 16_777_216;
const LOOK_MS = 1_000;
const STANDARD_OUTPUT = "-";

export type AccessFiles = {
  write(path: string, lines: string): void;
  /** Closes all files; the next line opens them again. */
  reopen(): void;
  /** Lines that were dropped, by file. */
  dropped(): Readonly<Record<string, number>>;
  /** Resolves when all that came before is written. */
  close(): Promise<void>;
};

class AccessFile {
  dropped = 0;
  #waiting: string[] = [];
  #waitingOctets = 0;
  #writing: Promise<void> | undefined;
  #handle: FileHandle | undefined;
  #isStale = false;
  #lookedMs = 0;
  #isFailing = false;
  readonly #path: string;
  readonly #clock: Clock;
  readonly #log: Log;

  constructor(path: string, clock: Clock, log: Log) {
    this.#path = path;
    this.#clock = clock;
    this.#log = log;
  }

  write(lines: string): void {
    if (this.#waitingOctets + lines.length > MAX_WAITING_OCTETS) {
      this.#drop(lines, "it cannot be written as fast as requests come");
      return;
    }
    this.#waiting.push(lines);
    this.#waitingOctets += lines.length;
    this.#writing ??= this.#writeAll();
  }
  stale(): void {
    this.#isStale = true;
  }
  async end(): Promise<void> {
    await this.#writing;
    await this.#handle?.close();
    this.#handle = undefined;
  }

  async #writeAll(): Promise<void> {
    await undefined; // what comes in this turn goes along
    while (this.#waiting.length > 0) {
      const lines = this.#waiting.join("");
      this.#waiting = [];
      this.#waitingOctets = 0;
      try {
        await this.#put(lines);
        this.#isFailing = false;
      } catch (error) {
        this.#isStale = true;
        this.#drop(lines, (error as Error).message);
      }
    }
    this.#writing = undefined;
  }
  async #put(lines: string): Promise<void> {
    if (this.#path === STANDARD_OUTPUT) {
      await new Promise<void>((resolve) => process.stdout.write(lines, () => resolve()));
      return;
    }
    await this.#follow();
    this.#handle ??= await open(this.#path, "a", 0o640);
    await this.#handle.appendFile(lines);
  }
  /** Lets go of a file that does not lie at its path any more. */
  async #follow(): Promise<void> {
    const nowMs = this.#clock.monotonicMs();
    if (this.#handle === undefined || (!this.#isStale && nowMs - this.#lookedMs < LOOK_MS)) return;
    this.#lookedMs = nowMs;
    const [here, there] = await Promise.all([this.#handle.stat(), stat(this.#path).catch(() => undefined)]);
    if (!this.#isStale && there?.ino === here.ino && there.dev === here.dev) return;
    this.#isStale = false;
    const handle = this.#handle;
    this.#handle = undefined;
    await handle.close();
  }
  #drop(lines: string, says: string): void {
    this.dropped += lines.split("\n").length - 1;
    if (this.#isFailing) return;
    this.#isFailing = true;
    this.#log.warn({ path: this.#path }, `Lines of the access log are lost: ${says}`);
  }
}

export function createAccessFiles(options: { readonly clock: Clock; readonly log: Log }): AccessFiles {
  const { clock, log } = options;
  const files = new Map<string, AccessFile>();
  return {
    write(path, lines) {
      const file = files.get(path) ?? new AccessFile(path, clock, log);
      files.set(path, file);
      file.write(lines);
    },
    reopen() {
      for (const file of files.values()) file.stale();
    },
    dropped: () => Object.fromEntries([...files].map(([path, file]) => [path, file.dropped])),
    async close() {
      await Promise.all([...files.values()].map((file) => file.end()));
    },
  };
}
