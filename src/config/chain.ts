/**
 * The `steer:` of one service → filters with all defaults filled in, and what is odd about their order.
 * @module
 */

import type { z } from "zod";
import type { ParsedConfig } from "#config/parse.ts";
import { listWords, type Report } from "#config/report.ts";
import { suggest } from "#config/suggest.ts";
import type { Path } from "#config/yaml.ts";
import type { EmptyRule, FilterSpec } from "#state/snapshot.ts";
import { FILTER_OPTIONS, type FilterMap, type FilterName, PRESETS, type ServiceConfig } from "#steer/config.ts";

/** Filters that drop regions by what is known of the client: what they leave differs from client to client. */
const CLIENT_SIFTS: readonly FilterName[] = ["geofence", "geo"];
/** Filters that spread clients by a hash. */
const SPLITS: readonly FilterName[] = ["weighted", "sticky", "shuffle"];
/** Filters that put the regions into a new order. */
const SORTS: readonly FilterName[] = ["nearest", "latency"];

type Step = { readonly name: FilterName; readonly options: unknown; readonly path: Path };
type Scope = {
  readonly name: string;
  readonly service: ServiceConfig;
  readonly members: readonly string[];
  readonly parsed: ParsedConfig;
  readonly report: Report;
};

function stepsOf({ name, service, parsed, report }: Scope): Step[] {
  const path: Path = [name, "steer"];
  if (typeof service.steer === "string") {
    return PRESETS[service.steer].map((entry) =>
      typeof entry === "string" ? { name: entry, options: {}, path } : { name: "first", options: entry.first, path },
    );
  }
  const steps: Step[] = [];
  for (const [index, entry] of service.steer.entries()) {
    const at = [...path, index];
    if (typeof entry === "string") {
      if (entry === "first") report(parsed.services.source, at, "`first` needs a number", "Write { first: 1 }");
      else if (entry === "geofence")
        report(
          parsed.services.source,
          at,
          "`geofence` needs to know its clients",
          "Write { geofence: { countries: [DE] } }",
        );
      else steps.push({ name: entry, options: {}, path: at });
      continue;
    }
    const names = Object.keys(entry) as (keyof FilterMap)[];
    if (names.length !== 1)
      report(
        parsed.services.source,
        at,
        `One filter per entry; here are ${names.length}`,
        "Start each filter with a dash of its own",
      );
    for (const filter of names) steps.push({ name: filter, options: entry[filter] ?? {}, path: [...at, filter] });
  }
  return steps;
}

/** Options as they came out of the schema; a filter named without options gets the defaults. */
function filled<T extends z.ZodType>(options: unknown, schema: T): z.output<T> {
  return Object.keys(options as object).length === 0 ? schema.parse({}) : (options as z.output<T>);
}

function fenceRegions(scope: Scope, step: Step, options: z.output<typeof FILTER_OPTIONS.geofence>): string[] {
  const { parsed, report, members } = scope;
  const { source } = parsed.services;
  const { continents, countries, asns, networks } = options;
  if (continents.length + countries.length + asns.length + networks.length === 0)
    report(source, step.path, "The fence is around nobody", "List continents, countries, asns or networks");
  if (options.regions) {
    for (const [index, region] of options.regions.entries()) {
      if (!members.includes(region))
        report(
          source,
          [...step.path, "regions", index],
          `${JSON.stringify(region)} is not a region of this service`,
          suggest(region, members, "region"),
        );
    }
    return [...options.regions];
  }
  if (continents.length + countries.length === 0) {
    if (asns.length + networks.length > 0)
      report(
        source,
        step.path,
        "A fence of asns or networks has no place of its own",
        "Add `regions:` with the regions that these clients may be given",
      );
    return [];
  }
  const inside = members.filter((id) => {
    const region = parsed.regions.valid.get(id);
    if (!region) return parsed.regions.has(id); // broken, and reported elsewhere
    return (
      (region.continent !== undefined && continents.includes(region.continent)) ||
      (region.country !== undefined && countries.includes(region.country))
    );
  });
  if (inside.length === 0) {
    const places = listWords([...continents, ...countries]);
    report(
      source,
      step.path,
      `No region of the service lies in ${places}`,
      "Name the regions with `regions:`, or add one that lies there",
    );
  }
  return inside;
}

