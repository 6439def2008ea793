/**
 * Query ring: samples of what a DNS worker answered, worker → control thread, without messages.
 *
 * Owns:    the layout: a header with the number of samples written, then `RING_SLOTS` slots of fixed size.
 * Writer:  one worker. It never waits and allocates nothing; what the reader did not fetch in time is written over.
 * Reader:  the control thread. Each slot says first of all which sample it is for, so that one that is written over
 *          while it is read is noticed, and counted as lost; one that a dying worker left half done was never announced.
 * Units:   octets in memory, ms in time. Sample numbers count from 1 and go around after 2^32.
 * @module
 */
import { type Client, TRANSPORT } from "#state/respond.ts";

/** At 5 drains per second, 5,000 samples per second and worker can be had without a loss. A power of two. */
export const RING_SLOTS = 1_024;
/** What is kept of a message: all of any response over UDP (1,232 octets), the head of a longer one. */
export const SAMPLE_MESSAGE_OCTETS = 1_240;

/** A line of the cache by itself: the reader polls it. */
const HEADER_OCTETS = 64;
const WRITTEN = 0;

// A slot, in octets from its start: sample number, time, client address, facts, length, message.
const NUMBER_AT = 0;
const TIME_AT = 8;
const ADDRESS_AT = 16;
const FACTS_AT = 32;
const LENGTH_AT = 36;
const MESSAGE_AT = 40;
const SLOT_OCTETS = MESSAGE_AT + SAMPLE_MESSAGE_OCTETS;
const ADDRESS_OCTETS = 16;

const FACT = { ipv6: 1, tcp: 2 } as const;

export type QuerySample = {
  readonly atMs: number;
  /** 4 octets, or 16. */
  readonly address: Uint8Array;
  readonly transport: (typeof TRANSPORT)[keyof typeof TRANSPORT];
  /** Length of the response as it was sent. */
  readonly octets: number;
  /** The response, or its first `SAMPLE_MESSAGE_OCTETS`. */
  readonly message: Uint8Array;
};

export const createQueryRing = (): SharedArrayBuffer => new SharedArrayBuffer(HEADER_OCTETS + RING_SLOTS * SLOT_OCTETS);

const slotStart = (number: number): number => HEADER_OCTETS + (number & (RING_SLOTS - 1)) * SLOT_OCTETS;

export type WriteSample = (client: Client, message: Uint8Array, length: number, nowMs: number) => void;

/** A worker that replaces another goes on where that one ended. */
export function createSampleWriter(ring: SharedArrayBuffer): WriteSample {
  const words = new Int32Array(ring);
  const octets = new Uint8Array(ring);
  const times = new Float64Array(ring);
  let number = Atomics.load(words, WRITTEN);
  return (client, message, length, nowMs) => {
    number = (number + 1) | 0;
    const start = slotStart(number);
    // An exchange, not a store: nothing below may be seen before it.
    Atomics.exchange(words, (start + NUMBER_AT) >>> 2, number);
    times[(start + TIME_AT) >>> 3] = nowMs;
    const { address } = client;
    for (let at = 0; at < ADDRESS_OCTETS; at++) octets[start + ADDRESS_AT + at] = address[at]!;
    words[(start + FACTS_AT) >>> 2] =
      (client.isIpv6 ? FACT.ipv6 : 0) | (client.transport === TRANSPORT.tcp ? FACT.tcp : 0);
    words[(start + LENGTH_AT) >>> 2] = length;
    const kept = length < SAMPLE_MESSAGE_OCTETS ? length : SAMPLE_MESSAGE_OCTETS;
    for (let at = 0; at < kept; at++) octets[start + MESSAGE_AT + at] = message[at]!;
    Atomics.store(words, WRITTEN, number); // the sample is whole
  };
}

export type SampleReader = {
  /** Hands over what was written since the last time, oldest first. @returns how many samples were lost meanwhile */
  drain(take: (sample: QuerySample) => void): number;
};

/** Starts with the first sample that the ring has seen. */
export function createSampleReader(ring: SharedArrayBuffer): SampleReader {
  const words = new Int32Array(ring);
  const octets = new Uint8Array(ring);
  const times = new Float64Array(ring);
  let taken = 0;

  /** @param number of a sample that was whole @returns undefined when its slot has been written over since */
  function read(number: number): QuerySample | undefined {
    const start = slotStart(number);
    const facts = words[(start + FACTS_AT) >>> 2]!;
    const length = words[(start + LENGTH_AT) >>> 2]!;
    const kept = Math.min(Math.max(0, length), SAMPLE_MESSAGE_OCTETS);
    const isIpv6 = (facts & FACT.ipv6) !== 0;
    const sample: QuerySample = {
      atMs: times[(start + TIME_AT) >>> 3]!,
      address: octets.slice(start + ADDRESS_AT, start + ADDRESS_AT + (isIpv6 ? ADDRESS_OCTETS : 4)),
      transport: (facts & FACT.tcp) !== 0 ? TRANSPORT.tcp : TRANSPORT.udp,
      octets: length,
      message: octets.slice(start + MESSAGE_AT, start + MESSAGE_AT + kept),
    };
    // Changes nothing; as a read-modify-write it comes after the reads above, which a plain load need not.
    const found = Atomics.compareExchange(words, (start + NUMBER_AT) >>> 2, number, number);
    return found === number ? sample : undefined;
  }

  return {
    drain(take) {
      const written = Atomics.load(words, WRITTEN);
      let lost = 0;
      const behind = (written - taken) >>> 0;
      if (behind > RING_SLOTS) {
        lost = behind - RING_SLOTS;
        taken = (written - RING_SLOTS) | 0;
      }
      while (taken !== written) {
        taken = (taken + 1) | 0;
        const sample = read(taken);
        if (sample === undefined) lost++;
        else take(sample);
      }
      return lost;
    },
  };
}
