/**
 * A loaded zone as it crosses threads: typed arrays over SharedArrayBuffers, one copy for all workers.
 *
 * Owns:    the type that crosses the door. Layout, building and lookup belong to `dns/zone/`.
 * @module
 */
export type ZoneImage = {
  /** Lower-case wire name of the apex, root label included. */
  readonly apex: Uint8Array;
  readonly serial: number;
  readonly file: string;
  readonly recordCount: number;
  /** Seed of the name hash: per process, against hash flooding. */
  readonly seed: number;
  /** Names, as lower-case wire names back to back. */
  readonly names: Uint8Array;
  /** Open-addressing table: hash, node number + 1 (0: free). */
  readonly table: Int32Array;
  /** Fixed number of words a node (`dns/zone/image.ts`). */
  readonly nodes: Int32Array;
  /** Fixed number of words an RRset. */
  readonly rrsets: Int32Array;
  /** Records, each with its fixed fields in front (`dns/zone/image.ts`); names in their data are uncompressed. */
  readonly rdata: Uint8Array;
  /** Services that STEER records of this zone name, by the number that the RRset holds. */
  readonly services: readonly string[];
};
