/** The engine: what it takes and refuses, what survives a restart, its own epoch, and what people are told. */
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { createManualClock, type ManualClock } from "#base/clock.ts";
import type { Connect } from "#cluster/engine.ts";
import type { Entry } from "#cluster/records.ts";
import { RECORD_LIMITS } from "#cluster/records.ts";
import { sealRecord, sealSignal, writeCopy } from "#cluster/seal.ts";
import type { TransportHost } from "#cluster/transport.ts";
import type { RecordVersion, SharedRecord } from "#state/shared.ts";
import {
  createMemoryStore,
  enrolled,
  heartbeatOf,
  IDENTITIES,
  overrideOf,
  reasonOf,
  snapshotWith,
  startNode,
  type TestNode,
} from "./bed.ts";

const HOUR_MS = 3_600_000;

/** A transport that the test moves by hand. */
type Wire = {
  host: TransportHost | undefined;
  readonly sent: Entry[];
  readonly signals: string[];
  isUp: boolean;
  isClosed: boolean;
  readonly connect: Connect;
};
function createWire(): Wire {
  const wire: Wire = {
    host: undefined,
    sent: [],
    signals: [],
    isUp: true,
    isClosed: false,
    connect: (_snapshot, _node, host) => {
      wire.host = host;
      return {
        changed: (entry) => void wire.sent.push(entry),
        signal: (text) => void wire.signals.push(text),
        isConnected: () => wire.isUp,
        says: () => (wire.isUp ? "up" : "down"),
        octets: () => ({ sent: 1, received: 2 }),
        close() {
          wire.isClosed = true;
        },
      };
    },
  };
  return wire;
}

function start(more: Partial<Parameters<typeof startNode>[1]> = {}): {
  node: TestNode;
  wire: Wire;
  clock: ManualClock;
} {
  const clock = createManualClock();
  const wire = createWire();
  return { node: startNode("ns1", { clock, connect: wire.connect, ...more }), wire, clock };
}
const copyOf = (by: string, more: Partial<SharedRecord>, ageMs = 0, signer = by): string => {
  const version: RecordVersion = { epoch: 1, sequence: 1, node: by };
  const record = {
    kind: "override" as const,
    key: "region/a",
    version,
    atMs: 0,
    ttlMs: HOUR_MS,
    body: overrideOf("x"),
    ...more,
  };
  return writeCopy(ageMs, sealRecord(record, IDENTITIES[signer]!.sign));
};
const kindsOf = ({ events }: TestNode) => events.map(({ kind, severity, subject }) => `${kind} ${severity} ${subject}`);

test("publish() keeps, tells and sends a record at once, and follows all versions that are known", () => {
  const { node, wire } = start();
  const told: unknown[] = [];
  node.onRecord("override", (key, record, isOwn, ageMs) => void told.push([key, reasonOf(record?.body), isOwn, ageMs]));
  node.publish("override", "region/a", overrideOf("mine"), HOUR_MS);
  wire.host!.take(
    copyOf("ns2", { version: { epoch: 3, sequence: 8, node: "ns2" }, body: overrideOf("theirs") }, 7_000),
  );
  const { version } = node.publish("override", "region/b", overrideOf("next"), HOUR_MS);
  assert.deepEqual(version, { epoch: 3, sequence: 9, node: "ns1" });
  assert.deepEqual(told, [
    ["region/a", "mine", true, 0],
    ["region/a", "theirs", false, 7_000],
    ["region/b", "next", true, 0],
  ]);
  assert.deepEqual(
    wire.sent.map(({ id }) => id),
    ["override region/a", "override region/b"],
  );
  assert.deepEqual(
    node.records("override").map(({ key }) => key),
    ["region/a", "region/b"],
  );
});

