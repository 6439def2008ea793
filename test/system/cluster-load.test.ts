/**
 * Load steering by three DNS nodes before three regions, each a process of its own: real requests of clients that keep answers
 * for their TTL, the balancers' own reports through a real Redis, and what each node makes of them by itself. No answer may be
 * wrong or empty, and the nodes have to shift like shares.
 */
import assert from "node:assert/strict";
import test from "node:test";
import { until } from "./balancer-bed.ts";
import { ADDRESS, type ClusterNode, REGIONS, type RegionName, startCluster } from "./cluster-bed.ts";
import { type Crowd, startCrowd } from "./crowd.ts";
import { without } from "./tools.ts";

const CAPACITY_RPS = 100;
const WINDOW_MS = 15_000;
/**
 * Parts of a node's answers. 500 clients, each sent by its hash, and plans that each node makes from the answers that it gave:
 * over 15 s a node lies within 6 points of what is planned, mostly.
 */
const ARRIVED_WITHIN = 0.1;
const STAYS_WITHIN = 0.22;

type Load = {
  readonly regions: readonly { region: string; measuredPercent: number | null; measuredRps: number | null }[];
  readonly spread: { readonly says: string; readonly level: number; readonly movedRps: number } | null;
};
const loadAt = async (node: ClusterNode): Promise<Load> => (await node.api("GET", "/load")).json<Load>();

/** What share of its answers each node gave to a region, the lowest and the highest of all nodes. */
function rangeOf(crowd: Crowd, region: RegionName): { readonly low: number; readonly high: number } {
  const shares = [...crowd.shares(WINDOW_MS).values()].map((node) => node.get(ADDRESS[region]) ?? 0);
  return { low: Math.min(...shares), high: Math.max(...shares) };
}
type Shares = Readonly<Record<RegionName, number>>;
const isNear = (crowd: Crowd, expected: Shares, within: number): boolean =>
  REGIONS.every((region) => {
    const { low, high } = rangeOf(crowd, region);
    return low > expected[region] - within && high < expected[region] + within;
  });
const told = (crowd: Crowd): string =>
  [...crowd.shares(WINDOW_MS)]
    .map(([node, shares]) => {
      const parts = REGIONS.map((region) => `${region} ${Math.round(100 * (shares.get(ADDRESS[region]) ?? 0))} %`);
      return `${node}: ${parts.join(", ")}`;
    })
    .join("; ");

test("nodes shift the same share away from a region that is full, and spread that of one that dies", {
  skip: without("redis-server"),
  timeout: 400_000,
}, async (t) => {
  const bed = await startCluster(t, {
    capacity: `${CAPACITY_RPS}rps`,
    services: `www: { regions: [${REGIONS.join(", ")}], steer: [healthy, { shed: { low: 70%, high: 90% } }, { first: 1 }], ttl: { min: 1s, max: 5s } }\n`,
    records: "www 5 STEER www\n",
  });
  const crowd = await startCrowd(t, {
    nodes: bed.dns,
    name: "www.test.example",
    clients: 500,
    httpPort: bed.webPort,
  });
  const all = REGIONS.map((region) => ADDRESS[region]);
  /** All nodes come to these shares, and stay there for another window of answers. */
  async function settled(expected: Shares): Promise<void> {
    try {
      await until(() => isNear(crowd, expected, ARRIVED_WITHIN), Boolean, t);
      const arrivedMs = performance.now();
      await until(
        () => performance.now() - arrivedMs,
        (ms) => ms >= WINDOW_MS,
        t,
      );
      assert.ok(isNear(crowd, expected, STAYS_WITHIN), told(crowd));
    } finally {
      t.diagnostic(told(crowd));
    }
  }

  // The first of the list has room for all, and gets all.
  crowd.allow([ADDRESS["us-east"]]);
  crowd.setRate(50);
  for (const node of bed.dns)
    await until(
      () => loadAt(node),
      ({ spread, regions }) => spread?.says === "" && (regions[0]!.measuredPercent ?? 0) > 30,
      t,
    );
  assert.deepEqual(crowd.wrong, []);

  // 160 of 300: 70 stay, 70 go to the next, and 20 to the third.
  crowd.allow(all);
  crowd.setRate(160);
  await settled({ "us-east": 0.44, "eu-west": 0.44, "ap-south": 0.12 });
  assert.deepEqual(crowd.wrong, []);
  for (const node of bed.dns)
    for (const { region, measuredPercent } of (await loadAt(node)).regions)
      assert.ok(
        measuredPercent !== null && measuredPercent < 100,
        `${node.name}: ${region} is at ${measuredPercent} %`,
      );

  // The one that dies leaves its clients to both: 80 of 100 each, not 140 and 20.
  await bed.balancers["us-east"].stop();
  for (const node of bed.dns)
    await until(
      async () => (await node.api("GET", "/regions/us-east")).json<{ health: { verdict: string } }>(),
      ({ health }) => health.verdict === "down",
      t,
    );
  crowd.allow([ADDRESS["eu-west"], ADDRESS["ap-south"]]);
  await settled({ "us-east": 0, "eu-west": 0.5, "ap-south": 0.5 });
  assert.deepEqual(crowd.wrong, []);
  for (const [address, { served, failed }] of crowd.requests()) {
    t.diagnostic(`${address}: ${served} requests served, ${failed} not`);
    if (address !== ADDRESS["us-east"]) assert.equal(failed, 0);
  }
});
