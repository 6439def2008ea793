import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import {
  CHUNK_OCTETS,
  createArrival,
  createFrameMemory,
  MESSAGE_AT,
  readFrame,
  writeHeaders,
} from "#dns/transport/xdp/frame.ts";
import { type FrameParts, makeFrame, parseFrame } from "./frames.ts";

const ARRIVED_AT = 256;
const ANSWER_CHUNK = CHUNK_OCTETS;
/** What lies around a frame: what is read or written by mistake shows. */
const REST = 0xa5;

const octets = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const port = fc.integer({ min: 1, max: 0xffff });
const partsOf = (version: 4 | 6, message: fc.Arbitrary<Uint8Array>): fc.Arbitrary<FrameParts> =>
  fc.record(
    {
      version: fc.constant(version),
      tag: fc.integer({ min: 0, max: 0xffff }),
      toMac: octets(6),
      fromMac: octets(6),
      from: octets(version === 4 ? 4 : 16),
      to: octets(version === 4 ? 4 : 16),
      fromPort: port,
      toPort: port,
      message,
    },
    { requiredKeys: ["version", "toMac", "fromMac", "from", "to", "fromPort", "toPort", "message"] },
  );
const message = fc.uint8Array({ minLength: 0, maxLength: 1_232 });
const parts = fc.oneof(partsOf(4, message), partsOf(6, message));

const memoryWith = (frame: Uint8Array) => {
  const memory = createFrameMemory(new ArrayBuffer(2 * CHUNK_OCTETS));
  memory.octets.fill(REST);
  memory.octets.set(frame, ARRIVED_AT);
  return memory;
};

/** The whole way of a frame: in, and the answer out of the other chunk. */
function answerFrame(frame: Uint8Array, answer: Uint8Array): Uint8Array | undefined {
  const memory = memoryWith(frame);
  const arrival = createArrival();
  if (!readFrame(memory, ARRIVED_AT, frame.length, arrival)) return undefined;
  const messageAt = ANSWER_CHUNK + MESSAGE_AT;
  memory.octets.set(answer, messageAt);
  const before = memory.octets.slice();
  const headerOctets = writeHeaders(memory, arrival, ANSWER_CHUNK, answer.length);
  const from = messageAt - headerOctets;
  const end = messageAt + answer.length;
  const isElsewhere = (at: number) => at < from || at >= end + 3;
  for (let at = 0; at < before.length; at++) {
    if (isElsewhere(at) && memory.octets[at] !== before[at]) assert.fail(`octet ${at} was written`);
  }
  return memory.octets.slice(from, end);
}

test("readFrame() finds what was sent, and writeHeaders() sends the answer back where it came from", () => {
  fc.assert(
    fc.property(parts, message, (sent, answer) => {
      const frame = makeFrame(sent);
      const arrival = createArrival();
      const memory = memoryWith(frame);
      assert.ok(readFrame(memory, ARRIVED_AT, frame.length, arrival));
      const seen = {
        from: memory.octets.slice(arrival.sourceAt, arrival.sourceAt + sent.from.length),
        message: memory.octets.slice(arrival.messageAt, arrival.messageAt + arrival.messageOctets),
        port: arrival.port,
        isIpv6: arrival.isIpv6,
      };
      assert.deepEqual(seen, {
        from: sent.from,
        message: sent.message,
        port: sent.fromPort,
        isIpv6: sent.version === 6,
      });
      const { hops, ...back } = parseFrame(answerFrame(frame, answer)!);
      assert.equal(hops, 64);
      assert.deepEqual(back, {
        ...sent,
        toMac: sent.fromMac,
        fromMac: sent.toMac,
        from: sent.to,
        to: sent.from,
        fromPort: sent.toPort,
        toPort: sent.fromPort,
        message: answer,
      });
    }),
    { numRuns: 300 },
  );
});

const CALM: FrameParts = {
  version: 4,
  toMac: Uint8Array.of(2, 0, 0, 0, 0, 1),
  fromMac: Uint8Array.of(2, 0, 0, 0, 0, 2),
  from: Uint8Array.of(192, 0, 2, 1),
  to: Uint8Array.of(192, 0, 2, 53),
  fromPort: 40_000,
  toPort: 53,
  message: Uint8Array.from({ length: 30 }, (_, index) => index),
};
const CALM6: FrameParts = { ...CALM, version: 6, from: octets16(1), to: octets16(2) };
function octets16(last: number): Uint8Array {
  return Uint8Array.of(0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last);
}

test("writeHeaders() writes all ones where the checksum comes to 0, which would say that there is none", () => {
  // Two octets of a message can make any sum: one of the 65,536 values comes to 0.
  const frame = makeFrame(CALM);
  let found = 0;
  for (let value = 0; value < 0x1_0000; value++) {
    const back = answerFrame4(frame, value);
    if (back === 0xffff) found++;
    assert.notEqual(back, 0);
  }
  assert.equal(found, 1);
});
function answerFrame4(frame: Uint8Array, value: number): number {
  const memory = memoryFor4;
  memory.octets.set(frame, ARRIVED_AT);
  const arrival = createArrival();
  readFrame(memory, ARRIVED_AT, frame.length, arrival);
  const at = ANSWER_CHUNK + MESSAGE_AT;
  memory.octets[at] = value >>> 8;
  memory.octets[at + 1] = value & 0xff;
  writeHeaders(memory, arrival, ANSWER_CHUNK, 2);
  return (memory.octets[at - 2]! << 8) | memory.octets[at - 1]!;
}
const memoryFor4 = createFrameMemory(new ArrayBuffer(2 * CHUNK_OCTETS));

