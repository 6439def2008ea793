/**
 * A UDP socket that we made ourselves, for what `node:dgram` cannot ask of the kernel: many datagrams a call, the address
 * that was asked, a filter in front of the receive queue, and how many datagrams were dropped.
 *
 * Owns:    the socket's options, and its address in the kernel's form.
 * Never:   reads or writes datagrams.
 * @module
 */

import { SOCK_FPROG, SOCKADDR_IN, SOCKADDR_IN6, TIMEVAL } from "#base/native/layout.ts";
import { systemError } from "#base/native/load.ts";
import { AF_INET, AF_INET6, encodeSocketAddress } from "#base/native/socket-address.ts";
import type { Libc } from "#dns/transport/libc.ts";
import { SOCKET_BUFFER_OCTETS } from "#dns/transport/udp.ts";
import type { ListenAddress } from "#state/snapshot.ts";

// asm-generic/socket.h, in.h, in6.h, linux/sock_diag.h: the same on the processors of `libc.ts`.
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
const SO_RCVBUF = 8;
const SO_REUSEPORT = 15;
const SO_RCVTIMEO = 20;
const SO_SNDTIMEO = 21;
const SO_ATTACH_FILTER = 26;
const SO_DETACH_FILTER = 27;
const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;
const SO_MEMINFO = 55;
const IPPROTO_IP = 0;
const IP_PKTINFO = 8;
const IP_MTU_DISCOVER = 10;
const IPPROTO_IPV6 = 41;
const IPV6_MTU_DISCOVER = 23;
const IPV6_V6ONLY = 26;
const IPV6_RECVPKTINFO = 49;
/** Fragment where a link asks for it, and never believe an ICMP message about the path's MTU: those can be forged. */
const PMTUDISC_OMIT = 5;
const MEMINFO_QUEUED = 0;
const MEMINFO_LIMIT = 1;
const MEMINFO_DROPS = 8;
const MEMINFO_WORDS = 16;

export type NativeSocket = {
  readonly descriptor: number;
  readonly port: number;
  readonly isIpv6: boolean;
  /** Bound to all addresses: each datagram says which one it came to (IP_PKTINFO, RFC 3542 §6.1). */
  readonly isWildcard: boolean;
  /** Puts a classic BPF program (8 octets an instruction) in front of the queue. @returns whether the kernel took it */
  attachFilter(program: Uint8Array): boolean;
  detachFilter(): void;
  /**
   * @returns datagrams that the kernel dropped at this socket so far (refused by the filter, or without room in the
   *   queue; 32 bits), and how full the queue is, 0 to 1. The object is reused.
   */
  queue(): { readonly dropped: number; readonly fullShare: number };
  /** Not for a descriptor that `node:dgram` was handed: that one it closes itself. */
  close(): void;
};

/**
 * Opens and binds a socket with SO_REUSEPORT.
 *
 * @param options.waitMs how long reading may block, and sending when there is no room; undefined: neither does
 * @throws the system's error, such as EADDRINUSE
 */
export function openNativeSocket(
  libc: Libc,
  listen: ListenAddress,
  options: { readonly waitMs?: number } = {},
): NativeSocket {
  const { waitMs } = options;
  const address = encodeSocketAddress(listen)!;
  const isIpv6 = address.length === SOCKADDR_IN6.size;
  const layout = isIpv6 ? SOCKADDR_IN6 : SOCKADDR_IN;
  const isWildcard = address.subarray(layout.address).every((octet) => octet === 0);
  const kind = SOCK_DGRAM | SOCK_CLOEXEC | (waitMs === undefined ? SOCK_NONBLOCK : 0);
  const descriptor = libc.socket(isIpv6 ? AF_INET6 : AF_INET, kind, 0);
  if (descriptor < 0) throw systemError("socket", libc.errno());
  const set = (level: number, option: number, value: ArrayBufferView): boolean =>
    libc.setsockopt(descriptor, level, option, libc.addressOf(value), value.byteLength) === 0;
  const setNumber = (level: number, option: number, value: number): boolean =>
    set(level, option, new Int32Array([value]));

  function must(isDone: boolean, call: string): void {
    if (isDone) return;
    const fault = systemError(call, libc.errno());
    libc.close(descriptor);
    throw fault;
  }

  must(setNumber(SOL_SOCKET, SO_REUSEPORT, 1), "setsockopt SO_REUSEPORT");
  if (isIpv6) must(setNumber(IPPROTO_IPV6, IPV6_V6ONLY, 1), "setsockopt IPV6_V6ONLY");
  if (isWildcard) {
    const isTold = isIpv6 ? setNumber(IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) : setNumber(IPPROTO_IP, IP_PKTINFO, 1);
    must(isTold, "setsockopt IP_PKTINFO");
  }
  if (isIpv6) setNumber(IPPROTO_IPV6, IPV6_MTU_DISCOVER, PMTUDISC_OMIT);
  else setNumber(IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_OMIT);
  // What is not granted is no fault: a smaller buffer serves as well, with less room for bursts.
  if (!setNumber(SOL_SOCKET, SO_RCVBUFFORCE, SOCKET_BUFFER_OCTETS)) {
    setNumber(SOL_SOCKET, SO_RCVBUF, SOCKET_BUFFER_OCTETS);
  }
  if (!setNumber(SOL_SOCKET, SO_SNDBUFFORCE, SOCKET_BUFFER_OCTETS)) {
    setNumber(SOL_SOCKET, SO_SNDBUF, SOCKET_BUFFER_OCTETS);
  }
  if (waitMs !== undefined) {
    const time = new BigInt64Array(TIMEVAL.size / BigInt64Array.BYTES_PER_ELEMENT);
    time[TIMEVAL.micros / BigInt64Array.BYTES_PER_ELEMENT] = BigInt(waitMs * 1_000);
    must(set(SOL_SOCKET, SO_RCVTIMEO, time), "setsockopt SO_RCVTIMEO");
    must(set(SOL_SOCKET, SO_SNDTIMEO, time), "setsockopt SO_SNDTIMEO");
  }
  must(libc.bind(descriptor, libc.addressOf(address), address.length) === 0, "bind");
  const addressOctets = new Uint32Array([address.length]);
  must(libc.getsockname(descriptor, libc.addressOf(address), libc.addressOf(addressOctets)) === 0, "getsockname");
  const memory = new Uint32Array(MEMINFO_WORDS);
  const memoryOctets = new Uint32Array(1);
  const state = { dropped: 0, fullShare: 0 };

  return {
    descriptor,
    port: (address[layout.port]! << 8) | address[layout.port + 1]!,
    isIpv6,
    isWildcard,
    attachFilter(program) {
      // The kernel copies the instructions, so their address is in use for the length of this call only.
      const description = new DataView(new ArrayBuffer(SOCK_FPROG.size));
      description.setUint16(SOCK_FPROG.count, program.length / 8, true);
      description.setBigUint64(SOCK_FPROG.program, libc.addressOf(program), true);
      return set(SOL_SOCKET, SO_ATTACH_FILTER, description);
    },
    detachFilter() {
      setNumber(SOL_SOCKET, SO_DETACH_FILTER, 1);
    },
    queue() {
      memoryOctets[0] = memory.byteLength;
      libc.getsockopt(descriptor, SOL_SOCKET, SO_MEMINFO, libc.addressOf(memory), libc.addressOf(memoryOctets));
      state.dropped = memory[MEMINFO_DROPS]!;
      state.fullShare = memory[MEMINFO_QUEUED]! / Math.max(1, memory[MEMINFO_LIMIT]!);
      return state;
    },
    close() {
      libc.close(descriptor);
    },
  };
}
