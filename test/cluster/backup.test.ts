/** Backup while the node runs, restore into an empty place, and refusal of what is damaged. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { createManualClock } from "#base/clock.ts";
import { readManifest, restoreBackup, writeBackup } from "#cluster/backup.ts";
import { openStore } from "#cluster/store.ts";

const clock = createManualClock();

async function makeBackup(t: { after(callback: () => void): void }) {
  const folder = mkdtempSync(join(tmpdir(), "rhumb-backup-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const stateFolder = join(folder, "run");
  const store = openStore({ folder: stateFolder, clock });
  t.after(() => store.close());
  store.put("config.overlay", { services: {} });
  store.nextGeneration();
  writeFileSync(join(stateFolder, "health.json"), "{}");
  writeFileSync(join(stateFolder, "token"), "secret");
  mkdirSync(join(folder, "zones"));
  writeFileSync(join(folder, "rhumb.yaml"), "version: 1\n");
  writeFileSync(join(folder, "zones/a.zone"), "zone\n");
  writeFileSync(join(folder, "zones/key"), "secret");
  const target = join(folder, "backup");
  const options = {
    node: "ns1",
    store,
    stateFolder,
    stateFiles: ["health.json", "not-there.json", "token"],
    secretFiles: [join(stateFolder, "token"), join(folder, "zones/key")],
    configFiles: [
      join(folder, "rhumb.yaml"),
      join(folder, "zones/a.zone"),
      "/etc/hostname",
      join(folder, "missing.yaml"),
      join(folder, "zones/key"),
    ],
    configFolder: folder,
    target,
    clock,
  };
  const manifest = await writeBackup(options);
  return { folder, target, manifest, options, store };
}

test("writeBackup() has the store, the state and the configuration, and no secrets", async (t) => {
  const { manifest, target, options } = await makeBackup(t);
  assert.deepEqual(
    manifest.files.map(({ path }) => path),
    ["store.db", "state/health.json", "config/rhumb.yaml", "config/zones/a.zone"],
  );
  assert.deepEqual(readManifest(target), manifest);
  assert.ok(!existsSync(`${target}.partial`));
  await assert.rejects(writeBackup(options), { code: "RHUMB_CLUSTER_BACKUP_EXISTS" });
});

test("restoreBackup() brings everything back, under a new epoch", async (t) => {
  const { folder, target, store } = await makeBackup(t);
  const stateFolder = join(folder, "new/run");
  const configFolder = join(folder, "new");
  const restored = restoreBackup({ source: target, stateFolder, configFolder, isForced: false, clock });
  assert.equal(restored.epoch, 2);
  assert.equal(readFileSync(join(configFolder, "zones/a.zone"), "utf8"), "zone\n");
  assert.equal(readFileSync(join(stateFolder, "health.json"), "utf8"), "{}");
  const again = openStore({ folder: stateFolder, clock });
  assert.deepEqual(again.get("config.overlay")?.value, { services: {} });
  assert.deepEqual(again.nextGeneration(), { epoch: 2, sequence: 1 });
  again.close();
  store.put("later", 1);
});

test("restoreBackup() writes over nothing unless forced", async (t) => {
  const { folder, target } = await makeBackup(t);
  const stateFolder = join(folder, "new");
  const options = { source: target, stateFolder, configFolder: undefined, isForced: false, clock };
  restoreBackup(options);
  assert.throws(() => restoreBackup(options), { code: "RHUMB_CLUSTER_RESTORE_OCCUPIED" });
  assert.equal(restoreBackup({ ...options, isForced: true }).epoch, 2);
});

for (const { name, damage } of [
  { name: "a changed file", damage: (target: string) => writeFileSync(join(target, "config/rhumb.yaml"), "other") },
  { name: "a missing file", damage: (target: string) => rmSync(join(target, "store.db")) },
  { name: "no manifest", damage: (target: string) => rmSync(join(target, "manifest.json")) },
  {
    name: "a path that leads out",
    damage: (target: string) => {
      const manifest = JSON.parse(readFileSync(join(target, "manifest.json"), "utf8"));
      manifest.files[0].path = "../rhumb.yaml";
      writeFileSync(join(target, "manifest.json"), JSON.stringify(manifest));
    },
  },
]) {
  test(`restoreBackup() does nothing with a backup with ${name}`, async (t) => {
    const { folder, target } = await makeBackup(t);
    damage(target);
    const stateFolder = join(folder, "new");
    const options = { source: target, stateFolder, configFolder: undefined, isForced: false, clock };
    assert.throws(() => restoreBackup(options), { code: "RHUMB_CLUSTER_BACKUP_DAMAGED" });
    assert.ok(!existsSync(stateFolder));
  });
}
