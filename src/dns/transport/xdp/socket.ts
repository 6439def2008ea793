/**
 * One AF_XDP socket for one receive queue: memory that is shared with the kernel, and four rings in which its chunks go to
 * and fro (fill → receive, transmit → completion).
 *
 * Owns:    the memory, the socket, and what it says of itself. Closing the descriptor takes the socket out of the map that
 *          the program redirects by: the queue's frames pass to the kernel again.
 * Never:   looks into a frame; decides who has a chunk.
 * @module
 */
import { constants } from "node:os";
import { RhumbError } from "#base/errors.ts";
import { systemError } from "#base/native/load.ts";
import { createBpf } from "#dns/transport/xdp/bpf.ts";
import type { XdpCalls } from "#dns/transport/xdp/calls.ts";
import { CHUNK_OCTETS, createFrameMemory, type FrameMemory } from "#dns/transport/xdp/frame.ts";
import { createInRing, createOutRing, type InRing, type OutRing, type RingOffsets } from "#dns/transport/xdp/rings.ts";
import { XDP_COUNTER, type XdpInterface } from "#state/xdp.ts";

/**
 * Chunks that the kernel fills: as many queries may come during a garbage collection as the sockets' queues hold (some
 * 5,000). And those that we send: some batches that the driver has not sent yet.
 */
export const FILL_CHUNKS = 4_096;
export const SEND_CHUNKS = 1_024;
const MEMORY_OCTETS = (FILL_CHUNKS + SEND_CHUNKS) * CHUNK_OCTETS;
/** In words of 32 bits: struct xdp_desc, and an offset of 64 bits. */
export const DESCRIPTOR_WORDS = 4;
export const OFFSET_WORDS = 2;
const WORD_OCTETS = 4;

// linux/if_xdp.h, sys/mman.h, poll.h, sys/socket.h
const AF_XDP = 44;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const SOL_XDP = 283;
const OPTION = { offsets: 1, receive: 2, transmit: 3, memory: 4, fill: 5, completion: 6, statistics: 7, options: 8 };
/** Since Linux 6.17: frames that one call sends at most, 32 otherwise. */
const OPTION_BUDGET = 9;
const BIND = { copy: 2, needWakeup: 8 } as const;
const IS_ZERO_COPY = 1;
const MAPPED_AT = { receive: 0, transmit: 0x8000_0000, fill: 0x1_0000_0000, completion: 0x1_8000_0000 } as const;
const PROT_READ_WRITE = 3;
const MAP_SHARED = 0x01;
const MAP_PRIVATE_ANONYMOUS = 0x22;
const MAP_POPULATE = 0x8000;
const POLL_IN = 0x0001;
const SOL_SOCKET = 1;
const SO_ERROR = 4;
const MSG_DONTWAIT = 0x40;
/** struct sockaddr_xdp */
const ADDRESS = { octets: 16, family: 0, flags: 2, interface: 4, queue: 8 } as const;
const RING_OFFSETS_OCTETS = 32;
const STATISTICS_COUNTS = 6;

const { EAGAIN, EBUSY, EINTR, ENOBUFS, ENETDOWN } = constants.errno;
const BUSY_ATTEMPTS = 100;
const BUSY_PAUSE_MS = 10;
/** The kernel sends the rest with the next call, or the link is down for now. */
const PASSING: ReadonlySet<number> = new Set([EAGAIN, EBUSY, EINTR, ENOBUFS, ENETDOWN]);

export type XdpSocket = {
  readonly memory: FrameMemory;
  readonly fill: OutRing;
  readonly receive: InRing;
  readonly transmit: OutRing;
  readonly completion: InRing;
  readonly isZeroCopy: boolean;
  /** From now on the queue's frames come here: not before the kernel has chunks to fill. @throws RhumbError; it is closed then */
  takeQueue(): void;
  /** Has the kernel send what stands in the ring. Does not wait. @throws an error that does not pass */
  kick(): void;
  /** Until something came, for as long as that. */
  wait(timeoutMs: number): void;
  /** Writes what the kernel counted into a queue's block of `XDP_COUNTERS`. */
  readStatistics(counters: Float64Array): void;
  /** @throws the system's error when the interface has gone: poll(2) does not tell */
  mustBeAlive(): void;
  /** The memory and the rings are gone then: nobody may touch them. */
  close(): void;
};

