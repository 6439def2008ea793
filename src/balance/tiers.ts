/**
 * Priorities and zones: one algorithm for each group of members, the groups in order. A group is used while a member of
 * it is available and not tried; only then comes the next.
 *
 * Order:   tiers first (0 serves, 1 is the backup, and so on), in a tier the own zone first.
 * @module
 */
import type { Algorithm, Members } from "#balance/algorithm.ts";
import { isAvailable } from "#balance/available.ts";

/** Groups are used in rising order. */
export const groupOf = (tier: number, isLocal: boolean): number => 2 * tier + (isLocal ? 0 : 1);

/** @param groups of each member its `groupOf()` */
export type Tiers = Omit<Algorithm, "update"> & { update(members: Members, groups: ArrayLike<number>): void };

type Group = {
  readonly algorithm: Algorithm;
  /** Indexes of its members in the whole. */
  indexes: Int32Array;
  members: Members;
  /** `tried` of the last pick that had some, as the group counts. */
  tried: number[];
  isAnyAvailable: boolean;
};

const NOTHING: readonly number[] = [];

export function createTiers(create: () => Algorithm): Tiers {
  let whole: Members;
  let byNumber = new Map<number, Group>();
  let ordered: Group[] = [];
  /** Of each member its group's place in `ordered`, and its index in the group. */
  let placeOf = new Int32Array(0);
  let innerOf = new Int32Array(0);

  function takeWeights(group: Group): void {
    group.isAnyAvailable = false;
    for (let inner = 0; inner < group.indexes.length; inner++) {
      const index = group.indexes[inner]!;
      group.members.effective[inner] = whole.effective[index]!;
      group.isAnyAvailable ||= isAvailable(whole, index);
    }
  }
  function update(members: Members, groups: ArrayLike<number>): void {
    whole = members;
    placeOf = new Int32Array(members.size);
    innerOf = new Int32Array(members.size);
    const numbers = [...new Set(Array.from({ length: members.size }, (_, index) => groups[index]!))].sort(
      (a, b) => a - b,
    );
    const before = byNumber;
    byNumber = new Map();
    ordered = numbers.map((number, place) => {
      const indexes = Int32Array.from(members.keys.keys()).filter((index) => groups[index] === number);
      indexes.forEach((index, inner) => {
        placeOf[index] = place;
        innerOf[index] = inner;
      });
      const group: Group = {
        algorithm: before.get(number)?.algorithm ?? create(),
        indexes,
        members: {
          size: indexes.length,
          keys: Array.from(indexes, (index) => members.keys[index]!),
          weights: Float64Array.from(indexes, (index) => members.weights[index]!),
          effective: new Float64Array(indexes.length),
          loads: members.loads,
          loadAt: Uint32Array.from(indexes, (index) => members.loadAt[index]!),
        },
        tried: [],
        isAnyAvailable: false,
      };
      byNumber.set(number, group);
      takeWeights(group);
      group.algorithm.update(group.members);
      return group;
    });
  }
  function divide(tried: readonly number[]): void {
    for (const group of ordered) group.tried.length = 0;
    for (const index of tried) ordered[placeOf[index] ?? -1]?.tried.push(innerOf[index]!);
  }

  return {
    update,
    refresh() {
      for (const group of ordered) {
        takeWeights(group);
        group.algorithm.refresh();
      }
    },
    pick(key, nowMs, tried) {
      if (tried.length > 0) divide(tried);
      for (let place = 0; place < ordered.length; place++) {
        const group = ordered[place]!;
        if (!group.isAnyAvailable) continue;
        const inner = group.algorithm.pick(key, nowMs, tried.length > 0 ? group.tried : NOTHING);
        if (inner >= 0) return group.indexes[inner]!;
      }
      return -1;
    },
    loadChanged(index) {
      ordered[placeOf[index] ?? -1]?.algorithm.loadChanged?.(innerOf[index]!);
    },
    observe(index, micros, nowMs) {
      ordered[placeOf[index] ?? -1]?.algorithm.observe?.(innerOf[index]!, micros, nowMs);
    },
  };
}
