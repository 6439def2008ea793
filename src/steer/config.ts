/**
 * zones/services.yaml: services, their filters and their presets.
 *
 * Reader:  `config/`, which turns them into `ServiceSpec`. The filters get `FilterSpec`.
 * @module
 */

import { z } from "zod";
import {
  asn,
  continent,
  country,
  doc,
  durationMs,
  flag,
  integer,
  kilometres,
  name,
  network,
  percent,
  wholeSeconds,
} from "#base/field.ts";

const live = { reload: "live" } as const;

const FILTER_NAMES = [
  "healthy",
  "geofence",
  "geo",
  "nearest",
  "latency",
  "priority",
  "shed",
  "weighted",
  "sticky",
  "shuffle",
  "first",
] as const;
export type FilterName = (typeof FILTER_NAMES)[number];

const onEmpty = doc(
  z
    .union([
      z.enum(["undo", "next", "nodata"]),
      z.strictObject({ fallback: doc(name("a service"), "Service that answers instead.", live) }),
    ])
    .optional()
    .meta({ expects: "undo, next, nodata or { fallback: SERVICE }" }),
  "What happens when the filter leaves no region. `undo`: as if it had not run. `next`: go on, and fail open at the end of the chain. `nodata` needs `allowEmpty: true`.",
  live,
);

/** Options of each filter in the form `{ name: options }`. */
export const FILTER_OPTIONS = {
  healthy: z.strictObject({ onEmpty }),
  geofence: z.strictObject({
    continents: doc(z.array(continent()).default([]), "Clients of these continents are inside.", live),
    countries: doc(z.array(country()).default([]), "Clients of these countries are inside.", live),
    asns: doc(z.array(asn()).default([]), "Clients of these autonomous systems are inside.", live),
    networks: doc(z.array(network()).prefault([]), "Clients of these networks are inside.", live),
    regions: doc(
      z.array(name("a region")).min(1).optional(),
      "Regions that clients inside may be given. Default: those whose own continent or country is listed.",
      live,
    ),
    onEmpty,
  }),
  geo: z.strictObject({ onEmpty }),
  nearest: z.strictObject({
    bias: doc(
      z.record(name("a region"), z.number().min(-99).max(99)).default({}),
      "Makes a region look nearer (positive) or farther (negative), in percent of the distance.",
      { ...live, unit: "percent" },
    ),
    slack: doc(
      kilometres(0, 20_000).prefault("50km"),
      "Regions at most this much farther than the nearest count as equally near.",
      live,
    ),
  }),
  latency: z.strictObject({
    slack: doc(durationMs("0ms", "1s").prefault("10ms"), "Differences below this move nobody.", live),
  }),
  priority: z.strictObject({
    split: doc(
      z.array(z.number().min(0).max(100)).min(2).max(8).optional(),
      "Shares of the lowest tiers, in percent, such as [90, 10]. Default: all clients stay on the lowest tier that is not empty.",
      { ...live, unit: "percent" },
    ),
    onEmpty,
  }),
  shed: z.strictObject({
    low: doc(percent().prefault("70%"), "Load from which on clients are turned away.", live),
    high: doc(percent().prefault("90%"), "Load at which the region gets no clients any more.", live),
    spread: doc(
      z.enum(["capacity", "none"]).default("capacity"),
      "Where clients go that are turned away. `capacity`: wherever it harms them least and there is room below `low`, by a plan over all regions; it needs capacities and reports of load, and without them each region sheds for itself. `none`: to the next region of the chain.",
      live,
    ),
    onEmpty,
  }),
  weighted: z.strictObject({}),
  sticky: z.strictObject({}),
  shuffle: z.strictObject({}),
  first: integer(1, 64),
} as const satisfies Record<FilterName, z.ZodType>;

