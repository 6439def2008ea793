/**
 * Whether a pool is in panic or empty, and what is told of it.
 *
 * Owns:    what was last told of each pool. It decides by the same functions as those who pick (`eligible.ts`).
 * @module
 */
import { fillEffective } from "#pool/eligible.ts";
import { isPanic } from "#pool/panic.ts";
import { BACKEND_STATE, type BackendState, backendState } from "#state/backend-table.ts";
import type { PoolSpec } from "#state/balancer.ts";
import type { RhumbEvent } from "#state/events.ts";

type Tell = (event: Omit<RhumbEvent, "atMs">) => void;

export type PoolAlarms = {
  readonly isPanic: boolean;
  readonly isEmpty: boolean;
  /** States or configuration have changed. */
  settle(spec: PoolSpec): void;
  /** The pool is gone: what was wrong with it is over. */
  close(): void;
};

type Trouble = { readonly isPanic: boolean; readonly isEmpty: boolean; readonly says: string };

function troubleOf(spec: PoolSpec, table: Int32Array): Trouble {
  const standing = fillEffective(spec, table, new Float64Array(spec.backends.length));
  const isEmpty = standing === "none";
  if (standing === "fail-open")
    return { isPanic: true, isEmpty, says: "none of its backends is healthy, so all of them are tried" };
  if (standing !== "healthy") return { isPanic: false, isEmpty, says: "" };

  const states = spec.backends.map(({ target, priority }) => ({ state: backendState(table, target), priority }));
  const tier = Math.min(...states.flatMap(({ state, priority }) => (state === BACKEND_STATE.active ? [priority] : [])));
  const count = (...wanted: readonly BackendState[]): number =>
    states.filter(({ state, priority }) => priority === tier && wanted.includes(state)).length;
  const active = count(BACKEND_STATE.active);
  const failing = count(BACKEND_STATE.down, BACKEND_STATE.ejected);
  const total = active + failing + count(BACKEND_STATE.unknown);
  return {
    // That some were not probed yet is no reason to worry.
    isPanic: failing > 0 && isPanic(active, total, spec.panicPercent),
    isEmpty,
    says: `${active} of ${total} backends are healthy, less than ${spec.panicPercent} percent, so health is ignored`,
  };
}

export function createPoolAlarms(name: string, table: Int32Array, tell: Tell): PoolAlarms {
  const subject = `pool/${name}`;
  let inPanic = false;
  let empty = false;

  const setPanic = (next: boolean, says: string): void => {
    if (next === inPanic) return;
    inPanic = next;
    tell({ kind: "pool.panic", severity: next ? "alarm" : "resolved", subject, says: `${subject} ${says}` });
  };
  const setEmpty = (next: boolean, says: string): void => {
    if (next === empty) return;
    empty = next;
    tell({ kind: "pool.empty", severity: next ? "alarm" : "resolved", subject, says: `${subject} ${says}` });
  };

  return {
    get isPanic() {
      return inPanic;
    },
    get isEmpty() {
      return empty;
    },
    settle(spec) {
      const trouble = troubleOf(spec, table);
      setPanic(trouble.isPanic, trouble.isPanic ? `is in panic: ${trouble.says}` : "is no longer in panic");
      setEmpty(
        trouble.isEmpty,
        trouble.isEmpty ? "has no backend that clients may be sent to" : "has backends for its clients again",
      );
    },
    close() {
      setPanic(false, "is gone");
      setEmpty(false, "is gone");
    },
  };
}
