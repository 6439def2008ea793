/**
 * Three nodes under every schedule that fast-check comes upon: messages delayed, doubled, out of order and lost, links cut,
 * nodes that crash with and without their store, Redis emptied or away. When messages flow again all agree, on nothing older
 * than what any of them knew; what was cleared stays cleared; and no node ever goes back.
 */
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { createManualClock, type ManualClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { createSeededRng, type Rng } from "#base/rng.ts";
import type { Connect } from "#cluster/engine.ts";
import { createPeerTransport } from "#cluster/peer-transport.ts";
import { createRedisTransport } from "#cluster/redis-transport.ts";
import { compareVersions, type RecordVersion, type SharedRecord } from "#state/shared.ts";
import { createMemoryStore, NODES, overrideOf, redisAt, startNode, type TestNode } from "./bed.ts";
import { createFakeRedis } from "./fake-redis.ts";

type Name = (typeof NODES)[number];
const TARGETS = ["region/a", "region/b"] as const;
const DAY_MS = 86_400_000;
const STEP_MS = 50;

const node = fc.constantFrom(...NODES);
const action = fc.oneof(
  { weight: 4, arbitrary: fc.record({ does: fc.constant("set" as const), node, target: fc.constantFrom(...TARGETS) }) },
  {
    weight: 2,
    arbitrary: fc.record({ does: fc.constant("clear" as const), node, target: fc.constantFrom(...TARGETS) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ does: fc.constant("brief" as const), node, target: fc.constantFrom(...TARGETS) }),
  },
  { weight: 2, arbitrary: fc.record({ does: fc.constant("configure" as const), node }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant("crash" as const), node, losesStore: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant("start" as const), node }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant("cut" as const), node }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant("heal" as const), node }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant("empty" as const) }) },
  { weight: 6, arbitrary: fc.record({ does: fc.constant("wait" as const), steps: fc.integer({ min: 1, max: 80 }) }) },
);
type Action = typeof action extends fc.Arbitrary<infer One> ? One : never;

type World = {
  readonly clock: ManualClock;
  /** Nodes that are cut off. */
  readonly cut: Set<Name>;
  connect(name: Name): Connect;
  empty(): void;
  /** From now on every message arrives. */
  calm(): void;
  nodeOf(name: Name): TestNode | undefined;
};

/** A message is lost one time in five, and takes up to 3 s. */
function createFate(rng: Rng) {
  let isCalm = false;
  return {
    calm(): void {
      isCalm = true;
    },
    isLost: () => !isCalm && rng() < 0.2,
    delayMs: () => (isCalm ? 5 : rng() < 0.8 ? rng() * 100 : rng() * 3_000),
    isDoubled: () => !isCalm && rng() < 0.2,
  };
}

function createPeerWorld(seed: number, nodes: Map<Name, TestNode>): World {
  const clock = createManualClock();
  const rng = createSeededRng(seed);
  const fate = createFate(rng);
  const cut = new Set<Name>();
  const pause = (ms: number) => new Promise<void>((resolve) => void clock.after(ms, resolve));
  async function post(from: Name, to: Name, body: string): Promise<string> {
    const pass = async (): Promise<void> => {
      if (fate.isLost() || cut.has(from) || cut.has(to)) {
        await pause(3_000);
        throw new Error("no answer within 3 s");
      }
      await pause(fate.delayMs());
    };
    await pass();
    const answer = () => {
      const other = nodes.get(to);
      if (!other) throw new Error("refused: nothing listens there");
      return JSON.stringify(other.door.exchange(JSON.parse(body)));
    };
    if (fate.isDoubled()) clock.after(fate.delayMs(), () => void (nodes.has(to) && answer()));
    const text = answer();
    await pass();
    return text;
  }
  return {
    clock,
    cut,
    connect: (name) => (_snapshot, _node, host) =>
      createPeerTransport({
        peers: NODES.filter((other) => other !== name).map((other) => ({
          name: other,
          url: "",
          token: "",
          caFile: undefined,
        })),
        host,
        clock,
        rng,
        postTo: (peer) => (_path, body) => post(name, peer.name as Name, body),
      }),
    empty() {},
    calm: fate.calm,
    nodeOf: (name) => nodes.get(name),
  };
}

function createRedisWorld(seed: number, nodes: Map<Name, TestNode>): World {
  const clock = createManualClock();
  const rng = createSeededRng(seed);
  const fate = createFate(rng);
  const cut = new Set<Name>();
  const server = createFakeRedis(clock);
  return {
    clock,
    cut,
    connect: (name) => (_snapshot, node, host) =>
      createRedisTransport({
        spec: redisAt(0),
        node,
        host,
        clock,
        rng,
        log: silentLog,
        connections: server.connect({
          isLost: () => cut.has(name) || fate.isLost(),
          delayMs: fate.delayMs,
          isDoubled: fate.isDoubled,
        }),
      }),
    empty: server.empty,
    calm: fate.calm,
    nodeOf: (name) => nodes.get(name),
  };
}

