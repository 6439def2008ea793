/**
 * Cuts a TCP stream into DNS messages: two octets of length, then the message (RFC 1035 §4.2.2), over chunks of any size.
 *
 * Owns:    at most one partial message, in a buffer that grows with what has come in and not with what was announced:
 *          ten thousand connections that each announce 64 KiB and send one octet must not cost 640 MiB.
 * @module
 */

const LENGTH_OCTETS = 2;
const FIRST_OCTETS = 512; // a query fits; longer ones double it

export type FrameReader = {
  /** Takes a chunk. All of the chunk before it has to be consumed: `next()` returned undefined, or reading is paused. */
  push(chunk: Uint8Array): void;
  /** @returns the next whole message, valid until the next call, or undefined when none is complete */
  next(): Uint8Array | undefined;
  hasWholeMessage(): boolean;
  /** Some octets of a message are here, but not all. */
  isInsideMessage(): boolean;
  /** The peer ended its side. */
  isEnded: boolean;
};

export function createFrameReader(): FrameReader {
  let buffer = new Uint8Array(0);
  let start = 0;
  let end = 0;
  let isOwn = false; // `buffer` is ours to append to, not a chunk

  const wholeEnd = (): number => {
    if (end - start < LENGTH_OCTETS) return -1;
    const messageEnd = start + LENGTH_OCTETS + ((buffer[start]! << 8) | buffer[start + 1]!);
    return messageEnd <= end ? messageEnd : -1;
  };

  return {
    isEnded: false,
    push(chunk) {
      if (start === end) {
        // Nothing waits: messages are read where they lie.
        buffer = chunk as Uint8Array<ArrayBuffer>;
        isOwn = false;
        start = 0;
        end = chunk.length;
        return;
      }
      if (!isOwn || end + chunk.length > buffer.length) {
        const waiting = buffer.subarray(start, end);
        const needed = waiting.length + chunk.length;
        buffer = new Uint8Array(Math.max(FIRST_OCTETS, needed * 2)); // doubled, so that a drip does not copy each time
        buffer.set(waiting);
        isOwn = true;
        start = 0;
        end = waiting.length;
      }
      buffer.set(chunk, end);
      end += chunk.length;
    },
    next() {
      const messageEnd = wholeEnd();
      if (messageEnd < 0) return undefined;
      const message = buffer.subarray(start + LENGTH_OCTETS, messageEnd);
      start = messageEnd;
      return message;
    },
    hasWholeMessage: () => wholeEnd() >= 0,
    isInsideMessage: () => end > start && wholeEnd() < 0,
  };
}
