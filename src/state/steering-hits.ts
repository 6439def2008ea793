/**
 * Steering hits: how often a DNS worker gave which service's clients which region, worker → control thread.
 *
 * Owns:    the layout of a block with two tables. *Totals* by (service, region) know both by the hash of their names:
 *          they outlive reloads and only grow, so metrics can be made of them. *Classes* by (service, class, region) know
 *          all three by number; numbers change with the configuration and the client maps, and then the table is emptied.
 * Writer:  one worker, without locks. Reader: the control thread.
 * Units:   answers. `NO_REGION`: the answer named none.
 * @module
 */
import { hashText, mix32 } from "#base/hash.ts";
import type { ClientMap } from "#state/client-map.ts";
import type { RegionSpec, ServiceSpec } from "#state/snapshot.ts";

/** What the numbers in a block mean: the lists of the worker's world. */
export type HitNumbering = {
  readonly services: readonly ServiceSpec[];
  readonly regions: readonly RegionSpec[];
  readonly maps: readonly ClientMap[];
};

export const NO_REGION = -1;

/** Pairs of service and region that one worker may answer with in its life; the rest is not told apart. */
const TOTAL_ROWS = 16_384;
/** Triples of service, class and region between two changes of the maps. A power of two. */
const CLASS_ROWS = 65_536;
/** Beyond this the search for a free row takes too long: new triples are left out. */
const CLASS_ROWS_USED = (CLASS_ROWS * 3) / 4;
/** Both numbers of a key share a word. */
const MAX_NUMBER = 0xfffe;

// Header: three words, and a time in ms.
const NUMBERING = 0;
const TOTALS_USED = 1;
const CLASSES_USED = 2;
const SINCE_AT = 16;
const HEADER_OCTETS = 64;
// A row of either table: two words of key, then its answers as Float64.
const ROW_OCTETS = 16;
const TOTALS_AT = HEADER_OCTETS;
const CLASSES_AT = TOTALS_AT + TOTAL_ROWS * ROW_OCTETS;

/** Where no numbering stands, because the table is being emptied. */
const NONE = 0;

export const createSteeringHits = (): SharedArrayBuffer => new SharedArrayBuffer(CLASSES_AT + CLASS_ROWS * ROW_OCTETS);

/** Equal for worlds whose services, regions and classes have the same numbers; never 0. */
export function numberingOf({ services, regions, maps }: HitNumbering): number {
  const generations = new Map(maps.map(({ mapId, generation }) => [mapId, generation]));
  const parts = [
    ...services.map(({ name, mapId = "" }) => `service ${name} ${mapId} ${generations.get(mapId)}`),
    ...regions.map(({ id }) => `region ${id}`),
  ];
  return hashText(parts.join("\n")) | 1;
}

const keyWord = (row: number): number => row >>> 2;
const answersWord = (row: number): number => (row + 8) >>> 3;
const classKey = (service: number, region: number): number => ((service + 1) << 16) | (region + 1);
const classHash = (key: number, classNumber: number): number =>
  mix32(Math.imul(key, 0x9e3779b1) ^ Math.imul(classNumber + 1, 0x85ebca77)) & (CLASS_ROWS - 1);

export type CountHit = (service: number, classNumber: number, region: number) => void;
/** @returns what counts for a world with these numbers: it allocates when a service is first counted, and never again */
export type NumberHits = (numbering: HitNumbering, nowMs: number) => CountHit;

