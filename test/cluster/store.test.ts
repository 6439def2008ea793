/** The embedded store: versions, generations, history, crash and reopening. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import test from "node:test";
import { createManualClock } from "#base/clock.ts";
import { KEPT_GENERATIONS, openStore, STORE_FILE } from "#cluster/store.ts";

type Harness = { after(callback: () => void): void };
const clock = createManualClock();
function newFolder(t: Harness): string {
  const folder = mkdtempSync(join(tmpdir(), "rhumb-store-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, "run");
}
function open(t: Harness, folder: string) {
  const store = openStore({ folder, clock });
  let isOpen = true;
  const close = () => {
    if (isOpen) store.close();
    isOpen = false;
  };
  t.after(close);
  return { ...store, close };
}

test("openStore() makes its folder and file for this user alone", (t) => {
  const folder = newFolder(t);
  const store = open(t, folder);
  store.put("a", 1);
  assert.equal(statSync(folder).mode & 0o777, 0o700);
  for (const name of [STORE_FILE, `${STORE_FILE}-wal`])
    assert.equal(statSync(join(folder, name)).mode & 0o777, 0o600, name);
});

test("put() counts versions and refuses to write over what somebody else wrote", (t) => {
  const store = open(t, ":memory:");
  assert.equal(store.put("k", { a: [1] }, 0), 1);
  assert.equal(store.put("k", 2, 0), undefined);
  assert.equal(store.put("k", 2, 1), 2);
  assert.deepEqual(store.get("k"), { value: 2, version: 2, changedAtMs: clock.nowMs() });
  store.remove("k");
  assert.equal(store.get("k"), undefined);
});

test("keys() lists by prefix, without wildcards", (t) => {
  const store = open(t, ":memory:");
  for (const key of ["a.1", "a.2", "ab", "a%"]) store.put(key, 0);
  assert.deepEqual(store.keys("a."), ["a.1", "a.2"]);
  assert.deepEqual(store.keys("a%"), ["a%"]);
});

test("nextGeneration() only ever rises, over restarts and new epochs", (t) => {
  const folder = newFolder(t);
  const seen: number[] = [];
  for (let round = 0; round < 3; round++) {
    const store = open(t, folder);
    for (let count = 0; count < 3; count++) {
      const { epoch, sequence } = store.nextGeneration();
      seen.push(epoch * 1e6 + sequence);
    }
    if (round === 1) store.beginEpoch();
    store.close();
  }
  assert.deepEqual(
    seen,
    [...new Set(seen)].sort((a, b) => a - b),
  );
  assert.deepEqual(open(t, folder).lastGeneration(), { epoch: 2, sequence: 3 });
});

test("generations() keeps the newest, newest first", (t) => {
  const store = open(t, ":memory:");
  for (let sequence = 1; sequence <= KEPT_GENERATIONS + 5; sequence++)
    store.recordGeneration({
      generation: { epoch: 1, sequence },
      atMs: sequence,
      source: "file",
      digest: "d",
      changes: ["x"],
    });
  const all = store.generations(10_000);
  assert.equal(all.length, KEPT_GENERATIONS);
  assert.equal(all[0]?.generation.sequence, KEPT_GENERATIONS + 5);
  assert.deepEqual(all[0]?.changes, ["x"]);
});

test("audit() pages from newest to oldest", (t) => {
  const store = open(t, ":memory:");
  for (const subject of ["a", "b", "c"])
    store.appendAudit({ actor: "kim", action: "override", subject, detail: { n: 1 } });
  const [newest, second] = store.audit(2);
  assert.deepEqual([newest?.subject, second?.subject, newest?.detail], ["c", "b", { n: 1 }]);
  assert.deepEqual(
    store.audit(10, second!.id).map(({ subject }) => subject),
    ["a"],
  );
});

test("putLatency() merges rows or replaces the table", (t) => {
  const store = open(t, ":memory:");
  const row = (network: string, rttMicros: number) => ({ network, region: "eu-west", rttMicros, atMs: 1 });
  store.putLatency([row("192.0.2.0/24", 10), row("198.51.100.0/24", 20)]);
  store.putLatency([row("192.0.2.0/24", 30.4)]);
  assert.deepEqual(
    store.latency().map(({ rttMicros }) => rttMicros),
    [30, 20],
  );
  store.putLatency([row("203.0.113.0/24", 5)], { replace: true });
  assert.equal(store.latency().length, 1);
});

test("openStore() refuses a damaged file, one of a later release, and a folder that is a file", (t) => {
  const folder = newFolder(t);
  const store = open(t, folder);
  for (let count = 0; count < 500; count++) store.put(`key.${count}`, "x".repeat(200));
  store.close();
  const file = join(folder, STORE_FILE);
  truncateSync(file, Math.floor(statSync(file).size / 2));
  assert.throws(() => openStore({ folder, clock }), { code: "RHUMB_CLUSTER_STORE_UNUSABLE" });

  const later = newFolder(t);
  open(t, later).close();
  const database = new DatabaseSync(join(later, STORE_FILE));
  database.exec("PRAGMA user_version = 99");
  database.close();
  assert.throws(() => openStore({ folder: later, clock }), { code: "RHUMB_CLUSTER_STORE_NEWER" });

  const blocked = newFolder(t);
  writeFileSync(blocked, "");
  assert.throws(() => openStore({ folder: blocked, clock }), { code: "RHUMB_CLUSTER_STORE_UNUSABLE" });
});

test("a store whose process was killed has all that its calls returned for", async (t) => {
  const folder = newFolder(t);
  const script = `
    import { openStore } from "#cluster/store.ts";
    import { systemClock } from "#base/clock.ts";
    const store = openStore({ folder: process.argv[1], clock: systemClock });
    for (;;) {
      const { sequence } = store.nextGeneration();
      store.put("last", sequence);
      process.stdout.write(sequence + "\\n");
      await new Promise((resolve) => setImmediate(resolve));
    }`;
  const root = join(import.meta.dirname, "../..");
  const child = spawn(process.execPath, ["--input-type=module-typescript", "-e", script, folder], {
    cwd: root,
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  for await (const chunk of child.stdout) {
    output += chunk;
    if (output.split("\n").length > 30) child.kill("SIGKILL");
  }
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  const told = Number(output.trimEnd().split("\n").at(-1));
  assert.ok(existsSync(join(folder, `${STORE_FILE}-wal`)), "it was killed in the middle");
  const store = open(t, folder);
  assert.ok(store.lastGeneration()!.sequence >= told);
  assert.ok(Number(store.get("last")!.value) >= told);
  assert.ok(store.nextGeneration().sequence > told);
});
