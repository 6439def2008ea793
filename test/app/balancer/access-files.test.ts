import assert from "node:assert/strict";
import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { createAccessFiles } from "#app/balancer/access-files.ts";
import { createManualClock } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import { folderWith } from "../../system/tools.ts";

const listen = () => {
  const warnings: string[] = [];
  const log: Log = { debug() {}, info() {}, warn: (_, says) => warnings.push(says), error() {} };
  return { log, warnings };
};

test("lines are appended in the order in which they came", async (t) => {
  const folder = folderWith(t, {});
  const files = createAccessFiles({ clock: createManualClock(0), log: listen().log });
  const path = join(folder, "access.log");
  for (let count = 0; count < 500; count++) files.write(path, `${count}\n`);
  await files.close();
  assert.equal(readFileSync(path, "utf8"), Array.from({ length: 500 }, (_, count) => `${count}\n`).join(""));
});

test("a file that was moved away is written anew at its path", async (t) => {
  const folder = folderWith(t, {});
  const clock = createManualClock(0);
  const files = createAccessFiles({ clock, log: listen().log });
  const path = join(folder, "access.log");
  files.write(path, "first\n");
  await files.close();
  for (const [moved, notice] of [
    ["one", () => clock.advance(1_000)],
    ["two", () => files.reopen()],
  ] as const) {
    files.write(path, "kept open\n");
    while (!readFileSync(path, "utf8").endsWith("kept open\n")) await new Promise((resolve) => setImmediate(resolve));
    renameSync(path, join(folder, moved));
    notice();
    files.write(path, `after ${moved}\n`);
    await files.close();
    assert.equal(readFileSync(path, "utf8"), `after ${moved}\n`);
  }
});

test("a file that cannot be written loses lines, says so once, and is tried again", async (t) => {
  const folder = folderWith(t, {});
  const { log, warnings } = listen();
  const files = createAccessFiles({ clock: createManualClock(0), log });
  const path = join(folder, "sub", "access.log");
  files.write(path, "lost\nlost\n");
  await files.close();
  files.write(path, "lost\n");
  await files.close();
  assert.equal(warnings.length, 1);
  assert.match(warnings[0]!, /^Lines of the access log are lost: ENOENT/);
  assert.deepEqual(files.dropped(), { [path]: 3 });
  mkdirSync(join(folder, "sub"));
  files.write(path, "kept\n");
  await files.close();
  assert.equal(readFileSync(path, "utf8"), "kept\n");
  rmSync(join(folder, "sub"), { recursive: true });
  symlinkSync("/dev/full", join(folder, "full"));
  files.write(join(folder, "full"), "lost\n");
  await files.close();
  assert.equal(files.dropped()[join(folder, "full")], 1);
});