const withOctets = (frame: Uint8Array, at: number, ...values: number[]): Uint8Array => {
  const changed = frame.slice();
  changed.set(values, at);
  return changed;
};
/** IPv4's checksum is made right again. */
const withIpv4 = (at: number, ...values: number[]): Uint8Array => {
  const changed = withOctets(makeFrame(CALM), 14 + at, ...values);
  changed.set([0, 0], 24);
  let sum = 0;
  for (let index = 14; index < 34; index += 2) sum += (changed[index]! << 8) | changed[index + 1]!;
  sum = (sum & 0xffff) + (sum >>> 16);
  return withOctets(changed, 24, (~sum >>> 8) & 0xff, ~sum & 0xff);
};
const calm = makeFrame(CALM);
const calm6 = makeFrame(CALM6);

for (const { name, frame } of [
  { name: "an IPv4 header whose checksum is wrong", frame: withOctets(calm, 24, calm[24]! ^ 1) },
  { name: "an IPv4 length beyond the frame", frame: withIpv4(2, 0, 59) },
  { name: "an IPv4 length without room for UDP", frame: withIpv4(2, 0, 27) },
  { name: "an IPv4 length below its own header", frame: withIpv4(2, 0, 19) },
  { name: "a UDP length beyond IPv4's", frame: withOctets(calm, 38, 0, 39) },
  { name: "a UDP length below its own header", frame: withOctets(calm, 38, 0, 7) },
  { name: "an IPv6 length beyond the frame", frame: withOctets(calm6, 18, 0, 39) },
  { name: "a UDP length beyond IPv6's", frame: withOctets(calm6, 58, 0, 39) },
  { name: "IPv6 without a UDP checksum", frame: withOctets(calm6, 60, 0, 0) },
  { name: "neither IPv4 nor IPv6", frame: withOctets(calm, 12, 8, 6) },
  { name: "two tags", frame: makeTwice() },
]) {
  test(`readFrame() refuses ${name}`, () => assert.equal(answerFrame(frame, CALM.message), undefined));
}
function makeTwice(): Uint8Array {
  const tagged = makeFrame({ ...CALM, tag: 5 });
  return Uint8Array.from([...tagged.subarray(0, 12), 0x81, 0, 0, 5, ...tagged.subarray(12)]);
}

for (const { name, frame, length } of [
  { name: "without a UDP checksum on IPv4 (RFC 768)", frame: withOctets(calm, 40, 0, 0), length: 30 },
  { name: "padded by Ethernet", frame: Uint8Array.from([...calm, 0, 0, 0, 0, 0]), length: 30 },
  { name: "whose UDP length is below IPv4's", frame: withOctets(calm, 38, 0, 20), length: 12 },
  { name: "of no octets", frame: makeFrame({ ...CALM, message: new Uint8Array(0) }), length: 0 },
]) {
  test(`readFrame() takes a datagram ${name}`, () => {
    const arrival = createArrival();
    assert.ok(readFrame(memoryWith(frame), ARRIVED_AT, frame.length, arrival));
    assert.equal(arrival.messageOctets, length);
  });
}

test("readFrame() refuses every part of a frame that is cut off", () => {
  for (const whole of [CALM, CALM6, { ...CALM, tag: 1 }, { ...CALM6, tag: 1 }].map(makeFrame)) {
    for (let length = 0; length < whole.length; length++) {
      assert.equal(readFrame(memoryWith(whole), ARRIVED_AT, length, createArrival()), false, `${length} octets`);
    }
  }
});

test("readFrame() never finds a message beyond the frame, whatever is in it", () => {
  const changes = fc.array(fc.tuple(fc.nat(99), fc.integer({ min: 0, max: 255 })), { maxLength: 6 });
  fc.assert(
    fc.property(parts, changes, fc.nat(1_300), (sent, mutations, cut) => {
      const frame = makeFrame(sent);
      for (const [at, value] of mutations) if (at < frame.length) frame[at] = value;
      const length = Math.max(0, frame.length - cut);
      const arrival = createArrival();
      const memory = memoryWith(frame);
      const before = memory.octets.slice();
      if (readFrame(memory, ARRIVED_AT, length, arrival)) {
        assert.ok(arrival.messageAt + arrival.messageOctets <= ARRIVED_AT + length);
        assert.ok(arrival.messageAt >= ARRIVED_AT + 42 && arrival.messageOctets >= 0);
        assert.ok(arrival.sourceAt + (arrival.isIpv6 ? 16 : 4) <= arrival.messageAt - 8);
      }
      assert.deepEqual(memory.octets, before);
    }),
    { numRuns: 500 },
  );
});
