/**
 * Three nodes that push, refuse, conflict, roll back and crash, under every schedule that fast-check comes upon: records
 * delayed, doubled, out of order and lost, stores kept, lost or put back from a backup. The records, the judgement, the door
 * and the answer floor are the real ones; only compiling is replaced by one small zone.
 *
 * Held at every step: no node goes back to what is older, and no answer vanishes but by a push that broke the glass. Held in
 * the end, when all records have arrived and conflicts are resolved: all nodes desire and serve the same.
 */
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { createManualClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import type { TransportHost } from "#cluster/transport.ts";
import type { Compiled } from "#config/compile.ts";
import { createDesired } from "#config/create-desired.ts";
import { type Desired, readDesired, versionText } from "#config/desired.ts";
import type { ConfigFiles } from "#config/files.ts";
import { createConfigDoor, type DoorStore } from "#config/propose.ts";
import { lowerName, parseName } from "#dns/wire/name.ts";
import { readZone } from "#dns/zone/read-zone.ts";
import { compareVersions } from "#state/shared.ts";
import type { Snapshot } from "#state/snapshot.ts";
import { createMemoryStore, NODES, startNode as startCluster } from "../cluster/bed.ts";
import { compileFrom, copyGood } from "./load-good.ts";

type Name = (typeof NODES)[number];
const ZONE = "zones/t.zone";
const APEX = lowerName(parseName("t.") as Uint8Array);
const LABELS = ["a", "b", "c", "d", "e", "f"] as const;
const BASE = ["a", "b"];
const textOf = (labels: readonly string[]): string =>
  [
    "$TTL 60",
    "@ SOA n h 1 1 1 1 1",
    "@ NS n",
    "n A 192.0.2.1",
    ...labels.map((label) => `${label} A 192.0.2.2`),
    "",
  ].join("\n");
const labelsOf = (text: string | undefined): string[] =>
  text === undefined ? BASE : [...text.matchAll(/^([a-f]) A /gm)].map((match) => match[1]!);

const node = fc.constantFrom(...NODES);
const label = fc.constantFrom(...LABELS);
const action = fc.oneof(
  { weight: 6, arbitrary: fc.record({ does: fc.constant("add" as const), node, label, isHurried: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ does: fc.constant("remove" as const), node, label, breaksGlass: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant("rollback" as const), node }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant("resolve" as const), node, takesOwn: fc.boolean() }) },
  {
    weight: 14,
    arbitrary: fc.record({
      does: fc.constant("deliver" as const),
      at: fc.nat(),
      isDoubled: fc.boolean(),
      isHurried: fc.boolean(),
    }),
  },
  { weight: 4, arbitrary: fc.record({ does: fc.constant("lose" as const), at: fc.nat() }) },
  { weight: 3, arbitrary: fc.record({ does: fc.constant("sync" as const), node }) },
  {
    weight: 2,
    arbitrary: fc.record({
      does: fc.constant("restart" as const),
      node,
      store: fc.constantFrom("kept", "lost", "older"),
    }),
  },
  { weight: 2, arbitrary: fc.record({ does: fc.constant("break" as const), node }) },
);
type Action = typeof action extends fc.Arbitrary<infer One> ? One : never;

let template: Compiled;
test.before((t) => {
  const compiled = compileFrom(copyGood(t as never));
  assert.ok("snapshot" in compiled);
  template = compiled;
});

type Store = ReturnType<typeof createMemoryStore>;
function copyOf(store: Store): Store {
  const copy = createMemoryStore();
  for (const key of store.keys("")) copy.put(key, store.get(key)!.value);
  return copy;
}

/** All that was ever pushed, by version. */
type Chronicle = Map<string, Desired>;

