/**
 * The loads: who is compared in which world, with which queries. Rows of one load are measured in turn, round by round,
 * so only they are compared with each other.
 * @module
 */
import type { Recipe } from "./dns-recipe.ts";
import { OURS, RECIPES } from "./dns-recipes.ts";
import { NAMES, type QueryKind, type World } from "./dns-world.ts";

export type Subject = {
  /** The recipe's name, and behind `@` what of the world varies within the load. */
  readonly name: string;
  readonly title: string;
  readonly recipe: Recipe;
  readonly world: World;
};
export type DnsLoad = {
  readonly name: string;
  readonly title: string;
  readonly queries: QueryKind;
  readonly transport: "udp" | "tcp";
  readonly rcode: "NOERROR" | "NXDOMAIN";
  /** Is the latency measured, too, at a part of the rate that the slowest answers? */
  readonly hasLatency: boolean;
  readonly subjects: readonly Subject[];
};

/** Search nodes of the City database that steers: as many as the largest that are sold. */
const CITY_NODES = 5_000_000;

const STATIC: World = { names: NAMES, mapNodes: undefined, workers: 1 };
const short = (count: number) => (count >= 1e6 ? `${count / 1e6}m` : count >= 1e3 ? `${count / 1e3}k` : String(count));
const long = (count: number) => count.toLocaleString("en");

/** Every server that serves such a world. */
function all(world: World, only: readonly Recipe[] = RECIPES): Subject[] {
  const kind = world.mapNodes === undefined ? "static" : "steered";
  return only
    .filter(({ serves }) => serves.includes(kind))
    .map((recipe) => ({ name: recipe.name, title: recipe.title, recipe, world }));
}
/** Each server in each of the worlds; rows of one server stand together. */
function growing(worlds: readonly { key: string; what: string; world: World }[], only: readonly Recipe[] = RECIPES) {
  return only.flatMap((recipe) =>
    worlds.flatMap(({ key, what, world }) =>
      all(world, [recipe]).map((subject) => ({
        ...subject,
        name: `${subject.name}@${key}`,
        title: `${subject.title}, ${what}`,
      })),
    ),
  );
}

export function dnsLoads(isQuick: boolean): readonly DnsLoad[] {
  const udp = { queries: "existing", transport: "udp", rcode: "NOERROR", hasLatency: false } as const;
  const sizes = isQuick ? [10, 10_000] : [10, 10_000, 100_000, 1_000_000];
  const nodes = isQuick ? [100_000] : [100_000, 1_000_000, CITY_NODES];
  const steeredNodes = isQuick ? 100_000 : CITY_NODES;
  return [
    { ...udp, name: "static", title: "Static, 10 names", hasLatency: true, subjects: all({ ...STATIC, names: 10 }) },
    { ...udp, name: "static-1k", title: `Static, ${long(NAMES)} names`, subjects: all(STATIC) },
    {
      ...udp,
      name: "steered",
      title: `Steered by client subnet, ${long(steeredNodes)} nodes, 1,000 subnets`,
      queries: "steered",
      hasLatency: true,
      subjects: all({ ...STATIC, mapNodes: steeredNodes }),
    },
    {
      ...udp,
      name: "steered-cold",
      title: `Steered by client subnet, ${long(steeredNodes)} nodes, another subnet each time`,
      queries: "steered-cold",
      subjects: all({ ...STATIC, mapNodes: steeredNodes }),
    },
    {
      ...udp,
      name: "nxdomain",
      title: "Random names that do not exist",
      queries: "missing",
      rcode: "NXDOMAIN",
      subjects: all(STATIC),
    },
    {
      ...udp,
      name: "tcp",
      title: `TCP, connections that stay open, ${long(NAMES)} names`,
      transport: "tcp",
      subjects: all(STATIC),
    },
    {
      ...udp,
      name: "zone-size",
      title: "Random existing names, by size of the zone",
      subjects: growing(
        sizes.map((names) => ({ key: short(names), what: `${long(names)} names`, world: { ...STATIC, names } })),
      ),
    },
    {
      ...udp,
      name: "map-size",
      title: "Steered, by nodes of the database, another subnet each time",
      queries: "steered-cold",
      subjects: growing(
        nodes.map((mapNodes) => ({
          key: short(mapNodes),
          what: `${long(mapNodes)} nodes`,
          world: { ...STATIC, mapNodes },
        })),
        OURS,
      ),
    },
    {
      ...udp,
      name: "workers",
      title: "UDP threads that share one core",
      subjects: growing(
        [1, 2, 4].map((workers) => ({
          key: String(workers),
          what: workers === 1 ? "1 worker" : `${workers} workers`,
          world: { ...STATIC, workers },
        })),
        OURS,
      ),
    },
  ];
}
