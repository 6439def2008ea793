import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { createChunks } from "#dns/transport/xdp/chunks.ts";

const OCTETS = 2_048;
const [FILL, SEND] = [4, 3];
const make = () => createChunks({ fill: FILL, send: SEND, octets: OCTETS });
/** Anywhere in the chunk, and beyond all chunks. */
const place = fc.nat((FILL + SEND + 2) * OCTETS);

test("createChunks() gives the kernel its chunks first, and keeps those to send", () => {
  assert.deepEqual(make().count(), { filling: FILL, held: 0, free: SEND, sending: 0 });
});

test("next() takes what was sent last, and says when there is none", () => {
  const chunks = make();
  const taken: number[] = [];
  for (let index = 0; index < SEND; index++) {
    taken.push(chunks.next());
    chunks.send();
  }
  assert.deepEqual(
    taken,
    [4, 5, 6].map((chunk) => chunk * OCTETS),
  );
  assert.equal(chunks.next(), -1);
  assert.ok(chunks.complete(taken[1]! + 86), "completion names the place where the frame began");
  assert.equal(chunks.next(), taken[1]);
});

test("Chunks are in one state each, and the kernel is believed only about its own", () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant("arrive"), at: place }),
    fc.record({ do: fc.constant("complete"), at: place }),
    fc.constant({ do: "send", at: 0 }),
    fc.record({ do: fc.constant("refill"), at: fc.nat() }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const chunks = make();
      const filling = new Set([0, 1, 2, 3]);
      const held = new Set<number>();
      const free = new Set([4, 5, 6]);
      const sending = new Set<number>();
      for (const { do: what, at } of steps) {
        const chunk = Math.floor(at / OCTETS);
        if (what === "arrive") {
          assert.equal(chunks.arrive(at), filling.has(chunk));
          if (filling.delete(chunk)) held.add(chunk);
        } else if (what === "complete") {
          assert.equal(chunks.complete(at), sending.has(chunk));
          if (sending.delete(chunk)) free.add(chunk);
        } else if (what === "send") {
          const next = chunks.next();
          assert.equal(next === -1, free.size === 0);
          if (next === -1) continue;
          assert.ok(free.delete(next / OCTETS));
          sending.add(next / OCTETS);
          chunks.send();
        } else if (held.size > 0) {
          const [back] = [...held].slice(at % held.size);
          chunks.refill(back! * OCTETS);
          held.delete(back!);
          filling.add(back!);
        }
        assert.deepEqual(chunks.count(), {
          filling: filling.size,
          held: held.size,
          free: free.size,
          sending: sending.size,
        });
      }
    }),
  );
});