async function startNode(name: Name, store: Store, send: (from: Name, copy: string) => void, chronicle: Chronicle) {
  const clock = createManualClock(1_800_000_000_000);
  let host: TransportHost | undefined;
  const cluster = startCluster(name, {
    clock,
    store,
    connect: (_snapshot, _node, given) => {
      host = given;
      return {
        changed: ({ record, text }) => record.kind === "config" && send(name, `0 ${text}`),
        signal() {},
        isConnected: () => true,
        says: () => "",
        octets: () => ({ sent: 0, received: 0 }),
        close() {},
      };
    },
  });
  let sequence = 0;
  const generations = {
    nextGeneration: () => ({ epoch: 1, sequence: ++sequence }),
    recordGeneration() {},
    generations: () => [],
  };
  const doorStore: DoorStore = { ...store, ...generations };
  const images = new Map<string, Snapshot["dns"] & {}>();
  /** What engines have, in the order in which they got it. */
  const served: (Desired | undefined)[] = [];
  let isBroken = false;
  let labels: readonly string[] = [];
  const acceptedHere = (): Desired[] => desired.view().log.map((entry) => entry.desired);
  const door = createConfigDoor({
    load: (pushed) => {
      const text = pushed?.files[ZONE] ?? textOf(BASE);
      return { root: { file: "rhumb.yaml", text }, digest: text, shadows: [] } as unknown as ConfigFiles;
    },
    compile: (files) => {
      const { text } = files.root;
      const image = readZone(text, APEX, 1, { file: ZONE, include: () => undefined }).image!;
      const dns = images.get(text) ?? { ...template.snapshot.dns!, zones: [image] };
      images.set(text, dns);
      return {
        ...template,
        warnings: [],
        commitTargets() {},
        snapshot: { ...template.snapshot, dns, services: [], regions: [] },
      };
    },
    apply: async (next, previous) => {
      if (isBroken && next.dns !== previous?.dns) throw new Error("a worker did not acknowledge");
    },
    onApplied: ({ pushed, files }) => {
      const desired = pushed && chronicle.get(versionText(pushed.version));
      assert.ok(!pushed || desired, "what serves was pushed by somebody");
      checkStep(name, served.at(-1), labels, desired, labelsOf(files.root.text), chronicle, acceptedHere());
      served.push(desired);
      labels = labelsOf(files.root.text);
    },
    store: doorStore,
    log: silentLog,
    emit() {},
    clock,
  });
  const note = (): void => {
    for (const record of cluster.records("config")) {
      const desired = readDesired(record)!;
      if (record.key === "desired") chronicle.set(versionText(desired.version), desired);
    }
  };
  cluster.onRecord("config", note);
  note();
  const desired = createDesired({ door, shared: cluster, store, log: silentLog, emit() {}, clock });
  await door.propose({ source: "start" });
  await desired.start();
  return {
    name,
    store,
    desired,
    cluster,
    host: host!,
    /** What serves; the door takes a version that says the same as the one before without a word to anybody. */
    served() {
      const { version } = door.current()?.pushed ?? {};
      const now = version && chronicle.get(versionText(version));
      if (now !== served.at(-1)) {
        checkStep(name, served.at(-1), labels, now, labels, chronicle, acceptedHere());
        served.push(now);
      }
      return now;
    },
    labels: () => labels,
    break: () => (isBroken = !isBroken),
    mend: () => (isBroken = false),
  };
}
type Node = Awaited<ReturnType<typeof startNode>>;

/** The versions from which `desired` was made, itself included. */
function lineOf(desired: Desired | undefined, chronicle: Chronicle): Set<string> {
  const line = new Set<string>();
  const visit = (version: string): void => {
    if (line.has(version)) return;
    line.add(version);
    for (const ancestor of chronicle.get(version)?.ancestors ?? []) visit(versionText(ancestor));
  };
  if (desired) visit(versionText(desired.version));
  return line;
}

function checkStep(
  name: Name,
  from: Desired | undefined,
  before: readonly string[],
  to: Desired | undefined,
  after: readonly string[],
  chronicle: Chronicle,
  accepted: readonly Desired[],
): void {
  const line = lineOf(to, chronicle);
  const says = `${name}: ${from ? versionText(from.version) : "files"} to ${to ? versionText(to.version) : "files"}`;
  if (from) {
    assert.ok(to && compareVersions(to.version, from.version) >= 0, `${says} goes back`);
    // Two who said the same at once are one: what builds on the later of them builds on the other as well.
    const isBuilt = [...line].some((version) => {
      const one = chronicle.get(version)!;
      return [from, ...accepted].some(
        (other) =>
          other.files[ZONE] === one.files[ZONE] &&
          compareVersions(other.version, one.version) <= 0 &&
          lineOf(other, chronicle).has(versionText(from.version)),
      );
    });
    assert.ok(isBuilt || line.has(versionText(from.version)), `${says} does not build on it`);
  }
  const old = lineOf(from, chronicle);
  const fresh = [...line].filter((version) => !old.has(version)).map((version) => chronicle.get(version)!);
  const gone = before.filter((one) => !after.includes(one));
  const isAllowed = fresh.some((version) => version.breakGlass !== null);
  assert.ok(gone.length === 0 || isAllowed, `${says}: ${gone.join(" ")} vanished and nobody broke the glass`);
}