test("take() refuses what it must, counts it, and tells people once", () => {
  const { node, wire, clock } = start();
  const take = (copy: string) => wire.host!.take(copy);
  const good = copyOf("ns2", {});
  const tooLarge = overrideOf("x".repeat(RECORD_LIMITS.override.octets));
  for (const [copy, expected] of [
    [good, "new"],
    [good, "known"],
    [copyOf("ns2", { version: { epoch: 0, sequence: 9, node: "ns2" } }), "old"],
    [copyOf("stranger", { version: { epoch: 9, sequence: 9, node: "stranger" } }), "unknownNode"],
    [copyOf("ns2", { version: { epoch: 9, sequence: 9, node: "ns2" } }, 0, "ns3"), "damaged"],
    [copyOf("ns2", { kind: "heartbeat", key: "ns3", body: heartbeatOf(clock) }), "damaged"],
    [copyOf("ns2", { version: { epoch: 9, sequence: 9, node: "ns2" }, body: tooLarge }), "full"],
    [good.replace(/rhumb1 \S+/, "rhumb1 -"), "unsigned"],
    ["rubbish", "damaged"],
    ["", "damaged"],
  ] as const)
    assert.equal(take(copy), expected, copy.slice(0, 150));
  assert.deepEqual(node.status().refused, { unsigned: 1, unknownNode: 1, old: 1, damaged: 4, full: 1 });
  take("rubbish");
  const raised = [
    "cluster.refused alarm unknownNode/stranger",
    "cluster.refused alarm damaged/ns2",
    "cluster.refused alarm full/ns2",
    "cluster.refused alarm unsigned/?",
    "cluster.refused alarm damaged/?",
  ];
  assert.deepEqual(kindsOf(node), raised);
  clock.advance(61_000);
  assert.deepEqual(
    kindsOf(node)
      .slice(raised.length)
      .filter((kind) => kind.startsWith("cluster.refused"))
      .sort(),
    raised.map((kind) => kind.replace("alarm", "resolved")).sort(),
  );
});

test("without other nodes nothing is taken from outside, and everything works at home", () => {
  const { node, clock } = start({ snapshot: snapshotWith({ nodes: [] }) });
  assert.deepEqual([node.status().by, node.status().isConnected], ["alone", true]);
  node.publish("override", "region/a", overrideOf("alone"), HOUR_MS);
  node.signal("votes", { vantage: "ns1", sequence: 1, isWhole: false, isSound: true, votes: [] });
  assert.equal(
    node.door.take(copyOf("ns1", { version: { epoch: 9, sequence: 9, node: "ns1" } }).slice(2)),
    "unknownNode",
  );
  assert.equal(node.records("override").length, 1);
  assert.deepEqual(node.peers(), []);
  clock.advance(5_000);
  assert.equal(node.records("heartbeat").length, 1);
});

test("a listener that throws takes nothing from the others", () => {
  const { node } = start();
  const told: string[] = [];
  node.onRecord("override", () => {
    throw new Error("broken");
  });
  node.onRecord("override", (key) => void told.push(key));
  node.publish("override", "region/a", overrideOf("x"), HOUR_MS);
  assert.deepEqual(told, ["region/a"]);
});

// ── restarts ─────────────────────────────────────────────────────────────────────────────────────────────────────

test("overrides and the configuration survive a restart, with their age; what was cleared stays so", () => {
  const store = createMemoryStore();
  const first = start({ store });
  const { node, clock } = first;
  node.publish("override", "region/a", overrideOf("kept"), HOUR_MS);
  node.publish("override", "region/b", overrideOf("brief"), 10_000);
  node.publish("override", "region/c", overrideOf("gone"), 9 * 24 * HOUR_MS);
  const cleared = node.publish("override", "region/c", { spec: null }, 1);
  node.publish(
    "config",
    "desired",
    { ancestors: [], files: {}, overlay: {}, actor: "kim", reason: "", breakGlass: null },
    Number.MAX_SAFE_INTEGER,
  );
  clock.advance(20_000);
  node.close();

  const clockAfter = createManualClock(clock.nowMs() + HOUR_MS - 40_000);
  const wire = createWire();
  const again = startNode("ns1", { clock: clockAfter, store, connect: wire.connect });
  assert.deepEqual(
    again.records("override").map(({ key }) => key),
    ["region/a"],
  );
  assert.equal(again.records("config").length, 1);
  const stale = { key: "region/c", version: { epoch: 1, sequence: cleared.version.sequence - 1, node: "ns1" } };
  assert.equal(wire.host!.take(copyOf("ns1", { ...stale, ttlMs: 9 * 24 * HOUR_MS })), "old", "the grave is known");
  clockAfter.advance(21_000);
  assert.equal(again.records("override").length, 0, "it ends when it would have");
  const next = again.publish("override", "region/z", overrideOf("next"), HOUR_MS);
  assert.ok(next.version.sequence > cleared.version.sequence);
});

