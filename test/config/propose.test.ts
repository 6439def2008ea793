/** The door: order, generations, refusal, rollback, the overlay, and what people are told. */
import assert from "node:assert/strict";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { createManualClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { formatProblem } from "#base/problem.ts";
import { openStore, type Store } from "#cluster/store.ts";
import { compile } from "#config/compile.ts";
import { exportConfig } from "#config/export.ts";
import type { ConfigFiles } from "#config/files.ts";
import { createConfigDoor, OVERLAY_KEY } from "#config/propose.ts";
import type { RhumbEvent } from "#state/events.ts";
import type { Snapshot } from "#state/snapshot.ts";
import { copyGood, loadFrom, NOW_MS, testContext } from "./load-good.ts";

type Harness = { after(callback: () => void): void };
function openDoor(
  t: Harness,
  options: {
    store?: Store;
    folder?: string;
    apply?: (snapshot: Snapshot) => Promise<void>;
    complete?: (files: ConfigFiles) => ConfigFiles;
  } = {},
) {
  const clock = createManualClock(NOW_MS);
  const folder = options.folder ?? copyGood(t);
  const store = options.store ?? openStore({ folder: ":memory:", clock });
  const context = testContext();
  const applied: Snapshot[] = [];
  const events: RhumbEvent[] = [];
  const door = createConfigDoor({
    load: () => (options.complete ?? ((files) => files))(loadFrom(folder)),
    compile: (files, overlay, previous) =>
      compile(files, { ...context, overlay, previous, generation: { epoch: 0, sequence: 0 }, nowMs: clock.nowMs() }),
    apply: async (snapshot) => {
      applied.push(snapshot);
      await options.apply?.(snapshot);
    },
    store,
    log: silentLog,
    emit: (event) => events.push(event),
    clock,
  });
  const edit = (file: string, from: string, to: string): void => {
    const path = join(folder, file);
    const text = readFileSync(path, "utf8");
    assert.ok(text.includes(from), `${file} has no ${from}`);
    writeFileSync(path, text.replace(from, to));
  };
  const kinds = () => events.map((event) => `${event.kind} ${event.severity}`);
  return { door, store, folder, applied, events, kinds, edit };
}
const sequences = (applied: readonly Snapshot[]) => applied.map(({ generation }) => generation.sequence);

test("propose() applies a good configuration, and says what differs", async (t) => {
  const { door, applied, edit, kinds } = openDoor(t);
  assert.equal((await door.propose({ source: "start" })).isApplied, true);
  edit("zones/services.yaml", "steer: geo", "steer: latency");
  edit("zones/example.com.zone", "hostmaster 1 ", "hostmaster 2 ");
  edit("geo-data/regions.yaml", "capacity: 1000rps", "capacity: 2000rps");
  const result = await door.propose({ source: "file" });
  assert.deepEqual(result.changes, [
    "region us-east changed: capacityRps",
    "service www changed: chain",
    "zone example.com changed: serial 1 to 2, 8 to 8 records",
  ]);
  assert.deepEqual(sequences(applied), [1, 2]);
  assert.equal(door.current()?.snapshot, applied[1]);
  assert.deepEqual(kinds(), ["config.applied info", "config.applied info"]);
  assert.deepEqual(
    door.history().map(({ generation, source }) => [generation.sequence, source]),
    [
      [2, "file"],
      [1, "start"],
    ],
  );
});

test("propose() never lets a bad configuration displace a good one, and tells all that is wrong", async (t) => {
  const { door, applied, edit, events, kinds } = openDoor(t);
  await door.propose({ source: "start" });
  edit("zones/services.yaml", "steer: geo", "steer: geoo");
  edit("rhumb.yaml", "workers: 2", "workers: 0");
  const result = await door.propose({ source: "sighup" });
  assert.equal(result.isApplied, false);
  assert.deepEqual(result.generation, { epoch: 1, sequence: 1 });
  assert.equal(result.problems.filter((problem) => problem.severity === "error").length, 2);
  assert.equal(applied.length, 1);
  const refusal = events.at(-1)!;
  assert.match(String(refusal.data?.["problems"]), /dns\.workers: .*\n.*www\.steer: /);
  edit("zones/services.yaml", "steer: geoo", "steer: geo");
  edit("rhumb.yaml", "workers: 0", "workers: 2");
  assert.equal((await door.propose({ source: "file" })).isUnchanged, true);
  assert.deepEqual(kinds(), ["config.applied info", "config.refused alarm", "config.refused resolved"]);
});

test("propose() at the start says why nothing serves", async (t) => {
  const { door, applied, folder } = openDoor(t);
  rmSync(join(folder, "rhumb.yaml"));
  const result = await door.propose({ source: "start" });
  assert.equal(result.isApplied, false);
  assert.equal(result.generation, undefined);
  assert.match(formatProblem(result.problems[0]!), /Cannot read .*ENOENT/);
  assert.equal(applied.length, 0);
});

test("propose() does nothing for files that did not change, but SIGHUP applies them again", async (t) => {
  const { door, applied } = openDoor(t);
  await door.propose({ source: "start" });
  assert.equal((await door.propose({ source: "file" })).isUnchanged, true);
  assert.equal((await door.propose({ source: "sighup" })).isApplied, true);
  assert.deepEqual(sequences(applied), [1, 2]);
});

test("propose() of names applies other addresses of a backend, and nothing for the same", async (t) => {
  let addresses = ["10.0.0.7"];
  const { door, applied, edit } = openDoor(t, {
    complete: (files) => ({
      ...files,
      names: new Map([["web.internal", addresses.map((address) => ({ address }))]]),
      digest: `${files.digest} ${addresses}`,
    }),
  });
  edit("rhumb.yaml", '"10.0.0.1:80", {', '"web.internal:80", {');
  await door.propose({ source: "start" });
  assert.equal((await door.propose({ source: "names" })).isUnchanged, true);
  addresses = ["10.0.0.7", "10.0.0.8"];
  const result = await door.propose({ source: "names" });
  assert.deepEqual(result.changes, ["pool web: backend 10.0.0.8:80 added"]);
  assert.deepEqual(door.current()?.names, ["web.internal"]);
  assert.deepEqual(sequences(applied), [1, 2]);
});

test("propose() goes back to what served when the engines cannot take the new one", async (t) => {
  const { door, applied, edit } = openDoor(t, {
    apply: async (snapshot) => {
      if (snapshot.regions[0]?.capacityRps === 13) throw new Error("worker 2 did not acknowledge");
    },
  });
  await door.propose({ source: "start" });
  edit("geo-data/regions.yaml", "capacity: 1000rps", "capacity: 13rps");
  const result = await door.propose({ source: "file" });
  assert.equal(result.isApplied, false);
  assert.match(result.problems[0]!.says, /worker 2 did not acknowledge/);
  assert.deepEqual(
    applied.map(({ generation, regions }) => [generation.sequence, regions[0]?.capacityRps]),
    [
      [1, 1000],
      [2, 13],
      [3, 1000],
    ],
  );
  assert.deepEqual(result.generation, { epoch: 1, sequence: 3 });
});

test("propose() takes proposals one at a time, in order", async (t) => {
  let running = 0;
  let atOnce = 0;
  const { door, applied } = openDoor(t, {
    apply: async () => {
      atOnce = Math.max(atOnce, ++running);
      await new Promise((resolve) => setImmediate(resolve));
      running--;
    },
  });
  await Promise.all([1, 2, 3].map(() => door.propose({ source: "sighup" })));
  assert.equal(atOnce, 1);
  assert.deepEqual(sequences(applied), [1, 2, 3]);
});

test("propose() with an overlay changes services and regions, keeps it over restarts, and gives it up again", async (t) => {
  const clock = createManualClock(NOW_MS);
  const store = openStore({ folder: ":memory:", clock });
  const { door, folder } = openDoor(t, { store });
  await door.propose({ source: "start" });
  const overlay = { services: { www: { ttl: { max: "60s" } } } };
  const dry = await door.propose({ source: "api", overlay, isDryRun: true });
  assert.deepEqual(
    [dry.isApplied, dry.isDryRun, dry.changes],
    [false, true, ["service www changed: ttlMinSeconds, ttlMaxSeconds"]],
  );
  assert.equal(store.get(OVERLAY_KEY), undefined);
  assert.equal((await door.propose({ source: "api", overlay })).isApplied, true);

  const again = openDoor(t, { store, folder });
  await again.door.propose({ source: "start" });
  const current = again.door.current()!;
  assert.equal(current.snapshot.services[0]?.ttlMaxSeconds, 60);
  assert.deepEqual(current.snapshot.generation, { epoch: 1, sequence: 3 });
  assert.match(exportConfig(current.files, current.overlay), /# origin: api\nwww:\n[\s\S]*max: 60s/);

  await again.door.propose({ source: "api", overlay: {} });
  assert.equal(again.door.current()?.snapshot.services[0]?.ttlMaxSeconds, 20);
  assert.equal(store.get(OVERLAY_KEY), undefined);
});

test("propose() refuses an overlay of another shape, and one that names what is not there", async (t) => {
  const { door, store, applied, kinds } = openDoor(t);
  await door.propose({ source: "start" });
  for (const [overlay, says] of [
    [{ dns: {} }, /Only services, regions and pools can be changed/],
    [{ service: {} }, /Did you mean `services`/],
    [{ services: [] }, /Must be a map of names/],
    [{ services: { www: { regions: ["mars"] } } }, /There is no region "mars"/],
    [{ regions: { "us-east": null } }, /There is no region "us-east"/],
  ] as const) {
    const result = await door.propose({ source: "api", overlay });
    assert.equal(result.isApplied, false);
    assert.match(result.problems.map(formatProblem).join("\n"), says);
  }
  assert.equal(store.get(OVERLAY_KEY), undefined);
  assert.equal(applied.length, 1);
  // Each of them was answered 422: it is the sender's mistake, and nobody is to be woken for it.
  assert.deepEqual(kinds(), ["config.applied info", ...Array(5).fill("config.refused info")]);
});

test("propose() alarms when the engines cannot take an overlay: that is no mistake of its sender", async (t) => {
  const { door, kinds } = openDoor(t, {
    apply: async (snapshot) => {
      if (snapshot.services[0]?.ttlMaxSeconds === 60) throw new Error("no memory");
    },
  });
  await door.propose({ source: "start" });
  await door.propose({ source: "api", overlay: { services: { www: { ttl: { max: "60s" } } } } });
  assert.equal(kinds().at(-1), "config.refused alarm");
});

test("propose() at the start leaves out a stored overlay that does not fit the files any more, and alarms", async (t) => {
  for (const bad of [{ services: { www: { regions: ["mars"] } } }, { nonsense: {} }]) {
    const store = openStore({ folder: ":memory:", clock: createManualClock(NOW_MS) });
    store.put(OVERLAY_KEY, bad);
    const { door, kinds, events } = openDoor(t, { store });
    assert.equal((await door.propose({ source: "start" })).isApplied, true);
    assert.deepEqual(kinds(), ["config.applied info", "config.refused alarm"]);
    assert.match(String(events.at(-1)!.data?.["problems"]), /mars|nonsense/);
    assert.deepEqual(store.get(OVERLAY_KEY)?.value, bad, "it is kept, to be corrected");
    assert.equal((await door.propose({ source: "sighup" })).isApplied, false);
    assert.equal((await door.propose({ source: "api", overlay: {} })).isApplied, true);
    assert.deepEqual(kinds().slice(-2), ["config.refused resolved", "config.applied info"]);
  }
});

test("propose() on a full disk: what serves stays, what was applied is not called refused, and the store is named", async (t) => {
  const store = openStore({ folder: ":memory:", clock: createManualClock(NOW_MS) });
  let isFull: "no" | "all" | "history" = "no";
  const full = (): never => {
    throw new Error("database or disk is full");
  };
  const { door, kinds } = openDoor(t, {
    store: {
      ...store,
      nextGeneration: () => (isFull === "all" ? full() : store.nextGeneration()),
      recordGeneration: (record) => (isFull === "no" ? store.recordGeneration(record) : full()),
    },
  });
  await door.propose({ source: "start" });
  isFull = "all";
  const refused = await door.propose({ source: "sighup" });
  assert.match(refused.problems.map(formatProblem).join(), /Cannot write the store: database or disk is full/);
  isFull = "history";
  assert.equal((await door.propose({ source: "sighup" })).isApplied, true);
  isFull = "no";
  assert.equal((await door.propose({ source: "sighup" })).isApplied, true);
  assert.deepEqual(kinds(), [
    "config.applied info",
    "config.refused alarm",
    "store.fault alarm",
    "config.refused resolved",
    "config.applied info",
    "store.fault resolved",
    "config.applied info",
  ]);
});