/** One per worker. A thread that replaces another finds the totals of that one, and goes on. */
export function createHitWriter(block: SharedArrayBuffer): NumberHits {
  const words = new Int32Array(block);
  const answers = new Float64Array(block);
  /** Offsets of the rows of totals, by the hashes of service and region. */
  const known = new Map<number, Map<number, number>>();
  for (let row = TOTALS_AT; row < TOTALS_AT + words[TOTALS_USED]! * ROW_OCTETS; row += ROW_OCTETS)
    remember(words[keyWord(row)]!, words[keyWord(row) + 1]!, row);

  function remember(serviceHash: number, regionHash: number, row: number): void {
    const rows = known.get(serviceHash) ?? new Map<number, number>();
    known.set(serviceHash, rows.set(regionHash, row));
  }

  function totalRow(serviceHash: number, regionHash: number): number {
    const found = known.get(serviceHash)?.get(regionHash);
    if (found !== undefined) return found;
    const used = words[TOTALS_USED]!;
    if (used === TOTAL_ROWS) return TOTALS_AT + (TOTAL_ROWS - 1) * ROW_OCTETS;
    const row = TOTALS_AT + used * ROW_OCTETS;
    words[keyWord(row)] = serviceHash;
    words[keyWord(row) + 1] = regionHash;
    Atomics.store(words, TOTALS_USED, used + 1);
    remember(serviceHash, regionHash, row);
    return row;
  }

  function countClass(service: number, classNumber: number, region: number): void {
    const key = classKey(service, region);
    for (let index = classHash(key, classNumber); ; index = (index + 1) & (CLASS_ROWS - 1)) {
      const row = CLASSES_AT + index * ROW_OCTETS;
      const found = words[keyWord(row)]!;
      if (found === key && words[keyWord(row) + 1] === classNumber) {
        answers[answersWord(row)]! += 1;
        return;
      }
      if (found !== 0) continue;
      const used = words[CLASSES_USED]!;
      if (used >= CLASS_ROWS_USED || service > MAX_NUMBER || region > MAX_NUMBER) return;
      words[CLASSES_USED] = used + 1;
      words[keyWord(row) + 1] = classNumber;
      answers[answersWord(row)] = 1;
      Atomics.store(words, keyWord(row), key);
      return;
    }
  }

  return (numbering, nowMs) => {
    const { services, regions } = numbering;
    const number = numberingOf(numbering);
    if (Atomics.load(words, NUMBERING) !== number) {
      Atomics.exchange(words, NUMBERING, NONE);
      words.fill(0, keyWord(CLASSES_AT));
      words[CLASSES_USED] = 0;
      answers[SINCE_AT >>> 3] = nowMs;
      Atomics.store(words, NUMBERING, number);
    }
    /** By service, then by region: offset of the row of totals; 0: not asked for yet. The last column is `NO_REGION`. */
    const rowsOf: (Int32Array | undefined)[] = services.map(() => undefined);
    return (service, classNumber, region) => {
      let rows = rowsOf[service];
      if (rows === undefined) {
        rows = new Int32Array(regions.length + 1);
        rowsOf[service] = rows;
      }
      const column = region === NO_REGION ? regions.length : region;
      let row = rows[column]!;
      if (row === 0) {
        row = totalRow(services[service]!.hash | 0, region === NO_REGION ? 0 : regions[region]!.hash | 0);
        rows[column] = row;
      }
      answers[answersWord(row)]! += 1;
      countClass(service, classNumber, region);
    };
  };
}

/** Hands over each pair that was answered with. `regionHash` 0: answers without a region. */
export function readTotals(
  block: SharedArrayBuffer,
  take: (serviceHash: number, regionHash: number, answers: number) => void,
): void {
  const words = new Int32Array(block);
  const answers = new Float64Array(block);
  const used = Atomics.load(words, TOTALS_USED);
  for (let index = 0; index < used; index++) {
    const row = TOTALS_AT + index * ROW_OCTETS;
    take(words[keyWord(row)]! >>> 0, words[keyWord(row) + 1]! >>> 0, answers[answersWord(row)]!);
  }
}

/**
 * Hands over each triple that was answered with since the numbers mean what `numbering` says.
 *
 * @returns since when, in Unix ms; undefined when the worker's numbers mean something else, at the start or at the end
 */
export function readClasses(
  block: SharedArrayBuffer,
  numbering: number,
  take: (service: number, classNumber: number, region: number, answers: number) => void,
): number | undefined {
  const words = new Int32Array(block);
  const answers = new Float64Array(block);
  if (Atomics.load(words, NUMBERING) !== numbering) return undefined;
  const found: [service: number, classNumber: number, region: number, answers: number][] = [];
  for (let index = 0; index < CLASS_ROWS; index++) {
    const row = CLASSES_AT + index * ROW_OCTETS;
    const key = Atomics.load(words, keyWord(row));
    if (key === 0) continue;
    found.push([(key >>> 16) - 1, words[keyWord(row) + 1]!, (key & 0xffff) - 1, answers[answersWord(row)]!]);
  }
  const sinceMs = answers[SINCE_AT >>> 3]!;
  if (Atomics.compareExchange(words, NUMBERING, numbering, numbering) !== numbering) return undefined;
  for (const row of found) take(...row);
  return sinceMs;
}
