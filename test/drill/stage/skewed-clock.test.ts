import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import test from "node:test";
import { clockEnvironment, setClock } from "#drill/stage/skewed-clock.ts";
import { folderWith, without } from "../../system/tools.ts";

const skip = without("faketime");
/** Says both of its clocks whenever it is asked. */
const CLOCKS = `process.stdin.on("data", () => console.log(Date.now(), performance.now()))`;

test("a process's clock is moved while it runs, its intervals stay true, and others keep theirs", {
  skip,
}, async (t) => {
  const folder = folderWith(t, {});
  const env = { ...process.env, NODE_OPTIONS: "", ...clockEnvironment(folder) };
  const child = spawn(process.execPath, ["-e", CLOCKS], { env, stdio: ["pipe", "pipe", "inherit"] });
  t.after(() => child.kill("SIGKILL"));
  const lines = createInterface({ input: child.stdout });
  const ask = async (): Promise<{ offMs: number; intervalMs: number }> => {
    child.stdin.write("\n");
    const [line] = (await once(lines, "line")) as [string];
    const [dateMs, monotonicMs] = line.split(" ").map(Number) as [number, number];
    return { offMs: dateMs - Date.now(), intervalMs: monotonicMs };
  };
  const nearly = (actual: number, expected: number): void =>
    assert.ok(Math.abs(actual - expected) < 30_000, `${actual} ms, not ${expected} ms`);
  const before = await ask();
  nearly(before.offMs, 0);
  for (const offsetMs of [90_000_000, -3_600_000, 0]) {
    setClock(folder, offsetMs);
    nearly((await ask()).offMs, offsetMs);
  }
  nearly((await ask()).intervalMs, before.intervalMs);
});