test("its own epoch grows with each start, and above what others hold of it", () => {
  const store = createMemoryStore();
  const epochOf = (node: TestNode) => node.publish("latency", "ns1", { rows: [] }, HOUR_MS).version.epoch;
  const first = start({ store });
  const before = epochOf(first.node);
  first.node.close();
  const second = start({ store });
  const after = epochOf(second.node);
  assert.ok(after > before);
  // Its store was lost and its clock stands far back: others still have what it said.
  const held = { epoch: after + 1_000, sequence: 5, node: "ns1" };
  second.wire.sent.length = 0;
  assert.equal(
    second.wire.host!.take(copyOf("ns1", { kind: "latency", key: "ns1", version: held, body: { rows: [] } })),
    "old",
  );
  assert.equal(second.node.records("latency")[0]?.version.epoch, held.epoch + 1);
  assert.deepEqual(
    second.wire.sent.map(({ id }) => id),
    ["latency ns1"],
    "what it says is said anew",
  );
});

test("leave() ends what it says to others, and join() begins it: two processes of one node never answer each other", () => {
  const store = createMemoryStore();
  const before = start({ store });
  before.clock.advance(1_000);
  const after = start({ store, isAway: true });
  after.clock.advance(3_000);
  after.node.publish("latency", "ns1", { rows: [] }, HOUR_MS);
  assert.equal(after.wire.host, undefined, "it has not connected");
  assert.deepEqual([after.node.status().by, after.node.status().isConnected], ["peers", false]);
  assert.deepEqual(after.node.events, [], "to hear nobody is no news");

  before.node.leave();
  assert.equal(before.wire.isClosed, true);
  before.wire.sent.length = 0;
  after.node.join();
  assert.ok(after.wire.host!.table.find("latency ns1"), "what it said before is there to be told");
  for (const { clock } of [before, after]) clock.advance(20_000);
  assert.deepEqual(before.wire.sent, []);
  assert.deepEqual(kindsOf(before.node), []);
  assert.deepEqual(new Set(after.wire.sent.map(({ id }) => id)), new Set(["heartbeat ns1"]));

  // It did not come up: the one before goes on, above what the other one said.
  after.node.leave();
  before.node.join();
  assert.equal(before.wire.host!.take(writeCopy(0, after.wire.sent.at(-1)!.text)), "old");
  const epoch = (one: typeof before) => one.node.records("heartbeat")[0]!.version.epoch;
  assert.ok(epoch(before) > epoch(after));
});

test("a store that cannot be written costs what was to be kept, not the node", () => {
  const broken = { ...createMemoryStore(), put: () => assert.fail("disk full") };
  const { node } = start({ store: broken });
  node.publish("override", "region/a", overrideOf("x"), HOUR_MS);
  assert.equal(node.records("override").length, 1);
});

// ── the others ───────────────────────────────────────────────────────────────────────────────────────────────────

function beat(
  wire: Wire,
  clock: ManualClock,
  sequence: number,
  more: { by?: string; skewMs?: number; ageMs?: number } = {},
) {
  const { by = "ns2", skewMs = 0, ageMs = 0 } = more;
  const body = { ...heartbeatOf(clock), clockMs: clock.nowMs() - ageMs + skewMs, clocks: { ns1: -skewMs } };
  return wire.host!.take(
    copyOf(by, { kind: "heartbeat", key: by, version: { epoch: 1, sequence, node: by }, ttlMs: 10_000, body }, ageMs),
  );
}

