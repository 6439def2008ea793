/**
 * What the databases and overrides say of one network, before any service looks at it.
 * @module
 */
export type Location = {
  /** False: no database entry and no override. */
  readonly isKnown: boolean;
  /** Two-letter codes; empty when not known. */
  readonly continent: string;
  readonly country: string;
  /** NaN when not known. */
  readonly latitude: number;
  readonly longitude: number;
  /** 0 when not known. */
  readonly asn: number;
  /** Regions that an override prefers for this client, best first, and what kind of override it was. */
  readonly preferred: readonly string[];
  readonly preferredBy: "network" | "asn" | "country" | undefined;
  /** The override's text, for explain. */
  readonly override: string | undefined;
  /** For each fence of the map specification that lists networks: whether this network lies inside one of them. */
  readonly insideFenceNetworks: readonly boolean[];
};

/** Turns a location into a class: equal keys, one class. Made by `steer/classify.ts`, called by `geo/build.ts`. */
export type Classify = (location: Location) => {
  readonly key: string;
  readonly facts: import("#state/class-facts.ts").ClassFacts;
};
