/** Which responses are sampled. */
import assert from "node:assert/strict";
import test from "node:test";
import { sampleResponses } from "#app/sample-responses.ts";
import { createSeededRng } from "#base/rng.ts";
import { createClient, type Respond } from "#state/respond.ts";

function sampled(every: number, responses: readonly number[]): { sizes: number[]; isWrapped: boolean } {
  const sizes: number[] = [];
  let next = 0;
  const plain: Respond = () => responses[next++]!;
  const respond = sampleResponses(plain, every, {
    write: (_client, _message, length, nowMs) => {
      assert.equal(nowMs, 77);
      sizes.push(length);
    },
    clock: { nowMs: () => 77 },
    random: createSeededRng(5),
  });
  const client = createClient();
  for (const octets of responses) assert.equal(respond(new Uint8Array(0), 0, client, new Uint8Array(0)), octets);
  return { sizes, isWrapped: respond !== plain };
}

test("sampleResponses() takes all of them with 1, and never one that is not sent", () => {
  assert.deepEqual(sampled(1, [40, 0, 41, 0, 0, 42]).sizes, [40, 41, 42]);
});

test("sampleResponses() costs nothing with 0", () => {
  assert.deepEqual(sampled(0, [40, 41]), { sizes: [], isWrapped: false });
});

test("sampleResponses() takes one in n on average, in gaps that differ", () => {
  const { sizes } = sampled(
    100,
    Array.from({ length: 200_000 }, (_, number) => number + 1),
  );
  assert.ok(sizes.length > 1_850 && sizes.length < 2_150, `${sizes.length} of 200,000`);
  const gaps = new Set(sizes.slice(1).map((size, index) => size - sizes[index]!));
  assert.ok(gaps.size > 150 && Math.max(...gaps) < 200, `${gaps.size} gaps, up to ${Math.max(...gaps)}`);
});