test("peers() tells who is alive, since when, and how far clocks lie apart", () => {
  const { node, wire, clock } = start();
  assert.deepEqual(
    node.peers().map((peer) => [peer.node, peer.isAlive, peer.silentMs, peer.clockOffsetMs]),
    [
      ["ns2", false, null, null],
      ["ns3", false, null, null],
    ],
  );
  for (const [position, ageMs] of [900, 20, 400].entries()) {
    clock.advance(1_000);
    // What was long on its way: its age is not known to anybody, so the clock seems slow.
    wire.host!.take(
      copyOf("ns2", {
        kind: "heartbeat",
        key: "ns2",
        version: { epoch: 1, sequence: position + 1, node: "ns2" },
        ttlMs: 10_000,
        body: { ...heartbeatOf(clock), clockMs: clock.nowMs() + 150 - ageMs },
      }),
    );
  }
  const [ns2] = node.peers();
  assert.deepEqual([ns2?.isAlive, ns2?.silentMs, ns2?.clockOffsetMs], [true, 0, 130]);
  beat(wire, clock, 2);
  clock.advance(4_000);
  assert.equal(node.peers()[0]?.isAlive, false, "an old heartbeat is none");
});

test("people are told of a node that is silent, of a connection that is gone, and of a clock astray; and when it is over", () => {
  const { node, wire, clock } = start({ snapshot: snapshotWith({ nodes: enrolled(["ns1", "ns2"]), maxSkewMs: 100 }) });
  let sequence = 0;
  const run = (seconds: number, more: Parameters<typeof beat>[3] | "silent" = {}) => {
    for (let second = 0; second < seconds; second++) {
      if (more !== "silent") beat(wire, clock, ++sequence, more);
      clock.advance(1_000);
    }
    return kindsOf(node);
  };
  let seen = 0;
  const news = (events: readonly string[]): readonly string[] => {
    const added = events.slice(seen);
    seen = events.length;
    return added;
  };
  assert.deepEqual(news(run(20)), []);
  assert.deepEqual(news(run(8, "silent")), [], "not yet");
  assert.deepEqual(news(run(5, "silent")), ["cluster.peer warning ns2"]);
  assert.deepEqual(news(run(2)), ["cluster.peer resolved ns2"]);
  assert.deepEqual(news(run(10, { skewMs: -250 })), ["clock.skew alarm ns2"]);
  assert.deepEqual(news(run(10)), ["clock.skew resolved ns2"]);
  wire.isUp = false;
  assert.deepEqual(news(run(4, "silent")), [], "a failover of Redis takes that long");
  assert.deepEqual(news(run(20, "silent")), ["cluster.connection warning cluster"], "nobody else is blamed meanwhile");
  wire.isUp = true;
  assert.deepEqual(news(run(5)), ["cluster.connection resolved cluster"]);
  const says = node.events.find(({ kind }) => kind === "clock.skew")!.says;
  assert.match(says, /The clock of ns2 is at least 0\.250 s behind ours/);
});

test("apply() takes new nodes, ends with the old ones, and leaves the connection alone where nothing moved", () => {
  const { node, wire } = start();
  node.apply(snapshotWith({ maxSkewMs: 7 }));
  assert.equal(wire.isClosed, false);
  assert.equal(wire.host!.take(copyOf("stranger", {})), "unknownNode");
  node.apply(snapshotWith({ nodes: enrolled(["ns1", "ns2", "stranger"]) }));
  assert.equal(wire.isClosed, true);
  assert.equal(wire.host!.take(copyOf("stranger", {})), "new");
  assert.equal(wire.host!.take(copyOf("ns3", { key: "region/b" })), "unknownNode");
});

