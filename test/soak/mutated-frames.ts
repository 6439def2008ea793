/**
 * Frames that were queries once: some still are, the others have octets changed, are cut off, or have garbage behind.
 */
import type { Rng } from "#base/rng.ts";
import { makeFrame } from "../dns/transport/xdp/frames.ts";

export type Side = {
  readonly mac: Uint8Array;
  readonly v4: Uint8Array;
  readonly v6: Uint8Array;
  readonly port: number;
};

const SOUND_SHARE = 0.25;
const CUT_SHARE = 0.1;
const GARBAGE_SHARE = 0.1;
/** Where nearly all of what the engine reads lies; changes beyond are the responder's affair. */
const HEADERS_OCTETS = 70;
const MAX_CHANGES = 4;
const MIN_FRAME_OCTETS = 14;
const MAX_FRAME_OCTETS = 1_514;

export type MutatedFrames = {
  /** Writes one. @returns its octets */
  make(out: Uint8Array): number;
  /** Writes one that is to be answered. */
  makeSound(out: Uint8Array): number;
  /** How many of those that `make` made are to be answered. */
  soundCount(): number;
};

export function createMutatedFrames(options: {
  rng: Rng;
  messages: readonly Uint8Array[];
  from: Side;
  to: Side;
}): MutatedFrames {
  const { rng, messages, from, to } = options;
  const below = (limit: number): number => Math.floor(rng() * limit);
  const frames = messages.flatMap((message) =>
    ([4, 6] as const).map((version) =>
      makeFrame({
        version,
        toMac: to.mac,
        fromMac: from.mac,
        from: version === 4 ? from.v4 : from.v6,
        to: version === 4 ? to.v4 : to.v6,
        fromPort: from.port,
        toPort: to.port,
        message,
      }),
    ),
  );
  /** A tag of a VLAN that nobody has: for the program it is as good as none, for a kernel it is nobody's. */
  const tagged = frames.map((frame) => {
    return Uint8Array.from([...frame.subarray(0, 12), 0x81, 0, 0, 99, ...frame.subarray(12)]);
  });
  let sound = 0;

  function makeSound(out: Uint8Array): number {
    const frame = frames[below(frames.length)]!;
    out.set(frame);
    return frame.length;
  }

  return {
    makeSound,
    make(out) {
      if (rng() < SOUND_SHARE) {
        sound++;
        return makeSound(out);
      }
      const base = rng() < 0.5 ? frames : tagged;
      const frame = base[below(base.length)]!;
      out.set(frame);
      let octets = frame.length;
      for (let changes = 1 + below(MAX_CHANGES); changes > 0; changes--) {
        out[below(rng() < 0.8 ? Math.min(HEADERS_OCTETS, octets) : octets)] = below(256);
      }
      const kind = rng();
      if (kind < CUT_SHARE) octets = MIN_FRAME_OCTETS + below(octets - MIN_FRAME_OCTETS);
      else if (kind < CUT_SHARE + GARBAGE_SHARE) {
        const longer = octets + below(MAX_FRAME_OCTETS - octets);
        for (let at = octets; at < longer; at++) out[at] = below(256);
        octets = longer;
      }
      return octets;
    },
    soundCount: () => sound,
  };
}
