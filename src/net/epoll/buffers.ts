/**
 * Buffers that the kernel reads from and writes to.
 *
 * Owns:    a pool. All sockets read into one `current` buffer; only when a peer does not take what was read, the buffer
 *          stays with the connection, and another one becomes current. So nothing is copied, and who is idle holds none.
 * Units:   octets.
 * @module
 */
import type { Address, EpollCalls } from "#net/epoll/load.ts";

/**
 * What one direction of a connection may hold, and what one call reads at most. Smaller costs more calls for each MiB;
 * larger does not stay in the processor's cache between reading and sending.
 */
export const BUFFER_OCTETS = 65_536;
/** Buffers that are kept when nobody needs them; more go back to the system. */
const SPARES_MAX = 64;

export type NativeBuffer = { readonly bytes: Buffer; readonly address: Address };

export type BufferPool = {
  take(): NativeBuffer;
  give(buffer: NativeBuffer): void;
  /** A buffer with these octets, one part after the other. */
  copy(octets: number, ...parts: readonly (Uint8Array | undefined)[]): NativeBuffer;
  /** Buffers that were taken or copied and not given back. */
  held(): number;
};

export function createBufferPool(calls: Pick<EpollCalls, "addressOf">): BufferPool {
  const spares: NativeBuffer[] = [];
  let held = 0;
  /** `allocUnsafeSlow` alone puts small ones outside of V8's heap too, where nothing moves them. */
  function allocate(octets: number): NativeBuffer {
    const bytes = Buffer.allocUnsafeSlow(octets);
    return { bytes, address: Number(calls.addressOf(bytes)) };
  }
  return {
    take() {
      held++;
      return spares.pop() ?? allocate(BUFFER_OCTETS);
    },
    give(buffer) {
      held--;
      if (buffer.bytes.length === BUFFER_OCTETS && spares.length < SPARES_MAX) spares.push(buffer);
    },
    copy(octets, ...parts) {
      held++;
      const buffer = allocate(octets);
      let at = 0;
      for (const part of parts) {
        if (part === undefined) continue;
        buffer.bytes.set(part, at);
        at += part.length;
      }
      return buffer;
    },
    held: () => held,
  };
}
