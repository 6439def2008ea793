/**
 * What compressing a body costs: in one go, or as a stream on the thread pool. It is where `WHOLE_OCTETS` comes from.
 *
 *   node bench/micro-compress.ts
 *
 * Prints µs for each body; in one go that is time in which the worker does nothing else.
 */
import { systemClock } from "#base/clock.ts";
import { encodeSync } from "#l7/compress/codec.ts";
import type { Coding } from "#l7/compress/compression.ts";
import { StreamFilter } from "#l7/compress/stream-filter.ts";

const ROUND_MS = 200;

/** JSON as an API sends it: names that repeat, values that do not. */
function bodyOf(octets: number): Buffer {
  let text = "";
  for (let id = 0; text.length < octets; id++)
    text += `{"id":${id},"name":"user ${(id * 7919) % 104_729}","isActive":${id % 3 === 0},"score":${Math.sin(id)}},`;
  return Buffer.from(text.slice(0, octets), "latin1");
}

function stream(coding: Coding, body: Buffer): Promise<void> {
  return new Promise((done, fail) => {
    const options = { coding, level: undefined, octets: body.length, isPrompt: false, clock: systemClock };
    const sink = { body: () => true, end: done, room: () => {}, fail };
    const filter = new StreamFilter({ ...options, waiting: () => {}, freed: () => {} }, sink);
    filter.write(body);
    filter.end();
  });
}

async function microsOf(run: () => Promise<void> | void): Promise<number> {
  let count = 0;
  const startMs = performance.now();
  while (performance.now() - startMs < ROUND_MS) {
    await run();
    count++;
  }
  return ((performance.now() - startMs) * 1000) / count;
}

console.log("coding  octets   one go   stream");
for (const coding of ["gzip", "br", "zstd"] as const)
  for (const octets of [1_024, 4_096, 16_384, 32_768, 65_536, 262_144]) {
    const body = bodyOf(octets);
    const whole = await microsOf(() => void encodeSync(coding, undefined, body));
    const streamed = await microsOf(() => stream(coding, body));
    console.log(
      `${coding.padEnd(6)}${String(octets).padStart(8)}${whole.toFixed(0).padStart(9)}${streamed.toFixed(0).padStart(9)}`,
    );
  }
