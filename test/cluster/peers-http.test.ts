/** Records from node to node over real HTTP: agreement, a node that is away, and what an answer may be. */
import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import test, { type TestContext } from "node:test";
import { systemClock } from "#base/clock.ts";
import type { RecordExchange } from "#state/exchange.ts";
import type { PeerSpec } from "#state/snapshot.ts";
import { NODES, overrideOf, reasonOf, snapshotWith, startNode, type TestNode, until } from "./bed.ts";

const TOKEN = "a token of the peers";

/** What the control API is to the others: `test/api/routes.test.ts` has its own rules. */
async function listen(context: TestContext, nodeOf: () => TestNode, port = 0): Promise<Server> {
  const server = createServer(async (request, response) => {
    assert.equal(request.headers.authorization, `Bearer ${TOKEN}`);
    const body = JSON.parse(await text(request)) as RecordExchange;
    response.end(JSON.stringify(nodeOf().door.exchange(body)));
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  context.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return server;
}
const portOf = (server: Server): number => (server.address() as AddressInfo).port;

async function startNodes(context: TestContext): Promise<{ nodes: TestNode[]; servers: Server[]; peers: PeerSpec[] }> {
  const nodes: TestNode[] = [];
  const servers = await Promise.all(NODES.map((_, position) => listen(context, () => nodes[position]!)));
  const peers = NODES.map((name, position) => ({
    name,
    url: `http://127.0.0.1:${portOf(servers[position]!)}`,
    token: TOKEN,
    caFile: undefined,
  }));
  for (const name of NODES) nodes.push(startNode(name, { clock: systemClock, snapshot: snapshotWith({ peers }) }));
  context.after(() => {
    for (const node of nodes) node.close();
  });
  return { nodes, servers, peers };
}
const reasonAt = (node: TestNode) => reasonOf(node.records("override")[0]?.body);

test("nodes without Redis agree, hear signals, and know of each other", async (context) => {
  const { nodes } = await startNodes(context);
  const heard: string[] = [];
  for (const node of nodes) node.onSignal("votes", (from) => void heard.push(from));
  await until(() => nodes.every((node) => node.peers().every(({ isAlive }) => isAlive)));
  nodes[0]!.publish("override", "region/a", overrideOf("one"), 60_000);
  await until(() => nodes.every((node) => reasonAt(node) === "one"));
  nodes[2]!.publish("override", "region/a", overrideOf("two"), 60_000);
  await until(() => nodes.every((node) => reasonAt(node) === "two"));
  nodes[1]!.signal("votes", { vantage: "ns2", sequence: 1, isWhole: false, isSound: true, votes: [] });
  await until(() => heard.length === 2);
  assert.deepEqual(heard, ["ns2", "ns2"]);
  for (const node of nodes) {
    const { by, isConnected, refused, octets } = node.status();
    assert.deepEqual([by, isConnected], ["peers", true]);
    assert.deepEqual(refused, { unsigned: 0, unknownNode: 0, old: 0, damaged: 0, full: 0 });
    assert.ok(octets.sent > 0 && octets.received > 0);
  }
});

test("a node that was away is told what it missed, graves too", async (context) => {
  const { nodes, servers } = await startNodes(context);
  nodes[1]!.publish("override", "region/a", overrideOf("old"), 600_000);
  await until(() => nodes.every((node) => reasonAt(node) === "old"));
  // It is cut off: nobody reaches it, and it reaches nobody.
  const port = portOf(servers[1]!);
  const { store } = nodes[1]!;
  nodes[1]!.close();
  servers[1]!.close();
  servers[1]!.closeAllConnections();
  await until(() => nodes[0]!.status().says.includes("not reached: ns2"));
  nodes[0]!.publish("override", "region/a", { spec: null }, 1); // ended at once: a grave
  await until(() => nodes[2]!.records("override").length === 0);

  const peers = NODES.map((name, position) => ({
    name,
    url: `http://127.0.0.1:${position === 1 ? port : portOf(servers[position]!)}`,
    token: TOKEN,
    caFile: undefined,
  }));
  const back = startNode("ns2", { clock: systemClock, store, snapshot: snapshotWith({ peers }) });
  context.after(() => back.close());
  assert.equal(reasonAt(back), "old", "by its store");
  await listen(context, () => back, port);
  await until(() => back.records("override").length === 0);
  await until(() => nodes[0]!.status().says === "Records go from node to node");
  assert.ok(nodes[0]!.records("override").length === 0, "it does not come back");
});

for (const [name, answer] of [
  ["is no JSON", "<html>"],
  ["has other shapes", JSON.stringify({ copies: 7, want: [null, "x", "override y"], unequal: ["gossip", "config"] })],
  ["holds rubbish", JSON.stringify({ copies: ["", "1 x", "0 rhumb1 - a b"], want: [], unequal: [] })],
] as const) {
  test(`an answer that ${name} does no harm`, async (context) => {
    let asked = 0;
    const server = createServer((request, response) => {
      request.resume();
      asked++;
      response.end(answer);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    context.after(() => {
      server.close();
      server.closeAllConnections();
    });
    const peers = [{ name: "ns2", url: `http://127.0.0.1:${portOf(server)}`, token: TOKEN, caFile: undefined }];
    const node = startNode("ns1", { clock: systemClock, snapshot: snapshotWith({ peers }) });
    context.after(() => node.close());
    node.publish("override", "region/a", overrideOf("mine"), 60_000);
    await until(() => asked >= 3);
    assert.equal(reasonAt(node), "mine");
    assert.ok(asked < 10, "and costs no more than any other");
  });
}
