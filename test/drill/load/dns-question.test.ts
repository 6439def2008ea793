import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { createQuestion } from "#drill/load/dns-question.ts";
import { answerTo, NAME, subnetOf } from "./bed.ts";

const question = createQuestion({ name: NAME, subnet: "198.51.100.0/24", isRecursive: false })!;
const other = createQuestion({ name: "other.test.example", subnet: undefined, isRecursive: false })!;
const good = answerTo(question.encode(0x1234), { addresses: ["192.0.2.2", "192.0.2.1"], ttlSeconds: 30 });

test("createQuestion() tells servers the clients' network, and resolvers that they shall ask", () => {
  assert.deepEqual(subnetOf(question.encode(1)), [0, 1, 24, 0, 198, 51, 100]);
  assert.equal(question.encode(1)[2]! & 1, 0);
  const recursive = createQuestion({ name: NAME, subnet: undefined, isRecursive: true })!;
  assert.equal(subnetOf(recursive.encode(1)), undefined);
  assert.equal(recursive.encode(1)[2]! & 1, 1);
});

test("createQuestion() tells a network of 24 bits of each client, of those that a wider one has", () => {
  const wide = createQuestion({ name: NAME, subnet: "198.18.128.0/18", isRecursive: false })!;
  assert.deepEqual(subnetOf(wide.encode(1)), [0, 1, 24, 0, 198, 18, 128]);
  assert.deepEqual(subnetOf(wide.encode(1, 63)), [0, 1, 24, 0, 198, 18, 191]);
  assert.deepEqual(subnetOf(wide.encode(1, 64)), [0, 1, 24, 0, 198, 18, 128]);
});

test("createQuestion() asks for no name that there cannot be, and from no network", () => {
  assert.equal(createQuestion({ name: "a..b", subnet: undefined, isRecursive: false }), undefined);
  assert.equal(createQuestion({ name: NAME, subnet: "198.51.100.7/24", isRecursive: false }), undefined);
});

test("Question.read() tells addresses in their order, the least TTL and the rcode", () => {
  assert.deepEqual(question.read(good, 0x1234), {
    rcode: "NOERROR",
    isTruncated: false,
    addresses: ["192.0.2.2", "192.0.2.1"],
    ttlSeconds: 30,
  });
  const failed = answerTo(question.encode(7), { rcode: 2 });
  assert.deepEqual(question.read(failed, 7), { rcode: "SERVFAIL", isTruncated: false, addresses: [], ttlSeconds: 0 });
});

for (const { name, message, id } of [
  { name: "another id", message: good, id: 0x1235 },
  { name: "another question", message: answerTo(other.encode(0x1234), { addresses: ["192.0.2.1"] }), id: 0x1234 },
  { name: "the query itself", message: question.encode(0x1234), id: 0x1234 },
  { name: "half an answer", message: good.subarray(0, good.length - 3), id: 0x1234 },
  { name: "nothing", message: new Uint8Array(0), id: 0x1234 },
])
  test(`Question.read() does not take ${name} for an answer`, () =>
    assert.equal(question.read(message, id), undefined));

test("Question.read() takes a question in any case for its own", () => {
  const upper = Buffer.from(good);
  upper[13] = upper[13]! & ~0x20;
  assert.equal(question.read(upper, 0x1234)?.addresses.length, 2);
});

test("Question.read() throws at no octets", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255))), fc.nat(good.length), (changes, end) => {
      const message = Buffer.from(good);
      for (const [at, octet] of changes) message[at] = octet;
      question.read(message.subarray(0, end), 0x1234);
    }),
  );
  fc.assert(fc.property(fc.uint8Array({ maxLength: 600 }), (message) => void question.read(message, 0)));
});
