/**
 * The system calls that the epoll driver is made of, and the numbers that go with them.
 *
 * Owns:    their signatures, and whether this machine has them all.
 * Never:   interprets what a call returns.
 * @module
 */
import { constants } from "node:os";
import { loadNative, type Native, systemError } from "#base/native/load.ts";

/** An address in this process's memory: below 2^48 on the processors of `base/native/load.ts`, so a number holds it. */
export type Address = number;

export type EpollCalls = Native & {
  accept4(descriptor: number, address: Address, length: Address, flags: number): number;
  close(descriptor: number): number;
  connect(descriptor: number, address: Address, length: number): number;
  epoll_create1(flags: number): number;
  epoll_ctl(epoll: number, operation: number, descriptor: number, event: Address): number;
  epoll_wait(epoll: number, events: Address, count: number, timeoutMs: number): number;
  eventfd(initial: number, flags: number): number;
  fcntl(descriptor: number, command: number, value: number): number;
  getsockname(descriptor: number, address: Address, length: Address): number;
  getsockopt(descriptor: number, level: number, option: number, value: Address, length: Address): number;
  listen(descriptor: number, backlog: number): number;
  pipe2(ends: Address, flags: number): number;
  recv(descriptor: number, octets: Address, length: number, flags: number): number;
  send(descriptor: number, octets: Address, length: number, flags: number): number;
  setsockopt(descriptor: number, level: number, option: number, value: Address, length: number): number;
  shutdown(descriptor: number, how: number): number;
  socket(domain: number, type: number, protocol: number): number;
  splice(from: number, fromAt: Address, to: number, toAt: Address, length: number, flags: number): number;
};

const PROTOTYPES = {
  accept4: "int accept4(int, uintptr_t, uintptr_t, int)",
  close: "int close(int)",
  connect: "int connect(int, uintptr_t, uint32_t)",
  epoll_create1: "int epoll_create1(int)",
  epoll_ctl: "int epoll_ctl(int, int, int, uintptr_t)",
  epoll_wait: "int epoll_wait(int, uintptr_t, int, int)",
  eventfd: "int eventfd(uint32_t, int)",
  fcntl: "int fcntl(int, int, int)",
  getsockname: "int getsockname(int, uintptr_t, uintptr_t)",
  getsockopt: "int getsockopt(int, int, int, uintptr_t, uintptr_t)",
  listen: "int listen(int, int)",
  pipe2: "int pipe2(uintptr_t, int)",
  recv: "int recv(int, uintptr_t, size_t, int)",
  send: "int send(int, uintptr_t, size_t, int)",
  setsockopt: "int setsockopt(int, int, int, uintptr_t, uint32_t)",
  shutdown: "int shutdown(int, int)",
  socket: "int socket(int, int, int)",
  splice: "int splice(int, uintptr_t, int, uintptr_t, size_t, uint32_t)",
} as const;

const { EBADF } = constants.errno;
// sys/epoll.h, sys/eventfd.h
export const EPOLLIN = 0x1;
export const EPOLLPRI = 0x2;
export const EPOLLOUT = 0x4;
export const EPOLLERR = 0x8;
export const EPOLLHUP = 0x10;
export const EPOLLRDHUP = 0x2000;
export const EPOLLET = 1 << 31;
export const EPOLL_CTL_ADD = 1;
export const EPOLL_CTL_DEL = 2;
export const EPOLL_CTL_MOD = 3;
const EPOLL_CLOEXEC = 0o2000000;
const EFD_NONBLOCK = 0o4000;
const EFD_CLOEXEC = 0o2000000;

/** @returns the calls, or why there are none, found out by trying: a sandbox may forbid some */
export function loadEpoll(): EpollCalls | string {
  const calls = loadNative<EpollCalls>(PROTOTYPES, "epoll");
  if (typeof calls === "string") return calls;
  try {
    for (const descriptor of [openEpoll(calls), openEventDescriptor(calls)]) calls.close(descriptor);
    if (calls.splice(-1, 0, -1, 0, 1, 0) < 0 && calls.errno() !== EBADF) throw systemError("splice", calls.errno());
    return calls;
  } catch (error) {
    return (error as Error).message;
  }
}

/** @throws what the system says */
export function openEpoll(calls: EpollCalls): number {
  const descriptor = calls.epoll_create1(EPOLL_CLOEXEC);
  if (descriptor < 0) throw systemError("epoll_create1", calls.errno());
  return descriptor;
}

/** @throws what the system says */
export function openEventDescriptor(calls: EpollCalls): number {
  const descriptor = calls.eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (descriptor < 0) throw systemError("eventfd", calls.errno());
  return descriptor;
}
