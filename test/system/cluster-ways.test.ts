/** The ways of reaching Redis: Sentinels, whose master fails over, a Redis Cluster, and TLS with an authority of its own. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { systemClock } from "#base/clock.ts";
import type { RedisSpec } from "#state/cluster.ts";
import { NODES, overrideOf, reasonOf, redisAt, snapshotWith, startNode, type TestNode, until } from "../cluster/bed.ts";
import { makeCertificate } from "../health/probes/bed.ts";
import { folderWith, freePort, startDaemon, without } from "./tools.ts";

const skip = without("redis-server", "redis-cli");
const READY = /Ready to accept connections/;
const TARGET = "region/eu-west";

const startRedis = (context: TestContext, port: number, ...more: string[]) =>
  startDaemon(
    context,
    [
      ...["redis-server", "--port", `${port}`, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
      ...["--dir", folderWith(context, {}), ...more], // a replica keeps what it copies in a file
    ],
    READY,
  );
function cli(port: number, ...command: string[]): string {
  const { stdout, status } = spawnSync("redis-cli", ["-p", `${port}`, ...command], { encoding: "utf8" });
  assert.equal(status, 0, stdout);
  return stdout.trim();
}
function startNodes(context: TestContext, redis: RedisSpec): TestNode[] {
  const nodes = NODES.map((name) => startNode(name, { clock: systemClock, snapshot: snapshotWith({ redis }) }));
  context.after(() => {
    for (const node of nodes) node.close();
  });
  return nodes;
}
const agreeOn = (nodes: readonly TestNode[], reason: string) =>
  until(() => nodes.every((node) => reasonOf(node.records("override")[0]?.body) === reason));
const allAlive = (nodes: readonly TestNode[]) =>
  until(() => nodes.every((node) => node.peers().every(({ isAlive }) => isAlive)));

test("behind Sentinels nodes follow the master, and tell the new one what they said meanwhile", {
  skip,
}, async (context) => {
  const [first, second] = [await freePort(), await freePort()];
  const master = await startRedis(context, first);
  await startRedis(context, second, "--replicaof", "127.0.0.1", `${first}`);
  await until(() => /master_link_status:up/.test(cli(second, "INFO", "replication")));
  const sentinels = [await freePort(), await freePort(), await freePort()];
  for (const port of sentinels) {
    const folder = folderWith(context, {
      "sentinel.conf": [
        `port ${port}`,
        "bind 127.0.0.1",
        `sentinel monitor shared 127.0.0.1 ${first} 2`,
        "sentinel down-after-milliseconds shared 500",
        "sentinel failover-timeout shared 2000",
      ].join("\n"),
    });
    await startDaemon(
      context,
      ["redis-server", join(folder, "sentinel.conf"), "--sentinel"],
      /\+monitor master shared/,
    );
  }
  await until(() =>
    sentinels.every((port) =>
      /num-slaves\s+1\s[\s\S]*num-other-sentinels\s+2\s/.test(cli(port, "SENTINEL", "MASTER", "shared")),
    ),
  );

  const redis = redisAt(0, {
    mode: "sentinel",
    name: "shared",
    hosts: sentinels.map((port) => ({ host: "127.0.0.1", port })),
  });
  const nodes = startNodes(context, redis);
  await allAlive(nodes);
  nodes[0]!.publish("override", TARGET, overrideOf("before"), 600_000);
  await agreeOn(nodes, "before");

  master.kill("SIGKILL");
  await until(() => nodes.every((node) => !node.status().isConnected));
  nodes[1]!.publish("override", TARGET, overrideOf("meanwhile"), 600_000);
  await until(() => cli(sentinels[0]!, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", "shared").endsWith(`${second}`));
  await agreeOn(nodes, "meanwhile");
  await until(() => nodes.every((node) => node.status().isConnected));
  nodes[2]!.publish("override", TARGET, overrideOf("after"), 600_000);
  await agreeOn(nodes, "after");
});

test("over a Redis Cluster records lie in many slots, and nodes agree", { skip }, async (context) => {
  const ports = [await freePort(), await freePort(), await freePort()];
  for (const port of ports) {
    await startRedis(context, port, "--cluster-enabled", "yes", "--cluster-port", `${await freePort()}`);
  }
  const addresses = ports.map((port) => `127.0.0.1:${port}`);
  const made = spawnSync("redis-cli", ["--cluster", "create", ...addresses, "--cluster-yes"], { encoding: "utf8" });
  assert.equal(made.status, 0, made.stdout + made.stderr);
  await until(() => ports.every((port) => /cluster_state:ok/.test(cli(port, "CLUSTER", "INFO"))));

  const redis = redisAt(0, { mode: "cluster", hosts: [{ host: "127.0.0.1", port: ports[0]! }] });
  const nodes = startNodes(context, redis);
  await allAlive(nodes);
  nodes[0]!.publish("override", TARGET, overrideOf("over slots"), 600_000);
  await agreeOn(nodes, "over slots");
  const heard: string[] = [];
  nodes[2]!.onSignal("votes", (from) => void heard.push(from));
  nodes[1]!.signal("votes", { vantage: "ns2", sequence: 1, isWhole: false, isSound: true, votes: [] });
  await until(() => heard.length === 1);
  const counts = ports.map((port) => Number(cli(port, "DBSIZE")));
  assert.ok(counts.filter((count) => count > 0).length > 1, `${counts}`);
});

test("with TLS Redis is verified by the authority that was named, and by no other", { skip }, async (context) => {
  const port = await freePort();
  const { cert, key } = makeCertificate(context, 30);
  const folder = folderWith(context, {
    "cert.pem": cert,
    "key.pem": key,
    "other.pem": makeCertificate(context, 30).cert,
  });
  const file = (name: string) => join(folder, name);
  await startDaemon(
    context,
    [
      ...["redis-server", "--port", "0", "--tls-port", `${port}`, "--bind", "127.0.0.1", "--save", ""],
      ...["--tls-cert-file", file("cert.pem"), "--tls-key-file", file("key.pem"), "--tls-auth-clients", "no"],
      ...["--tls-ca-cert-file", file("cert.pem")],
    ],
    READY,
  );
  const tls = { caFile: file("cert.pem"), certFile: undefined, keyFile: undefined, serverName: "www.example" };
  const nodes = startNodes(context, redisAt(port, { tls }));
  await allAlive(nodes);
  const other = startNode("ns1", {
    clock: systemClock,
    snapshot: snapshotWith({ redis: redisAt(port, { tls: { ...tls, caFile: file("other.pem") } }) }),
  });
  context.after(() => other.close());
  await until(() => /certificate|self.signed/.test(other.status().says));
  assert.equal(other.status().isConnected, false);
});
