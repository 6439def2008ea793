/**
 * The load process of a drill: one `LoadSpec` in, `LoadLine`s out, until the input ends (`protocol.ts`).
 * @module
 */
import type { Readable, Writable } from "node:stream";

/** Resolves when the input has ended and every request has come to its end. */
export async function runLoad(input: Readable, _output: Writable): Promise<void> {
  for await (const _ of input);
}
