/**
 * One view of health and configuration, by three DNS nodes and three regions, each a process of its own, with a real Redis.
 * All answers are written down every 100 ms, while one thing after another fails: none may be wrong or empty.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import test from "node:test";
import { recordAnswers } from "./answer-recorder.ts";
import { until } from "./balancer-bed.ts";
import { ADDRESS, type ClusterBed, type ClusterNode, REGIONS, type RegionName, startCluster } from "./cluster-bed.ts";
import { without } from "./tools.ts";

const skip = without("redis-server");
const NAMES = ["app.test.example", "all.test.example", "static.test.example"];
/** What names say while these regions are up. */
const answersOf = (...regions: readonly RegionName[]) => ({
  "app.test.example": [ADDRESS[REGIONS.find((region) => regions.includes(region))!]],
  "all.test.example": regions.map((region) => ADDRESS[region]),
  "static.test.example": ["192.0.2.80"],
});

async function setOverride(node: ClusterNode, target: string, verb = "down"): Promise<string> {
  const answer = await node.api("POST", "/overrides", { target, verb, reason: "a test of the cluster" });
  assert.equal(answer.status, 201, answer.text);
  return answer.json<{ id: string }>().id;
}
async function clearOverride(node: ClusterNode, id: string): Promise<void> {
  const answer = await node.api("DELETE", `/overrides/${id}`);
  assert.equal(answer.status, 200, answer.text);
}

const record = (t: test.TestContext, bed: ClusterBed) => recordAnswers(t, bed.dns, NAMES);

/** One failure each: the blast budget lets automation take one region out per minute. */
const FAILURES: readonly {
  readonly name: string;
  readonly hurt: (bed: ClusterBed) => unknown;
  readonly heal: (bed: ClusterBed) => unknown;
}[] = [
  {
    name: "its balancer was killed",
    hurt: (bed) => bed.balancers["us-east"].stop(),
    heal: (bed) => bed.balancers["us-east"].start(),
  },
  {
    name: "its balancer stands still: the port takes connections and never answers",
    hurt: (bed) => bed.balancers["us-east"].process().signal("SIGSTOP"),
    heal: (bed) => bed.balancers["us-east"].process().signal("SIGCONT"),
  },
  {
    // The pool fails open, so probes go on passing; that no backend is healthy, the balancer reports itself.
    name: "its port answers as ever, and it reports that no backend is healthy",
    hurt: (bed) => {
      for (const backend of bed.backends["us-east"]) backend.setHealthy(false);
    },
    heal: (bed) => {
      for (const backend of bed.backends["us-east"]) backend.setHealthy(true);
    },
  },
];
for (const { name, hurt, heal } of FAILURES)
  test(`all nodes leave a region, and come back to it: ${name}`, { skip, timeout: 120_000 }, async (t) => {
    const bed = await startCluster(t);
    const recorder = record(t, bed);
    await recorder.during("all are up", answersOf(...REGIONS), () => {});
    await recorder.during(name, answersOf("eu-west", "ap-south"), () => hurt(bed));
    await recorder.during("it is well again", answersOf(...REGIONS), () => heal(bed));
    recorder.finish();
  });

test("an override of one node is served by all, whatever Redis does", { skip, timeout: 240_000 }, async (t) => {
  const bed = await startCluster(t);
  const [ns1, ns2, ns3] = bed.dns as [ClusterNode, ClusterNode, ClusterNode];
  const recorder = record(t, bed);
  const ids: Record<string, string> = {};
  const override = (node: ClusterNode, region: RegionName) => async () => {
    ids[region] = await setOverride(node, `region/${region}`);
  };
  const clear = (node: ClusterNode, region: RegionName) => () => clearOverride(node, ids[region]!);
  await recorder.during("all are up", answersOf(...REGIONS), () => {});

  await recorder.during("an override of ns2", answersOf("eu-west", "ap-south"), override(ns2, "us-east"));
  await bed.redis.stop();
  await recorder.during("Redis is away: ns1 serves its own override", answersOf("ap-south"), override(ns1, "eu-west"), [
    "ns2",
    "ns3",
  ]);
  await recorder.during("Redis came back empty: all serve both", answersOf("ap-south"), bed.redis.start);

  await ns3.stop();
  const some = answersOf("eu-west", "ap-south");
  await recorder.during("ns3 was killed, and an override cleared", some, clear(ns1, "eu-west"), ["ns3"]);
  // Until it has heard of the others it serves what it knew.
  await ns3.start();
  await recorder.during("ns3 is back, and knows", some, () => {});

  bed.way("ns3").cut();
  await recorder.during("ns3 is cut off from Redis", answersOf(...REGIONS), clear(ns2, "us-east"), ["ns3"]);
  await recorder.during("it is joined again", answersOf(...REGIONS), bed.way("ns3").restore);

  bed.redis.signal("SIGSTOP");
  const others = answersOf("us-east", "eu-west");
  await recorder.during("Redis stands still", others, override(ns3, "ap-south"), ["ns1", "ns2"]);
  await recorder.during("it goes on", others, () => bed.redis.signal("SIGCONT"));
  await recorder.during("cleared", answersOf(...REGIONS), clear(ns3, "ap-south"));

  for (const { name } of bed.dns) bed.way(name).delay(700);
  await recorder.during("Redis is slow: all that goes to it or comes is 0.7 s late", others, override(ns2, "ap-south"));
  await recorder.during("cleared slowly", answersOf(...REGIONS), clear(ns2, "ap-south"));
  recorder.finish();
});