/**
 * Opens the socket of a queue, whose frames still pass to the kernel.
 *
 * @throws RhumbError RHUMB_DNS_XDP
 */
export function openXdpSocket(calls: XdpCalls, face: XdpInterface, queue: number): XdpSocket {
  const mapped: { address: number | bigint; octets: number }[] = [];
  const descriptor = calls.socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
  if (descriptor < 0) throw asRhumbError(systemError("socket AF_XDP", calls.errno()));

  const must = (isDone: boolean, call: string): void => {
    if (!isDone) throw systemError(call, calls.errno());
  };
  const set = (option: number, value: ArrayBufferView): boolean =>
    calls.setsockopt(descriptor, SOL_XDP, option, calls.addressOf(value), value.byteLength) === 0;
  const setNumber = (option: number, value: number): boolean => set(option, Uint32Array.of(value));
  const optionOctets = new Uint32Array(1);
  const get = (option: number, value: ArrayBufferView): boolean => {
    optionOctets[0] = value.byteLength;
    const [at, lengthAt] = [calls.addressOf(value), calls.addressOf(optionOctets)];
    return calls.getsockopt(descriptor, SOL_XDP, option, at, lengthAt) === 0;
  };
  const map = (octets: number, flags: number, of: number, offset: number, call: string) => {
    const address = calls.mmap(0n, octets, PROT_READ_WRITE, flags | MAP_POPULATE, of, offset);
    must(Number(address) !== -1, call);
    mapped.push({ address, octets });
    return { address, buffer: calls.memoryAt(address, octets) };
  };
  const close = () => {
    calls.close(descriptor);
    for (const { address, octets } of mapped) calls.munmap(address, octets);
  };

  /** Rings are as large as the number of chunks that may be in them, so none can overflow. */
  function setUp() {
    const chunks = map(MEMORY_OCTETS, MAP_PRIVATE_ANONYMOUS, -1, 0, "mmap");
    const registration = new BigUint64Array(4); // struct xdp_umem_reg
    registration[0] = BigInt(chunks.address);
    registration[1] = BigInt(MEMORY_OCTETS);
    registration[2] = BigInt(CHUNK_OCTETS); // and no headroom of ours, in the upper half
    if (!set(OPTION.memory, registration)) {
      const why = calls.errno() === ENOBUFS ? memoryLimitText : "";
      throw systemError(`setsockopt XDP_UMEM_REG${why}`, calls.errno());
    }
    must(setNumber(OPTION.fill, FILL_CHUNKS), "setsockopt XDP_UMEM_FILL_RING");
    must(setNumber(OPTION.completion, SEND_CHUNKS), "setsockopt XDP_UMEM_COMPLETION_RING");
    must(setNumber(OPTION.receive, FILL_CHUNKS), "setsockopt XDP_RX_RING");
    must(setNumber(OPTION.transmit, SEND_CHUNKS), "setsockopt XDP_TX_RING");
    setNumber(OPTION_BUDGET, SEND_CHUNKS); // an older kernel is called more often

    const offsets = new BigUint64Array((4 * RING_OFFSETS_OCTETS) / 8);
    must(get(OPTION.offsets, offsets), "getsockopt XDP_MMAP_OFFSETS");
    const ringAt = (index: number): RingOffsets => {
      const [producer, consumer, entries, flags] = [...offsets.subarray(index * 4, index * 4 + 4)].map(Number);
      return { producer: producer!, consumer: consumer!, entries: entries!, flags: flags! };
    };
    const mapRing = (index: number, name: keyof typeof MAPPED_AT, size: number, wordsPerEntry: number) => {
      const at = ringAt(index);
      const octets = at.entries + size * wordsPerEntry * WORD_OCTETS;
      return { at, buffer: map(octets, MAP_SHARED, descriptor, MAPPED_AT[name], `mmap ${name} ring`).buffer };
    };
    const receive = mapRing(0, "receive", FILL_CHUNKS, DESCRIPTOR_WORDS);
    const transmit = mapRing(1, "transmit", SEND_CHUNKS, DESCRIPTOR_WORDS);
    const fill = mapRing(2, "fill", FILL_CHUNKS, OFFSET_WORDS);
    const completion = mapRing(3, "completion", SEND_CHUNKS, OFFSET_WORDS);

    const address = new DataView(new ArrayBuffer(ADDRESS.octets));
    address.setUint16(ADDRESS.family, AF_XDP, true);
    // Without a word on copying the kernel takes zero-copy where the driver can; a generic program never sees such frames.
    address.setUint16(ADDRESS.flags, BIND.needWakeup | (face.mode === "generic" ? BIND.copy : 0), true);
    address.setUint32(ADDRESS.interface, face.index, true);
    address.setUint32(ADDRESS.queue, queue, true);
    const tryBind = () => calls.bind(descriptor, calls.addressOf(address), ADDRESS.octets) === 0;
    must(tryBind() || retryBusy(tryBind), "bind");
    const options = new Uint32Array(1);
    must(get(OPTION.options, options), "getsockopt XDP_OPTIONS");
    return {
      memory: createFrameMemory(chunks.buffer),
      isZeroCopy: (options[0]! & IS_ZERO_COPY) !== 0,
      receive: createInRing(receive.buffer, receive.at, FILL_CHUNKS, DESCRIPTOR_WORDS),
      transmit: createOutRing(transmit.buffer, transmit.at, SEND_CHUNKS, DESCRIPTOR_WORDS),
      fill: createOutRing(fill.buffer, fill.at, FILL_CHUNKS, OFFSET_WORDS),
      completion: createInRing(completion.buffer, completion.at, SEND_CHUNKS, OFFSET_WORDS),
    };
  }

  /** The kernel lets go of a queue some time after its socket was closed (xp_put_pool), so a successor may come too early. */
  function retryBusy(tryBind: () => boolean): boolean {
    const nobodyWakes = new Int32Array(new SharedArrayBuffer(WORD_OCTETS));
    for (let attempt = 0; attempt < BUSY_ATTEMPTS && calls.errno() === EBUSY; attempt++) {
      Atomics.wait(nobodyWakes, 0, 0, BUSY_PAUSE_MS);
      if (tryBind()) return true;
    }
    return false;
  }

  function asRhumbError(cause: Error): RhumbError {
    return new RhumbError("RHUMB_DNS_XDP", `${face.name}, queue ${queue}: ${cause.message}`, { cause });
  }

  let parts: ReturnType<typeof setUp>;
  try {
    parts = setUp();
  } catch (error) {
    close();
    throw error instanceof RhumbError ? error : asRhumbError(error as Error);
  }

  const polled = new Int16Array(4); // struct pollfd: descriptor (32 bits), events, revents
  new Int32Array(polled.buffer)[0] = descriptor;
  polled[2] = POLL_IN;
  const statistics = new BigUint64Array(STATISTICS_COUNTS);
  return {
    ...parts,
    takeQueue() {
      const [key, value] = [queue, descriptor].map((number) => new Uint8Array(Uint32Array.of(number).buffer));
      try {
        createBpf(calls).update(face.socketMap, key!, value!);
      } catch (error) {
        close();
        throw asRhumbError(error as Error);
      }
    },
    kick() {
      if (calls.sendto(descriptor, 0n, 0, MSG_DONTWAIT, 0n, 0) >= 0) return;
      const errno = calls.errno();
      if (!PASSING.has(errno)) throw systemError("sendto AF_XDP", errno);
    },
    wait(timeoutMs) {
      calls.poll(calls.addressOf(polled), 1, timeoutMs);
    },
    readStatistics(counters) {
      if (!get(OPTION.statistics, statistics)) return;
      const [dropped, , invalidSent, ringFull, fillEmpty] = statistics;
      counters[XDP_COUNTER.dropped] = Number(dropped);
      counters[XDP_COUNTER.invalid_sent] = Number(invalidSent);
      counters[XDP_COUNTER.dropped_ring_full] = Number(ringFull);
      counters[XDP_COUNTER.fill_empty] = Number(fillEmpty);
    },
    mustBeAlive() {
      const error = new Int32Array(1);
      optionOctets[0] = error.byteLength;
      calls.getsockopt(descriptor, SOL_SOCKET, SO_ERROR, calls.addressOf(error), calls.addressOf(optionOctets));
      if (error[0] !== 0) throw systemError("AF_XDP", error[0]!);
    },
    close,
  };
}

const memoryLimitText = ` (${MEMORY_OCTETS / 1_048_576} MiB of locked memory: raise RLIMIT_MEMLOCK, in systemd \`LimitMEMLOCK=\`, or give CAP_IPC_LOCK)`;
