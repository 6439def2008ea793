/**
 * Gives back the memory of zones and maps that were replaced.
 *
 * They lie in shared memory, which goes when no thread refers to it any more, and threads find that out when they
 * collect garbage. Shared memory does not count as a reason to do so, and a worker that allocates nothing per packet
 * never has another one: without a word, each reload of a large zone would stay for good. So whoever replaced much
 * collects once, in some ms.
 * @module
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Less than this may wait until garbage is collected anyway. */
const MUCH_OCTETS = 8 * 1_048_576;

type Holder = object | undefined;

/** Shared memory in the fields of zones and maps. */
function sharedIn(holders: readonly Holder[]): Set<SharedArrayBuffer> {
  const buffers = new Set<SharedArrayBuffer>();
  for (const holder of holders) {
    for (const value of Object.values(holder ?? {})) {
      if (ArrayBuffer.isView(value) && value.buffer instanceof SharedArrayBuffer) buffers.add(value.buffer);
    }
  }
  return buffers;
}

/** Whether much of what `before` holds is not in `after`. Both from one thread: each has its own view on shared memory. */
export function letsGoMuch(before: readonly Holder[], after: readonly Holder[]): boolean {
  const kept = sharedIn(after);
  let octets = 0;
  for (const buffer of sharedIn(before)) if (!kept.has(buffer)) octets += buffer.byteLength;
  return octets > MUCH_OCTETS;
}

let collect: (() => void) | undefined;

/** Collects all garbage of the calling thread. */
export function collectGarbage(): void {
  if (!collect) {
    setFlagsFromString("--expose-gc"); // for contexts that are made from now on
    collect = runInNewContext("gc") as () => void;
  }
  collect();
}
