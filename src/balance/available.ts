/**
 * What all algorithms need of their members: who may be picked now, who was tried, and who of the old set is in the new one.
 *
 * Never:   allocates outside of `resize`.
 * @module
 */
import type { Members } from "#balance/algorithm.ts";

export const isAvailable = (members: Members, index: number): boolean =>
  members.effective[index]! > 0 && members.weights[index]! > 0;

/** Connections now, over all workers. */
export const loadOf = (members: Members, index: number): number => Atomics.load(members.loads, members.loadAt[index]!);

/**
 * What slow start and drain leave of a member, by weight or (for algorithms that ignore weights) by head: 1 is the usual
 * value of the latter. 0: not available.
 */
export const shareOf = (members: Members, index: number, isWeighted: boolean): number =>
  isAvailable(members, index)
    ? isWeighted
      ? members.effective[index]!
      : members.effective[index]! / members.weights[index]!
    : 0;

/** Indexes of the available members in `list[0]` to `list[count - 1]`. */
export type Available = {
  readonly list: Int32Array;
  readonly count: number;
  /** Place of a member in `list`, or -1. */
  readonly places: Int32Array;
  resize(size: number): void;
  /** @param order the order of the list; undefined: that of the members */
  refresh(members: Members, order?: Int32Array): void;
  /** Moves those tried to the end of the list, for those who do not care about its order. @returns how many are left */
  setAside(tried: readonly number[]): number;
};

export function createAvailable(): Available {
  const put = (index: number, place: number): void => {
    available.list[place] = index;
    available.places[index] = place;
  };
  const available: { -readonly [Key in keyof Available]: Available[Key] } = {
    list: new Int32Array(0),
    places: new Int32Array(0),
    count: 0,
    resize(size) {
      available.list = new Int32Array(size);
      available.places = new Int32Array(size).fill(-1);
      available.count = 0;
    },
    refresh(members, order) {
      let count = 0;
      available.places.fill(-1);
      for (let at = 0; at < members.size; at++) {
        const index = order === undefined ? at : order[at]!;
        if (isAvailable(members, index)) put(index, count++);
      }
      available.count = count;
    },
    setAside(tried) {
      const { list, places } = available;
      let left = available.count;
      for (let at = 0; at < tried.length; at++) {
        const place = places[tried[at]!] ?? -1;
        if (place < 0 || place >= left) continue;
        left--;
        const last = list[left]!;
        put(tried[at]!, left);
        put(last, place);
      }
      return left;
    },
  };
  return available;
}

/** A set of members that is emptied at each pick, for which it counts the picks. */
export type Marks = { resize(size: number): void; set(tried: readonly number[]): void; has(index: number): boolean };

export function createMarks(): Marks {
  let stamps = new Uint32Array(0);
  let now = 0;
  return {
    resize(size) {
      stamps = new Uint32Array(size);
      now = 0;
    },
    set(tried) {
      if (now === 0xffff_ffff) {
        stamps.fill(0);
        now = 0;
      }
      now++;
      for (let at = 0; at < tried.length; at++) stamps[tried[at]!] = now;
    },
    has: (index) => stamps[index] === now,
  };
}

/** For each of `after` its index in `before`, or -1. */
export function indexesBefore(before: readonly string[], after: readonly string[]): Int32Array {
  const indexes = new Map(before.map((key, index) => [key, index]));
  return Int32Array.from(after, (key) => indexes.get(key) ?? -1);
}

/** Indexes of the members in order of their keys, so that every node sees the same order. */
export const orderByKey = (keys: readonly string[]): Int32Array =>
  Int32Array.from(keys.keys()).sort((a, b) => (keys[a]! < keys[b]! ? -1 : keys[a]! > keys[b]! ? 1 : 0));
