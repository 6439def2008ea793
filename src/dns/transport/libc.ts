/**
 * The calls of the C library that `node:dgram` has no names for.
 *
 * Owns:    their signatures. Where they are missing, callers are told why and do without.
 * Never:   interprets what a call returns.
 * @module
 */
import { loadNative, type Native } from "#base/native/load.ts";

/** An address in this process's memory, as `addressOf` says it. */
export type Pointer = bigint;

export type Libc = Native & {
  socket(domain: number, type: number, protocol: number): number;
  bind(descriptor: number, address: Pointer, length: number): number;
  getsockname(descriptor: number, address: Pointer, length: Pointer): number;
  close(descriptor: number): number;
  setsockopt(descriptor: number, level: number, option: number, value: Pointer, length: number): number;
  getsockopt(descriptor: number, level: number, option: number, value: Pointer, length: Pointer): number;
  recvmmsg(descriptor: number, messages: Pointer, count: number, flags: number, timeout: Pointer): number;
  sendmmsg(descriptor: number, messages: Pointer, count: number, flags: number): number;
};

const PROTOTYPES = {
  socket: "int socket(int, int, int)",
  bind: "int bind(int, uintptr_t, uint32_t)",
  getsockname: "int getsockname(int, uintptr_t, uintptr_t)",
  close: "int close(int)",
  setsockopt: "int setsockopt(int, int, int, uintptr_t, uint32_t)",
  getsockopt: "int getsockopt(int, int, int, uintptr_t, uintptr_t)",
  recvmmsg: "int recvmmsg(int, uintptr_t, uint32_t, int, uintptr_t)",
  sendmmsg: "int sendmmsg(int, uintptr_t, uint32_t, int)",
} as const;

/** @returns the library, or why there is none */
export const loadLibc = (): Libc | string => loadNative<Libc>(PROTOTYPES, "recvmmsg");
