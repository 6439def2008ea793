/** The ring between two real threads: what is read is whole and in order, and nothing is unaccounted for. */
import assert from "node:assert/strict";
import { once } from "node:events";
import test, { type TestContext } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import {
  createQueryRing,
  createSampleReader,
  createSampleWriter,
  type QuerySample,
  RING_SLOTS,
  SAMPLE_MESSAGE_OCTETS,
} from "#state/query-ring.ts";
import { createClient, TRANSPORT } from "#state/respond.ts";
import { fillSample, lengthOf, octetOf, type RingWriterData } from "./ring-writer.ts";

const createStop = (): Int32Array => new Int32Array(new SharedArrayBuffer(4));
function writer(context: TestContext, data: Omit<RingWriterData, "stop">, stop = createStop()): Worker {
  const thread = new Worker(new URL("./ring-writer.ts", import.meta.url), { workerData: { ...data, stop } });
  context.after(() => thread.terminate());
  return thread;
}

/** Fails unless all of the sample is that of the number in its time. @returns the number */
function checkWhole(sample: QuerySample): number {
  const number = sample.atMs;
  const isIpv6 = (number & 1) === 1;
  assert.equal(sample.transport, (number & 2) === 2 ? TRANSPORT.tcp : TRANSPORT.udp);
  assert.equal(sample.octets, lengthOf(number));
  assert.equal(sample.address.length, isIpv6 ? 16 : 4);
  assert.ok(
    sample.address.every((octet) => octet === (number & 0xff)),
    `address of ${number}`,
  );
  assert.equal(sample.message.length, Math.min(sample.octets, SAMPLE_MESSAGE_OCTETS));
  for (let at = 0; at < sample.message.length; at++)
    if (sample.message[at] !== octetOf(number, at)) assert.fail(`octet ${at} of sample ${number}`);
  return number;
}

function createChecker(ring: SharedArrayBuffer) {
  const reader = createSampleReader(ring);
  const seen = { read: 0, lost: 0, last: 0 };
  return {
    seen,
    drain() {
      seen.lost += reader.drain((sample) => {
        const number = checkWhole(sample);
        assert.ok(number > seen.last, `${number} after ${seen.last}`);
        seen.last = number;
        seen.read++;
      });
    },
  };
}

test("a reader beside a writer at full speed gets whole samples in order; read and lost make all", async (t) => {
  const ring = createQueryRing();
  const { seen, drain } = createChecker(ring);
  const stop = createStop();
  const ended = once(writer(t, { ring, first: 1, count: Number.MAX_SAFE_INTEGER }, stop), "message");
  while (seen.read < 20 * RING_SLOTS) {
    drain();
    await nextTurn();
  }
  Atomics.store(stop, 0, 1);
  const [count] = await ended;
  drain();
  assert.equal(seen.read + seen.lost, count);
  assert.equal(seen.last, count, "the last one is always there");
});

test("a reader that comes late has the last samples that the ring holds, and knows how many it missed", async (t) => {
  const ring = createQueryRing();
  const count = 3 * RING_SLOTS + 17;
  await once(writer(t, { ring, first: 1, count }), "message");
  const { seen, drain } = createChecker(ring);
  drain();
  assert.deepEqual(seen, { read: RING_SLOTS, lost: count - RING_SLOTS, last: count });
});

test("a thread that is ended in the midst of writing leaves nothing half, and the next one goes on", async (t) => {
  const ring = createQueryRing();
  const { seen, drain } = createChecker(ring);
  for (let round = 0; round < 5; round++) {
    const thread = writer(t, { ring, first: 1 + round * 10_000_000, count: 10_000_000 });
    while (seen.last < 1 + round * 10_000_000) {
      drain();
      await nextTurn();
    }
    await thread.terminate();
    drain();
  }
  const writtenBefore = seen.read + seen.lost;
  const write = createSampleWriter(ring);
  const client = createClient();
  const message = new Uint8Array(2_048);
  for (let number = 100_000_000; number < 100_000_100; number++)
    write(client, message, fillSample(number, client, message), number);
  drain();
  assert.equal(seen.read + seen.lost, writtenBefore + 100);
  assert.equal(seen.last, 100_000_099);
});

test("a sample that its writer did not end is not read, nor what it was written over", () => {
  const ring = createQueryRing();
  const write = createSampleWriter(ring);
  const client = createClient();
  const message = new Uint8Array(2_048);
  const { seen, drain } = createChecker(ring);
  for (let number = 1; number <= RING_SLOTS; number++)
    write(client, message, fillSample(number, client, message), number);
  const dying = new Proxy(message, {
    get: (_, key) => {
      throw new Error(`died at ${String(key)}`);
    },
  });
  assert.throws(() => write(client, dying, 40, RING_SLOTS + 1), /died at 0/);
  drain();
  assert.deepEqual(seen, { read: RING_SLOTS - 1, lost: 1, last: RING_SLOTS });
  const next = RING_SLOTS + 1;
  createSampleWriter(ring)(client, message, fillSample(next, client, message), next);
  drain();
  assert.deepEqual(seen, { read: RING_SLOTS, lost: 1, last: next });
});
