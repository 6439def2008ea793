/**
 * A region is evacuated and brought back under load, by three DNS nodes and three regions that are processes of their own. No
 * request may be lost, and no node may give the region to a client while its balancer drains.
 */
import assert from "node:assert/strict";
import test from "node:test";
import { until } from "./balancer-bed.ts";
import { ADDRESS, type ClusterBed, type ClusterNode, startCluster } from "./cluster-bed.ts";
import { startClients } from "./keep-alive-clients.ts";
import { without } from "./tools.ts";

const skip = without("redis-server");

type Seen = { readonly step: string; readonly direction: string; readonly weight: number; readonly isStopped: boolean };
type Evacuation = Seen & {
  readonly leader: string;
  readonly says: string;
  readonly startRps: number | null;
  readonly nowRps: number | null;
  readonly history: readonly { readonly says: string }[];
};

const order = async (node: ClusterNode, verb: string, body?: object): Promise<Evacuation> => {
  const answer = await node.api("POST", `/regions/us-east/${verb}`, body);
  assert.ok(answer.status < 300, answer.text);
  return answer.json<Evacuation>();
};
const look = async (node: ClusterNode): Promise<Evacuation> => (await node.api("GET", "/evacuations/us-east")).json();
const reach = (node: ClusterNode, step: string, t: test.TestContext): Promise<Evacuation> =>
  until(
    () => look(node),
    (now) => now.step === step,
    t,
  );
const webPort = async ({ balancers }: ClusterBed): Promise<number> => {
  const { listeners } = (await balancers["us-east"].api("GET", "/status")).json<{
    balancer: { listeners: { port: number }[] };
  }>().balancer;
  return listeners[0]!.port;
};
/** Times of the test; all else is as it is by default. */
const TERMS = { weights: [50, 0], weightWaitMs: 2_000, tailTimeoutMs: 8_000, drainTimeoutMs: 20_000 };

test("a region is left and comes back, and no request is lost", { skip, timeout: 300_000 }, async (t) => {
  const bed = await startCluster(t);
  const [ns1, ns2, ns3] = bed.dns as [ClusterNode, ClusterNode, ClusterNode];
  const clients = startClients(t, {
    name: "app.test.example",
    dnsPorts: bed.dns.map(({ port }) => port),
    webPort: await webPort(bed),
    clients: 12,
    pauseMs: 100,
  });
  await until(
    async () => (await ns1.api("GET", "/load")).json<{ regions: { region: string; measuredRps: number }[] }>(),
    ({ regions }) => (regions.find(({ region }) => region === "us-east")?.measuredRps ?? 0) > 100,
    t,
  );

  const begun = await order(ns1, "evacuate", { reason: "a test", ...TERMS });
  assert.equal(begun.step, "weight");
  assert.ok((begun.startRps ?? 0) > 20, `measured ${begun.startRps}`);
  await until(
    async () => (await ns3.api("GET", "/overrides")).json<{ owner: string; target: string }[]>(),
    (all) => all.some(({ owner, target }) => owner === "evacuation" && target === "region/us-east"),
    t,
  );

  await reach(ns2, "balancer", t);
  clients.given();
  await reach(ns3, "evacuated", t);
  assert.ok(!clients.given().has(ADDRESS["us-east"]), "a node gave the region while its balancer drained");
  const { status } = await bed.balancers["us-east"].api("GET", "/readyz");
  assert.equal(status, 503);
  const left = clients.counts();
  await until(clients.counts, (now) => now["eu-west"]! > (left["eu-west"] ?? 0) + 100, t);
  assert.equal(clients.counts()["us-east"], left["us-east"], "somebody is still there");

  await order(ns2, "return");
  await reach(ns1, "serving", t);
  const back = clients.counts();
  await until(clients.counts, (now) => now["us-east"]! > back["us-east"]! + 20, t);
  await clients.stop();
  const { history } = await look(ns1);
  t.diagnostic(
    `${JSON.stringify(clients.counts())} answers, ${clients.lost.length} lost; ${history.map(({ says }) => says).join("; ")}`,
  );
  assert.deepEqual(clients.lost, []);
});
