/** Bodies and the windows of a client: never more than they let through, in order, whole, none before the others for long. */
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { UNKNOWN_LENGTH } from "#l7/message.ts";
import { responseOf, type Seen } from "./bed.ts";
import { FLAG, type Frame, GET, headers, PREFACE, settings, TYPE, windowUpdate } from "./frames.ts";
import { MemoryFront, told } from "./memory-front.ts";

const WINDOW = 4;
const DEFAULT = 65_535;

/** Requests on streams 1, 3, …, to a client with these windows. */
function open(streams: number, windowOctets: number): MemoryFront {
  const front = new MemoryFront().say(PREFACE, settings([WINDOW, windowOctets]));
  for (let index = 0; index < streams; index++) front.say(headers(index * 2 + 1, GET));
  front.frames();
  return front;
}
const begin = (seen: Seen, takesTrailers = false): void => {
  if (takesTrailers) Object.assign(seen.head, { takesTrailers });
  seen.stream.sendHead(responseOf(200, [], UNKNOWN_LENGTH), false);
};

test("what fits goes at once; what does not waits for the window, and the exchange for its word", () => {
  const front = open(1, 10);
  const [seen] = front.seen;
  begin(seen!);
  assert.equal(seen!.stream.sendBody(Buffer.from("hello")), true);
  assert.equal(seen!.stream.sendBody(Buffer.from("hello, world")), false);
  assert.deepEqual(told(front.frames()), ["headers 1", "data 1 5", "data 1 5"]);
  front.say(windowUpdate(1, 3));
  assert.equal(seen!.rooms, 0);
  front.say(windowUpdate(1, 100));
  assert.equal(seen!.rooms, 1);
  assert.deepEqual(told(front.frames()), ["data 1 3", "data 1 4"]);
  seen!.stream.sendEnd(undefined);
  assert.deepEqual(told(front.frames()), ["data 1 0 end"]);
});
test("a window of one octet lets one octet through (CVE-2019-9511 costs the client as much as us)", () => {
  const front = open(1, 1);
  front.seen[0]!.answer(200, "abc");
  for (let count = 0; count < 2; count++) front.say(windowUpdate(1, 1));
  assert.deepEqual(told(front.frames()), ["headers 1", "data 1 1", "data 1 1", "data 1 1 end"]);
  assert.equal(front.connection.isIdle, true);
});
test("a window may fall below zero (RFC 9113 §6.9.2), and opens by settings again", () => {
  const front = open(1, 10);
  front.seen[0]!.answer(200, "x".repeat(30));
  front.say(settings([WINDOW, 0]), windowUpdate(1, 9));
  assert.deepEqual(told(front.frames()), ["headers 1", "data 1 10"]);
  front.say(settings([WINDOW, 2]));
  assert.deepEqual(told(front.frames()), ["data 1 1"]);
  front.say(settings([WINDOW, 100]));
  assert.deepEqual(told(front.frames()), ["data 1 19 end"]);
});
test("trailers come after what waited", () => {
  const front = open(1, 2);
  const [seen] = front.seen;
  begin(seen!, true);
  seen!.stream.sendBody(Buffer.from("abcd"));
  seen!.stream.sendEnd(["grpc-status", "0"]);
  assert.deepEqual(told(front.frames()), ["headers 1", "data 1 2"]);
  front.say(windowUpdate(1, 2));
  assert.deepEqual(told(front.frames()), ["data 1 2", "headers 1 end"]);
});
test("streams that wait for the connection's window have it in turn", () => {
  const front = open(3, 1 << 20);
  for (const seen of front.seen) seen.answer(200, "x".repeat(100_000));
  front.frames();
  front.say(windowUpdate(0, 16_384 * 6));
  const turns = front.frames().filter(({ type }) => type === TYPE.data);
  assert.deepEqual(
    turns.map(({ stream }) => stream),
    [1, 3, 5, 1, 3, 5],
  );
});
test("a stream whose own window is closed does not keep the others", () => {
  const front = open(2, 100);
  front.say(windowUpdate(3, 100_000));
  for (const seen of front.seen) seen.answer(200, "x".repeat(1_000));
  assert.deepEqual(told(front.frames()), ["headers 1", "data 1 100", "headers 3", "data 3 1000 end"]);
});
test("a conn that is full gets no bodies until it has room; heads go on", () => {
  const front = open(2, 1 << 20);
  begin(front.seen[0]!);
  front.conn.hasRoom = false;
  assert.equal(front.seen[0]!.stream.sendBody(Buffer.from("first")), false);
  front.seen[1]!.answer(200, "second");
  assert.deepEqual(told(front.frames()), ["headers 1", "data 1 5", "headers 3"]);
  front.conn.room();
  assert.equal(front.seen[0]!.rooms, 1);
  assert.deepEqual(told(front.frames()), ["data 3 6 end"]);
});
test("a stream that the client resets gives up what waited", () => {
  const front = open(1, 2);
  front.seen[0]!.answer(200, "abcd");
  front.frames();
  front.say(Buffer.concat([Buffer.of(0, 0, 4, TYPE.reset, 0, 0, 0, 0, 1), Buffer.alloc(4)]), windowUpdate(1, 9));
  assert.deepEqual(told(front.frames()), []);
  assert.equal(front.connection.isIdle, true);
});

