/**
 * All filters by name: the one table that the chain, its checks and the docs read.
 * @module
 */
import type { FilterSpec } from "#state/snapshot.ts";
import type { FilterDefinition } from "#steer/filter.ts";
import { first } from "#steer/filters/first.ts";
import { geo } from "#steer/filters/geo.ts";
import { geofence } from "#steer/filters/geofence.ts";
import { healthy } from "#steer/filters/healthy.ts";
import { latency } from "#steer/filters/latency.ts";
import { nearest } from "#steer/filters/nearest.ts";
import { priority } from "#steer/filters/priority.ts";
import { shed } from "#steer/filters/shed.ts";
import { shuffle } from "#steer/filters/shuffle.ts";
import { sticky } from "#steer/filters/sticky.ts";
import { weighted } from "#steer/filters/weighted.ts";

export const FILTERS: {
  readonly [Name in FilterSpec["name"]]: FilterDefinition<Extract<FilterSpec, { name: Name }>>;
} = { healthy, geofence, geo, nearest, latency, priority, shed, weighted, sticky, shuffle, first };

/** The definition for `spec`, typed so that it takes that very `spec`. */
export const filterFor = (spec: FilterSpec): FilterDefinition<FilterSpec> =>
  FILTERS[spec.name] as FilterDefinition<FilterSpec>;
