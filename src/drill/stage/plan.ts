/**
 * Where everything of the stage `local` is: addresses and ports, and the ways between. Pure, but for the ports it is given.
 *
 * Each way leads through a link of its own, named `from>to`: `EU>ns1`, `EU>eu-west`, `ns1>eu-west` (probes), `ns1>lb-eu-west`
 * (control APIs), `ns1>redis`, `EU>anycast`, `lb-eu-west>router-NA` (BGP).
 * @module
 */
import type { Need } from "#drill/scenario.ts";
import type { LinkSpec, LinkState } from "#drill/stage/link.ts";
import { type PairPlan, planPair } from "#drill/stage/pair.ts";
import type { World } from "#drill/stage/world.ts";
import { CONTINENTS, type Continent, type Endpoint } from "#drill/stage.ts";

export const REGIONS = ["us-east", "eu-west", "ap-south"] as const;
export type RegionName = (typeof REGIONS)[number];
export const BACKENDS = [1, 2] as const;

type Place = { readonly continent: Continent; readonly country: string; readonly at: readonly [number, number] };
export const REGION_PLACES: Readonly<Record<RegionName, Place>> = {
  "us-east": { continent: "NA", country: "US", at: [39.04, -77.49] },
  "eu-west": { continent: "EU", country: "IE", at: [53.35, -6.26] },
  "ap-south": { continent: "AS", country: "IN", at: [19.08, 72.88] },
};
export const NODE_PLACES: readonly {
  readonly name: string;
  readonly continent: Continent;
  readonly at: readonly [number, number];
}[] = [
  { name: "ns1", continent: "EU", at: [50.1, 8.7] },
  { name: "ns2", continent: "NA", at: [40.7, -74] },
  { name: "ns3", continent: "AS", at: [35.7, 139.7] },
];
/**
 * Parts of the benchmark networks (RFC 2544) that the demo database places on one continent each. Of many /24s: clients of one
 * network are always sent to one place together, and where a region spills, some go and some stay.
 */
const NETWORKS: Readonly<Record<Continent, string>> = {
  NA: "198.18.0.0/18",
  EU: "198.18.128.0/18",
  AS: "198.19.64.0/18",
};

/** One way, in ms: halves of usual round trips over the Atlantic, the Pacific, and from Frankfurt to Mumbai. */
const BETWEEN_MS: Readonly<Record<string, number>> = { "EU NA": 40, "AS NA": 90, "AS EU": 60 };
const WITHIN_MS = 5;
export const delayBetween = (one: Continent, other: Continent): number =>
  one === other ? WITHIN_MS : BETWEEN_MS[[one, other].sort().join(" ")]!;

export const balancerOf = (region: RegionName): string => `lb-${region}`;
/** The region that has two balancers where a drill needs keepalived, and the one that stands by at first or later. */
const PAIRED: RegionName = "eu-west";
const STAND_BY = `${balancerOf(PAIRED)}-2`;
export const routerOf = (continent: Continent): string => `router-${continent}`;
/** AS of a region's ExaBGP, and of a continent's router (private use, RFC 6996). */
export const asOfRegion = (region: RegionName): number => 64_601 + REGIONS.indexOf(region);
export const asOfRouter = (continent: Continent): number => 64_701 + CONTINENTS.indexOf(continent);
export const ANYCAST_ADDRESS = "203.0.113.53";

export type Member = {
  readonly name: string;
  readonly continent: Continent;
  readonly api: Endpoint;
  readonly region: RegionName | undefined;
};
export type Plan = {
  readonly world: World;
  readonly hasRedis: boolean;
  /** Each DNS node has a clock that can be moved. */
  readonly hasClocks: boolean;
  readonly hasAnycast: boolean;
  /** Two balancers of one region with a VIP; undefined: each region has one. */
  readonly pair: PairPlan | undefined;
  /** DNS nodes, then balancers: all that share records. */
  readonly members: readonly Member[];
  readonly dns: Readonly<Record<string, Endpoint>>;
  readonly redis: Endpoint | undefined;
  readonly httpPort: number;
  readonly vip: Readonly<Record<RegionName, string>>;
  readonly backends: Readonly<Record<RegionName, readonly Endpoint[]>>;
  /** Where probes go, at the address of each region: the same for all nodes, so that they vote on the same. */
  readonly probePort: number;
  readonly bgp: { readonly port: number; readonly routers: Readonly<Record<Continent, string>> };
  readonly links: readonly LinkSpec[];
  network(continent: Continent): string;
  /** Where the near end of a way is. */
  near(from: string, to: string): Endpoint;
};