type Step =
  | { readonly do: "body"; readonly stream: number; readonly octets: number }
  | { readonly do: "open"; readonly stream: number; readonly octets: number }
  | { readonly do: "initial"; readonly octets: number }
  | { readonly do: "full" | "room" };
const STREAMS = 3;
const stream = fc.integer({ min: 0, max: STREAMS - 1 });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant("body" as const), stream, octets: fc.integer({ min: 1, max: 60_000 }) }),
  fc.record({
    do: fc.constant("open" as const),
    stream: fc.integer({ min: -1, max: STREAMS - 1 }),
    octets: fc.integer({ min: 1, max: 50_000 }),
  }),
  fc.record({ do: fc.constant("initial" as const), octets: fc.integer({ min: 0, max: 100_000 }) }),
  fc.record({ do: fc.constantFrom("full" as const, "room" as const) }),
);
test("whatever windows do, no octet goes beyond them, and bodies arrive whole and in order", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const front = open(STREAMS, DEFAULT);
      const sent: string[] = new Array(STREAMS).fill("");
      const got: string[] = new Array(STREAMS).fill("");
      const ends: number[] = new Array(STREAMS).fill(0);
      const windows: number[] = new Array(STREAMS).fill(DEFAULT);
      let whole = DEFAULT;
      let initial = DEFAULT;
      const take = (frames: readonly Frame[]): void => {
        for (const { type, flags, stream: id, payload } of frames) {
          if (type !== TYPE.data) continue;
          const index = (id - 1) / 2;
          assert.equal(ends[index], 0, "nothing comes after the end");
          got[index] += payload.toString("latin1");
          windows[index]! -= payload.length;
          whole -= payload.length;
          assert.ok(payload.length === 0 || (windows[index]! >= 0 && whole >= 0), "more than the windows let through");
          if ((flags & FLAG.endStream) !== 0) ends[index] = 1;
        }
      };
      for (const seen of front.seen) begin(seen);
      steps.forEach((now, at) => {
        if (now.do === "body") {
          const text = String.fromCharCode(97 + (at % 26)).repeat(now.octets);
          sent[now.stream] += text;
          front.seen[now.stream]!.stream.sendBody(Buffer.from(text, "latin1"));
        } else if (now.do === "open") {
          if (now.stream < 0) whole += now.octets;
          else windows[now.stream]! += now.octets;
          front.say(windowUpdate(now.stream < 0 ? 0 : now.stream * 2 + 1, now.octets));
        } else if (now.do === "initial") {
          for (let index = 0; index < STREAMS; index++) windows[index]! += now.octets - initial;
          initial = now.octets;
          front.say(settings([WINDOW, now.octets]));
        } else if (now.do === "full") front.conn.hasRoom = false;
        else front.conn.room();
        take(front.frames());
      });
      for (const seen of front.seen) seen.stream.sendEnd(undefined);
      front.conn.room();
      take(front.frames());
      whole += 1e9;
      front.say(windowUpdate(0, 1e9));
      take(front.frames());
      for (let index = 0; index < STREAMS; index++) {
        windows[index]! += 1e9;
        if (ends[index] === 0) front.say(windowUpdate(index * 2 + 1, 1e9));
        take(front.frames());
      }
      assert.deepEqual(ends, new Array(STREAMS).fill(1));
      assert.deepEqual(got, sent);
      assert.equal(front.connection.isIdle, true);
    }),
    { numRuns: 150 },
  );
});
