/** What a frame means where it comes (RFC 9113 §5, §6, §8): what ends the connection, what ends a stream, what is passed over. */
import assert from "node:assert/strict";
import test from "node:test";
import { createSeededRng } from "#base/rng.ts";
import { UNKNOWN_LENGTH } from "#l7/message.ts";
import { type FrontChanges, responseOf, type Seen } from "./bed.ts";
import {
  block,
  CODE,
  data,
  FLAG,
  frame,
  GET,
  goaway,
  headers,
  POST,
  ping,
  reset,
  settings,
  TYPE,
  windowUpdate,
} from "./frames.ts";
import { MemoryFront, told } from "./memory-front.ts";

type Case = {
  readonly what: string;
  readonly frames: readonly Buffer[];
  /** What the client is told. */
  readonly told: readonly string[];
  readonly http2?: FrontChanges["http2"];
  /** The exchange; else it wants the body. */
  readonly does?: "answer" | "wait";
};
const TRAILERS = headers(1, [["x-sum", "1"]]);
const ended = (code: number): string[] => [`goaway ${code}`];

const CASES: readonly Case[] = [
  // ── of the connection ──
  { what: "HEADERS of an even stream", frames: [headers(2, GET)], told: ended(CODE.protocol) },
  { what: "DATA of a stream that was not opened", frames: [data(5, "x")], told: ended(CODE.protocol) },
  { what: "RST_STREAM of a stream that was not opened", frames: [reset(5, 8)], told: ended(CODE.protocol) },
  { what: "WINDOW_UPDATE of a stream that was not opened", frames: [windowUpdate(5, 1)], told: ended(CODE.protocol) },
  {
    what: "a window of the connection that overflows",
    frames: [windowUpdate(0, 0x7fff_ffff)],
    told: ended(CODE.flowControl),
  },
  {
    what: "a block that cannot be read",
    frames: [frame(TYPE.headers, 5, 1, Buffer.of(0xff))],
    told: ended(CODE.compression),
  },
  { what: "ENABLE_PUSH of 2", frames: [settings([2, 2])], told: ended(CODE.protocol) },
  { what: "ENABLE_CONNECT_PROTOCOL of 2", frames: [settings([8, 2])], told: ended(CODE.protocol) },
  { what: "a window beyond 2^31 - 1", frames: [settings([4, 0x8000_0000])], told: ended(CODE.flowControl) },
  { what: "frames below 16,384 octets", frames: [settings([5, 16_383])], told: ended(CODE.protocol) },
  { what: "frames beyond 2^24 - 1 octets", frames: [settings([5, 1 << 24])], told: ended(CODE.protocol) },
  {
    what: "a change of windows that lets one overflow",
    frames: [headers(1, GET), windowUpdate(1, 0x7fff_0000), settings([4, 0x7fff_ffff])],
    told: ended(CODE.flowControl),
  },
  {
    what: "a request on a stream below the last one",
    frames: [headers(5, GET), headers(3, GET)],
    told: ["headers 5 end", ...ended(CODE.streamClosed)],
    does: "answer",
  },
  {
    what: "a request on a stream that is closed",
    frames: [headers(1, GET), headers(1, GET)],
    told: ["headers 1 end", ...ended(CODE.streamClosed)],
    does: "answer",
  },
  {
    what: "DATA on a stream that is closed",
    frames: [headers(1, GET), data(1, "x")],
    told: ["headers 1 end", ...ended(CODE.streamClosed)],
    does: "answer",
  },
  {
    what: "more streams than are allowed, of who knows it",
    frames: [frame(TYPE.settings, FLAG.ack, 0), headers(1, GET), headers(3, GET)],
    told: ended(CODE.protocol),
    http2: { maxStreams: 1 },
  },
  // ── of a stream ──
  {
    what: "more streams than are allowed, of who may not know it yet",
    frames: [headers(1, GET), headers(3, POST, false), data(3, "on its way", true)],
    told: [`reset 3 ${CODE.refused}`],
    http2: { maxStreams: 1 },
  },
  { what: "DATA after the end", frames: [headers(1, GET), data(1, "x")], told: [`reset 1 ${CODE.streamClosed}`] },
  { what: "HEADERS after the end", frames: [headers(1, GET), TRAILERS], told: [`reset 1 ${CODE.streamClosed}`] },
  {
    what: "trailers that do not end the stream",
    frames: [headers(1, POST, false), headers(1, [["x-sum", "1"]], false)],
    told: [`reset 1 ${CODE.protocol}`],
  },
  {
    what: "trailers with a pseudo-header",
    frames: [headers(1, POST, false), headers(1, [[":path", "/"]])],
    told: [`reset 1 ${CODE.protocol}`],
  },
  {
    what: "trailers with a field of the connection",
    frames: [headers(1, POST, false), headers(1, [["connection", "close"]])],
    told: [`reset 1 ${CODE.protocol}`],
  },
  {
    what: "a body beyond the window",
    frames: [headers(1, POST, false), ...Array.from({ length: 5 }, () => data(1, Buffer.alloc(16_384)))],
    does: "wait",
    told: [`reset 1 ${CODE.flowControl}`],
  },
  {
    what: "a window that overflows",
    frames: [headers(1, GET), windowUpdate(1, 0x7fff_ffff)],
    told: [`reset 1 ${CODE.flowControl}`],
  },
  {
    what: "a window that opens by nothing",
    frames: [headers(1, GET), windowUpdate(1, 0)],
    told: [`reset 1 ${CODE.protocol}`],
  },
  {
    what: "what is on its way of a stream that was reset",
    frames: [
      headers(1, [...POST, ["te", "gzip"]], false),
      data(1, "x"),
      TRAILERS,
      headers(3, [...GET, ["te", "gzip"]]),
    ],
    told: [`reset 1 ${CODE.protocol}`, `reset 3 ${CODE.protocol}`],
  },
  {
    what: "what is on its way of a request that was answered early",
    frames: [headers(1, POST, false), data(1, "x"), data(1, "y", true), headers(3, GET)],
    told: ["headers 1 end", "headers 3 end"],
    does: "answer",
  },
  // ── passed over ──
  {
    what: "RST_STREAM, WINDOW_UPDATE and PRIORITY of a stream that is closed",
    frames: [
      headers(1, GET),
      reset(1, 8),
      windowUpdate(1, 1),
      frame(TYPE.priority, 0, 1, Buffer.alloc(5)),
      headers(3, GET),
    ],
    told: ["headers 1 end", "headers 3 end"],
    does: "answer",
  },
  { what: "PRIORITY of a stream that was not opened", frames: [frame(TYPE.priority, 0, 9, Buffer.alloc(5))], told: [] },
  { what: "settings and frames that are not known", frames: [settings([0xfafa, 1]), frame(0xfa, 0, 0)], told: [] },
  { what: "larger frames and tables than are used", frames: [settings([5, 1 << 20], [1, 1 << 20], [3, 0])], told: [] },
];
for (const { what, frames, told: expected, http2 = {}, does } of CASES)
  test(`RFC 9113: ${what} → ${expected.join(", ") || "nothing"}`, () => {
    const front = new MemoryFront({ http2 }, (seen) => {
      if (does === "answer") seen.answer(204);
      else if (does === undefined) seen.stream.wantBody();
    });
    front.begin(...frames, ping());
    const all = front.frames();
    assert.deepEqual(told(all), expected);
    const goesOn = !expected.some((line) => line.startsWith("goaway"));
    assert.equal(
      all.some(({ type }) => type === TYPE.ping),
      goesOn,
      "whether it goes on",
    );
    assert.equal(front.conn.ending, goesOn ? "open" : "fin");
    if (goesOn) return;
    for (const { gone } of front.seen) assert.ok(does === "answer" || gone !== undefined, "each exchange was told");
    front.conn.end();
    assert.equal(front.ended, 1);
  });