test("a node whose key is not the enrolled one says so", () => {
  const nodes = enrolled().map(({ name, key }) => ({
    name,
    key: name === "ns1" ? IDENTITIES["stranger"]!.publicKey : key,
  }));
  const { node } = start({ snapshot: snapshotWith({ nodes }) });
  assert.deepEqual(kindsOf(node), ["cluster.refused alarm key/ns1"]);
  assert.match(node.events[0]!.says, new RegExp(IDENTITIES["ns1"]!.publicKey.replaceAll("+", "\\+")));
});

// ── signals and fuzz ─────────────────────────────────────────────────────────────────────────────────────────────

test("a signal is told once, never again, and only of those who may", () => {
  const { node, wire } = start();
  const heard: string[] = [];
  node.onSignal("votes", (from) => void heard.push(from));
  const votes = { vantage: "ns2", sequence: 1, isWhole: false, isSound: true, votes: [] };
  const signal = (by: string, sequence: number, signer = by) =>
    wire.host!.takeSignal(
      sealSignal(
        { kind: "votes", version: { epoch: 1, sequence, node: by }, atMs: 0, body: votes },
        IDENTITIES[signer]!.sign,
      ),
    );
  signal("ns2", 1);
  signal("ns2", 1);
  signal("ns2", 3);
  signal("ns2", 2);
  signal("ns3", 9, "stranger");
  signal("stranger", 1);
  signal("ns1", 1);
  wire.host!.takeSignal(copyOf("ns2", {}).slice(2));
  assert.deepEqual(heard, ["ns2", "ns2"]);
  assert.deepEqual(node.status().refused, { unsigned: 0, unknownNode: 1, old: 2, damaged: 2, full: 0 });
  assert.equal(
    wire.host!.take(
      writeCopy(
        0,
        sealSignal(
          { kind: "votes", version: { epoch: 2, sequence: 1, node: "ns2" }, atMs: 0, body: votes },
          IDENTITIES["ns2"]!.sign,
        ),
      ),
    ),
    "damaged",
    "a signal is no record",
  );
});

test("whatever comes, and by whomever it is signed, nothing throws and no rule breaks", () => {
  const { node, wire } = start();
  node.onRecord("votes", (_key, record) => void record?.body.votes.length); // throws for bodies of other shapes
  const hostile = fc.record({
    kind: fc.constantFrom("heartbeat", "votes", "report", "override", "config", "latency") as fc.Arbitrary<
      SharedRecord["kind"]
    >,
    key: fc.oneof(
      fc.constantFrom("ns1", "ns2", "x/ns2", "region/a", "__proto__", "constructor"),
      fc.string({ maxLength: 600 }),
    ),
    version: fc.record({
      epoch: fc.oneof(fc.maxSafeNat(), fc.nat(5)),
      sequence: fc.oneof(fc.maxSafeNat(), fc.nat(5)),
      node: fc.constantFrom("ns1", "ns2", "ns3", "stranger"),
    }),
    atMs: fc.maxSafeNat(),
    ttlMs: fc.maxSafeNat(),
    body: fc.oneof(fc.object(), fc.anything()) as fc.Arbitrary<never>,
  });
  fc.assert(
    fc.property(hostile, fc.constantFrom("ns2", "ns3", "stranger"), fc.maxSafeNat(), (record, signer, ageMs) => {
      const { sign } = IDENTITIES[signer]!;
      let text: string;
      try {
        text = sealRecord(record, sign);
      } catch {
        return; // no JSON, such as a bigint
      }
      const taken = wire.host!.take(writeCopy(ageMs, text));
      if (taken === "new") assert.equal(record.version.node, signer);
      wire.host!.takeSignal(text);
      node.status();
      node.peers();
    }),
    { numRuns: 400 },
  );
  assert.ok(node.publish("override", "region/a", overrideOf("still"), HOUR_MS).version.sequence > 0);
  assert.equal(reasonOf(node.records("override").find(({ key }) => key === "region/a")?.body), "still");
});
