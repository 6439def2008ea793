/**
 * The contract between the answer steps and steering: which addresses a client gets for a service, ready to copy.
 *
 * Owns:    the types. `dns/answer/steered.ts` makes a `Steering`; `dns/answer/fill.ts` copies what it yields.
 * @module
 */
export const STEERED = { answer: 0, nodata: 1, servfail: 2 } as const;

/** Whom to steer for. One object per worker, filled in anew for each query. */
export type SteerClient = {
  /** The ECS address when `hasEcs` and `ecsBits` > 0, else the source address: 4 octets in front, or 16. */
  address: Uint8Array;
  isIpv6: boolean;
  /** The query carried a valid ECS option that counts (also with a source prefix of 0: then `address` is the source's). */
  hasEcs: boolean;
  ecsBits: number;
  /** The source address of the query, whatever ECS says: `weightedBy: resolver` hashes it. May be the same array as `address`. */
  source: Uint8Array;
  isSourceIpv6: boolean;
};

/** Filled in by `Steering.resolve`; one object per worker. */
export type SteeredAnswer = {
  status: (typeof STEERED)[keyof typeof STEERED];
  /**
   * `count` records of `stride` octets (16 for A, 28 for AAAA), each: owner as pointer C00C, type, class IN, a TTL of
   * zero that the caller patches at offset 6, rdlength, address. Shared: not to be written to.
   */
  records: Uint8Array;
  count: number;
  stride: number;
  ttlSeconds: number;
  /** SCOPE PREFIX-LENGTH for the ECS option of the answer; 0 when the query had none. */
  scopeBits: number;
  /** Down targets are in the answer because nothing better was left. */
  isFailOpen: boolean;
  /** The client's class in the map of the service that was asked; 0: unknown. */
  classNumber: number;
  /** Number, in `Snapshot.regions`, of the region that the first record is of; -1 without records. */
  region: number;
};

export const emptyAnswer = (): SteeredAnswer => ({
  status: STEERED.servfail,
  records: new Uint8Array(0),
  count: 0,
  stride: 0,
  ttlSeconds: 0,
  scopeBits: 0,
  isFailOpen: false,
  classNumber: 0,
  region: -1,
});

export type Steering = {
  /** Number of a service by name, or -1. Zones are bound to numbers when a snapshot is applied. */
  serviceNumber(name: string): number;
  /** Whether the service has addresses for A (1) or AAAA (28): by configuration, never by health. */
  hasType(service: number, qtype: number): boolean;
  ttlMaxSeconds(service: number): number;
  ttlMinSeconds(service: number): number;
  /** Synchronous, pure but for its memo of compiled variants; `qtype` is 1 or 28. */
  resolve(service: number, qtype: number, client: SteerClient, nowMs: number, into: SteeredAnswer): void;
};
