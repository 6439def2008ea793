/**
 * Measured round-trip times of client networks, from entries to the map that the walk reads.
 *
 * Owns:    `RttMap` and how entries become rows. Writer: `app/geo-worker.ts`. Readers: `steer/` by the walk.
 * Units:   µs in rows; 0 means not measured. Times are Unix ms.
 * @module
 */
import { createTriePairs, insertNetwork, LEAF_6TO4, layOutTrie, leafMapped } from "#geo/trie.ts";
import { MAX_WALK_VALUE } from "#geo/walk.ts";
import type { RttMap } from "#state/client-map.ts";

/**
 * Columns of measurements, one line per (network, region): the shape in which they cross to the worker.
 * A network is at most 24 bits wide for IPv4 and 48 for IPv6, so its first 48 bits say all.
 */
export type RttColumns = {
  readonly count: number;
  readonly regionIds: readonly string[];
  readonly isIpv6: Uint8Array;
  readonly bits: Uint8Array;
  /** Bits 0 to 31 and 32 to 47 of the network. */
  readonly high: Uint32Array;
  readonly low: Uint16Array;
  /** Index into `regionIds`. */
  readonly region: Uint16Array;
  readonly rttMicros: Uint32Array;
  readonly atMs: Float64Array;
};

/** Distinct networks, whatever their regions. Takes a good part of a second for a million lines. */
export function countNetworks(columns: RttColumns): number {
  const seen = new Map<number, Set<number>>();
  let networks = 0;
  for (let line = 0; line < columns.count; line++) {
    const width = columns.bits[line]! * 2 + columns.isIpv6[line]!;
    let ofWidth = seen.get(width);
    if (!ofWidth) {
      ofWidth = new Set();
      seen.set(width, ofWidth);
    }
    networks -= ofWidth.size;
    ofWidth.add(columns.high[line]! * 65_536 + columns.low[line]!);
    networks += ofWidth.size;
  }
  return networks;
}

export type RttBuildOptions = {
  readonly generation: number;
  /** Columns of the rows of the result. */
  readonly regionIds: readonly string[];
  /** Lines measured before this are left out. */
  readonly notBeforeMs: number;
};

/**
 * Narrow networks inherit from wider ones what they have not measured themselves. Networks with equal rows fold.
 * Entries inside 2002::/16 and ::/48 have no clients of their own (`geo/walk.ts`) and are left out.
 */
export function buildRttMap(columns: RttColumns, options: RttBuildOptions): RttMap {
  const { regionIds } = options;
  const regionOf = columns.regionIds.map((id) => regionIds.indexOf(id));
  const order: number[] = [];
  for (let line = 0; line < columns.count; line++) {
    if (columns.atMs[line]! >= options.notBeforeMs && regionOf[columns.region[line]!]! >= 0) order.push(line);
  }
  order.sort((a, b) => columns.bits[a]! - columns.bits[b]!);

  // Row 0 is all zeros. Rows with the same values share a number: `rowOfKey` sees to it.
  const width = regionIds.length;
  let rows = new Uint32Array(Math.max(1, width) * 256);
  let rowCount = 1;
  const rowOfKey = new Map<string, number>([[new Uint32Array(width).join(), 0]]);
  const withValue = (row: number, region: number, rttMicros: number): number => {
    const values = rows.slice(row * width, (row + 1) * width);
    values[region] = rttMicros;
    const key = values.join();
    let number = rowOfKey.get(key);
    if (number === undefined) {
      number = rowCount++;
      if (number > MAX_WALK_VALUE) throw new RangeError(`More than ${MAX_WALK_VALUE} different rows of measured RTT`);
      if (rowCount * width > rows.length) {
        const grown = new Uint32Array(rows.length * 2);
        grown.set(rows);
        rows = grown;
      }
      rows.set(values, number * width);
      rowOfKey.set(key, number);
    }
    return number;
  };

  const trie = createTriePairs(order.length);
  const roots = [~0, ~0];
  const bytes = new Uint8Array(16);
  for (const line of order) {
    const high = columns.high[line]!;
    const low = columns.low[line]!;
    const isIpv6 = columns.isIpv6[line]!;
    const bits = columns.bits[line]!;
    if (isIpv6 === 1 && ((high >>> 16 === 0x2002 && bits >= 16) || (high === 0 && low === 0 && bits >= 48))) continue;
    new DataView(bytes.buffer).setUint32(0, high);
    new DataView(bytes.buffer).setUint16(4, low);
    // Wide networks came first, so a leaf stands here (with what it inherits); no line lies below it yet.
    roots[isIpv6] = insertNetwork(trie, roots[isIpv6]!, bytes, bits, (leaf) =>
      leaf < 0 ? ~withValue(~leaf, regionOf[columns.region[line]!]!, columns.rttMicros[line]!) : leaf,
    );
  }
  // The two places where IPv6 continues in IPv4; see `geo/walk.ts`.
  const [ipv4Root = ~0] = roots;
  let ipv6Root = roots[1]!;
  if (ipv4Root >= 0 || ipv6Root >= 0 || ipv4Root !== ipv6Root) {
    const zeros = new Uint8Array(16);
    ipv6Root = insertNetwork(trie, ipv6Root, Uint8Array.of(0x20, 0x02), 16, () =>
      ipv4Root < 0 ? ipv4Root : LEAF_6TO4,
    );
    ipv6Root = insertNetwork(trie, ipv6Root, zeros, 48, (leaf) => (ipv4Root === leaf ? leaf : leafMapped(~leaf)));
  }
  const rttMicros = new Uint32Array(
    new SharedArrayBuffer(Math.max(1, rowCount * width) * Uint32Array.BYTES_PER_ELEMENT),
  );
  rttMicros.set(rows.subarray(0, rowCount * width));
  return { generation: options.generation, nodes: layOutTrie(trie, ipv4Root, ipv6Root), regionIds, rttMicros };
}
