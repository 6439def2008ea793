/**
 * One entry of services.yaml → `ServiceSpec`, after checking what it refers to.
 * @module
 */
import { hashText } from "#base/hash.ts";
import type { Position, Problem } from "#base/problem.ts";
import { compileChain } from "#config/chain.ts";
import type { ParsedConfig } from "#config/parse.ts";
import { listWords, type Report } from "#config/report.ts";
import { suggest } from "#config/suggest.ts";
import type { EmptyRule, FilterSpec, ServiceSpec } from "#state/snapshot.ts";
import type { ServiceConfig } from "#steer/config.ts";

/** A STEER record of some zone. */
export type SteerReference = {
  /** The owner as text, absolute. */
  readonly name: string;
  readonly service: string;
  readonly ttlSeconds: number;
  readonly at: Position;
};

/** TTL of services that no zone refers to. */
const DEFAULT_TTL_SECONDS = 30;
/** One day: an address that may have to move is not kept for longer. */
const MAX_TTL_SECONDS = 86_400;

type Member = { readonly region: string; readonly weight: number; readonly priority: number };

function membersOf(name: string, service: ServiceConfig, parsed: ParsedConfig, report: Report): Member[] {
  const { source } = parsed.services;
  const isList = Array.isArray(service.regions);
  const entries = isList
    ? (service.regions as string[]).map((region) => ({ region, weight: 1, priority: undefined as number | undefined }))
    : Object.entries(service.regions as Exclude<ServiceConfig["regions"], string[]>).map(([region, member]) => ({
        region,
        weight: member?.weight ?? 1,
        priority: member?.priority,
      }));
  const pathOf = (index: number) => [name, "regions", isList ? index : entries[index]!.region];
  if (entries.length === 0) report(source, [name, "regions"], "The service has no region", "Name at least one");
  const seen = new Set<string>();
  for (const [index, { region }] of entries.entries()) {
    if (!parsed.regions.has(region))
      report(
        source,
        pathOf(index),
        `There is no region ${JSON.stringify(region)}`,
        suggest(region, [...parsed.regions.names], "region"),
        { want: "key" },
      );
    if (seen.has(region))
      report(source, pathOf(index), `${JSON.stringify(region)} stands here a second time`, "Keep one of the two");
    seen.add(region);
  }
  const ranked = entries.filter((entry) => entry.priority !== undefined);
  if (ranked.length > 0 && ranked.length < entries.length) {
    const index = entries.findIndex((entry) => entry.priority === undefined);
    report(
      source,
      pathOf(index),
      `${JSON.stringify(entries[index]!.region)} has no \`priority\`, others have`,
      "Give all of them one, or none: then the order counts",
      { want: "key" },
    );
  }
  if (entries.length > 0 && entries.every((entry) => entry.weight === 0))
    report(source, [name, "regions"], "All weights are 0", "Give at least one region a weight");
  return entries.map((entry, index) => ({ ...entry, priority: entry.priority ?? index + 1 }));
}

/** Which types exist at a name may not depend on client or health, so all regions have a family, or none has it. */
function checkFamilies(name: string, members: readonly Member[], parsed: ParsedConfig, report: Report): void {
  for (const family of ["v4", "v6"] as const) {
    const known = members.filter((member) => parsed.regions.valid.has(member.region));
    const lacking = known.filter((member) => parsed.regions.valid.get(member.region)![family].length === 0);
    if (lacking.length === 0 || lacking.length === known.length) continue;
    const type = family === "v4" ? "A" : "AAAA";
    const names = listWords(lacking.map((member) => member.region));
    const says = `Some regions have IP${family} addresses, but not ${names}: ${type} would exist for some clients only`;
    report(
      parsed.services.source,
      [name, "regions"],
      says,
      `Give ${names} a \`${family}\` address, or use a service of its own`,
    );
  }
}

function ttlOf(
  name: string,
  service: ServiceConfig,
  references: readonly SteerReference[],
  problems: Problem[],
  parsed: ParsedConfig,
  report: Report,
) {
  const { source } = parsed.services;
  let max = service.ttl.max;
  if (max === undefined) {
    const lowest = references.reduce<SteerReference | undefined>(
      (low, next) => (low && low.ttlSeconds <= next.ttlSeconds ? low : next),
      undefined,
    );
    max = lowest?.ttlSeconds ?? DEFAULT_TTL_SECONDS;
    const other = references.find((reference) => reference.ttlSeconds !== max);
    if (lowest && other)
      problems.push({
        ...other.at,
        path: "",
        severity: "warning",
        says: `STEER records of service "${name}" have different TTLs; the lowest, ${max} s, counts for all`,
        fix: "Set `ttl.max` in services.yaml",
      });
    if (lowest && (max < 1 || max > MAX_TTL_SECONDS))
      problems.push({
        ...lowest.at,
        path: "",
        severity: "error",
        says: `The TTL of a STEER record must be 1 to ${MAX_TTL_SECONDS} s; is ${max}`,
        fix: "Change it, or set `ttl.max` in services.yaml",
      });
  }
  const min = service.ttl.min ?? Math.max(1, Math.floor(max / 2));
  if (min > max)
    report(
      source,
      [name, "ttl", "min"],
      `\`ttl.min\` (${min} s) is above \`ttl.max\` (${max} s)`,
      service.ttl.max === undefined
        ? "Lower it, or set `ttl.max`: its default is the TTL of the STEER record"
        : "Lower it",
    );
  return { min, max };
}

