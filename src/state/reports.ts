/**
 * What a region's balancer says of itself (ruling 18): its health and load, signed and numbered as a record (`shared.ts`).
 *
 * Writer:  the balancer's node, each second. Readers: `health/` of every DNS node: one vote on the region's addresses, and
 *          the load that `shed` works on.
 * Units:   requests per second (for listeners without HTTP: connections per second), averaged over 5 s.
 * @module
 */
export type RegionReport = {
  readonly region: string;
  readonly node: string;
  readonly admittedRps: number;
  /** Waiting for a place, now. */
  readonly queued: number;
  /** Turned away for want of capacity, per second. */
  readonly shedRps: number;
  /** Requests and connections under way, now. */
  readonly inFlight: number;
  /** What the region is built for; null where nobody has said. */
  readonly capacityRps: number | null;
  readonly healthyBackends: number;
  readonly backends: number;
  /** False: a pool that a listener needs has fewer usable backends than its minimum, or the node drains. */
  readonly isServing: boolean;
  /** Why it is not serving; empty where it is. */
  readonly says: string;
  readonly listeners: readonly {
    readonly name: string;
    readonly protocol: string;
    readonly admittedRps: number;
    readonly shedRps: number;
    readonly inFlight: number;
    readonly isServing: boolean;
  }[];
};
