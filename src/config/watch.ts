/**
 * Tells when files of the configuration change, once per burst of changes.
 *
 * Owns:    one watch per folder. Folders, not files: editors and deployment tools write a new file and rename it over
 *          the old one, and a watch on a file would stay with the old one.
 * Never:   reads the files. Whether anything really differs, the door sees by the digest.
 * @module
 */
import { type FSWatcher, watch } from "node:fs";
import { basename, extname, join } from "node:path";
import type { Clock, Timer } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import type { ConfigFiles } from "#config/files.ts";

/** Editors write in several steps: this much quiet ends a burst. */
const DEBOUNCE_MS = 200;
const LISTED_EXTENSIONS = [".yaml", ".zone"];

export type ConfigWatcher = {
  /** Watches what `watched` names from now on. */
  follow(watched: ConfigFiles["watched"]): void;
  close(): void;
};

export type WatchOptions = {
  readonly onChange: () => void;
  readonly log: Log;
  readonly clock: Clock;
  readonly debounceMs?: number;
};

export function createConfigWatcher({ onChange, log, clock, debounceMs = DEBOUNCE_MS }: WatchOptions): ConfigWatcher {
  const watchers = new Map<string, FSWatcher>();
  let files = new Set<string>();
  let listed = new Set<string>();
  let timer: Timer | undefined;

  const touched = (): void => {
    timer?.cancel();
    timer = clock.after(debounceMs, onChange);
  };
  const isRelevant = (folder: string, name: string | null): boolean => {
    if (name === null) return true;
    // Kubernetes swaps the link `..data` below a mounted ConfigMap: no file in the folder changes by itself.
    if (name.startsWith("..")) return true;
    if (files.has(join(folder, name))) return true;
    return listed.has(folder) && LISTED_EXTENSIONS.includes(extname(basename(name)));
  };

  return {
    follow(watched) {
      files = new Set(watched.files);
      listed = new Set(watched.listed);
      const wanted = new Set(watched.folders);
      for (const [folder, watcher] of watchers) {
        if (wanted.has(folder)) continue;
        watcher.close();
        watchers.delete(folder);
      }
      for (const folder of wanted) {
        if (watchers.has(folder)) continue;
        try {
          const watcher = watch(folder, { persistent: false }, (_event, name) => {
            if (isRelevant(folder, name)) touched();
          });
          watcher.on("error", (error) => {
            // The folder itself went away; the next proposal finds out, and follows what is there then.
            watcher.close();
            watchers.delete(folder);
            log.warn({ folder, error: error.message }, "Cannot watch a folder of the configuration any more");
            touched();
          });
          watchers.set(folder, watcher);
        } catch (error) {
          log.warn({ folder, error: String(error) }, "Cannot watch a folder of the configuration: reload by SIGHUP");
        }
      }
    },
    close() {
      timer?.cancel();
      for (const watcher of watchers.values()) watcher.close();
      watchers.clear();
    },
  };
}
