/**
 * The spread plan: which share of a class of clients goes elsewhere, so that no region is asked for more than it can carry.
 *
 * Owns:    the layout of the door, and how to read it. A row says: clients of this class of this service, whom the chain would
 *          send to that region, go to these regions in these shares. Rows exist for the regions as they are, and for each one
 *          that may be lost, ahead of time: a region that dies is answered for by a look-up.
 * Writer:  the control thread, `steer/spread/`. Readers: DNS workers and explain, who take a copy when the generation moves.
 * Units:   shares in 4,096ths. Numbers of services, classes and regions mean what `numberingOf` says.
 *
 * Word 0 is the generation; its lowest bit says which half counts. A half, in 32-bit words:
 *
 * | words | hold |
 * |---|---|
 * | 0 | generation: a reader that finds another one has read while it was written |
 * | 1 | numbering |
 * | 2, 3 | number of services, of regions |
 * | 4 | number of rows |
 * | one a service | version of its rows; 0: no plan, load words decide |
 * | one a region | 1 where the plan counts on it |
 * | four a row | service × 65,536 + lost region + 1 · class · natural region × 65,536 + entries · where they start; ascending |
 * | one an entry | region × 65,536 + upper end of its part of the roll |
 * @module
 */

const HALF_WORDS = 131_072;
const HEADER_WORDS = 16;
const HALF_HEADER = 5;
const ROW_WORDS = 4;
export const NO_LOSS = -1;

/** `regions[i]` takes the rolls below `ends[i]` that are not below `ends[i − 1]`. */
export type SpreadShares = { readonly regions: readonly number[]; readonly ends: readonly number[] };
/** By number of the region that the chain would choose. */
export type SpreadMoves = ReadonlyMap<number, SpreadShares>;

export type SpreadRow = {
  readonly service: number;
  readonly class: number;
  /** Region that is lost, or `NO_LOSS`. */
  readonly lost: number;
  readonly natural: number;
  readonly shares: SpreadShares;
};
export type SpreadPlan = {
  readonly numbering: number;
  /** By service; 0: not planned. */
  readonly versions: readonly number[];
  /** By region: whether the plan counts on it. */
  readonly isCounted: readonly boolean[];
  readonly rows: readonly SpreadRow[];
};

export const createSpreadDoor = (): Int32Array =>
  new Int32Array(new SharedArrayBuffer((HEADER_WORDS + 2 * HALF_WORDS) * Int32Array.BYTES_PER_ELEMENT));

export const spreadGeneration = (door: Int32Array): number => Atomics.load(door, 0);

const compareRows = (a: SpreadRow, b: SpreadRow): number =>
  a.service - b.service || a.lost - b.lost || a.class - b.class || a.natural - b.natural;

/** @returns how many rows there was no room for: the last ones of `plan.rows` */
export function publishSpread(door: Int32Array, plan: SpreadPlan): number {
  const generation = (Atomics.load(door, 0) + 1) | 0;
  const half = door.subarray(HEADER_WORDS + (generation & 1) * HALF_WORDS).subarray(0, HALF_WORDS);
  const { versions, isCounted } = plan;
  const rowsAt = HALF_HEADER + versions.length + isCounted.length;
  let words = rowsAt;
  let fits = 0;
  while (fits < plan.rows.length) {
    words += ROW_WORDS + plan.rows[fits]!.shares.regions.length;
    if (words > HALF_WORDS) break;
    fits++;
  }
  const rows = plan.rows.slice(0, fits).sort(compareRows);
  Atomics.store(half, 0, 0);
  half.set([plan.numbering, versions.length, isCounted.length, rows.length, ...versions], 1);
  half.set(isCounted.map(Number), HALF_HEADER + versions.length);
  let at = rowsAt;
  let entry = rowsAt + rows.length * ROW_WORDS;
  for (const { service, lost, class: classNumber, natural, shares } of rows) {
    half[at++] = (service << 16) | (lost + 1);
    half[at++] = classNumber;
    half[at++] = (natural << 16) | shares.regions.length;
    half[at++] = entry;
    for (const [index, region] of shares.regions.entries()) half[entry++] = (region << 16) | shares.ends[index]!;
  }
  Atomics.store(half, 0, generation);
  Atomics.store(door, 0, generation);
  return plan.rows.length - fits;
}

/** A copy of one generation of the plan. */
export type SpreadCopy = {
  readonly generation: number;
  readonly numbering: number;
  /** @returns 0: there is no plan for this service */
  version(service: number): number;
  isCounted(region: number): boolean;
  /** Rows of a class, when `lost` is lost. */
  moves(service: number, classNumber: number, lost: number): SpreadMoves;
};

const EMPTY: SpreadCopy = {
  generation: 0,
  numbering: 0,
  version: () => 0,
  isCounted: () => false,
  moves: () => new Map(),
};

export function copySpread(door: Int32Array): SpreadCopy {
  for (;;) {
    const generation = Atomics.load(door, 0);
    if (generation === 0) return EMPTY;
    const start = HEADER_WORDS + (generation & 1) * HALF_WORDS;
    const rows = door[start + 4]!;
    const rowsAt = HALF_HEADER + door[start + 2]! + door[start + 3]!;
    const end = rows === 0 ? rowsAt : lastWord(door, start, rowsAt + (rows - 1) * ROW_WORDS);
    const words = door.slice(start, start + Math.min(end, HALF_WORDS));
    // The writer never waits for readers; it would have to publish twice while this copies.
    if (words[0] === generation && Atomics.load(door, start) === generation) return readCopy(words, generation);
  }
}

/** Where the entries of the last row end. */
const lastWord = (door: Int32Array, start: number, row: number): number =>
  door[start + row + 3]! + (door[start + row + 2]! & 0xffff);

function readCopy(words: Int32Array, generation: number): SpreadCopy {
  const services = words[2]!;
  const rowsAt = HALF_HEADER + services + words[3]!;
  const rows = words[4]!;

  /** Number of the first row that is not before (key, class). */
  function find(key: number, classNumber: number): number {
    let low = 0;
    let high = rows;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const at = rowsAt + middle * ROW_WORDS;
      const isBefore = words[at]! < key || (words[at] === key && words[at + 1]! < classNumber);
      if (isBefore) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  return {
    generation,
    numbering: words[1]!,
    version: (service) => (service < services ? words[HALF_HEADER + service]! : 0),
    isCounted: (region) => words[HALF_HEADER + services + region] === 1,
    moves(service, classNumber, lost) {
      const key = (service << 16) | (lost + 1);
      const found = new Map<number, SpreadShares>();
      for (let row = find(key, classNumber); row < rows; row++) {
        const at = rowsAt + row * ROW_WORDS;
        if (words[at] !== key || words[at + 1] !== classNumber) break;
        const entry = words[at + 3]!;
        const entries = [...words.subarray(entry, entry + (words[at + 2]! & 0xffff))];
        found.set(words[at + 2]! >>> 16, {
          regions: entries.map((word) => word >>> 16),
          ends: entries.map((word) => word & 0xffff),
        });
      }
      return found;
    },
  };
}