async function play(actions: readonly Action[]): Promise<void> {
  const chronicle: Chronicle = new Map();
  const mail: { from: Name; to: Name; copy: string }[] = [];
  const send = (from: Name, copy: string): void => {
    for (const to of NODES) if (to !== from) mail.push({ from, to, copy });
  };
  const nodes = new Map<Name, Node>();
  const backups = new Map<Name, Store>();
  /** A node whose store is not its last one may make a version twice: it pushes nothing until it has heard from all. */
  const unsure = new Set<Name>();
  for (const name of NODES) nodes.set(name, await startNode(name, createMemoryStore(), send, chronicle));
  const idle = () => Promise.all([...nodes.values()].map(({ desired }) => desired.idle()));
  const give = (from: Node, to: Node): void => {
    for (const { text } of from.host.table.entries("config")) to.host.take(`0 ${text}`);
  };
  const by = { actor: "kim", reason: "" };
  const refused = (error: unknown): void => assert.match(String((error as { code?: string }).code), /^RHUMB_CONFIG_/);

  for (const act of actions) {
    const one = "node" in act ? nodes.get(act.node)! : undefined;
    const isSure = one !== undefined && !unsure.has(one.name);
    if (act.does === "add" && isSure) {
      const labels = new Set([...labelsOf(one!.desired.view().accepted?.files[ZONE]), act.label]);
      const files = { [ZONE]: textOf([...labels].sort()) };
      const pushed = one!.desired.push({ ...by, files, breakGlass: null, isDryRun: false }).catch(refused);
      if (!act.isHurried) await pushed;
    } else if (act.does === "remove" && isSure) {
      const labels = labelsOf(one!.desired.view().accepted?.files[ZONE]).filter((other) => other !== act.label);
      const files = { [ZONE]: textOf(labels) };
      const breakGlass = act.breaksGlass ? `${act.label} goes` : null;
      await one!.desired.push({ ...by, files, breakGlass, isDryRun: false }).catch(refused);
    } else if (act.does === "rollback" && isSure) {
      await one!.desired.rollback(undefined, { ...by, breakGlass: null }).catch(refused);
    } else if (act.does === "resolve" && isSure) {
      const { accepted, forks } = one!.desired.view();
      const take = act.takesOwn ? accepted : forks[0];
      if (take) await one!.desired.resolve(versionText(take.version), by).catch(refused);
    } else if (act.does === "deliver" && mail.length > 0) {
      const at = act.at % mail.length;
      const { to, copy } = mail[at]!;
      if (!act.isDoubled) mail.splice(at, 1);
      nodes.get(to)!.host.take(copy);
    } else if (act.does === "lose" && mail.length > 0) {
      mail.splice(act.at % mail.length, 1);
    } else if (act.does === "sync") {
      for (const other of nodes.values()) if (other !== one) give(other, one!);
      unsure.delete(one!.name);
    } else if (act.does === "break") {
      one!.break();
    } else if (act.does === "restart") {
      const { name, store, cluster } = one!;
      cluster.close();
      // What the old process was in the middle of it may go on with, but on its own.
      const [now, older] = [copyOf(store), backups.get(name)];
      const next = act.store === "kept" ? now : act.store === "lost" || !older ? createMemoryStore() : copyOf(older);
      if (act.store !== "kept") {
        unsure.add(name);
        // What nobody has heard yet is lost with the store: or else the next process might make its version once more.
        for (let at = mail.length - 1; at >= 0; at--) if (mail[at]!.from === name) mail.splice(at, 1);
      }
      backups.set(name, copyOf(store));
      nodes.set(name, await startNode(name, next, send, chronicle));
    }
    if ("isHurried" in act && act.isHurried) continue;
    await idle();
    for (const each of nodes.values()) each.served();
  }
  await idle();

  for (const one of nodes.values()) {
    one.mend();
    one.desired.applied();
  }
  const gossip = async (): Promise<void> => {
    for (let round = 0; round < 3; round++) {
      for (const from of nodes.values()) for (const to of nodes.values()) if (from !== to) give(from, to);
      await idle();
    }
  };
  await gossip();
  // Each node resolves what it knows of; where three sides were apart, another one may know of more.
  const torn = () => [...nodes.values()].find(({ desired }) => desired.view().forks.length > 0);
  for (let [left, one] = [NODES.length, torn()]; one && left > 0; one = torn(), left--) {
    await one.desired.resolve(versionText(one.desired.view().accepted!.version), by);
    await gossip();
  }
  const [first, ...others] = [...nodes.values()].map(({ desired, served, labels }) => {
    const { accepted, forks, refusal } = desired.view();
    assert.deepEqual([forks.length, refusal], [0, ""]);
    const version = accepted && versionText(accepted.version);
    assert.equal(served() && versionText(served()!.version), version);
    return { version, labels: labels() };
  });
  for (const other of others) assert.deepEqual(other, first);
  for (const { cluster } of nodes.values()) cluster.close();
}

test("no schedule yields an answer that is older, or empty, and all nodes agree in the end", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(action, { maxLength: 60 }), (actions) => play(actions as Action[])),
    { numRuns: Number(process.env["RHUMB_MODEL_RUNS"] ?? 60), seed: 11 },
  );
});