const fallbacksOf = (rule: EmptyRule): string[] => (typeof rule === "object" ? [rule.fallback] : []);
export const chainFallbacks = (filter: FilterSpec): string[] =>
  "onEmpty" in filter ? fallbacksOf(filter.onEmpty) : [];

/** Fallbacks must end somewhere, and must have what the service has. */
export function checkFallbacks(services: readonly ServiceSpec[], parsed: ParsedConfig, report: Report): void {
  const byName = new Map(services.map((service) => [service.name, service]));
  const nextOf = (service: ServiceSpec): string[] => [
    ...(service.fallback === undefined ? [] : [service.fallback]),
    ...service.chain.flatMap(chainFallbacks),
  ];
  /** Shortest way from a service back to itself. */
  const loopOf = (start: string): string[] | undefined => {
    const ways = [[start]];
    const seen = new Set<string>();
    for (const way of ways) {
      const service = byName.get(way.at(-1)!);
      for (const next of service ? nextOf(service) : []) {
        if (next === start) return [...way, next];
        if (!seen.has(next)) ways.push([...way, next]);
        seen.add(next);
      }
    }
    return undefined;
  };
  const regionConfigs = [...parsed.regions.valid.values()];
  const familiesOf = (service: ServiceSpec | undefined) => {
    const regions = (service?.regions ?? []).map((entry) => regionConfigs[entry.region]);
    return {
      v4: regions.some((region) => (region?.v4.length ?? 0) > 0),
      v6: regions.some((region) => (region?.v6.length ?? 0) > 0),
    };
  };
  for (const service of services) {
    const path = service.fallback === undefined ? [service.name, "steer"] : [service.name, "fallback"];
    const loop = loopOf(service.name);
    if (loop)
      report(parsed.services.source, path, `Fallbacks go round in a circle: ${loop.join(" → ")}`, "Break the circle");
    const own = familiesOf(service);
    for (const name of nextOf(service)) {
      const other = familiesOf(byName.get(name));
      if (!byName.has(name)) continue;
      for (const family of ["v4", "v6"] as const) {
        if (own[family] && !other[family])
          report(
            parsed.services.source,
            path,
            `The fallback ${JSON.stringify(name)} has no IP${family} addresses, but this service has: ${family === "v4" ? "A" : "AAAA"} would come and go with health`,
            `Give the regions of ${JSON.stringify(name)} IP${family} addresses, or choose another fallback`,
          );
      }
    }
  }
}

/** Everything of a service but its client map. */
export function compileService(
  name: string,
  service: ServiceConfig,
  references: readonly SteerReference[],
  parsed: ParsedConfig,
  regionNumbers: ReadonlyMap<string, number>,
  problems: Problem[],
  report: Report,
): Omit<ServiceSpec, "mapId"> {
  const members = membersOf(name, service, parsed, report);
  checkFamilies(name, members, parsed, report);
  const chain = compileChain({ name, service, members: members.map((member) => member.region), parsed, report });
  const priority = chain.find((filter) => filter.name === "priority");
  const tiers = new Set(members.map((member) => member.priority)).size;
  if (priority && members.length > 1 && tiers === 1)
    report(
      parsed.services.source,
      [name, "regions"],
      "All regions have the same priority: `priority` changes nothing",
      "Give them different priorities",
      { severity: "warning" },
    );
  if (priority && priority.split.length > Math.max(tiers, 1))
    report(
      parsed.services.source,
      [name, "steer"],
      `\`priority\` splits over ${priority.split.length} tiers, but the service has ${tiers}`,
      "Shorten `split`, or add priorities",
    );
  if (service.fallback !== undefined && !parsed.services.has(service.fallback))
    report(
      parsed.services.source,
      [name, "fallback"],
      `There is no service ${JSON.stringify(service.fallback)}`,
      suggest(service.fallback, [...parsed.services.names], "service"),
    );
  const { min, max } = ttlOf(name, service, references, problems, parsed, report);
  return {
    name,
    hash: hashText(name),
    regions: members.flatMap(({ region, weight, priority: tier }) => {
      const number = regionNumbers.get(region);
      return number === undefined ? [] : [{ region: number, weight, priority: tier }];
    }),
    chain,
    ttlMinSeconds: min,
    ttlMaxSeconds: max,
    fallback: service.fallback,
    allowEmpty: service.allowEmpty,
    weightedBy: service.weightedBy,
  };
}
