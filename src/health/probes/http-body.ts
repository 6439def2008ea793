/**
 * The first 64 KiB of an HTTP/1.1 response body, framing removed (RFC 9112 §6.3 and §7.1).
 * @module
 */
const MAX_BODY_OCTETS = 65_536;

export type BodyDecoder = {
  read(chunk: Buffer): void;
  /** Whether `text` (as UTF-8) was seen so far. */
  includes(text: string): boolean;
  readonly isEnded: boolean;
  readonly isFull: boolean;
  /** What is wrong with the framing, or undefined. */
  readonly fault: string | undefined;
};

/** @param head status line and header lines, each ended by CRLF */
export function createBodyDecoder(head: string, isBodyless: boolean): BodyDecoder {
  const isChunked = /\r\ntransfer-encoding:[^\r]*\bchunked[ \t]*\r\n/i.test(head);
  const length = isChunked ? undefined : /\r\ncontent-length:[ \t]*([0-9]+)[ \t]*\r\n/i.exec(head)?.[1];
  const parts: Buffer[] = [];
  let kept = 0;
  let left = length === undefined ? Number.POSITIVE_INFINITY : Number(length);
  let isEnded = isBodyless || left === 0;
  let fault: string | undefined;
  let pending = Buffer.alloc(0); // chunked: octets that do not yet make a whole line
  let chunkLeft = 0;
  let isAfterChunk = false;

  const keep = (octets: Buffer): void => {
    const part = octets.subarray(0, MAX_BODY_OCTETS - kept);
    if (part.length === 0) return;
    parts.push(Buffer.from(part));
    kept += part.length;
  };

  const readChunked = (chunk: Buffer): void => {
    let octets = pending.length > 0 ? Buffer.concat([pending, chunk]) : chunk;
    while (!isEnded && fault === undefined && octets.length > 0) {
      if (chunkLeft > 0) {
        const part = octets.subarray(0, chunkLeft);
        keep(part);
        chunkLeft -= part.length;
        octets = octets.subarray(part.length);
        if (chunkLeft === 0) isAfterChunk = true;
        continue;
      }
      const end = octets.indexOf("\r\n");
      if (end < 0) {
        if (octets.length > 1_024) fault = "a chunk line of the body exceeds 1 KiB";
        break;
      }
      const line = octets.toString("latin1", 0, end);
      octets = octets.subarray(end + 2);
      if (isAfterChunk) {
        if (line !== "") fault = "a chunk of the body is longer than it says";
        isAfterChunk = false;
        continue;
      }
      const size = /^[ \t]*([0-9a-f]{1,8})[ \t]*(?:;|$)/i.exec(line)?.[1];
      if (size === undefined) fault = "a chunk of the body has no size";
      else if (Number.parseInt(size, 16) === 0) isEnded = true;
      else chunkLeft = Number.parseInt(size, 16);
    }
    pending = Buffer.from(octets);
  };

  return {
    read(chunk) {
      if (isEnded || fault !== undefined || kept >= MAX_BODY_OCTETS) return;
      if (isChunked) return readChunked(chunk);
      keep(chunk.subarray(0, left));
      left -= chunk.length;
      if (left <= 0) isEnded = true;
    },
    includes(text) {
      if (parts.length > 1) parts.splice(0, parts.length, Buffer.concat(parts));
      return text === "" || (parts[0]?.includes(text) ?? false);
    },
    get isEnded() {
      return isEnded;
    },
    get isFull() {
      return kept >= MAX_BODY_OCTETS;
    },
    get fault() {
      return fault;
    },
  };
}
