/**
 * Reads what comes before a relay: a PROXY header, a ClientHello.
 *
 * Owns:    the octets that were read and not consumed, in a copy for each connection that is at this stage.
 * Never:   reads more than was asked for, or parses.
 * @module
 */
import { constants } from "node:os";
import type { ReadEnd } from "#net/driver.ts";
import type { EpollCalls } from "#net/epoll/load.ts";
import { noteReadable } from "#net/epoll/pump.ts";
import { DOING, type EpollSocket, type Look } from "#net/epoll/socket.ts";
import type { Transport } from "#net/epoll/transport.ts";

/** One read at most. */
const SCRATCH_OCTETS = 16_384;
const { EAGAIN, EINTR } = constants.errno;

export type Preambles = {
  /** The look comes with the next turn, if there is something to see. */
  begin(socket: EpollSocket, maxOctets: number, look: Look): void;
  event(socket: EpollSocket, events: number): void;
  /** Shows what is there, and reads on. */
  resume(socket: EpollSocket): void;
  timeOut(socket: EpollSocket): void;
};

/**
 * @param options.again resumes this socket in the loop
 * @param options.over the reading has ended: no time-out any more
 */
export function createPreambles(options: {
  readonly calls: Pick<EpollCalls, "addressOf">;
  readonly transport: Pick<Transport, "receive">;
  again(socket: EpollSocket): void;
  over(socket: EpollSocket): void;
}): Preambles {
  const { calls, transport, again, over } = options;
  const scratch = new Uint8Array(new ArrayBuffer(SCRATCH_OCTETS));
  const scratchAt = Number(calls.addressOf(scratch));

  function fail(socket: EpollSocket, why: ReadEnd): void {
    const look = socket.look!;
    socket.look = undefined;
    over(socket);
    look(undefined, why);
  }

  function show(socket: EpollSocket): void {
    const { rest, maxOctets } = socket;
    const look = socket.look!;
    socket.look = undefined; // the look may begin another read, or end the socket
    socket.shownOctets = rest!.length;
    const consumed = look(rest!.length > maxOctets ? rest!.subarray(0, maxOctets) : rest, undefined);
    if (socket.doing === DOING.closed) return;
    const isReplaced = socket.look !== undefined || socket.doing !== DOING.reading;
    if (consumed >= 0) {
      socket.rest = rest!.subarray(consumed);
      if (!isReplaced) over(socket);
    } else if (!isReplaced) {
      socket.look = look;
      if (rest!.length >= maxOctets) fail(socket, "too-long");
    }
  }

  function receive(socket: EpollSocket): void {
    const { look } = socket;
    while (socket.isReadable && socket.doing === DOING.reading && socket.look === look) {
      const before = socket.rest ?? new Uint8Array(0);
      const wanted = Math.min(socket.maxOctets - before.length, SCRATCH_OCTETS);
      const count = transport.receive(socket, scratchAt, wanted);
      if (count > 0) {
        const rest = new Uint8Array(before.length + count);
        rest.set(before);
        rest.set(scratch.subarray(0, count), before.length);
        socket.rest = rest;
        if (count < wanted && !socket.readsToEnd) socket.isReadable = false;
        show(socket);
        continue;
      }
      const error = -count;
      if (error === EINTR) continue;
      socket.isReadable = false;
      if (error === EAGAIN) {
        socket.readsToEnd = false;
        return;
      }
      socket.hasEnded = error === 0;
      socket.wasReset = error !== 0;
      fail(socket, error === 0 ? "ended" : "reset");
    }
  }

  return {
    begin(socket, maxOctets, look) {
      socket.doing = DOING.reading;
      socket.look = look;
      socket.maxOctets = maxOctets;
      socket.shownOctets = 0;
      again(socket);
    },
    event(socket, events) {
      noteReadable(socket, events);
      // What is there is shown first, in its turn.
      if (!socket.isQueued) receive(socket);
    },
    resume(socket) {
      const { look } = socket;
      if (socket.rest !== undefined && socket.rest.length > socket.shownOctets) show(socket);
      if (socket.look !== look) return;
      if (socket.hasEnded || socket.wasReset) fail(socket, socket.hasEnded ? "ended" : "reset");
      else receive(socket);
    },
    timeOut(socket) {
      fail(socket, "timeout");
    },
  };
}
