/**
 * UDP past the kernel: frames come from the driver's queue into memory of ours (AF_XDP), and the answers, headers and all,
 * go back the same way.
 *
 * Owns:    the socket of one queue and the loop of its thread, which blocks in `poll` while nobody asks. What the program
 *          (`xdp/program.ts`) lets pass is answered by ordinary sockets, beside.
 * Never:   knows DNS beyond handing octets to `respond`; allocates per frame. An answer that cannot be sent is counted:
 *          its asker will ask again.
 * @module
 */
import { setTimeout as pause } from "node:timers/promises";
import { answerInTurns, WAIT_MS } from "#dns/transport/turns.ts";
import { type Observe, RESPONSE_SLOT_OCTETS } from "#dns/transport/udp.ts";
import type { XdpCalls } from "#dns/transport/xdp/calls.ts";
import { type Chunks, createChunks } from "#dns/transport/xdp/chunks.ts";
import { CHUNK_OCTETS, createArrival, MESSAGE_AT, readFrame, writeHeaders } from "#dns/transport/xdp/frame.ts";
import { DESCRIPTOR_WORDS, FILL_CHUNKS, OFFSET_WORDS, openXdpSocket, SEND_CHUNKS } from "#dns/transport/xdp/socket.ts";
import { DNS_COUNTER } from "#state/counters.ts";
import { createClient, type Respond, TRANSPORT } from "#state/respond.ts";
import { XDP_COUNTER, type XdpInterface } from "#state/xdp.ts";

/** Frames of one batch at most: as many as of the batch engine. */
const BATCH_FRAMES = 64;
/** How often what the kernel counts is read, and the socket looked after. */
const LOOK_EVERY_MS = 1_000;
/** Calls that one batch may take to be sent: an older kernel sends 32 frames a call. */
const KICKS_PER_BATCH = 4;
/** How long closing may wait for the driver to send what it was given. */
const CLOSE_WAITS_MS = 20;
const CHUNK_MASK = CHUNK_OCTETS - 1;

export type XdpTransport = {
  readonly isZeroCopy: boolean;
  /** Chunks by who has them, and by what the rings say: the two agree, and their sum is `total`, or frames were lost. */
  audit(): XdpAudit;
  /**
   * Answers what has come in, then closes. Frames to addresses that the interface still serves pass to the kernel from
   * then on; those that came meanwhile are lost, unless the interface left its addresses before.
   */
  close(): Promise<void>;
};
export type XdpAudit = ReturnType<Chunks["count"]> & {
  readonly total: number;
  readonly fillingByRings: number;
  readonly sendingByRings: number;
};

/**
 * Opens the socket of one queue and begins to answer. It serves all addresses that the interface was told to serve.
 *
 * An error of the socket that does not pass is thrown into the event loop, and so ends the thread.
 *
 * @param options.face as `attachXdp` made it, perhaps in another thread of this process
 * @param options.queue from 0; each has one socket
 * @param options.onBatch called before the first query of each batch is answered: time to read a clock
 * @param options.counters the worker's block of `DNS_COUNTERS`; `batches`, `dropped_port` and `send_errors` are counted here
 * @param options.xdpCounters the queue's block of `XDP_COUNTERS`
 * @throws RhumbError RHUMB_DNS_XDP
 */
