/**
 * `first`: fills the members in their order. The next one is only used while those before are full (the pool hands full
 * ones in as tried) or not available.
 * @module
 */
import type { Algorithm, Members } from "#balance/algorithm.ts";
import { createAvailable, createMarks } from "#balance/available.ts";

export function createFirst(): Algorithm {
  const available = createAvailable();
  const marks = createMarks();
  let members: Members;
  return {
    update(next) {
      members = next;
      available.resize(next.size);
      marks.resize(next.size);
      available.refresh(next);
    },
    refresh: () => available.refresh(members),
    pick(_key, _nowMs, tried) {
      marks.set(tried);
      for (let at = 0; at < available.count; at++) {
        const index = available.list[at]!;
        if (!marks.has(index)) return index;
      }
      return -1;
    },
  };
}
