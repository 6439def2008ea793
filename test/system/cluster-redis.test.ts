/** Nodes that share records through a real Redis: on time, without the channel, and over each of its failures. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { systemClock } from "#base/clock.ts";
import { NODES, overrideOf, reasonOf, redisAt, snapshotWith, startNode, type TestNode, until } from "../cluster/bed.ts";
import { freePort, startDaemon, without } from "./tools.ts";

const skip = without("redis-server", "redis-cli");
const TARGET = "region/eu-west";

const page = readFileSync(join(import.meta.dirname, "../../docs/cluster.md"), "utf8");
/** As the page gives it. */
const ACL_LINE = /^ACL SETUSER rhumb .*$/m.exec(page)![0];

const startRedis = (context: TestContext, port: number, ...more: string[]) =>
  startDaemon(
    context,
    ["redis-server", "--port", `${port}`, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", ...more],
    /Ready to accept connections/,
  );
function cli(port: number, ...command: string[]): string {
  const { stdout, status } = spawnSync("redis-cli", ["-p", `${port}`, ...command], { encoding: "utf8" });
  assert.equal(status, 0, stdout);
  return stdout.trim();
}
function startNodes(context: TestContext, port: number): TestNode[] {
  const snapshot = snapshotWith({ redis: redisAt(port) });
  return NODES.map((name) => {
    const node = startNode(name, { clock: systemClock, snapshot });
    context.after(() => node.close());
    return node;
  });
}
const reasonAt = (node: TestNode) => reasonOf(node.records("override")[0]?.body);
const agreeOn = (nodes: readonly TestNode[], reason: string | undefined) =>
  until(() => nodes.every((node) => reasonAt(node) === reason));
const allAlive = (nodes: readonly TestNode[]) =>
  until(() => nodes.every((node) => node.peers().length === 2 && node.peers().every(({ isAlive }) => isAlive)));
const kindsOf = ({ events }: TestNode) => events.map(({ kind, severity }) => `${kind} ${severity}`);

test("nodes hear of each other, of an override, and of its end", { skip }, async (context) => {
  const port = await freePort();
  await startRedis(context, port);
  const nodes = startNodes(context, port);
  await allAlive(nodes);
  nodes[0]!.publish("override", TARGET, overrideOf("upgrade"), 60_000);
  await agreeOn(nodes, "upgrade");
  nodes[2]!.publish("override", TARGET, { spec: null }, 86_400_000);
  await until(() => nodes.every((node) => node.records("override")[0]?.body.spec === null));
  for (const node of nodes) {
    assert.deepEqual(node.status().refused, { unsigned: 0, unknownNode: 0, old: 0, damaged: 0, full: 0 });
    assert.deepEqual(kindsOf(node), []);
    assert.ok(node.peers().every(({ clockOffsetMs }) => Math.abs(clockOffsetMs!) < 1_000));
  }
  assert.match(cli(port, "GET", `rhumb:override:${TARGET}`), /^\d+ \d+ rhumb1 /);
  assert.ok(Number(cli(port, "PTTL", "rhumb:heartbeat:ns1")) <= 10_000);
});

test("signals pass by, and reach the others alone", { skip }, async (context) => {
  const port = await freePort();
  await startRedis(context, port);
  const nodes = startNodes(context, port);
  const heard = new Set<string>();
  for (const [position, node] of nodes.entries())
    node.onSignal("votes", (from, { vantage }) => void heard.add(`${from} to ${NODES[position]}: ${vantage}`));
  await allAlive(nodes);
  await until(() => cli(port, "PUBSUB", "NUMSUB", "rhumb:news").endsWith("3"));
  // A signal may be lost, and nobody sends it again for us.
  await until(() => {
    nodes[0]!.signal("votes", { vantage: "ns1", sequence: 1, isWhole: false, isSound: true, votes: [] });
    return heard.size === 2;
  });
  assert.deepEqual([...heard].sort(), ["ns1 to ns2: ns1", "ns1 to ns3: ns1"]);
});

test("without the channel the rounds of reading bring it", { skip }, async (context) => {
  const port = await freePort();
  await startRedis(context, port);
  cli(port, "ACL", "SETUSER", "default", "-subscribe", "-publish");
  const nodes = startNodes(context, port);
  await allAlive(nodes);
  nodes[1]!.publish("override", TARGET, overrideOf("quiet"), 60_000);
  await agreeOn(nodes, "quiet");
});

test("a Redis that is away, comes back empty, or hangs: nodes go on, say so, and fill it again", {
  skip,
}, async (context) => {
  const port = await freePort();
  const server = await startRedis(context, port);
  const nodes = startNodes(context, port);
  await allAlive(nodes);
  nodes[0]!.publish("override", TARGET, overrideOf("before"), 600_000);
  await agreeOn(nodes, "before");

  server.kill("SIGKILL");
  await until(() => nodes.every((node) => !node.status().isConnected));
  assert.ok(nodes.every((node) => reasonAt(node) === "before"));
  nodes[1]!.publish("override", TARGET, overrideOf("meanwhile"), 600_000);
  assert.equal(reasonAt(nodes[1]!), "meanwhile", "at home at once");
  await until(() => nodes.every((node) => kindsOf(node).includes("cluster.connection warning")));
  // Who made it is gone when Redis is back: the others still have what it had told them.
  nodes[0]!.close();

  const empty = await startRedis(context, port);
  await agreeOn(nodes.slice(1), "meanwhile");
  await until(() => nodes.slice(1).every((node) => kindsOf(node).includes("cluster.connection resolved")));
  assert.match(cli(port, "GET", `rhumb:override:${TARGET}`), /meanwhile/);

  empty.kill("SIGSTOP");
  await until(() => nodes.slice(1).every((node) => !node.status().isConnected));
  empty.kill("SIGCONT");
  await until(() => nodes.slice(1).every((node) => node.status().isConnected));
});

test("what a node made is written back by the others when Redis is emptied and it is gone", {
  skip,
}, async (context) => {
  const port = await freePort();
  await startRedis(context, port);
  const nodes = startNodes(context, port);
  await allAlive(nodes);
  nodes[0]!.publish("override", TARGET, overrideOf("kept"), 600_000);
  await agreeOn(nodes, "kept");
  nodes[0]!.close();
  cli(port, "FLUSHALL");
  await until(() => /kept/.test(cli(port, "GET", `rhumb:override:${TARGET}`)));
  const late = startNode("ns1", { clock: systemClock, snapshot: snapshotWith({ redis: redisAt(port) }) });
  context.after(() => late.close());
  await agreeOn([late], "kept");
  assert.equal(late.records("override")[0]?.version.node, "ns1", "with its own signature of before");
});

test("records of strangers and damaged ones are refused, told, and do no harm", { skip }, async (context) => {
  const port = await freePort();
  await startRedis(context, port);
  const nodes = startNodes(context, port);
  const stranger = startNode("stranger", { clock: systemClock, snapshot: snapshotWith({ redis: redisAt(port) }) });
  context.after(() => stranger.close());
  await allAlive(nodes);
  await until(() => nodes.every((node) => node.status().refused.unknownNode > 0));
  cli(port, "SET", "rhumb:override:x", "0 0 rubbish");
  cli(port, "HSET", "rhumb:index:override", "x", "9.9.AAAAAAAA.ns1", "y", "no stamp", "z", "1.1.AAAAAAAA.ns2");
  // Who reads it first takes it out of the index.
  await until(() => nodes.some((node) => node.status().refused.damaged > 0));
  await until(() => cli(port, "HKEYS", "rhumb:index:override") === "");
  assert.ok(nodes.every((node) => node.records("override").length === 0 && node.status().isConnected));
  assert.ok(nodes.every((node) => kindsOf(node).every((kind) => kind === "cluster.refused alarm")));
});

test("the user of docs/cluster.md may do what a node does, and no more", { skip }, async (context) => {
  const port = await freePort();
  await startRedis(context, port);
  assert.equal(cli(port, ...ACL_LINE.replace("PASSWORD", "s3cret").split(" ")), "OK");
  cli(port, "ACL", "SETUSER", "default", "off");
  const redis = redisAt(port, { user: "rhumb", password: "s3cret" });
  const nodes = NODES.map((name) => startNode(name, { clock: systemClock, snapshot: snapshotWith({ redis }) }));
  context.after(() => {
    for (const node of nodes) node.close();
  });
  await allAlive(nodes);
  nodes[0]!.publish("override", TARGET, overrideOf("by a user"), 60_000);
  await agreeOn(nodes, "by a user");
  nodes[1]!.publish("override", TARGET, { spec: null }, 1);
  await until(() => nodes.every((node) => node.records("override").length === 0));
  const denied = (...command: string[]) =>
    spawnSync("redis-cli", ["-p", `${port}`, "--user", "rhumb", "--pass", "s3cret", "--no-auth-warning", ...command], {
      encoding: "utf8",
    }).stdout;
  for (const command of ["FLUSHALL", "KEYS *", "CONFIG GET *", "GET other", "SUBSCRIBE other", "ACL LIST"])
    assert.match(denied(...command.split(" ")), /NOPERM/, command);
});
