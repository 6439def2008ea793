/**
 * Pipes through which streams go from socket to socket: splice(2) hands pages on, so that what a stream costs is not
 * copying. A pipe takes two calls and two descriptors, so connections that say little do without.
 *
 * Owns:    a pool of empty pipes.
 * Units:   octets.
 * @module
 */
import type { EpollCalls } from "#net/epoll/load.ts";

/** What one call moves at most: what a pipe holds unless it is told otherwise (pipe(7)). */
export const PIPE_OCTETS = 65_536;
/** Pipes at a time, of two descriptors each; streams beyond go through buffers. */
const PIPES_MAX = 256;
/** Pipes that are kept when nobody needs them. */
const SPARES_MAX = 32;

const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;

export type Pipe = { readonly readEnd: number; readonly writeEnd: number };

export type Pipes = {
  /** @returns undefined when there are enough of them, or no descriptors */
  take(): Pipe | undefined;
  /** @param isEmpty one with octets in it is of no more use */
  give(pipe: Pipe, isEmpty: boolean): void;
  /** Pipes that were taken and not given back. */
  held(): number;
  close(): void;
};

export function createPipes(calls: EpollCalls): Pipes {
  const ends = new Int32Array(new ArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT));
  const endsAt = Number(calls.addressOf(ends));
  const spares: Pipe[] = [];
  let held = 0;

  function close(pipe: Pipe): void {
    calls.close(pipe.readEnd);
    calls.close(pipe.writeEnd);
  }
  function open(): Pipe | undefined {
    if (held >= PIPES_MAX || calls.pipe2(endsAt, O_NONBLOCK | O_CLOEXEC) < 0) return undefined;
    return { readEnd: ends[0]!, writeEnd: ends[1]! };
  }

  return {
    take() {
      const pipe = spares.pop() ?? open();
      if (pipe !== undefined) held++;
      return pipe;
    },
    give(pipe, isEmpty) {
      held--;
      if (isEmpty && spares.length < SPARES_MAX) spares.push(pipe);
      else close(pipe);
    },
    held: () => held,
    close() {
      for (const pipe of spares) close(pipe);
      spares.length = 0;
    },
  };
}