test("without Redis nodes tell each other: overrides, what regions say of themselves, and what a node missed", {
  skip,
  timeout: 180_000,
}, async (t) => {
  const bed = await startCluster(t, { by: "peers" });
  const [ns1, ns2, ns3] = bed.dns as [ClusterNode, ClusterNode, ClusterNode];
  await bed.redis.stop(); // it was never asked
  const recorder = record(t, bed);
  await recorder.during("all are up", answersOf(...REGIONS), () => {});
  let id = "";
  await recorder.during("an override of ns2", answersOf("us-east", "eu-west"), async () => {
    id = await setOverride(ns2, "region/ap-south");
  });
  await ns3.stop();
  await recorder.during("cleared at ns1, while ns3 is away", answersOf(...REGIONS), () => clearOverride(ns1, id), [
    "ns3",
  ]);
  await ns3.start();
  await recorder.during("ns3 is back, and knows", answersOf(...REGIONS), () => {});
  await recorder.during("us-east says that no backend is healthy", answersOf("eu-west", "ap-south"), () => {
    for (const backend of bed.backends["us-east"]) backend.setHealthy(false);
  });
  await recorder.during("it is well again", answersOf(...REGIONS), () => {
    for (const backend of bed.backends["us-east"]) backend.setHealthy(true);
  });
  await recorder.during("its balancer was killed", answersOf("eu-west", "ap-south"), () =>
    bed.balancers["us-east"].stop(),
  );
  recorder.finish();
});

test("safety rules hold at every node, and a switch that is turned on at one opens the gate at all", {
  skip,
  timeout: 120_000,
}, async (t) => {
  const bed = await startCluster(t, {
    health: `  safety:
    assert: [{ atLeast: 2, of: [us-east, eu-west, ap-south] }]
    gates: { override: maintenance, evacuate: maintenance }
`,
  });
  const [ns1, ns2, ns3] = bed.dns as [ClusterNode, ClusterNode, ClusterNode];
  const recorder = record(t, bed);
  await recorder.during("all are up", answersOf(...REGIONS), () => {});
  const down = { target: "us-east", verb: "down", reason: "a test of the rules" };
  for (const [path, body] of [
    ["/overrides", down],
    ["/regions/us-east/evacuate", { reason: "a test of the rules" }],
  ] as const) {
    const refused = await ns1.api("POST", path, body);
    assert.equal(refused.status, 409, refused.text);
    assert.match(refused.text, /needs the switch maintenance/);
  }
  await setOverride(ns3, "switch/maintenance", "up");
  const rest = answersOf("eu-west", "ap-south");
  await recorder.during("the gate is open at ns1 as well", rest, () =>
    t.waitFor(async () => assert.equal((await ns1.api("POST", "/overrides", down)).status, 201), { timeout: 10_000 }),
  );
  const another = { target: "eu-west", verb: "drain", reason: "one too many" };
  const broken = await ns2.api("POST", "/overrides", another);
  assert.equal(broken.status, 409, broken.text);
  assert.match(broken.text, /at least 2 of us-east, eu-west, ap-south .*ap-south would be left/);
  await recorder.during("by force", answersOf("ap-south"), async () => {
    assert.equal((await ns2.api("POST", "/overrides", { ...another, force: true })).status, 201);
  });
  assert.match((await ns2.api("GET", "/audit")).text, /drain eu-west by force/);
  recorder.finish();
});

test("without the right to use channels, nodes agree by what they read", {
  skip: without("redis-server", "redis-cli"),
  timeout: 120_000,
}, async (t) => {
  const bed = await startCluster(t);
  const [ns1, ns2] = bed.dns as [ClusterNode, ClusterNode];
  const recorder = record(t, bed);
  await recorder.during("all are up", answersOf(...REGIONS), () => {});
  const words = ["-p", `${bed.redis.port}`, "ACL", "SETUSER", "default", "resetchannels", "-@pubsub"];
  assert.equal(spawnSync("redis-cli", words, { encoding: "utf8" }).stdout.trim(), "OK");
  let id = "";
  await recorder.during("an override of ns1", answersOf("eu-west", "ap-south"), async () => {
    id = await setOverride(ns1, "region/us-east");
  });
  await recorder.during("cleared at ns2", answersOf(...REGIONS), () => clearOverride(ns2, id));
  const sharing = async (node: ClusterNode): Promise<string> =>
    (await node.api("GET", "/status")).json<{ sharing: { says: string } }>().sharing.says;
  const isDeaf = (says: string): boolean => says.includes("its channel is not heard (NOPERM");
  for (const node of bed.dns) await until(() => sharing(node), isDeaf, t);
  const restored = ["-p", `${bed.redis.port}`, "ACL", "SETUSER", "default", "allchannels", "+@all"];
  assert.equal(spawnSync("redis-cli", restored, { encoding: "utf8" }).stdout.trim(), "OK");
  // On the connection that stands: nobody has to start anything anew.
  for (const node of bed.dns)
    await until(
      () => sharing(node),
      (says) => !says.includes("not heard"),
      t,
    );
  recorder.finish();
});