test("a request that was answered early is reset a moment after our last word (RFC 9113 §8.1)", () => {
  const front = new MemoryFront({}, (seen) => seen.answer(403, "no")).begin(headers(1, POST, false));
  front.say(data(1, "x"));
  assert.deepEqual(told(front.frames()), ["headers 1", "data 1 2 end"]);
  front.deadlines.advance(600);
  assert.deepEqual(told(front.frames()), [`reset 1 ${CODE.none}`]);
  front.say(data(1, "on its way"), headers(1, [["x-sum", "1"]]), ping());
  assert.equal(front.conn.ending, "open");
  assert.equal(front.connection.isIdle, true);
});

test("windows open again by half of themselves: a stream's by what was taken, the connection's by what came", () => {
  const front = new MemoryFront().begin(headers(1, POST, false), headers(3, POST, false));
  front.frames();
  front.seen[0]!.stream.wantBody();
  for (let count = 0; count < 4; count++) front.say(data(1, Buffer.alloc(16_384)), data(3, Buffer.alloc(16_384)));
  const windows = front.frames().map(({ stream, payload }) => [stream, payload.readUInt32BE()]);
  assert.deepEqual(windows, [
    [1, 32_768],
    [1, 32_768],
    [0, 131_072],
  ]);
  front.seen[1]!.stream.wantBody();
  assert.deepEqual(
    front.frames().map(({ stream, payload }) => [stream, payload.readUInt32BE()]),
    [
      [3, 32_768],
      [3, 32_768],
    ],
  );
});

