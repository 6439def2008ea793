/**
 * Who has which chunk of the memory that is shared with the kernel. Those that the kernel fills and those that we send
 * stay apart, so that answers which wait for the link never take the room of queries.
 *
 * Owns:    the state of each chunk, and the free ones to send. What the kernel hands back is believed only where it was
 *          the kernel's: a chunk used twice would send one asker's answer to another.
 * Never:   touches the memory or the rings. Units: a chunk is named by its offset, in octets.
 * @module
 */

const STATE = { filling: 0, held: 1, free: 2, sending: 3 } as const;

export type Chunks = {
  /** A chunk comes filled. @returns false: the kernel did not have it to fill */
  arrive(at: number): boolean;
  /** Goes back to be filled. */
  refill(at: number): void;
  /** @returns the next to send from, which stays free until `send`; −1: none is */
  next(): number;
  /** What `next` said goes to the kernel. */
  send(): void;
  /** The kernel has sent it. @returns false: it was not sending it */
  complete(at: number): boolean;
  /** Chunks in each state; counted anew, so that it proves something. */
  count(): { readonly filling: number; readonly held: number; readonly free: number; readonly sending: number };
};

/**
 * @param options.fill chunks that the kernel fills: the first ones; all of them are its own from the beginning
 * @param options.send chunks that we send: those behind
 * @param options.octets of one; a power of two
 */
export function createChunks(options: { fill: number; send: number; octets: number }): Chunks {
  const { fill, send } = options;
  const shift = Math.log2(options.octets);
  const states = new Uint8Array(fill + send).fill(STATE.free, fill);
  /** A stack: what was sent last is in the processor's caches still. */
  const freeStack = Uint32Array.from({ length: send }, (_, index) => (fill + send - 1 - index) << shift);
  let freeCount = send;
  return {
    arrive(at) {
      const chunk = at >>> shift;
      if (states[chunk] !== STATE.filling) return false; // undefined beyond the memory
      states[chunk] = STATE.held;
      return true;
    },
    refill(at) {
      states[at >>> shift] = STATE.filling;
    },
    next: () => (freeCount === 0 ? -1 : freeStack[freeCount - 1]!),
    send() {
      freeCount--;
      states[freeStack[freeCount]! >>> shift] = STATE.sending;
    },
    complete(at) {
      const chunk = at >>> shift;
      if (states[chunk] !== STATE.sending) return false;
      states[chunk] = STATE.free;
      freeStack[freeCount] = chunk << shift;
      freeCount++;
      return true;
    },
    count() {
      const counts = [0, 0, 0, 0];
      for (const state of states) counts[state]! += 1;
      const [filling, held, free, sending] = counts as [number, number, number, number];
      return { filling, held, free, sending };
    },
  };
}
