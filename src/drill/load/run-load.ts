/**
 * The load process of a drill: one `LoadSpec` in, `LoadLine`s out, until the input ends (`protocol.ts`).
 * @module
 */
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { startLoad } from "#drill/load/create-load.ts";
import { readLoadSpec } from "#drill/load/read-spec.ts";

/**
 * Resolves when the input has ended and every request has come to its end, or when nobody reads the output any more.
 *
 * @param onDoubt gets sentences for people, where the load is not what was ordered
 * @throws RhumbError where the first line of the input is no order
 */
export async function runLoad(
  input: Readable,
  output: Writable,
  onDoubt: (says: string) => void = console.error,
): Promise<void> {
  const lines = createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY });
  const { promise: over, resolve: endNow } = Promise.withResolvers<void>();
  // Who read has gone: as good as the end of the input.
  output.on("error", () => endNow());
  const { promise: first, resolve: gotFirst } = Promise.withResolvers<string>();
  lines.on("line", gotFirst);
  lines.on("close", () => {
    gotFirst("");
    endNow();
  });
  const load = startLoad({
    spec: readLoadSpec(await first),
    onLine: (line) => output.write(`${JSON.stringify(line)}\n`),
    onDoubt,
  });
  await over;
  await load.end();
}