test("after our last GOAWAY a new stream is passed over, and its fields are decoded all the same", () => {
  const front = new MemoryFront().begin(headers(1, GET));
  front.connection.drain();
  front.say(frame(TYPE.ping, FLAG.ack, 0, Buffer.alloc(8)));
  assert.deepEqual(told(front.frames()), ["goaway 0", "goaway 0"]);
  const literal = Buffer.concat([Buffer.of(0x40), block([["x-kept", "1"]]).subarray(1)]);
  front.say(frame(TYPE.headers, FLAG.endHeaders, 3, Buffer.concat([block(POST), literal])), data(3, "x", true));
  front.say(frame(TYPE.headers, FLAG.endHeaders | FLAG.endStream, 1, Buffer.of(0xbe)));
  assert.deepEqual(told(front.frames()), [`reset 1 ${CODE.streamClosed}`]);
  assert.equal(front.conn.ending, "fin");
});
test("between our two GOAWAYs a new stream is served (RFC 9113 §6.8)", () => {
  const front = new MemoryFront().begin(headers(1, GET));
  front.connection.drain();
  front.say(headers(3, GET));
  front.deadlines.advance(1_500);
  const goaways = front.frames().filter(({ type }) => type === TYPE.goaway);
  assert.deepEqual(
    goaways.map(({ payload }) => payload.readUInt32BE()),
    [0x7fff_ffff, 3],
  );
  for (const seen of front.seen) seen.answer(204);
  assert.deepEqual(told(front.frames()), ["headers 1 end", "headers 3 end"]);
  assert.equal(front.conn.ending, "fin");
});
test("a client that says GOAWAY is served what it has asked, then its connection ends", () => {
  const front = new MemoryFront().begin(headers(1, GET), goaway(0, CODE.none));
  front.seen[0]!.answer(204);
  assert.deepEqual(told(front.frames()), ["goaway 0", "headers 1 end"]);
  assert.equal(front.conn.ending, "fin");
});

