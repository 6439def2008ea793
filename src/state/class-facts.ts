/**
 * What steering knows of all clients of one class, for the regions of one map specification.
 * @module
 */

/** How well a region matches the client (filter `geo`); a higher number wins. */
export const GEO_MATCH = { none: 0, continent: 1, country: 2, asn: 3, network: 4 } as const;

export type ClassFacts = {
  /** False: no database, or it does not know this client. Filters then keep the service's default order. */
  readonly isKnown: boolean;
  /** For people: such as `EU/DE` or `unknown`. */
  readonly label: string;
  /** GEO_MATCH per region, in the order of the map specification's regions. */
  readonly match: readonly number[];
  /** Great-circle distance client–region in km per region (rounded for the class); -1 when unknown. */
  readonly distanceKm: readonly number[];
  /** Whether the client lies inside each of the specification's fences, in their order. */
  readonly insideFence: readonly boolean[];
  /** Whether the client lies within 1,000 km of the vantage that probes (ruling 6). */
  readonly isNearVantage: boolean;
  /** Regions that an override prefers for the client, best first, as positions in the specification's regions. */
  readonly preferred: readonly number[];
};
