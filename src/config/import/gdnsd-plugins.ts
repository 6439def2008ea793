/**
 * Resources of gdnsd's plugins → services and regions.
 * @module
 */
import { parseIp } from "#base/ip.ts";
import { compact, type Draft } from "#config/import/draft.ts";
import type { ServiceTypes } from "#config/import/gdnsd-checks.ts";
import type { GeoMaps } from "#config/import/gdnsd-maps.ts";
import { childOf, entriesOf, textOf, textsOf, type Vscf } from "#config/import/gdnsd-read.ts";
import { type At, type Notes, quoted } from "#config/import/notes.ts";
import type { Regions } from "#config/import/regions.ts";
import { createNames, parseCount } from "#config/import/words.ts";

export type Service = {
  readonly name: string;
  /** Regions by datacenter or label. */
  readonly regions: ReadonlyMap<string, string>;
};
/** By `plugin!resource`. */
export type Services = ReadonlyMap<string, Service>;

const SETTINGS = ["service_types", "up_thresh", "multi", "plugin", "ignore_health", "ttl_max", "ttl_min", "resource"];
type Found = {
  v4: string[];
  v6: string[];
  types: Vscf | undefined;
  upThresh: string | undefined;
  weight: number;
  seen: Set<Vscf>;
};

type Scope = {
  readonly root: Vscf;
  readonly draft: Draft;
  readonly regions: Regions;
  readonly types: ServiceTypes;
  readonly maps: GeoMaps;
  readonly notes: Notes;
};

/** Longer chains of references are mistakes. */
const MAX_REFERENCES = 64;

/** Resources of a plugin: metafo and geoip have them one level deeper. */
const resourcesOf = (root: Vscf, plugin: string): ReadonlyMap<string, Vscf> => {
  const node = childOf(childOf(root, "plugins"), plugin);
  return entriesOf(childOf(node, "resources") ?? node);
};

/** All addresses below a value, whatever form it has: an address, a list, labels, families, a reference. */
function collect(node: Vscf, scope: Scope, found: Found): void {
  const { root, notes } = scope;
  if (node.kind === "text") {
    const reference = /^%?(?:([a-z0-9_]+))?!(.+)$/i.exec(node.text);
    const target = reference && resourcesOf(root, reference[1] ?? "").get(reference[2]!);
    if (target && found.seen.has(target)) return;
    if (target && found.seen.size < MAX_REFERENCES) {
      found.seen.add(target);
      notes.changed(
        node.at,
        `The addresses of ${quoted(node.text)} are written here: services do not stand inside of each other`,
        "Nothing to do",
      );
      collect(target, scope, found);
    } else {
      const octets = parseIp(node.text)?.length;
      if (octets === 4) found.v4.push(node.text);
      else if (octets === 16) found.v6.push(node.text);
      else
        notes.leftOut(
          node.at,
          `${quoted(node.text)} is no address; services answer with addresses`,
          "Write the addresses, or a CNAME into the zone",
        );
    }
    return;
  }
  if (node.kind === "list") {
    const [first, second] = node.items;
    // `[ address, weight ]` of the plugin weighted.
    if (node.items.length === 2 && first?.kind === "text" && second?.kind === "text" && /^\d+$/.test(second.text)) {
      found.weight += parseCount(second.text, 1, 1_048_576) ?? 0;
      collect(first, scope, found);
    } else for (const item of node.items) collect(item, scope, found);
    return;
  }
  found.types = childOf(node, "service_types") ?? found.types;
  found.upThresh = textOf(childOf(node, "up_thresh")) ?? found.upThresh;
  for (const [key, child] of node.entries) if (!SETTINGS.includes(key)) collect(child, scope, found);
}

function thresholdText(text: string | undefined): string | undefined {
  const share = text !== undefined && /^[01]?(\.\d{1,6})?$/.test(text) && text !== "" ? Number(text) : Number.NaN;
  // Ours has the same default, a half.
  return share > 0 && share <= 1 && share !== 0.5 ? `${Math.max(1, Math.round(share * 100))}%` : undefined;
}

type Member = { readonly label: string; readonly found: Found; readonly at: At };

/** Members of a resource, each of which becomes a region. @param types and `upThresh` that they inherit */
function membersOf(
  parts: Iterable<readonly [string, Vscf]>,
  types: Vscf | undefined,
  upThresh: string | undefined,
  scope: Scope,
): Member[] {
  const members = new Map<string, Member>();
  for (const [label, node] of parts) {
    const found: Found = members.get(label)?.found ?? { v4: [], v6: [], types, upThresh, weight: 0, seen: new Set() };
    collect(node, scope, found);
    members.set(label, { label, found, at: node.at });
  }
  return [...members.values()];
}

/** Labels of `addrs_v4` and `addrs_v6`, or those of the resource itself. */
function* partsOf(resource: Vscf): Generator<readonly [string, Vscf]> {
  for (const [key, node] of entriesOf(resource)) {
    if (key === "addrs_v4" || key === "addrs_v6") yield* partsOf(node);
    else if (!SETTINGS.includes(key)) yield [key, node];
  }
}

