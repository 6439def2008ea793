import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { createFileWatch } from "#app/watch-file.ts";
import { createManualClock, systemClock } from "#base/clock.ts";
import { fileIdentity } from "#base/file-identity.ts";

function folderOf(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "rhumb-watch-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function watched(context: TestContext, file: string) {
  const clock = createManualClock();
  const settled: string[] = [];
  const watch = createFileWatch({ file, clock, settleMs: 100, pollMs: 1_000, onSettled: (id) => settled.push(id) });
  context.after(() => watch.close());
  return { clock, settled, watch };
}

test("createFileWatch() tells a file once it stays as it is", (context) => {
  const file = join(folderOf(context), "geo.mmdb");
  const { clock, settled } = watched(context, file);
  clock.advance(5_000);
  assert.deepEqual(settled, []);
  writeFileSync(file, "half");
  clock.advance(1_000);
  writeFileSync(file, "half and more");
  clock.advance(100);
  assert.deepEqual(settled, [], "it grew meanwhile");
  clock.advance(100);
  assert.deepEqual(settled, [fileIdentity(file)]);
  clock.advance(10_000);
  assert.equal(settled.length, 1);
});

test("createFileWatch() sees a rename over the file, also with the same size and content", (context) => {
  const folder = folderOf(context);
  const file = join(folder, "geo.mmdb");
  writeFileSync(file, "one");
  const { clock, settled, watch } = watched(context, file);
  watch.seen(fileIdentity(file));
  clock.advance(5_000);
  assert.deepEqual(settled, []);
  writeFileSync(join(folder, "next"), "one");
  renameSync(join(folder, "next"), file);
  clock.advance(5_000);
  assert.deepEqual(settled, [fileIdentity(file)]);
});

test("createFileWatch() keeps silent about a file that is gone, and sees it come back in a new folder", (context) => {
  const folder = join(folderOf(context), "later");
  const file = join(folder, "geo.mmdb");
  const { clock, settled } = watched(context, file);
  clock.advance(5_000);
  mkdirSync(folder);
  writeFileSync(file, "x");
  clock.advance(5_000);
  rmSync(file);
  clock.advance(5_000);
  assert.equal(settled.length, 1);
});

test("createFileWatch() says nothing any more once closed", (context) => {
  const file = join(folderOf(context), "geo.mmdb");
  const { clock, settled, watch } = watched(context, file);
  writeFileSync(file, "x");
  clock.advance(1_000);
  watch.close();
  clock.advance(10_000);
  assert.deepEqual(settled, []);
});

test("createFileWatch() needs no poll where the system tells of changes", async (context) => {
  const file = join(folderOf(context), "geo.mmdb");
  const { promise, resolve } = Promise.withResolvers<string>();
  const watch = createFileWatch({ file, clock: systemClock, settleMs: 1, pollMs: 86_400_000, onSettled: resolve });
  context.after(() => watch.close());
  writeFileSync(file, "x");
  // The clock's timers do not keep the process alive; this one does until the event comes.
  const alive = setInterval(() => {}, 1_000);
  assert.equal(await promise, fileIdentity(file));
  clearInterval(alive);
});
