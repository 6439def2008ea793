/**
 * Text whose code units are octets (latin1), into buffers.
 * @module
 */

/** Undocumented in Node, and there since its beginning: `write()` and `toString()` without the look at which encoding it is. */
type Latin1Buffer = Buffer & {
  latin1Write(text: string, at: number, octets: number): number;
  latin1Slice(from: number, to: number): string;
};

/**
 * As `octets.write(text, at, "latin1")`. What was written once is flat: to write it again is one copy.
 * @returns octets written: less than the text has where there is no room
 */
export const writeLatin1 = (octets: Buffer, text: string, at: number): number =>
  (octets as Latin1Buffer).latin1Write(text, at, text.length);

/** As `octets.toString("latin1", from, to)`, where `to` is within the buffer. */
export const readLatin1 = (octets: Buffer, from: number, to: number): string =>
  (octets as Latin1Buffer).latin1Slice(from, to);
