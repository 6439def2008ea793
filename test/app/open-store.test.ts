/** A store that cannot be used must not keep DNS from starting. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import test, { type TestContext } from "node:test";
import { openStoreOrMemory } from "#app/open-store.ts";
import { createManualClock } from "#base/clock.ts";
import { STORE_FILE } from "#cluster/store.ts";

function folderFor(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "rhumb-store-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

test("openStoreOrMemory() opens the store of the folder", (context) => {
  const folder = folderFor(context);
  const { store, fault } = openStoreOrMemory(folder, createManualClock());
  assert.equal(fault, undefined);
  store.put("key", 1);
  store.close();
  const again = openStoreOrMemory(folder, createManualClock()).store;
  assert.equal(again.get("key")?.value, 1);
  again.close();
});

for (const { name, spoil } of [
  {
    name: "a damaged file",
    spoil: (folder: string) => writeFileSync(join(folder, STORE_FILE), "not a database".repeat(99)),
  },
  { name: "a file where the folder should be", spoil: (folder: string) => writeFileSync(join(folder, "state"), "") },
]) {
  test(`openStoreOrMemory() keeps going in memory with ${name}, and says why`, (context) => {
    const folder = folderFor(context);
    spoil(folder);
    const place = name.startsWith("a damaged") ? folder : join(folder, "state");
    const { store, fault } = openStoreOrMemory(place, createManualClock());
    assert.equal(fault?.code, "RHUMB_CLUSTER_STORE_UNUSABLE");
    assert.ok(store.nextGeneration().sequence > 0);
    store.close();
  });
}

test("openStoreOrMemory() refuses a store of a newer release", (context) => {
  const folder = folderFor(context);
  const database = new DatabaseSync(join(folder, STORE_FILE));
  database.exec("PRAGMA user_version = 999");
  database.close();
  assert.throws(() => openStoreOrMemory(folder, createManualClock()), { code: "RHUMB_CLUSTER_STORE_NEWER" });
});
