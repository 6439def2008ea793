import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { openSync } from "node:fs";
import { Writable } from "node:stream";
import test from "node:test";
import { createLog } from "#app/create-log.ts";

/** Logs, waits for a word on standard input, logs again, and says that it is still there. */
const PROGRAM = `
import { createLog } from "#app/create-log.ts";
const logs = ["json", "text"].map((format) => createLog({ level: "info", format }));
for (const log of logs) log.info({}, "first");
process.stdin.once("data", () => {
  for (let line = 0; line < 100; line++) for (const log of logs) log.info({}, "later");
  setTimeout(() => { console.log("alive"); process.exit(0); }, 50);
});
console.log("ready");
`;
const start = (stderr: "pipe" | number) =>
  spawn(process.execPath, ["--input-type=module", "--eval", PROGRAM], {
    cwd: new URL("../..", import.meta.url).pathname,
    stdio: ["pipe", "pipe", stderr],
  });

for (const { name, isFull } of [
  { name: "the disk is full", isFull: true },
  { name: "its reader has gone", isFull: false },
]) {
  test(`a log that cannot be written does not end the process: ${name}`, { timeout: 30_000 }, async () => {
    const child = start(isFull ? openSync("/dev/full", "w") : "pipe");
    let out = "";
    child.stdout!.setEncoding("utf8").on("data", (chunk: string) => {
      out += chunk;
    });
    await once(child.stdout!, "data");
    child.stderr?.destroy();
    child.stdin!.end("go\n");
    const [code] = await once(child, "close");
    assert.deepEqual([code, out], [0, "ready\nalive\n"]);
  });
}

test("an error is logged with what it says and where it came from", () => {
  const lines: string[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(chunk.toString());
      done();
    },
  });
  createLog({ level: "info", format: "json", stream }).error({ error: new Error("out of paper") }, "Cannot print");
  assert.match((JSON.parse(lines[0]!) as { error: string }).error, /^Error: out of paper\n +at /);
});
