/**
 * Where frames are put together before they go out in one write. One serves all connections of a thread: who writes frames
 * hands them to the conn before anybody else writes.
 * @module
 */

/** 64 KiB of a body with the heads of its frames, and a head before it. */
const ROOM_OCTETS = 98_304;

export class OctetWriter {
  octets: Buffer = Buffer.alloc(ROOM_OCTETS);
  at = 0;

  /** Makes sure that there is room for so many octets more. */
  reserve(octets: number): void {
    if (this.at + octets <= this.octets.length) return;
    const larger = Buffer.alloc((this.at + octets) * 2);
    larger.set(this.octets.subarray(0, this.at));
    this.octets = larger;
  }
}
