/**
 * How a worker says which revision it serves: one word in shared memory.
 * @module
 */

/** Set by the worker alone, waited for by the engine. */
export function acknowledge(ack: Int32Array, revision: number): void {
  Atomics.store(ack, 0, revision);
  Atomics.notify(ack, 0);
}

/**
 * Resolves when the worker serves `revision` or a later one.
 * @param faultOf why the worker could not take this revision; asked whenever the word is notified
 * @throws Error with what the worker says, or that it took too long
 */
export async function acknowledged(
  ack: Int32Array,
  options: { name: string; revision: number; timeoutMs: number; faultOf: () => string | undefined },
): Promise<void> {
  const { name, revision, timeoutMs, faultOf } = options;
  const untilMs = performance.now() + timeoutMs;
  for (;;) {
    const served = Atomics.load(ack, 0);
    if (served >= revision) return;
    const fault = faultOf();
    if (fault !== undefined) throw new Error(`${name}: ${fault}`);
    const leftMs = untilMs - performance.now();
    if (leftMs <= 0) throw new Error(`${name} did not acknowledge within ${timeoutMs} ms`);
    const waiting = Atomics.waitAsync(ack, 0, served, leftMs);
    if (waiting.async) await waiting.value;
  }
}