/** Runs a schedule. @returns what all agree on in the end, by key */
async function run(actions: readonly Action[], createWorld: typeof createPeerWorld, seed: number): Promise<void> {
  const nodes = new Map<Name, TestNode>();
  const world = createWorld(seed, nodes);
  const stores = new Map(NODES.map((name) => [name, createMemoryStore()]));
  let count = 0;

  const idOf = ({ kind, key }: SharedRecord) => `${kind} ${key}`;
  function start(name: Name): void {
    if (nodes.has(name)) return;
    const started = startNode(name, { clock: world.clock, store: stores.get(name)!, connect: world.connect(name) });
    const last = new Map<string, RecordVersion>();
    for (const kind of ["override", "config"] as const) {
      for (const record of started.records(kind)) last.set(idOf(record), record.version);
      started.onRecord(kind, (key, record) => {
        const before = last.get(`${kind} ${key}`);
        if (record && before) assert.ok(compareVersions(record.version, before) >= 0, `${name} went back at ${key}`);
        if (record) last.set(`${kind} ${key}`, record.version);
      });
    }
    nodes.set(name, started);
  }
  function stop(name: Name): void {
    nodes.get(name)?.close();
    nodes.delete(name);
  }
  async function wait(steps: number): Promise<void> {
    for (let step = 0; step < steps; step++) {
      world.clock.advance(STEP_MS);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  const shared = (one: TestNode) => [...one.records("override"), ...one.records("config")];

  for (const name of NODES) start(name);
  for (const one of actions) {
    const here = "node" in one ? nodes.get(one.node) : undefined;
    if (one.does === "set") here?.publish("override", one.target, overrideOf(`${count++}`), 3_600_000);
    else if (one.does === "brief") here?.publish("override", one.target, overrideOf(`${count++}`), 2_000);
    else if (one.does === "clear") here?.publish("override", one.target, { spec: null }, DAY_MS);
    else if (one.does === "configure")
      here?.publish(
        "config",
        "desired",
        { ancestors: [], files: {}, overlay: { count: count++ }, actor: "kim", reason: "", breakGlass: null },
        Number.MAX_SAFE_INTEGER,
      );
    else if (one.does === "crash") {
      stop(one.node);
      if (one.losesStore) stores.set(one.node, createMemoryStore());
    } else if (one.does === "start") start(one.node);
    else if (one.does === "cut") world.cut.add(one.node);
    else if (one.does === "heal") world.cut.delete(one.node);
    else if (one.does === "empty") world.empty();
    else await wait(one.steps);
  }

  world.cut.clear();
  world.calm();
  for (const name of NODES) start(name);
  const known = new Map<string, RecordVersion>();
  for (const one of nodes.values()) {
    for (const record of shared(one)) {
      const before = known.get(idOf(record));
      if (record.ttlMs > 2_000 && (!before || compareVersions(record.version, before) > 0))
        known.set(idOf(record), record.version);
    }
  }
  await wait(20_000 / STEP_MS);
  const views = [...nodes.values()].map((one) => JSON.stringify(shared(one)));
  assert.equal(new Set(views).size, 1, `they differ:\n${views.join("\n")}`);
  const agreed = new Map(shared(nodes.get("ns1")!).map((record) => [idOf(record), record.version]));
  for (const [id, version] of known) {
    const now = agreed.get(id);
    // A brief one that is newer may have replaced it, and have ended.
    if (now) assert.ok(compareVersions(now, version) >= 0, `${id} is older than what was known`);
    else
      assert.ok(
        actions.some(({ does }) => does === "brief"),
        `${id} is lost`,
      );
  }
  for (const one of nodes.values()) {
    const { refused } = one.status();
    assert.deepEqual([refused.unsigned, refused.unknownNode, refused.damaged, refused.full], [0, 0, 0, 0]);
    assert.ok(
      one.peers().every(({ isAlive }) => isAlive),
      "all hear of each other",
    );
  }
  for (const name of NODES) stop(name);
}

/** Two nodes write one key of Redis at once, and the older record comes to lie under the newer one's stamp. */
const OVERWRITTEN: [Action[], number] = [
  [
    { does: "set", node: "ns3", target: "region/b" },
    { does: "wait", steps: 40 },
    { does: "set", node: "ns1", target: "region/b" },
  ],
  2_130_706_421,
];

for (const [name, createWorld] of [
  ["from node to node", createPeerWorld],
  ["through Redis", createRedisWorld],
] as const) {
  test(`all agree on the newest, and nothing comes back: ${name}`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 40 }), fc.integer(), async (actions, seed) => {
        await run(actions, createWorld, seed);
      }),
      { examples: [OVERWRITTEN], numRuns: Number(process.env["RHUMB_MODEL_RUNS"] ?? 40) },
    );
  });
}
