/**
 * A UDP socket that we made ourselves through `node:ffi`, for what `node:dgram` cannot ask of the kernel: a filter in
 * front of the receive queue, and how many datagrams were dropped. `node:dgram` then takes the descriptor over.
 *
 * Never:   needed. Where this Node has no `node:ffi`, or the system is not Linux, there is none, and a plain
 *          `node:dgram` socket serves alike, without protection of its queue.
 * @module
 */

import { isIPv6 } from "node:net";
import { endianness } from "node:os";
import { parseIp } from "#base/ip.ts";
import type { ListenAddress } from "#state/snapshot.ts";

type Pointer = bigint;
type Functions = {
  socket(domain: number, type: number, protocol: number): number;
  bind(descriptor: number, address: Pointer, length: number): number;
  close(descriptor: number): number;
  setsockopt(descriptor: number, level: number, option: number, value: Pointer, length: number): number;
  getsockopt(descriptor: number, level: number, option: number, value: Pointer, length: Pointer): number;
};
/** The part of `node:ffi` that is used here. */
type Ffi = {
  dlopen(
    path: null,
    signatures: Record<keyof Functions, { arguments: string[]; return: string }>,
  ): { functions: Functions };
  getRawPointer(buffer: ArrayBufferView): Pointer;
};

// asm-generic/socket.h, in6.h, linux/sock_diag.h: the same on the architectures of `PROCESSORS`.
const PROCESSORS: readonly string[] = ["x64", "arm64", "riscv64"];
const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_REUSEPORT = 15;
const SO_ATTACH_FILTER = 26;
const SO_DETACH_FILTER = 27;
const SO_MEMINFO = 55;
const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = 26;
const MEMINFO_QUEUED = 0;
const MEMINFO_LIMIT = 1;
const MEMINFO_DROPS = 8;
const MEMINFO_WORDS = 16;

export type NativeSocket = {
  /** For `dgram.Socket.bind({ fd })`, which closes it in the end. */
  readonly descriptor: number;
  /** Puts a classic BPF program (8 octets an instruction) in front of the queue. @returns whether the kernel took it */
  attachFilter(program: Uint8Array): boolean;
  detachFilter(): void;
  /**
   * @returns datagrams that the kernel dropped at this socket so far (refused by the filter, or without room in the
   *   queue; 32 bits), and how full the queue is, 0 to 1. The object is reused.
   */
  queue(): { readonly dropped: number; readonly fullShare: number };
};

function loadFunctions(): { ffi: Ffi; functions: Functions } | undefined {
  if (process.platform !== "linux" || !PROCESSORS.includes(process.arch) || endianness() !== "LE") return undefined;
  try {
    const ffi = process.getBuiltinModule("node:ffi") as unknown as Ffi | undefined;
    if (!ffi) return undefined;
    const { functions } = ffi.dlopen(null, {
      socket: { arguments: ["i32", "i32", "i32"], return: "i32" },
      bind: { arguments: ["i32", "pointer", "u32"], return: "i32" },
      close: { arguments: ["i32"], return: "i32" },
      setsockopt: { arguments: ["i32", "i32", "i32", "pointer", "u32"], return: "i32" },
      getsockopt: { arguments: ["i32", "i32", "i32", "pointer", "pointer"], return: "i32" },
    });
    return { ffi, functions };
  } catch {
    return undefined; // switched off, or another shape in another version of Node
  }
}

/** struct sockaddr_in or sockaddr_in6 */
function socketAddress({ address, port }: ListenAddress): Uint8Array {
  const bytes = parseIp(address)!;
  const encoded = new Uint8Array(bytes.length === 16 ? 28 : 16);
  const view = new DataView(encoded.buffer);
  view.setUint16(0, bytes.length === 16 ? AF_INET6 : AF_INET, true);
  view.setUint16(2, port);
  encoded.set(bytes, bytes.length === 16 ? 8 : 4);
  return encoded;
}

/** @returns a bound socket with SO_REUSEPORT, or undefined where one cannot be had this way (whatever the reason) */
export function openNativeSocket(listen: ListenAddress): NativeSocket | undefined {
  const loaded = parseIp(listen.address) && loadFunctions();
  if (!loaded) return undefined;
  const { ffi, functions } = loaded;
  const pointer = (buffer: ArrayBufferView) => ffi.getRawPointer(buffer);
  const one = new Int32Array([1]);
  const isIpv6 = isIPv6(listen.address);
  const descriptor = functions.socket(isIpv6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return undefined;
  const set = (level: number, option: number, value: ArrayBufferView) =>
    functions.setsockopt(descriptor, level, option, pointer(value), value.byteLength) === 0;
  const address = socketAddress(listen);
  const isBound =
    set(SOL_SOCKET, SO_REUSEPORT, one) &&
    (!isIpv6 || set(IPPROTO_IPV6, IPV6_V6ONLY, one)) &&
    functions.bind(descriptor, pointer(address), address.length) === 0;
  if (!isBound) {
    functions.close(descriptor);
    return undefined;
  }
  const memory = new Uint32Array(MEMINFO_WORDS);
  const memoryOctets = new Uint32Array(1);
  const state = { dropped: 0, fullShare: 0 };

  return {
    descriptor,
    attachFilter(program) {
      // struct sock_fprog: a 16-bit count, padding, and the address of the instructions; the kernel copies them.
      const description = new BigUint64Array([BigInt(program.length / 8), pointer(program)]);
      return set(SOL_SOCKET, SO_ATTACH_FILTER, description);
    },
    detachFilter() {
      set(SOL_SOCKET, SO_DETACH_FILTER, one);
    },
    queue() {
      memoryOctets[0] = memory.byteLength;
      functions.getsockopt(descriptor, SOL_SOCKET, SO_MEMINFO, pointer(memory), pointer(memoryOctets));
      state.dropped = memory[MEMINFO_DROPS]!;
      state.fullShare = memory[MEMINFO_QUEUED]! / Math.max(1, memory[MEMINFO_LIMIT]!);
      return state;
    },
  };
}
