/**
 * The rings that a socket shares with the kernel (Documentation/networking/af_xdp.rst): one side writes entries and moves
 * the producer, the other reads them and moves the consumer. Both cursors run through all 32-bit numbers.
 *
 * Owns:    the order of memory accesses. An entry must not be seen before its cursor says so, nor be overwritten before
 *          its reader is done; so cursors are read and written by `Atomics`. The memory is no SharedArrayBuffer, for which
 *          alone ECMAScript promises that order, because it is the kernel's pages that were mapped; V8 makes the same
 *          sequentially consistent instructions of `Atomics` for any buffer, and moves no access across them.
 * Never:   waits, or calls the system.
 * @module
 */

/** struct xdp_ring_offset: octets from where the ring is mapped. */
export type RingOffsets = {
  readonly producer: number;
  readonly consumer: number;
  readonly entries: number;
  readonly flags: number;
};

type Ring = {
  readonly producer: Uint32Array;
  readonly consumer: Uint32Array;
  readonly flags: Uint32Array;
  /** `wordsPerEntry` words of 32 bits each; offsets into the shared memory are below 2^32, so one word has them. */
  readonly entries: Uint32Array;
  readonly mask: number;
};

/** XDP_RING_NEED_WAKEUP, linux/if_xdp.h */
const NEEDS_WAKEUP = 1;

/** @param size entries, a power of two */
function mapRing(buffer: ArrayBuffer, offsets: RingOffsets, size: number, wordsPerEntry: number): Ring {
  return {
    producer: new Uint32Array(buffer, offsets.producer, 1),
    consumer: new Uint32Array(buffer, offsets.consumer, 1),
    flags: new Uint32Array(buffer, offsets.flags, 1),
    entries: new Uint32Array(buffer, offsets.entries, size * wordsPerEntry),
    mask: size - 1,
  };
}

/** A ring that the kernel writes and we read. */
export type InRing = {
  readonly entries: Uint32Array;
  /** Entries that wait. */
  available(): number;
  /** Number of the entry `index` places after the next one: its first word in `entries` is so many entries on. */
  slot(index: number): number;
  /** Hands `count` entries back. */
  release(count: number): void;
  /** Entries that were handed back so far, 32 bits. */
  cursor(): number;
};

/** A ring that we write and the kernel reads. */
export type OutRing = {
  readonly entries: Uint32Array;
  slot(index: number): number;
  /** Shows the kernel `count` more entries. */
  submit(count: number): void;
  cursor(): number;
  /** Whether the kernel has read all of them. */
  isRead(): boolean;
  /** Whether the kernel wants to be called before it looks at the ring. */
  needsWakeup(): boolean;
};

export function createInRing(buffer: ArrayBuffer, offsets: RingOffsets, size: number, wordsPerEntry: number): InRing {
  const { producer, consumer, entries, mask } = mapRing(buffer, offsets, size, wordsPerEntry);
  let cursor = Atomics.load(consumer, 0);
  return {
    entries,
    available: () => (Atomics.load(producer, 0) - cursor) >>> 0,
    slot: (index) => (cursor + index) & mask,
    release(count) {
      cursor = (cursor + count) >>> 0;
      Atomics.store(consumer, 0, cursor);
    },
    cursor: () => cursor,
  };
}

/** That there is room is for the caller to know: no more entries are under way than the ring has. */
export function createOutRing(buffer: ArrayBuffer, offsets: RingOffsets, size: number, wordsPerEntry: number): OutRing {
  const { producer, consumer, flags, entries, mask } = mapRing(buffer, offsets, size, wordsPerEntry);
  let cursor = Atomics.load(producer, 0);
  return {
    entries,
    slot: (index) => (cursor + index) & mask,
    submit(count) {
      cursor = (cursor + count) >>> 0;
      Atomics.store(producer, 0, cursor);
    },
    cursor: () => cursor,
    isRead: () => Atomics.load(consumer, 0) === cursor,
    needsWakeup: () => (Atomics.load(flags, 0) & NEEDS_WAKEUP) !== 0,
  };
}