/** @param nextPort a port that is free, and another one each time */
export function planStage(world: World, needs: readonly Need[], nextPort: () => number): Plan {
  const hasRedis = needs.includes("redis");
  const hasAnycast = needs.includes("exabgp");
  const hasPair = needs.includes("keepalived");
  const nodes = NODE_PLACES.slice(0, world.nodes);
  const local = (): Endpoint => ({ address: "127.0.0.1", port: nextPort() });
  const balancer = (name: string, region: RegionName): Member => ({
    name,
    continent: REGION_PLACES[region].continent,
    api: local(),
    region,
  });
  const members: readonly Member[] = [
    ...nodes.map(({ name, continent }) => ({ name, continent, api: local(), region: undefined })),
    ...REGIONS.map((region) => balancer(balancerOf(region), region)),
    ...(hasPair ? [balancer(STAND_BY, PAIRED)] : []),
  ];
  const pair = hasPair ? planPair(PAIRED, [balancerOf(PAIRED), STAND_BY], local()) : undefined;
  const dns = Object.fromEntries(nodes.map(({ name }) => [name, local()]));
  const redis = hasRedis ? local() : undefined;
  const httpPort = nextPort();
  const byRegion = <T>(make: (region: RegionName, index: number) => T) =>
    Object.fromEntries(REGIONS.map((region, index) => [region, make(region, index)])) as Record<RegionName, T>;
  const vip = byRegion((_, index) => `127.0.${41 + index}.1`);
  const backends = byRegion((region, index) =>
    BACKENDS.map((number) => ({
      address: pair?.region === region ? pair.backends[number - 1]! : `127.0.${41 + index}.${10 + number}`,
      port: nextPort(),
    })),
  );
  const probePort = nextPort();
  const routers = Object.fromEntries(
    CONTINENTS.map((continent, index) => [continent, `127.0.${51 + index}.1`]),
  ) as Record<Continent, string>;
  const bgpPort = nextPort();

  const links: LinkSpec[] = [];
  const ends = new Map<string, Endpoint>();
  const way = (
    from: string,
    to: string,
    oneWayMs: number,
    target: Endpoint | null,
    more: Partial<Omit<LinkSpec, "id" | "state">> = {},
  ): void => {
    const listen = more.listen ?? local();
    const state: LinkState = { delayMs: oneWayMs, answerDelayMs: 0, loss: 0, passage: "open", to: target };
    links.push({ protocols: ["tcp"], ...more, id: `${from}>${to}`, listen, state });
    ends.set(`${from}>${to}`, listen);
  };
  const web = (region: RegionName): Endpoint =>
    pair?.region === region ? pair.web : { address: vip[region], port: httpPort };
  for (const client of CONTINENTS) {
    for (const { name, continent } of nodes)
      way(client, name, delayBetween(client, continent), dns[name]!, { protocols: ["udp", "tcp"] });
    for (const region of REGIONS)
      way(client, region, delayBetween(client, REGION_PLACES[region].continent), web(region));
    // From here to the region: that way has the delay, and what is done to the region.
    if (hasAnycast) way(client, "anycast", 0, null);
  }
  for (const { name, continent } of nodes)
    for (const region of REGIONS)
      way(name, region, delayBetween(continent, REGION_PLACES[region].continent), web(region), {
        listen: { address: vip[region], port: probePort },
        owner: name,
      });
  for (const one of members) {
    for (const other of members)
      if (one !== other) way(one.name, other.name, delayBetween(one.continent, other.continent), other.api);
    // Redis stands beside the first node.
    if (redis) way(one.name, "redis", delayBetween(one.continent, "EU"), redis);
  }
  return {
    world,
    hasRedis,
    hasClocks: needs.includes("faketime"),
    hasAnycast,
    pair,
    members,
    dns,
    redis,
    httpPort,
    vip,
    backends,
    probePort,
    bgp: { port: bgpPort, routers },
    links,
    network: (continent) => NETWORKS[continent],
    near: (from, to) => ends.get(`${from}>${to}`)!,
  };
}

export const balancersOf = ({ members }: Plan, region: RegionName): readonly string[] =>
  members.filter((member) => member.region === region).map(({ name }) => name);

/** Names at either end of a way. */
export const endsOf = (id: string): readonly string[] => id.split(">");

/** @returns ids of the ways that a target stands at the end of: a region's are those of its address and of its balancer */
export function waysOf(plan: Plan, ...places: readonly string[]): readonly string[] {
  return plan.links.filter(({ id }) => endsOf(id).some((end) => places.includes(end))).map(({ id }) => id);
}