test("pings that the client does not take the answers of end it (CVE-2019-9512)", () => {
  const front = new MemoryFront({ http2: { outstandingPings: 5 } }).begin();
  front.conn.hasRoom = false;
  for (let count = 0; count < 5; count++) front.say(ping());
  assert.equal(front.conn.ending, "open");
  front.conn.room();
  front.conn.hasRoom = false;
  for (let count = 0; count < 6; count++) front.say(ping());
  assert.deepEqual(told(front.frames()), ended(CODE.calm));
});
test("a client that does not read is not read from, once much waits for it", () => {
  const front = new MemoryFront({}, (seen) => seen.answer(204)).begin();
  front.conn.hasRoom = false;
  front.conn.stuck = 300_000;
  front.say(headers(1, GET));
  assert.equal(front.conn.isPaused, true);
  front.conn.room();
  assert.equal(front.conn.isPaused, false);
});
test("a client that takes nothing for `sendMs` is cut off, with all of its streams", () => {
  const front = new MemoryFront({ timeouts: { sendMs: 3_000 } }).begin(headers(1, GET));
  front.conn.stuck = 100;
  for (let nowMs = 0; nowMs <= 3_000; nowMs += 500) front.deadlines.advance(nowMs);
  assert.equal(front.ended, 0);
  for (let nowMs = 3_500; nowMs <= 4_500; nowMs += 500) front.deadlines.advance(nowMs);
  assert.equal(front.conn.ending, "reset");
  assert.deepEqual([front.ended, front.seen[0]!.gone], [1, { status: undefined }]);
});
test("a head larger than a frame goes in several, and nothing between them (RFC 9113 §4.3)", () => {
  const long = Array.from({ length: 30 }, (_, index) => [`x-${index}`, "€~".slice(1).repeat(2_000)]).flat();
  const front = new MemoryFront({}, (seen) => seen.answer(200, "x", long)).begin(headers(1, GET));
  const frames = front.frames().filter(({ stream }) => stream === 1);
  assert.deepEqual(frames.map(({ type }) => type).slice(0, 2), [TYPE.headers, TYPE.continuation]);
  assert.equal(frames.at(-1)!.type, TYPE.data);
  const whole = { ...frames[0]!, payload: Buffer.concat(frames.slice(0, -1).map(({ payload }) => payload)) };
  assert.deepEqual(front.fieldsOf(whole), [":status", "200", ...long, "content-length", "1"]);
  assert.deepEqual(
    frames
      .slice(0, -1)
      .map(({ flags }) => (flags & FLAG.endHeaders) !== 0)
      .lastIndexOf(false),
    frames.length - 3,
  );
});

test("frames that were changed at random: nothing throws, each exchange is told at most once, what we say can be read", () => {
  const rng = createSeededRng(44_487);
  const below = (most: number): number => Math.floor(rng() * most);
  const id = (): number => 1 + 2 * below(6);
  const makers: readonly (() => Buffer)[] = [
    () => headers(id(), GET),
    () => headers(id(), [...POST, ["content-length", String(below(20))]], false),
    () => headers(id(), [["x-sum", "1"]]),
    () => data(id(), Buffer.alloc(below(30)), below(3) === 0),
    () => reset(id(), below(12)),
    () => windowUpdate(below(2) * id(), 1 + below(100_000)),
    () => settings([1 + below(8), below(100_000)]),
    () => settings([4, below(100_000)], [1, below(5_000)]),
    () => ping(),
    () => frame(TYPE.ping, FLAG.ack, 0, Buffer.alloc(8)),
    () => frame(below(12), below(256), id(), Buffer.alloc(below(12))),
  ];
  const act = (seen: Seen): void => {
    const { stream } = seen;
    switch (below(6)) {
      case 0:
        seen.answer(200, "x".repeat(below(40_000)), ["server", "x", "x-id", String(below(1e9))]);
        break;
      case 1:
        stream.sendHead(responseOf(200, [], UNKNOWN_LENGTH), below(20) === 0);
        stream.sendBody(Buffer.alloc(below(30_000)));
        break;
      case 2:
        stream.sendEnd(["x-sum", "1"]);
        break;
      case 3:
        stream.abort();
        break;
      case 4:
        stream.pauseBody();
        stream.sendInformational(103, ["link", "</a>"]);
        break;
      default:
        stream.wantBody();
        stream.resumeBody();
    }
  };
  for (let round = 0; round < 1_500; round++) {
    const front = new MemoryFront({ http2: { resetsPerSecond: 1_000 } }, (seen) => below(2) === 0 && act(seen)).begin();
    for (let step = 0; step < 40 && front.conn.ending === "open"; step++) {
      const octets = Buffer.concat(Array.from({ length: 1 + below(4) }, () => makers[below(makers.length)]!()));
      if (below(10) === 0) octets[below(octets.length)] = below(256);
      const cut = below(octets.length);
      front.say(octets.subarray(0, cut), Buffer.alloc(0)).say(octets.subarray(cut));
      if (front.seen.length > 0) act(front.seen[below(front.seen.length)]!);
      if (below(20) === 0) front.connection.drain();
      front.deadlines.advance(round * 100_000 + step * 100);
    }
    for (const one of front.frames()) if (one.type === TYPE.headers) assert.ok(front.fieldsOf(one) !== undefined);
    front.conn.gone();
    assert.equal(front.ended, 1);
  }
});
