/** The watcher: one call per burst, through renames, new files, and without noise from other files. */
import assert from "node:assert/strict";
import { appendFileSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { systemClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { createConfigWatcher } from "#config/watch.ts";
import { copyGood, loadFrom } from "./load-good.ts";

function watchGood(t: { after(callback: () => void): void }) {
  const folder = copyGood(t);
  let calls = 0;
  const pending = new Set<NodeJS.Timeout>();
  let mostPending = 0;
  let wake: (() => void) | undefined;
  const watcher = createConfigWatcher({
    onChange: () => {
      calls++;
      wake?.();
    },
    log: silentLog,
    clock: {
      ...systemClock,
      after(delayMs, callback) {
        // The test process has nothing else to do: its timers may keep it alive.
        const timer = setTimeout(() => {
          pending.delete(timer);
          callback();
        }, delayMs);
        pending.add(timer);
        mostPending = Math.max(mostPending, pending.size);
        return {
          cancel() {
            pending.delete(timer);
            clearTimeout(timer);
          },
        };
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
  return { folder, called, calls: () => calls, mostPending: () => mostPending };
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
  const { folder, called, calls, mostPending } = watchGood(t);
  const next = called();
  for (const file of ["zones/static.inc", "zones/services.yaml", "health/web.yaml", "rhumb.yaml"])
    appendFileSync(join(folder, file), "\n");
  await next;
  assert.equal(calls(), 1);
  assert.equal(mostPending(), 1);
});

test("loadConfig() sees a renewed certificate of the control API, and has it watched", (t) => {
  const folder = copyGood(t);
  const root = join(folder, "rhumb.yaml");
  const text = readFileSync(root, "utf8");
  assert.ok(text.includes("control:"));
  writeFileSync(root, text.replace("control:", "control:\n  tls: { cert: tls/api.pem, key: tls/api.key }"));
  const missing = loadFrom(folder);
  mkdirSync(join(folder, "tls"));
  for (const name of ["api.pem", "api.key"]) writeFileSync(join(folder, "tls", name), "old");
  const before = loadFrom(folder);
  assert.notEqual(before.digest, missing.digest);
  for (const name of ["api.pem", "api.key"]) {
    assert.ok(before.watched.files.includes(join(folder, "tls", name)), name);
    const last = loadFrom(folder).digest;
    writeFileSync(join(folder, "tls", name), "new");
    assert.notEqual(loadFrom(folder).digest, last, name);
  }
  assert.ok(before.watched.folders.includes(join(folder, "tls")));
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