export function openUdpXdp(options: {
  calls: XdpCalls;
  face: XdpInterface;
  queue: number;
  respond: Respond;
  counters: Float64Array;
  xdpCounters: Float64Array;
  onBatch?: () => void;
  observe?: Observe;
  waitMs?: number;
}): XdpTransport {
  const { respond, counters, xdpCounters, onBatch, observe, waitMs = WAIT_MS } = options;
  const socket = openXdpSocket(options.calls, options.face, options.queue);
  const { memory, fill, receive, transmit, completion } = socket;
  const chunks = createChunks({ fill: FILL_CHUNKS, send: SEND_CHUNKS, octets: CHUNK_OCTETS });
  const arrival = createArrival();
  const client = createClient();
  client.transport = TRANSPORT.udp;
  // `respond` takes a message as octets from 0 on. One buffer stays in the nearest cache; a view of each chunk would not.
  const request = new Uint8Array(CHUNK_OCTETS);
  const requestHalves = new Uint16Array(request.buffer);
  const responses = Array.from({ length: SEND_CHUNKS }, (_, index) => {
    const at = (FILL_CHUNKS + index) * CHUNK_OCTETS + MESSAGE_AT;
    return memory.octets.subarray(at, at + RESPONSE_SLOT_OCTETS);
  });
  /** Chunks of this batch, on their way back to be filled. */
  const used = new Uint32Array(BATCH_FRAMES);

  for (let index = 0; index < FILL_CHUNKS; index++)
    fill.entries[fill.slot(index) * OFFSET_WORDS] = index * CHUNK_OCTETS;
  fill.submit(FILL_CHUNKS);
  socket.takeQueue();

  /** @returns frames that were read */
  function answerBatch(canWait: boolean): number {
    let count = receive.available();
    if (count === 0) {
      if (!canWait) return 0;
      xdpCounters[XDP_COUNTER.waits]! += 1;
      socket.wait(waitMs);
      count = receive.available();
      if (count === 0) return 0;
    }
    if (count > BATCH_FRAMES) count = BATCH_FRAMES;
    counters[DNS_COUNTER.batches]! += 1;
    xdpCounters[XDP_COUNTER.received]! += count;
    onBatch?.();
    takeBackSent();
    let usedCount = 0;
    let ready = 0;
    for (let index = 0; index < count; index++) {
      const entry = receive.slot(index) * DESCRIPTOR_WORDS;
      const at = receive.entries[entry]!;
      if (!chunks.arrive(at)) {
        xdpCounters[XDP_COUNTER.frame_faults]! += 1;
        continue;
      }
      used[usedCount++] = at & ~CHUNK_MASK;
      if (answer(at, receive.entries[entry + 2]!, ready)) ready++;
    }
    receive.release(count);
    for (let index = 0; index < usedCount; index++) {
      const chunk = used[index]!;
      chunks.refill(chunk);
      fill.entries[fill.slot(index) * OFFSET_WORDS] = chunk;
    }
    fill.submit(usedCount);
    send(ready);
    return count;
  }

  /** Writes the answer to a frame into place `ready` of those that are sent next. @returns whether there is one */
  function answer(at: number, length: number, ready: number): boolean {
    if (!readFrame(memory, at, length, arrival)) {
      xdpCounters[XDP_COUNTER.malformed]! += 1;
      return false;
    }
    // Nobody can hear an answer sent to port 0.
    if (arrival.port === 0) {
      counters[DNS_COUNTER.dropped_port]! += 1;
      return false;
    }
    const chunk = chunks.next();
    if (chunk < 0) {
      xdpCounters[XDP_COUNTER.no_frame]! += 1;
      counters[DNS_COUNTER.send_errors]! += 1;
      return false;
    }
    const { sourceAt, isIpv6, messageAt, messageOctets } = arrival;
    const { address } = client;
    const addressOctets = isIpv6 ? 16 : 4;
    for (let index = 0; index < addressOctets; index++) address[index] = memory.octets[sourceAt + index]!;
    client.isIpv6 = isIpv6;
    client.port = arrival.port;
    const messageHalf = messageAt / 2;
    const halves = (messageOctets + 1) >>> 1; // of an odd message one octet more: every chunk has it
    for (let index = 0; index < halves; index++) requestHalves[index] = memory.halves[messageHalf + index]!;
    const response = responses[chunk / CHUNK_OCTETS - FILL_CHUNKS]!;
    const responseOctets = respond(request, messageOctets, client, response);
    if (observe !== undefined) observe(client, request, messageOctets, response, responseOctets);
    if (responseOctets === 0) return false;
    const headerOctets = writeHeaders(memory, arrival, chunk, responseOctets);
    const entry = transmit.slot(ready) * DESCRIPTOR_WORDS;
    transmit.entries[entry] = chunk + MESSAGE_AT - headerOctets;
    transmit.entries[entry + 1] = 0;
    transmit.entries[entry + 2] = headerOctets + responseOctets;
    transmit.entries[entry + 3] = 0;
    chunks.send();
    return true;
  }

  /** What the kernel has not taken of earlier batches, too: frames that wait for ever would be missing to send. */
  function send(count: number): void {
    transmit.submit(count);
    xdpCounters[XDP_COUNTER.sent]! += count;
    for (let kick = 0; kick < KICKS_PER_BATCH && transmit.needsWakeup() && !transmit.isRead(); kick++) {
      xdpCounters[XDP_COUNTER.kicks]! += 1;
      socket.kick();
    }
  }

  function takeBackSent(): void {
    const count = completion.available();
    for (let index = 0; index < count; index++) {
      const isOurs = chunks.complete(completion.entries[completion.slot(index) * OFFSET_WORDS]!);
      if (!isOurs) xdpCounters[XDP_COUNTER.frame_faults]! += 1;
    }
    completion.release(count);
  }

  function audit(): XdpAudit {
    takeBackSent();
    return {
      ...chunks.count(),
      total: FILL_CHUNKS + SEND_CHUNKS,
      fillingByRings: (fill.cursor() - receive.cursor()) >>> 0,
      sendingByRings: (transmit.cursor() - completion.cursor()) >>> 0,
    };
  }

  xdpCounters[XDP_COUNTER.open] = 1;
  xdpCounters[XDP_COUNTER.zero_copy] = socket.isZeroCopy ? 1 : 0;
  const looking = setInterval(() => {
    socket.readStatistics(xdpCounters);
    xdpCounters[XDP_COUNTER.frames_lost] = framesLost(audit());
    socket.mustBeAlive();
  }, LOOK_EVERY_MS);
  const turns = answerInTurns(answerBatch);
  const release = () => {
    process.off("exit", release);
    socket.readStatistics(xdpCounters);
    xdpCounters[XDP_COUNTER.open] = 0;
    socket.close();
  };
  // A descriptor belongs to the process: when this thread ends by a fault, the next one needs the queue.
  process.on("exit", release);

  let closing: Promise<void> | undefined;
  async function shut(): Promise<void> {
    clearInterval(looking);
    turns.stop();
    for (let wait = 0; wait < CLOSE_WAITS_MS && transmit.cursor() !== completion.cursor(); wait++) {
      await pause(1);
      takeBackSent();
    }
    release();
  }

  return {
    isZeroCopy: socket.isZeroCopy,
    audit,
    close() {
      closing = closing ?? shut();
      return closing;
    },
  };
}

/** Between two batches no chunk is held; what is neither with the kernel nor free is lost. */
const framesLost = ({ filling, fillingByRings, free, sending, sendingByRings, total }: XdpAudit): number =>
  total - filling - free - sending + Math.abs(filling - fillingByRings) + Math.abs(sending - sendingByRings);
