/**
 * One configuration for three nodes and three balancers, each a process of its own, through a real Redis: pushed, refused,
 * missed, in conflict, taken back. All answers are written down every 100 ms: none may be wrong, empty, or older than one before.
 */
import assert from "node:assert/strict";
import test from "node:test";
import { recordAnswers } from "./answer-recorder.ts";
import { type ClusterNode, startCluster } from "./cluster-bed.ts";
import { without } from "./tools.ts";

const skip = without("redis-server");
const NAME = "pushed.test.example";
const zoneWith = (address: string): string => `$ORIGIN test.example.
@ 60 SOA ns1 hostmaster 1 3600 600 86400 60
@ 60 NS ns1
ns1 60 A 192.0.2.53
static 60 A 192.0.2.80
app 5 STEER app
all 5 STEER all
pushed 60 A ${address}
`;
const answers = (address: string) => ({ [NAME]: [address] });

type Pushed = { readonly version: string };
async function push(node: ClusterNode, address: string, more: Readonly<Record<string, unknown>> = {}): Promise<string> {
  const files = { "zones/test.example.zone": zoneWith(address) };
  const answer = await node.api("PUT", "/config", { files, partial: true, reason: "a test", ...more });
  assert.equal(answer.status, 200, answer.text);
  return answer.json<Pushed>().version;
}
const desiredAt = async (node: ClusterNode): Promise<{ version: string | null; forks: string[] }> =>
  (await node.api("GET", "/config/desired")).json();

test("a configuration is pushed, missed, in conflict, and taken back", { skip, timeout: 240_000 }, async (t) => {
  const bed = await startCluster(t);
  const [ns1, ns2, ns3] = bed.dns as [ClusterNode, ClusterNode, ClusterNode];
  await push(ns1, "192.0.2.1");
  const recorder = recordAnswers(t, bed.dns, [NAME]);
  // Questions that came before the first push arrived were answered NXDOMAIN: that is how it was.
  const early = { [NAME]: ["rcode 3"] };
  await recorder.during("pushed for the first time", answers("192.0.2.1"), () => {}, [], early);
  await recorder.during("pushed through another node", answers("192.0.2.2"), () => push(ns2, "192.0.2.2"));

  const broken = await ns1.api("PUT", "/config", { files: { "zones/services.yaml": "app: {" }, partial: true });
  assert.equal(broken.status, 422, broken.text);
  const emptied = await ns3.api("PUT", "/config", {
    files: { "zones/test.example.zone": zoneWith("192.0.2.2").replace(/^pushed.*\n/m, "") },
    partial: true,
  });
  assert.equal(emptied.status, 422, "a name that had an answer would have none");
  assert.match(emptied.text, /pushed\.test\.example/);

  await ns3.stop();
  await recorder.during("ns3 is away", answers("192.0.2.3"), () => push(ns1, "192.0.2.3"), ["ns3"]);
  await ns3.start();
  await recorder.during("ns3 is back, and catches up", answers("192.0.2.3"), () => {});

  await bed.redis.stop();
  await recorder.during(
    "Redis is away: ns1 serves what it was given",
    answers("192.0.2.4"),
    () => push(ns1, "192.0.2.4"),
    ["ns2", "ns3"],
  );
  await recorder.during("Redis came back empty", answers("192.0.2.4"), bed.redis.start);

  await recorder.during("taken back", answers("192.0.2.3"), async () => {
    const answer = await ns2.api("POST", "/config/rollback", { reason: "a test" });
    assert.equal(answer.status, 200, answer.text);
  });
  recorder.finish();
});

test("two sides that were pushed to apart serve on, say so, and are brought together", {
  skip,
  timeout: 240_000,
}, async (t) => {
  const bed = await startCluster(t);
  const [ns1, ns2, ns3] = bed.dns as [ClusterNode, ClusterNode, ClusterNode];
  await push(ns1, "192.0.2.1");
  await t.waitFor(async () => assert.ok((await desiredAt(ns3)).version !== null), { timeout: 30_000 });
  bed.way("ns3").cut();
  const ours = await push(ns1, "192.0.2.2");
  const theirs = await push(ns3, "192.0.2.3");
  const recorder = recordAnswers(t, bed.dns, [NAME]);
  const first = recorder.during("apart: ns1 and ns2", answers("192.0.2.2"), () => {}, ["ns3"], answers("192.0.2.3"));
  await first;
  bed.way("ns3").restore();
  await t.waitFor(
    async () => {
      for (const node of [ns1, ns2, ns3]) assert.notEqual((await desiredAt(node)).forks.length, 0, node.name);
    },
    { timeout: 30_000 },
  );
  const took = await ns2.api("POST", "/config/resolve", { take: theirs, reason: "a test" });
  assert.equal(took.status, 200, took.text);
  assert.notEqual(ours, theirs);
  await recorder.during("resolved for what ns3 has", answers("192.0.2.3"), () => {}, [], answers("192.0.2.2"));
  for (const node of [ns1, ns2, ns3]) assert.deepEqual((await desiredAt(node)).forks, [], node.name);
  recorder.finish();
});
