/**
 * What the driver knows of one socket. There is one object for each socket, none for an event.
 *
 * Owns:    the fields. `system.ts` opens and ends sockets, `preamble.ts` and `pump.ts` read and write them.
 * Never:   calls the system.
 * @module
 */
import { WheelEntry } from "#base/wheel.ts";
import type { ReadEnd, RelayEnd, RelayReason, StreamOwner, TcpAddress, TcpConn } from "#net/driver.ts";
import type { NativeBuffer } from "#net/epoll/buffers.ts";
import type { Pipe } from "#net/epoll/pipes.ts";
import type { Streams } from "#net/epoll/stream.ts";
import type { Handshake } from "#net/epoll/tls/handshake.ts";
import type { TlsSession } from "#net/epoll/transport.ts";

/** What a socket is doing, and so what its events and its time-out mean. */
export const DOING = {
  nothing: 0,
  listening: 1,
  resting: 2,
  connecting: 3,
  reading: 4,
  relaying: 5,
  streaming: 6,
  /** It streamed, its owner has closed it, and there is something left to send. */
  closing: 7,
  closed: 8,
  /** A TLS handshake, from the hello on. */
  shaking: 9,
} as const;
export type Doing = (typeof DOING)[keyof typeof DOING];

export type Look = (octets: Uint8Array | undefined, why: ReadEnd | undefined) => number;

/** What a socket asks of the driver that it belongs to. */
export type SocketOwner = {
  read(socket: EpollSocket, options: { readonly maxOctets: number; readonly timeoutMs: number }, look: Look): void;
  stream(socket: EpollSocket, owner: StreamOwner): void;
  end(socket: EpollSocket, isReset: boolean, last?: Uint8Array): void;
  nameOf(socket: EpollSocket): TcpAddress;
  readonly streams: Streams;
};

/** What is known of a socket that streams. */
export class EpollStream {
  owner: StreamOwner;
  isPaused = false;
  isEndTold = false;
  /** What was written and the kernel did not take: `out` from `outAt` to `outEnd`, then `more`. */
  out: NativeBuffer | undefined;
  outAt = 0;
  outEnd = 0;
  more: { readonly buffer: NativeBuffer; end: number }[] | undefined;
  waiting = 0;
  /** Of a conn that is closing: `waiting` when it was looked at last. */
  waitingBefore = 0;
  /** The kernel takes no more for now. */
  isBlocked = false;
  /** It waits for the end of the call-back. */
  isWritten = false;
  /** A writer was asked to stop. */
  wantsRoom = false;
  /** A FIN is to go after the last octet, or has gone. */
  isFinishing = false;
  isFinished = false;

  constructor(owner: StreamOwner) {
    this.owner = owner;
  }
}

/** Two sockets whose octets are handed to each other. */
export type EpollRelay = {
  readonly client: EpollSocket;
  readonly upstream: EpollSocket;
  readonly idleMs: number;
  readonly halfCloseMs: number;
  /** Steady ms; Infinity: never. */
  readonly endsAtMs: number;
  /** When an octet moved last, either way. */
  activeMs: number;
  readonly done: (end: RelayEnd) => void;
  /** Undefined once it was called. */
  firstOctet: (() => void) | undefined;
  /** Why it is over. */
  reason: RelayReason | undefined;
};

export class EpollSocket extends WheelEntry implements TcpConn {
  readonly #owner: SocketOwner;
  readonly descriptor: number;
  /** Place in the driver's table, and how many had it before. */
  readonly slot: number;
  readonly generation: number;
  readonly remote: TcpAddress;
  #local: TcpAddress | undefined;
  doing: Doing;

  /** There may be octets, an end or an error to read: edge-triggered epoll says so once. */
  isReadable = false;
  /** Reading must go on until there is nothing more: a short read may be followed by an end, an error, or urgent data. */
  readsToEnd = false;
  /** The peer sent its FIN, and all before it was read. */
  hasEnded = false;
  wasReset = false;
  /** It waits for its turn in the driver's list. */
  isQueued = false;

  /** Octets that were read before the relay and not consumed. */
  rest: Uint8Array | undefined;
  /** How much of `rest` this look has seen. */
  shownOctets = 0;
  look: Look | undefined;
  maxOctets = 0;
  /** Gets the outcome of a connect. */
  connected: ((error: number) => void) | undefined;
  /** Of listeners: takes up to so many that wait. */
  accept: ((limit: number) => void) | undefined;

  streaming: EpollStream | undefined;
  /** While it shakes hands. */
  handshake: Handshake | undefined;
  /** From the handshake on. */
  tls: TlsSession | undefined;

  relay: EpollRelay | undefined;
  peer: EpollSocket | undefined;
  /** Octets of this socket that the peer's kernel took; negative while a head of ours is on its way. */
  carried = 0;
  /** What was read from this socket and the peer did not take yet, in `pending` from `pendingAt` on, or in `pipe`. */
  pending: NativeBuffer | undefined;
  pendingAt = 0;
  pendingOctets = 0;
  /** Of a stream, as long as octets come. */
  pipe: Pipe | undefined;
  /** Full reads in a row: what makes it a stream. */
  fullReads = 0;
  /** It sent urgent data once, which splice does not get past. */
  isUrgent = false;
  /** All of this socket's octets were sent to the peer, and a FIN after them. */
  isHandedOn = false;

  /** @param local undefined: the kernel is asked when somebody wants to know */
  constructor(
    owner: SocketOwner,
    descriptor: number,
    place: { readonly slot: number; readonly generation: number },
    names: { readonly remote: TcpAddress; readonly local: TcpAddress | undefined },
    doing: Doing,
  ) {
    super();
    this.#owner = owner;
    this.descriptor = descriptor;
    this.slot = place.slot;
    this.generation = place.generation;
    this.remote = names.remote;
    this.#local = names.local;
    this.doing = doing;
  }

  get local(): TcpAddress {
    this.#local ??= this.#owner.nameOf(this);
    return this.#local;
  }
  read(options: { readonly maxOctets: number; readonly timeoutMs: number }, look: Look): void {
    this.#owner.read(this, options, look);
  }
  stream(owner: StreamOwner): void {
    this.#owner.stream(this, owner);
  }
  pause(): void {
    this.#owner.streams.pause(this);
  }
  resume(): void {
    this.#owner.streams.resume(this);
  }
  write(octets: Uint8Array): boolean {
    return this.#owner.streams.outbox.write(this, octets);
  }
  writeText(latin1: string): boolean {
    return this.#owner.streams.outbox.writeText(this, latin1);
  }
  finish(): void {
    this.#owner.streams.finish(this);
  }
  unsent(): number {
    return this.streaming?.waiting ?? 0;
  }
  close(last?: Uint8Array): void {
    this.#owner.end(this, false, last);
  }
  reset(): void {
    this.#owner.end(this, true);
  }
}
