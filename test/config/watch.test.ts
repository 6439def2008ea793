/** The watcher: one call per burst, through renames, new files, and without noise from other files. */
import assert from "node:assert/strict";
import { appendFileSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { systemClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { createConfigWatcher } from "#config/watch.ts";
import { copyGood, loadFrom } from "./load-good.ts";

function watchGood(t: { after(callback: () => void): void }) {
  const folder = copyGood(t);
  let calls = 0;
  let wake: (() => void) | undefined;
  const watcher = createConfigWatcher({
    onChange: () => {
      calls++;
      wake?.();
    },
    log: silentLog,
    clock: {
      ...systemClock,
      after: (delayMs, callback) => {
        // The test process has nothing else to do: its timers may keep it alive.
        const timer = setTimeout(callback, delayMs);
        return { cancel: () => clearTimeout(timer) };
      },
    },
    debounceMs: 50,
  });
  t.after(() => watcher.close());
  watcher.follow(loadFrom(folder).watched);
  const called = () =>
    new Promise<void>((resolve) => {
      wake = resolve;
    });
  return { folder, called, calls: () => calls };
}

test("createConfigWatcher() tells of a file that is renamed over, again and again", async (t) => {
  const { folder, called } = watchGood(t);
  for (const round of [1, 2]) {
    const next = called();
    const file = join(folder, "zones/services.yaml");
    writeFileSync(`${file}.tmp`, `# ${round}\n`);
    renameSync(`${file}.tmp`, file);
    await next;
  }
});

test("createConfigWatcher() makes one call of a burst", async (t) => {
  const { folder, called, calls } = watchGood(t);
  const next = called();
  for (let round = 0; round < 20; round++) appendFileSync(join(folder, "zones/static.inc"), "; more\n");
  appendFileSync(join(folder, "health/web.yaml"), "# more\n");
  await next;
  // Calls too many for the first burst would come before that of the second.
  const second = called();
  appendFileSync(join(folder, "rhumb.yaml"), "# more\n");
  await second;
  assert.equal(calls(), 2);
});

test("createConfigWatcher() tells of a new zone, and not of other files", async (t) => {
  const { folder, called, calls } = watchGood(t);
  const next = called();
  mkdirSync(join(folder, "run"));
  writeFileSync(join(folder, "run/store.db"), "x");
  writeFileSync(join(folder, "zones/notes.txt"), "x");
  writeFileSync(join(folder, "zones/other.example.zone"), "x");
  await next;
  assert.equal(calls(), 1);
});
