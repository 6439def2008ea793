import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { createInRing, createOutRing } from "#dns/transport/xdp/rings.ts";

const SIZE = 8;
const WORDS = 2;
const AT = { producer: 0, consumer: 64, flags: 128, entries: 192 } as const;

/** The kernel's side: the same memory, by its own cursors, begun at any number. */
const makeMemory = (cursor: number) => {
  const buffer = new ArrayBuffer(AT.entries + SIZE * WORDS * 4);
  const cell = (at: number) => new Uint32Array(buffer, at, 1);
  cell(AT.producer)[0] = cursor;
  cell(AT.consumer)[0] = cursor;
  return { buffer, producer: cell(AT.producer), consumer: cell(AT.consumer), flags: cell(AT.flags) };
};
/** Cursors run over: begin shortly before that, too. */
const begin = fc.oneof(fc.nat(100), fc.integer({ min: 0xffff_fff0, max: 0xffff_ffff }));
const moves = fc.array(fc.nat(SIZE), { maxLength: 40 });

test("createInRing() reads each entry once and in order, and hands its place back", () => {
  fc.assert(
    fc.property(begin, moves, (cursor, counts) => {
      const memory = makeMemory(cursor);
      const ring = createInRing(memory.buffer, AT, SIZE, WORDS);
      let written = 0;
      let read = 0;
      for (const count of counts) {
        const room = SIZE - (written - read);
        const fresh = Math.min(room, count);
        for (let index = 0; index < fresh; index++)
          ring.entries[((cursor + written + index) % SIZE) * WORDS] = written + index;
        written += fresh;
        memory.producer[0] = cursor + written;
        assert.equal(ring.available(), written - read);
        const taken = Math.min(ring.available(), SIZE - count + 1);
        for (let index = 0; index < taken; index++) assert.equal(ring.entries[ring.slot(index) * WORDS], read + index);
        ring.release(taken);
        read += taken;
        assert.equal(memory.consumer[0], (cursor + read) >>> 0);
        assert.equal(ring.cursor(), (cursor + read) >>> 0);
      }
    }),
  );
});

test("createOutRing() shows the kernel entries when they are written, in order", () => {
  fc.assert(
    fc.property(begin, moves, (cursor, counts) => {
      const memory = makeMemory(cursor);
      const ring = createOutRing(memory.buffer, AT, SIZE, WORDS);
      let written = 0;
      for (const count of counts) {
        for (let index = 0; index < count; index++) ring.entries[ring.slot(index) * WORDS] = written + index;
        assert.equal(memory.producer[0], (cursor + written) >>> 0, "not before they are submitted");
        ring.submit(count);
        for (let index = 0; index < count; index++) {
          assert.equal(ring.entries[((cursor + written + index) % SIZE) * WORDS], written + index);
        }
        written += count;
        assert.equal(ring.isRead(), count === 0);
        memory.consumer[0] = cursor + written;
        assert.ok(ring.isRead());
      }
    }),
  );
});

test("needsWakeup() reads what the kernel says at the time", () => {
  const memory = makeMemory(0);
  const ring = createOutRing(memory.buffer, AT, SIZE, WORDS);
  assert.equal(ring.needsWakeup(), false);
  memory.flags[0] = 1;
  assert.equal(ring.needsWakeup(), true);
});
