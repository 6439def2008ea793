/**
 * The calls of the C library that AF_XDP takes.
 *
 * Owns:    their signatures, and the number of bpf(2), for which the C library has no name.
 * Never:   interprets what a call returns.
 * @module
 */
import { loadNative, type Native } from "#base/native/load.ts";
import type { Pointer } from "#dns/transport/libc.ts";

export type XdpCalls = Native & {
  socket(domain: number, type: number, protocol: number): number;
  bind(descriptor: number, address: Pointer, length: number): number;
  close(descriptor: number): number;
  setsockopt(descriptor: number, level: number, option: number, value: Pointer, length: number): number;
  getsockopt(descriptor: number, level: number, option: number, value: Pointer, length: Pointer): number;
  sendto(
    descriptor: number,
    message: Pointer,
    length: number,
    flags: number,
    address: Pointer,
    addressLength: number,
  ): number;
  poll(descriptors: Pointer, count: number, timeoutMs: number): number;
  /** @returns an address; −1: none */
  mmap(
    address: Pointer,
    length: number,
    protection: number,
    flags: number,
    descriptor: number,
    offset: number,
  ): number | bigint;
  munmap(address: number | bigint, length: number): number;
  ioctl(descriptor: number, request: number, argument: Pointer): number;
  syscall(number: number, first: number, second: Pointer, third: number): number;
};

const PROTOTYPES = {
  socket: "int socket(int, int, int)",
  bind: "int bind(int, uintptr_t, uint32_t)",
  close: "int close(int)",
  setsockopt: "int setsockopt(int, int, int, uintptr_t, uint32_t)",
  getsockopt: "int getsockopt(int, int, int, uintptr_t, uintptr_t)",
  sendto: "int64_t sendto(int, uintptr_t, size_t, int, uintptr_t, uint32_t)",
  poll: "int poll(uintptr_t, uint64_t, int)",
  // Its result is an address, or −1 in all bits: signed, so that it can be told.
  mmap: "int64_t mmap(uintptr_t, size_t, int, int, int, int64_t)",
  munmap: "int munmap(int64_t, size_t)",
  ioctl: "int ioctl(int, unsigned long, uintptr_t)",
  syscall: "int64_t syscall(int64_t, int64_t, uintptr_t, int64_t)",
} as const;

/** asm/unistd_64.h, asm-generic/unistd.h */
const SYS_BPF = process.arch === "x64" ? 321 : 280;

/** @returns the calls, or why there are none */
export const loadXdpCalls = (): XdpCalls | string => loadNative<XdpCalls>(PROTOTYPES, "AF_XDP");

/** bpf(2). @returns a descriptor or 0; negative: `errno` */
export const bpfCall = (calls: XdpCalls, command: number, attributes: Uint8Array): number =>
  calls.syscall(SYS_BPF, command, calls.addressOf(attributes), attributes.length);