/** A filter with options: a map with one key. */
const filterMapSchema = z.strictObject({
  healthy: doc(FILTER_OPTIONS.healthy.nullable().optional(), "Keeps what is up (verdict, override, ramp share).", live),
  geofence: doc(FILTER_OPTIONS.geofence.optional(), "Binds clients inside the fence to its regions.", live),
  geo: doc(
    FILTER_OPTIONS.geo.nullable().optional(),
    "Keeps the regions that match the client best: network override, AS, country, continent.",
    live,
  ),
  nearest: doc(FILTER_OPTIONS.nearest.nullable().optional(), "Sorts by distance.", live),
  latency: doc(FILTER_OPTIONS.latency.nullable().optional(), "Sorts by round-trip time.", live),
  priority: doc(FILTER_OPTIONS.priority.nullable().optional(), "Keeps the lowest tier that is not empty.", live),
  shed: doc(FILTER_OPTIONS.shed.nullable().optional(), "Turns clients away from loaded regions.", live),
  weighted: doc(FILTER_OPTIONS.weighted.nullable().optional(), "Chooses by weight.", live),
  sticky: doc(
    FILTER_OPTIONS.sticky.nullable().optional(),
    "Keeps each client network on one region (rendezvous hash).",
    live,
  ),
  shuffle: doc(FILTER_OPTIONS.shuffle.nullable().optional(), "Orders by a hash of client and time slot.", live),
  first: doc(FILTER_OPTIONS.first.optional(), "Keeps the first n regions.", live),
});
export type FilterMap = z.output<typeof filterMapSchema>;

export const PRESETS = {
  geo: ["healthy", "geo", "nearest", { first: 1 }],
  latency: ["healthy", "latency", { first: 1 }],
  weighted: ["healthy", "weighted", { first: 1 }],
  failover: ["healthy", "priority", { first: 1 }],
  multivalue: ["healthy", "shuffle", { first: 8 }],
} as const satisfies Record<string, readonly (FilterName | FilterMap)[]>;
const PRESET_NAMES = Object.keys(PRESETS) as (keyof typeof PRESETS)[];

const memberSchema = z.strictObject({
  weight: doc(
    integer(0, 65_535).default(1),
    "Share for `weighted`, relative to the others. 0: only when nothing else is left.",
    live,
  ),
  priority: doc(
    integer(1, 64).optional(),
    "Tier for `priority`; lower is better. Default: the position in the list.",
    live,
  ),
});

/** One service of zones/services.yaml; its name is the key. */
export const serviceSchema = z.strictObject({
  regions: doc(
    z
      .union([z.array(name("a region")).min(1).max(64), z.record(name("a region"), memberSchema.nullable())])
      .meta({ expects: "a list of regions, or a map of region to { weight, priority }" }),
    "The pool, in the order that unknown clients get. A list, or a map of region to `{ weight, priority }`.",
    live,
  ),
  steer: doc(
    z
      .union([
        z.enum(PRESET_NAMES),
        z
          .array(z.union([z.enum(FILTER_NAMES), filterMapSchema]))
          .min(1)
          .max(32),
      ])
      .prefault("geo")
      .meta({ expects: `a preset (${PRESET_NAMES.join(", ")}) or a list of filters` }),
    "The policy: a preset, or a chain of filters.",
    live,
  ),
  ttl: doc(
    z
      .strictObject({
        min: doc(wholeSeconds("1s", "1d").optional(), "Shortest TTL. Default: half of `max`.", live),
        max: doc(wholeSeconds("1s", "1d").optional(), "Longest TTL. Default: that of the STEER record.", live),
      })
      .prefault({}),
    "TTL of the answers; between the two it is the time to the next possible change.",
    live,
  ),
  fallback: doc(name("a service").optional(), "Service that answers when the chain ends empty.", live),
  allowEmpty: doc(flag().default(false), "Permits `onEmpty: nodata`.", live),
  weightedBy: doc(
    z.enum(["auto", "prefix", "resolver"]).default("auto"),
    "What is hashed for clients without a subnet option. `auto`: the resolver's address, with short time slots.",
    live,
  ),
});
export type ServiceConfig = z.output<typeof serviceSchema>;
