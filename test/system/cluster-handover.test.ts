/** A balancer that is replaced by a fresh process (SIGUSR2) stays one node to the others, while both processes live. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import test, { type TestContext } from "node:test";
import { systemClock } from "#base/clock.ts";
import { openIdentity } from "#cluster/identity.ts";
import type { RecordExchange } from "#state/exchange.ts";
import type { Heartbeat, RecordVersion } from "#state/shared.ts";
import { IDENTITIES, snapshotWith, startNode, type TestNode } from "../cluster/bed.ts";
import { type BalancerBed, configHead, openClient, startBackend, startBalancer, TOKEN, until } from "./balancer-bed.ts";

type Beat = { readonly version: RecordVersion; readonly startedAtMs: number };

/** The other node, in this process: it knows the balancer by its key, and keeps what it hears of it. */
async function startOther(t: TestContext, bed: BalancerBed, apiPort: number) {
  const lb = { name: "lb1", key: openIdentity(join(bed.folder, "state")).publicKey };
  const own = { name: "ns2", key: IDENTITIES["ns2"]!.publicKey };
  let node: TestNode;
  const server = createServer(async (request, response) => {
    const asked = JSON.parse(await text(request)) as RecordExchange;
    response.end(JSON.stringify(node.door.exchange(asked)));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const peer = { name: "lb1", url: `http://127.0.0.1:${apiPort}`, token: TOKEN, caFile: undefined };
  node = startNode("ns2", { clock: systemClock, snapshot: snapshotWith({ nodes: [lb, own], peers: [peer] }) });
  t.after(() => {
    node.close();
    server.close();
    server.closeAllConnections();
  });
  const beats: Beat[] = [];
  node.onRecord("heartbeat", (key, record) => {
    if (key === "lb1" && record)
      beats.push({ version: record.version, startedAtMs: (record.body as Heartbeat).startedAtMs });
  });
  return { nodes: [lb, own], url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, beats };
}

test("the process that is replaced says nothing more of the node, though its connections go on", async (t) => {
  const backend = await startBackend(t, "a");
  let apiPort = 0;
  let balancer = "";
  const bed = await startBalancer(t, (facts) => {
    apiPort = facts.apiPort;
    balancer = `balancer:
  region: here
  workers: 1
  drain: 60s
  listeners: { web: { listen: "127.0.0.1:${facts.port}", protocol: tcp, pool: web } }
  pools: { web: { backends: ["127.0.0.1:${backend.port}"] } }
`;
    return configHead(apiPort) + balancer;
  });
  const { nodes, url, beats } = await startOther(t, bed, apiPort);
  await bed.reload(`version: 1
node: lb1
control:
  listen: "127.0.0.1:${apiPort}"
  tokens: { ops: { token: "file:token", role: admin } }
  peers: { ns2: { url: "${url}", token: "file:token" } }
cluster: { state: state/, nodes: { ${nodes.map(({ name, key }) => `${name}: { key: "${key}" }`).join(", ")} } }
${balancer}`);
  const heard = (isEnough: () => boolean): Promise<boolean> => until(() => Promise.resolve(isEnough()), Boolean, t);
  await heard(() => beats.length > 0);
  const first = beats[0]!;

  const stayer = await openClient(bed.port);
  assert.match(await stayer.ask("one"), / one$/);
  await bed.replace();
  // Each of two that speak would answer what the other one said within a second.
  await heard(() => beats.filter(({ startedAtMs }) => startedAtMs !== first.startedAtMs).length >= 5);
  assert.match(await stayer.ask("two"), / two$/, "the one before lives");

  const epochs = [...new Set(beats.map(({ version }) => version.epoch))];
  assert.equal(epochs.length, 2, `epochs ${epochs.join(", ")}`);
  assert.ok(epochs[1]! > epochs[0]!);
  const changes = beats.filter(({ startedAtMs }, index) => startedAtMs !== beats[index - 1]?.startedAtMs);
  assert.equal(changes.length, 2, "one process, then the other");
  assert.doesNotMatch(bed.out(), /new epoch/);
  stayer.close();
});
