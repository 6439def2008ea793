/**
 * What the AF_XDP engine says of itself: its interface, as the main thread attached it and hands it to the workers, and
 * what each queue counted.
 *
 * Owns:    names and layout of the counters. One block per queue in shared memory; the queue's worker is its one writer.
 * Never:   holds what can be called: it crosses threads.
 * @module
 */
import { indexOfNames } from "#state/counters.ts";

/** In the driver, before the kernel has made anything of a frame; or for every driver, after it has. */
export type XdpMode = "native" | "generic";

/** An interface with our program. Descriptors are those of the process, so any of its threads may use them. */
export type XdpInterface = {
  readonly name: string;
  /** As the kernel numbers interfaces. */
  readonly index: number;
  /** Receive queues, numbered from 0: each takes one socket. */
  readonly queues: number;
  readonly mode: XdpMode;
  /** As `bpftool prog` and `ip link` show it. */
  readonly programId: number;
  /** Queue → socket: the map that the program redirects by. */
  readonly socketMap: number;
};

export const XDP_COUNTERS = [
  /** 1 while its socket is open; 1 if frames are not copied between driver and socket. */
  "open",
  "zero_copy",
  "received",
  "sent",
  /** Frames that the program let through and that are no whole UDP datagram. */
  "malformed",
  /** Answers that were dropped because no frame to send was free: the link, or the driver, does not keep up. */
  "no_frame",
  /** Calls that told the kernel to send, and calls that waited for frames. */
  "kicks",
  "waits",
  /** Frames that the kernel handed back and that were not its own: always 0. */
  "frame_faults",
  /** Frames that rings and free list do not add up to, by the last count of each second: always 0. */
  "frames_lost",
  /** By the kernel's count (XDP_STATISTICS): frames dropped for want of a frame to fill, for want of room in the receive ring, for any other reason. */
  "fill_empty",
  "dropped_ring_full",
  "dropped",
  /** Descriptors of ours that the kernel refused: always 0. */
  "invalid_sent",
] as const;
export type XdpCounter = (typeof XDP_COUNTERS)[number];
export const XDP_COUNTER = indexOfNames(XDP_COUNTERS);

/** What status and metrics tell of the engine. */
export type XdpStats = {
  readonly interface: string;
  readonly mode: XdpMode;
  readonly programId: number;
  readonly queues: readonly { readonly queue: number; readonly counters: Readonly<Record<XdpCounter, number>> }[];
};

/** Queries that came by a queue and got no answer for want of room, in the kernel's rings or in ours. */
export const lostFrames = ({
  fill_empty,
  dropped_ring_full,
  dropped,
  no_frame,
}: Readonly<Record<XdpCounter, number>>) => fill_empty + dropped_ring_full + dropped + no_frame;
