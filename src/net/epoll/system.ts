/**
 * What is asked of the kernel about single sockets: open, accept, connect, name, end.
 *
 * Owns:    socket options, and a few words of memory for arguments and results.
 * Never:   knows what a socket is for. Faults of the network are returned as error numbers, 0: none.
 * @module
 */
import { constants } from "node:os";
import { LINGER, SOCKADDR_IN6 } from "#base/native/layout.ts";
import { systemError } from "#base/native/load.ts";
import {
  AF_INET,
  AF_INET6,
  decodeSocketAddress,
  encodeSocketAddress,
  type SocketAddress,
  writePort,
} from "#base/native/socket-address.ts";
import type { EpollCalls } from "#net/epoll/load.ts";

// sys/socket.h, asm-generic/socket.h, fcntl.h, linux/tcp.h: the same on the processors of `base/native/load.ts`.
const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_ERROR = 4;
const SO_KEEPALIVE = 9;
const SO_LINGER = 13;
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;
const TCP_KEEPIDLE = 4;
const F_GETFL = 3;
const F_SETFL = 4;
const SHUT_WR = 1;
const MSG_TRUNC = 0x20;
/** How long a connection is silent before the kernel asks whether the peer is still there. */
const KEEPALIVE_SECONDS = 60;
/** Addresses in the kernel's form that are kept. */
const ENCODINGS_MAX = 4_096;
/** More than a receive queue holds. */
const DISCARD_OCTETS = 1 << 30;

const { EAFNOSUPPORT, EINPROGRESS } = constants.errno;

export type Sockets = {
  /** @throws what the system says */
  listen(descriptor: number, backlog: number): void;
  /** @returns a descriptor, whose peer is then `acceptedFrom()`, or an error number below 0 */
  accept(listener: number): number;
  acceptedFrom(): SocketAddress;
  /** @returns a descriptor that connects, or an error number below 0 */
  connect(to: SocketAddress): number;
  /** Own end. */
  nameOf(descriptor: number): SocketAddress;
  /** The error that is pending at a socket, and takes it away. */
  errorOf(descriptor: number): number;
  /** Sends a FIN; the socket goes on reading. */
  endWriting(descriptor: number): void;
  /** @param hasUnread there may be octets to read: closing with those there would send a RST */
  close(descriptor: number, hasUnread: boolean): void;
  reset(descriptor: number): void;
};

export function createSockets(calls: EpollCalls): Sockets {
  const address = new Uint8Array(new ArrayBuffer(SOCKADDR_IN6.size));
  const addressAt = Number(calls.addressOf(address));
  const words = new Int32Array(new ArrayBuffer(Int32Array.BYTES_PER_ELEMENT * 2));
  const wordsAt = Number(calls.addressOf(words));
  const [valueAt, lengthAt] = [wordsAt, wordsAt + Int32Array.BYTES_PER_ELEMENT];
  /** Ends by RST what is closed: on, 0 s (socket(7)). */
  const linger = new Int32Array(new ArrayBuffer(LINGER.size));
  linger[0] = 1;
  const lingerAt = Number(calls.addressOf(linger));

  function set(descriptor: number, level: number, option: number, value: number): void {
    words[0] = value;
    calls.setsockopt(descriptor, level, option, valueAt, Int32Array.BYTES_PER_ELEMENT);
  }
  /** What is sent leaves at once; a peer that vanished is noticed. Sockets inherit both from their listener. */
  function tune(descriptor: number): void {
    set(descriptor, IPPROTO_TCP, TCP_NODELAY, 1);
    set(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1);
    set(descriptor, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_SECONDS);
  }

  /** Backends are few and connected to often. */
  const encodings = new Map<string, Uint8Array>();
  function encode(to: SocketAddress): Uint8Array | undefined {
    let encoded = encodings.get(to.address);
    if (encoded === undefined) {
      encoded = encodeSocketAddress(to);
      if (encoded === undefined) return undefined;
      if (encodings.size === ENCODINGS_MAX) encodings.clear();
      encodings.set(to.address, encoded);
    }
    writePort(encoded, to.port);
    return encoded;
  }

  return {
    listen(descriptor, backlog) {
      const flags = calls.fcntl(descriptor, F_GETFL, 0);
      if (flags < 0) throw systemError("fcntl", calls.errno());
      calls.fcntl(descriptor, F_SETFL, flags | SOCK_NONBLOCK);
      tune(descriptor);
      if (calls.listen(descriptor, backlog) < 0) throw systemError("listen", calls.errno());
    },
    accept(listener) {
      words[1] = address.length;
      const descriptor = calls.accept4(listener, addressAt, lengthAt, SOCK_NONBLOCK | SOCK_CLOEXEC);
      return descriptor >= 0 ? descriptor : -calls.errno();
    },
    acceptedFrom: () => decodeSocketAddress(address),
    connect(to) {
      const encoded = encode(to);
      if (encoded === undefined) return -EAFNOSUPPORT;
      const family = encoded.length === SOCKADDR_IN6.size ? AF_INET6 : AF_INET;
      const descriptor = calls.socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
      if (descriptor < 0) return -calls.errno();
      tune(descriptor);
      address.set(encoded);
      if (calls.connect(descriptor, addressAt, encoded.length) === 0) return descriptor;
      const errno = calls.errno();
      if (errno === EINPROGRESS) return descriptor;
      calls.close(descriptor);
      return -errno;
    },
    nameOf(descriptor) {
      words[1] = address.length;
      if (calls.getsockname(descriptor, addressAt, lengthAt) < 0) return { address: "::", port: 0 };
      return decodeSocketAddress(address);
    },
    errorOf(descriptor) {
      words[0] = 0;
      words[1] = Int32Array.BYTES_PER_ELEMENT;
      calls.getsockopt(descriptor, SOL_SOCKET, SO_ERROR, valueAt, lengthAt);
      return words[0];
    },
    endWriting(descriptor) {
      calls.shutdown(descriptor, SHUT_WR);
    },
    close(descriptor, hasUnread) {
      if (hasUnread) calls.recv(descriptor, 0, DISCARD_OCTETS, MSG_TRUNC); // tcp(7): discards without copying
      calls.close(descriptor);
    },
    reset(descriptor) {
      calls.setsockopt(descriptor, SOL_SOCKET, SO_LINGER, lingerAt, linger.byteLength);
      calls.close(descriptor);
    },
  };
}
