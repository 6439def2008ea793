/**
 * Relays from their begin to their end: what comes first, how long they may take, what is told when they are over.
 *
 * Owns:    the limits. `pump.ts` moves the octets in between.
 * Units:   steady ms.
 * @module
 */
import type { Clock } from "#base/clock.ts";
import type { Wheel } from "#base/wheel.ts";
import type { Relay, RelayEnd, RelayOptions, RelayReason } from "#net/driver.ts";
import type { BufferPool } from "#net/epoll/buffers.ts";
import { DOING, type EpollRelay, type EpollSocket } from "#net/epoll/socket.ts";

export type Relays = {
  begin(
    client: EpollSocket,
    upstream: EpollSocket,
    options: RelayOptions,
    done: (end: RelayEnd) => void,
    firstOctet: () => void,
  ): Relay;
  /** Other limits apply: one side ended. Octets that move later postpone the end without a word to the wheel. */
  limits(relay: EpollRelay): void;
  /** A limit may be reached. */
  check(relay: EpollRelay): void;
  finish(relay: EpollRelay, reason: RelayReason): void;
};

/**
 * @param options.nowMs of this turn
 * @param options.again serves this socket after the others
 * @param options.calledBack somebody was told something
 * @param options.later calls from the loop
 */
export function createRelays(options: {
  readonly wheel: Wheel<EpollSocket>;
  readonly buffers: BufferPool;
  readonly clock: Clock;
  nowMs(): number;
  again(socket: EpollSocket): void;
  drop(socket: EpollSocket, isReset: boolean): void;
  calledBack(): void;
  later(call: () => void): void;
}): Relays {
  const { wheel, buffers, clock, nowMs, again, drop, calledBack, later } = options;

  function dueMsOf(relay: EpollRelay): number {
    const isHalfClosed = relay.client.hasEnded || relay.upstream.hasEnded;
    const limitMs = isHalfClosed ? relay.halfCloseMs : relay.idleMs;
    return Math.min(relay.endsAtMs, limitMs > 0 ? relay.activeMs + limitMs : Number.POSITIVE_INFINITY);
  }
  function limits(relay: EpollRelay): void {
    const dueMs = dueMsOf(relay);
    if (dueMs === Number.POSITIVE_INFINITY) wheel.cancel(relay.client);
    else wheel.arm(relay.client, dueMs);
  }

  function end(relay: EpollRelay, reason: RelayReason): RelayEnd {
    const { client, upstream } = relay;
    relay.reason = reason;
    drop(client, reason !== "closed");
    drop(upstream, reason !== "closed");
    return {
      reason,
      octetsToUpstream: Math.max(0, client.carried),
      octetsToClient: Math.max(0, upstream.carried),
    };
  }
  function finish(relay: EpollRelay, reason: RelayReason): void {
    calledBack();
    relay.done(end(relay, reason));
  }

  /** What comes before all that will be read: a head of ours, and octets that were read and not consumed. */
  function putFirst(from: EpollSocket, head: Uint8Array | undefined): void {
    const headOctets = head?.length ?? 0;
    const octets = headOctets + (from.rest?.length ?? 0);
    if (octets > 0) {
      from.pending = buffers.copy(octets, head, from.rest);
      from.pendingOctets = octets;
      from.carried = -headOctets;
    }
    from.rest = undefined;
  }
  function join(relay: EpollRelay, socket: EpollSocket, peer: EpollSocket): void {
    wheel.cancel(socket);
    socket.relay = relay;
    socket.peer = peer;
    socket.look = undefined;
    socket.doing = DOING.relaying;
    again(socket);
  }

  return {
    begin(client, upstream, { head, idleMs, lifetimeMs, halfCloseMs }, done, firstOctet) {
      const activeMs = clock.monotonicMs();
      const relay: EpollRelay = {
        client,
        upstream,
        idleMs,
        halfCloseMs,
        endsAtMs: lifetimeMs > 0 ? activeMs + lifetimeMs : Number.POSITIVE_INFINITY,
        activeMs,
        done,
        firstOctet,
        reason: undefined,
      };
      putFirst(client, head);
      putFirst(upstream, undefined);
      join(relay, client, upstream);
      join(relay, upstream, client);
      limits(relay);
      return {
        stop() {
          if (relay.reason !== undefined) return;
          const stopped = end(relay, "stopped");
          later(() => done(stopped));
        },
      };
    },
    limits,
    check(relay) {
      if (dueMsOf(relay) > nowMs()) limits(relay);
      else finish(relay, nowMs() >= relay.endsAtMs ? "lifetime" : "idle");
    },
    finish,
  };
}