function lintOrder(scope: Scope, steps: readonly Step[]): void {
  const { service, parsed, report, members } = scope;
  const { source } = parsed.services;
  const isPreset = typeof service.steer === "string";
  const first = steps.findIndex((step) => step.name === "first");
  for (const [index, step] of steps.entries()) {
    const earlier = steps.slice(0, index);
    if (first >= 0 && index > first)
      report(
        source,
        step.path,
        `\`${step.name}\` comes after \`first\`, when the choice has been made`,
        "Move it before `first`",
      );
    if (step.name !== "geofence" && earlier.some((other) => other.name === step.name))
      report(source, step.path, `\`${step.name}\` stands here a second time`, "Keep one of the two");
    const sort = earlier.find((other) => SORTS.includes(other.name));
    if (sort && SPLITS.includes(step.name) && first !== earlier.length - 1)
      report(
        source,
        step.path,
        `\`${step.name}\` orders anew what \`${sort.name}\` has sorted`,
        `Remove one of the two`,
        { severity: "warning" },
      );
  }
  const splits = steps.filter(
    (step) =>
      SPLITS.includes(step.name) ||
      (step.name === "priority" && (step.options as { split?: unknown }).split !== undefined),
  );
  if (splits.length > 2)
    report(
      source,
      splits[2]!.path,
      `${splits.length} filters split the clients: ${listWords(splits.map((step) => step.name))}`,
      "Use two at most: shares of shares of shares cannot be kept exactly",
    );
  if (isPreset) return;
  if (!steps.some((step) => step.name === "healthy"))
    report(source, [scope.name, "steer"], "The chain never looks at health", "Start it with `healthy`", {
      severity: "warning",
      want: "key",
    });
  if (first < 0 && members.length > 1 && steps.some((step) => SPLITS.includes(step.name) || SORTS.includes(step.name)))
    report(
      source,
      [scope.name, "steer"],
      "Without `first`, clients get the addresses of all regions that are left",
      "End the chain with { first: 1 }",
      { severity: "warning", want: "key" },
    );
}

/** @returns the chain; undefined parts of it have been reported */
export function compileChain(scope: Scope): FilterSpec[] {
  const { service, parsed, report, members } = scope;
  const { source } = parsed.services;
  const steps = stepsOf(scope);
  lintOrder(scope, steps);
  const chain: FilterSpec[] = [];
  let fence = 0;
  let isClientDependent = false;
  for (const step of steps) {
    if (CLIENT_SIFTS.includes(step.name)) isClientDependent = true;
    const ruleOf = (rule: EmptyRule | undefined, standard: EmptyRule): EmptyRule => {
      const at = [...step.path, "onEmpty"];
      if (rule === "nodata" && !service.allowEmpty)
        report(
          source,
          at,
          "`nodata` would let the name lose all its addresses",
          "Add `allowEmpty: true` to the service, or choose `undo`",
        );
      else if (rule === "nodata" && isClientDependent)
        report(
          source,
          at,
          "`nodata` may not depend on the client: negative answers are cached for everybody",
          "Choose `next`, or a fallback",
        );
      if (rule === "undo" && step.name === "geofence")
        report(
          source,
          at,
          "A fence is never undone",
          "Leave `onEmpty` out: the answer then fails open to the fence's own regions",
        );
      if (typeof rule === "object" && !parsed.services.has(rule.fallback))
        report(
          source,
          [...at, "fallback"],
          `There is no service ${JSON.stringify(rule.fallback)}`,
          suggest(rule.fallback, [...parsed.services.names], "service"),
        );
      return rule ?? standard;
    };
    const given = step.options as Record<string, never>;
    switch (step.name) {
      case "healthy":
      case "geo":
        chain.push({ name: step.name, onEmpty: ruleOf(given["onEmpty"], "undo") });
        break;
      case "geofence": {
        const fenced = step.options as z.output<typeof FILTER_OPTIONS.geofence>;
        const { continents, countries, asns, networks } = fenced;
        const onEmpty = ruleOf(fenced.onEmpty, "next");
        const regions = fenceRegions(scope, step, fenced);
        chain.push({ name: "geofence", onEmpty, continents, countries, asns, networks, regions, fence: fence++ });
        break;
      }
      case "nearest": {
        const { bias, slack } = filled(step.options, FILTER_OPTIONS.nearest);
        for (const region of Object.keys(bias)) {
          if (!members.includes(region))
            report(
              source,
              [...step.path, "bias", region],
              `${JSON.stringify(region)} is not a region of this service`,
              suggest(region, members, "region"),
              { want: "key" },
            );
        }
        chain.push({ name: "nearest", bias, slackKm: slack });
        break;
      }
      case "latency":
        chain.push({ name: "latency", slackMs: filled(step.options, FILTER_OPTIONS.latency).slack });
        break;
      case "priority": {
        const { split } = step.options as { split?: readonly number[] };
        const sum = (split ?? [100]).reduce((total, share) => total + share, 0);
        if (Math.abs(sum - 100) > 0.001)
          report(source, [...step.path, "split"], `The shares add up to ${sum}`, "Make them add up to 100");
        chain.push({ name: "priority", split: split ?? [], onEmpty: ruleOf(given["onEmpty"], "undo") });
        break;
      }
      case "shed": {
        const { low, high, spread, onEmpty } = filled(step.options, FILTER_OPTIONS.shed);
        if (low >= high)
          report(
            source,
            step.path,
            `\`low\` (${low}%) is not below \`high\` (${high}%)`,
            "Lower `low`, or raise `high`",
          );
        chain.push({
          name: "shed",
          lowPermille: low * 10,
          highPermille: high * 10,
          spread,
          onEmpty: ruleOf(onEmpty, "undo"),
        });
        break;
      }
      case "first":
        chain.push({ name: "first", count: Number(step.options) });
        break;
      case "weighted":
      case "sticky":
      case "shuffle":
        chain.push({ name: step.name });
        break;
      default:
        return step.name satisfies never;
    }
  }
  return chain;
}
