/**
 * What the nodes of the stage `local` are configured with. Pure. JSON stands where YAML takes it.
 * @module
 */
import { ANYCAST_ADDRESS, asOfRegion, NODE_PLACES, type Plan, REGION_PLACES, REGIONS } from "#drill/stage/plan.ts";
import type { Endpoint } from "#drill/stage.ts";

const text = JSON.stringify;
const at = ({ address, port }: Endpoint): string => `${address}:${port}`;
export type Keys = Readonly<Record<string, string>>;

/** @param keys public keys by node; empty before the nodes have any */
function common(plan: Plan, name: string, keys: Keys): Record<string, unknown> {
  const { members, redis, near, hasRedis } = plan;
  const own = members.find((member) => member.name === name)!;
  const peers = members
    .filter((member) => member !== own)
    .map((member) => [member.name, { url: `http://${at(near(name, member.name))}`, token: "file:token" }]);
  const nodes = Object.entries(keys).map(([node, key]) => [node, { key }]);
  return {
    version: 1,
    node: name,
    control: {
      listen: at(own.api),
      tokens: { drill: { token: "file:token", role: "admin" } },
      peers: Object.fromEntries(peers),
    },
    cluster: {
      state: "state/",
      ...(redis && hasRedis ? { redis: `redis://${at(near(name, "redis"))}` } : {}),
      ...(nodes.length === 0 ? {} : { nodes: Object.fromEntries(nodes) }),
    },
  };
}

/** Below a node's folder: its own copy of the demo world's, because a drill may break it. */
export const DATABASE_FILE = "geo-data/demo.mmdb";

export function dnsNodeFiles(plan: Plan, name: string, keys: Keys): Record<string, string> {
  const { world } = plan;
  const vantages = NODE_PLACES.slice(0, world.nodes).map(({ name: node, at: place }) => [node, { at: place }]);
  const root = {
    ...common(plan, name, keys),
    // All clients of a continent come from one relay's address; a node of the world would see many.
    dns: { listen: [at(plan.dns[name]!)], workers: 1, rrl: { enabled: false } },
    zones: "zones/",
    geo: { database: DATABASE_FILE, regions: "geo-data/regions.yaml" },
    health: { checks: "health/", vantage: name, vantages: Object.fromEntries(vantages) },
  };
  const regions = REGIONS.map((region) => [
    region,
    {
      ...REGION_PLACES[region],
      v4: [plan.vip[region]],
      v6: [],
      check: "region-http",
      capacity: `${world.capacity}rps`,
    },
  ]);
  const { interval, timeout, downSpan, failback } = world;
  const check = {
    kind: "http",
    port: plan.probePort,
    path: "/healthz",
    interval: `${interval}ms`,
    timeout: `${timeout}ms`,
    downSpan: `${downSpan}ms`,
    thresholds: { up: failback.up },
    failback: { mode: "auto", hold: `${failback.hold}ms`, ramp: failback.ramp },
  };
  const service = { regions: REGIONS, steer: world.steer, ttl: { min: `${world.ttl.min}s`, max: `${world.ttl.max}s` } };
  const services = {
    www: service,
    ...Object.fromEntries(Object.entries(world.services).map(([id, own]) => [id, { ...service, ...own }])),
  };
  const steered = Object.keys(services).map((id) => `${id} ${world.ttl.max} STEER ${id}\n`);
  return {
    "rhumb.yaml": text(root, null, 1),
    "geo-data/regions.yaml": text(Object.fromEntries(regions), null, 1),
    "health/region-http.yaml": text(check, null, 1),
    "zones/services.yaml": text(services, null, 1),
    "zones/demo.example.zone": `$ORIGIN demo.example.
@ 60 SOA ns1 hostmaster 1 3600 600 86400 60
@ 60 NS ns1
ns1 60 A 192.0.2.53
${steered.join("")}`,
  };
}

export type ExabgpPipes = { readonly in: string; readonly out: string; readonly heartbeatPath: string };

/**
 * @param name of a balancer; two of one region are configured alike
 * @param capacityRps what the balancer says that it is built for
 */
export function balancerFiles(
  plan: Plan,
  name: string,
  keys: Keys,
  { pipes, capacityRps }: { readonly pipes: ExabgpPipes | undefined; readonly capacityRps: number },
): Record<string, string> {
  const region = plan.members.find((member) => member.name === name)!.region!;
  const address = plan.pair?.region === region ? plan.pair.vip : plan.vip[region];
  const root = {
    ...common(plan, name, keys),
    balancer: {
      region,
      workers: 1,
      capacity: `${capacityRps}rps`,
      drain: "10s",
      listeners: { web: { listen: `${address}:${plan.httpPort}`, protocol: "http", pool: "web" } },
      pools: {
        web: {
          check: { kind: "http", path: "/healthz", interval: "1s", timeout: "500ms" },
          backends: plan.backends[region].map(at),
        },
      },
    },
    ...(pipes && {
      anycast: {
        exabgp: pipes,
        prefixes: [{ prefix: `${ANYCAST_ADDRESS}/32`, communities: [`${asOfRegion(region)}:1`] }],
        drain: { wait: "2s" },
        holdDown: { base: "1s" },
      },
    }),
  };
  return { "rhumb.yaml": text(root, null, 1) };
}