function makeRegions(
  resource: string,
  members: readonly Member[],
  hasOwnNames: boolean,
  map: string | undefined,
  scope: Scope,
): Map<string, string> {
  const { regions, types, maps, notes } = scope;
  const filled = members.filter(({ found }) => found.v4.length + found.v6.length > 0);
  const all = (family: "v4" | "v6"): boolean => filled.every(({ found }) => found[family].length > 0);
  const any = (family: "v4" | "v6"): boolean => filled.some(({ found }) => found[family].length > 0);
  const keeps = { v4: all("v4") || !all("v6"), v6: all("v6") || (!any("v4") && any("v6")) };
  const made = new Map<string, string>();
  for (const { label, found, at } of filled) {
    for (const family of ["v4", "v6"] as const) {
      if (!keeps[family] && found[family].length > 0)
        notes.leftOut(
          at,
          `Not all of ${quoted(resource)} have IP${family} addresses: it is steered by the other family alone`,
          `Give all of them IP${family} addresses`,
        );
    }
    const [v4, v6] = [keeps.v4 ? found.v4 : [], keeps.v6 ? found.v6 : []].map((list) =>
      [...new Set(list)].slice(0, 64),
    );
    if (v4!.length + v6!.length === 0) continue;
    const place = maps.placeOf(map, label, at);
    const region = {
      ...place,
      v4: v4!,
      v6: v6!,
      check: types.find(found.types),
      upThreshold: thresholdText(found.upThresh),
    };
    made.set(label, regions.add(hasOwnNames ? label : `${resource}-${label}`, region, at));
  }
  return made;
}

export function importPlugins(scope: Scope): Services {
  const { root, draft, maps, notes } = scope;
  const names = createNames();
  const services = new Map<string, Service>();
  const plugins = childOf(root, "plugins");
  /** With one resource of datacenters alone, regions are called as they are there. */
  const isAlone = resourcesOf(root, "geoip").size + resourcesOf(root, "metafo").size === 1;
  const add = (
    plugin: string,
    resource: string,
    regions: Map<string, string>,
    value: Record<string, unknown>,
    at: At,
  ): void => {
    if (regions.size === 0) {
      notes.leftOut(at, "The resource has no addresses", "Write the service by hand");
      return;
    }
    const name = names.fresh(resource);
    services.set(`${plugin}!${resource}`, { name, regions });
    draft.dns.services.set(name, { value: compact({ regions: [...regions.values()], ...value }), at });
  };
  const inheritedBy = (plugin: string, resource: Vscf, key: string): Vscf | undefined =>
    childOf(resource, key) ?? childOf(childOf(plugins, plugin), key);

  for (const [plugin, node] of entriesOf(plugins)) {
    if (!["geoip", "metafo", "multifo", "simplefo", "weighted", "static"].includes(plugin))
      notes.leftOut(node.at, `There is nothing like the plugin ${quoted(plugin)}`, "Write the service by hand");
  }
  for (const plugin of ["geoip", "metafo"]) {
    for (const [resource, node] of resourcesOf(root, plugin)) {
      if (plugin === "geoip" && resource === "maps") continue;
      const map = plugin === "geoip" ? textOf(childOf(node, "map")) : undefined;
      const order = plugin === "geoip" ? maps.orderOf(map) : textsOf(childOf(node, "datacenters"));
      const dcmap = [...entriesOf(childOf(node, "dcmap"))];
      const sorted = [
        ...order.flatMap((dc) => dcmap.filter(([name]) => name === dc)),
        ...dcmap.filter(([name]) => !order.includes(name)),
      ];
      const members = membersOf(sorted, childOf(node, "service_types"), undefined, scope);
      const regions = makeRegions(resource, members, isAlone, map, scope);
      if (plugin === "geoip" && map !== undefined) maps.use(map, regions);
      add(plugin, resource, regions, { steer: plugin === "geoip" ? maps.steerOf(map) : "failover" }, node.at);
    }
  }
  for (const [resource, node] of resourcesOf(root, "simplefo")) {
    const members = membersOf(partsOf(node), inheritedBy("simplefo", node, "service_types"), undefined, scope);
    const sorted = [...members].sort((a, b) => Number(b.label === "primary") - Number(a.label === "primary"));
    add("simplefo", resource, makeRegions(resource, sorted, false, undefined, scope), { steer: "failover" }, node.at);
  }
  for (const [resource, node] of resourcesOf(root, "multifo")) {
    if (SETTINGS.includes(resource)) continue;
    const upThresh = textOf(inheritedBy("multifo", node, "up_thresh"));
    const members = membersOf([["all", node]], inheritedBy("multifo", node, "service_types"), upThresh, scope);
    add("multifo", resource, makeRegions(resource, members, false, undefined, scope), { steer: "failover" }, node.at);
  }
  for (const [resource, node] of resourcesOf(root, "weighted")) {
    if (SETTINGS.includes(resource)) continue;
    const members = membersOf(
      partsOf(node),
      inheritedBy("weighted", node, "service_types"),
      textOf(inheritedBy("weighted", node, "up_thresh")),
      scope,
    );
    const regions = makeRegions(resource, members, false, undefined, scope);
    if (textOf(inheritedBy("weighted", node, "multi")) === "true")
      notes.changed(
        node.at,
        "One of the members answers, not several",
        "Write `steer: multivalue`, which has no weights",
      );
    const weights = Object.fromEntries(
      members.flatMap(({ label, found }) =>
        regions.has(label) ? [[regions.get(label)!, { weight: Math.min(found.weight, 65_535) }]] : [],
      ),
    );
    add("weighted", resource, regions, { regions: weights, steer: "weighted" }, node.at);
  }
  for (const [resource, node] of resourcesOf(root, "static")) {
    const members = membersOf([["all", node]], undefined, undefined, scope);
    add("static", resource, makeRegions(resource, members, false, undefined, scope), { steer: "failover" }, node.at);
  }
  return services;
}
