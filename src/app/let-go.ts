/**
 * Gives back the memory of zones and maps that were replaced.
 *
 * They lie in shared memory, which goes when no thread refers to it any more, and threads find that out when they
 * collect garbage. Shared memory does not count as a reason to do so, and a worker that allocates nothing per packet
 * never has another one: without a word, each reload of a large zone would stay for good. So whoever replaced much
 * has garbage collected once.
 * @module
 */
import { measureMemory } from "node:vm";

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

/**
 * Has the garbage of the calling thread collected, soon, and mostly beside it: marking runs in V8's own threads, so that
 * the pause is a few ms. (`gc()` of `--expose-gc` stops the thread for all of it: many times as long.)
 */
export function collectGarbage(): void {
  const { emitWarning } = process;
  process.emitWarning = () => {}; // that it is experimental
  try {
    // To measure, V8 first collects; what it measures nobody wants.
    measureMemory({ mode: "summary", execution: "eager" }).catch(() => {});
  } catch {
    // It has gone: more memory stays in use until garbage is collected anyway.
  } finally {
    process.emitWarning = emitWarning;
  }
}
