/**
 * One epoll set: what happened at which socket.
 *
 * Owns:    the epoll descriptor and the memory that the kernel writes events to. A socket is known by its slot and by the
 *          generation of that slot, so that an event of a socket that was closed is not taken for its successor's.
 * @module
 */
import { EPOLL_EVENT } from "#base/native/layout.ts";
import { EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, type EpollCalls, openEpoll } from "#net/epoll/load.ts";

/** Events of one wait at most. What is beyond waits for the next: the kernel turns them over fairly. */
const EVENTS = 256;
const WORD = Int32Array.BYTES_PER_ELEMENT;
const EVENT_WORDS = EPOLL_EVENT.size / WORD;
const SLOT_WORD = EPOLL_EVENT.data / WORD;
const GENERATION_WORD = SLOT_WORD + 1;

export type Poller = {
  /** @returns whether the kernel took it: it has a limit (epoll(7), max_user_watches), and memory */
  add(descriptor: number, events: number, slot: number, generation: number): boolean;
  modify(descriptor: number, events: number, slot: number, generation: number): void;
  remove(descriptor: number): void;
  /** @returns how many events came within `timeoutMs`; they can be read until the next wait */
  wait(timeoutMs: number): number;
  events(index: number): number;
  slot(index: number): number;
  generation(index: number): number;
  close(): void;
};

/** @throws what the system says when there is no descriptor for it */
export function createPoller(calls: EpollCalls): Poller {
  const epoll = openEpoll(calls);
  const memory = new Int32Array(new ArrayBuffer(EVENTS * EPOLL_EVENT.size));
  const memoryAt = Number(calls.addressOf(memory));
  const asked = new Int32Array(new ArrayBuffer(EPOLL_EVENT.size));
  const askedAt = Number(calls.addressOf(asked));

  function control(operation: number, descriptor: number, events: number, slot: number, generation: number): boolean {
    asked[0] = events;
    asked[SLOT_WORD] = slot;
    asked[GENERATION_WORD] = generation;
    return calls.epoll_ctl(epoll, operation, descriptor, askedAt) === 0;
  }

  return {
    add: (descriptor, events, slot, generation) => control(EPOLL_CTL_ADD, descriptor, events, slot, generation),
    modify(descriptor, events, slot, generation) {
      control(EPOLL_CTL_MOD, descriptor, events, slot, generation);
    },
    remove(descriptor) {
      control(EPOLL_CTL_DEL, descriptor, 0, 0, 0);
    },
    wait: (timeoutMs) => Math.max(0, calls.epoll_wait(epoll, memoryAt, EVENTS, timeoutMs)), // -1: a signal came (EINTR)
    events: (index) => memory[index * EVENT_WORDS]!,
    slot: (index) => memory[index * EVENT_WORDS + SLOT_WORD]!,
    generation: (index) => memory[index * EVENT_WORDS + GENERATION_WORD]!,
    close() {
      calls.close(epoll);
    },
  };
}
