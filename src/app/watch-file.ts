/**
 * Watches one file that others replace: by rename, by copy over it, or by deleting and writing it again.
 *
 * Owns:    the moment when a file counts as written: the same identity twice, `settleMs` apart.
 * Never:   reads the file. What watches miss (network file systems, folders made later) polling finds.
 * @module
 */
import { type FSWatcher, watch } from "node:fs";
import { basename, dirname } from "node:path";
import type { Clock, Timer } from "#base/clock.ts";
import { fileIdentityOrNothing } from "#base/file-identity.ts";

export type FileWatchOptions = {
  readonly file: string;
  readonly clock: Clock;
  /** How long a file must stay as it is. */
  readonly settleMs: number;
  readonly pollMs: number;
  /** Called once for each identity that settled and is not the one of `seen`; not for a file that is gone. */
  onSettled(identity: string): void;
};
export type FileWatch = {
  /** Tells which identity has been dealt with. */
  seen(identity: string | undefined): void;
  close(): void;
};

export function createFileWatch({ file, clock, settleMs, pollMs, onSettled }: FileWatchOptions): FileWatch {
  let dealtWith: string | undefined;
  let candidate: string | undefined;
  let settling: Timer | undefined;
  let polling: Timer | undefined;
  let watcher: FSWatcher | undefined;
  let isClosed = false;

  const look = (): void => {
    settling = undefined;
    if (isClosed) return;
    const identity = fileIdentityOrNothing(file);
    if (identity === undefined || identity === dealtWith) {
      candidate = undefined;
      return;
    }
    if (identity !== candidate) {
      candidate = identity;
      settling = clock.after(settleMs, look);
      return;
    }
    dealtWith = identity;
    candidate = undefined;
    onSettled(identity);
  };
  const startWatching = (): void => {
    if (watcher) return;
    try {
      // The folder, not the file: a rename over the file would leave a watch on the old inode.
      watcher = watch(dirname(file), { persistent: false }, (_event, name) => {
        if (name === null || name === basename(file)) settling ??= clock.after(0, look);
      });
      watcher.on("error", () => {
        watcher?.close();
        watcher = undefined;
      });
    } catch {
      watcher = undefined; // the folder may come later: polling tries again
    }
  };
  const poll = (): void => {
    if (isClosed) return;
    startWatching();
    if (settling === undefined) look();
    polling = clock.after(pollMs, poll);
  };
  startWatching();
  polling = clock.after(pollMs, poll);
  return {
    seen(identity) {
      dealtWith = identity;
    },
    close() {
      isClosed = true;
      settling?.cancel();
      polling?.cancel();
      watcher?.close();
    },
  };
}
