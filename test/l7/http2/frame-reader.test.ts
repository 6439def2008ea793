/** Octets → frames, however they are cut; frames that are wrong by themselves; garbage. */
import assert from "node:assert/strict";
import test from "node:test";
import { createSeededRng } from "#base/rng.ts";
import { FrameReader, type FrameSink } from "#l7/http2/frame-reader.ts";
import {
  block,
  CODE,
  data,
  FLAG,
  frame,
  GET,
  goaway,
  headers,
  PREFACE,
  ping,
  reset,
  settings,
  TYPE,
  windowUpdate,
} from "./frames.ts";

/** What was told, as text; pieces of one body are one. */
class Told implements FrameSink {
  readonly lines: string[] = [];
  #body = "";
  onDataFrame(stream: number, octets: number, bodyOctets: number, isEnd: boolean): void {
    this.#body = "";
    this.lines.push(`data ${stream} ${octets}/${bodyOctets}${isEnd ? " end" : ""}`);
  }
  onData(octets: Buffer): void {
    this.#body += octets.toString("latin1");
  }
  onDataEnd(isEnd: boolean): void {
    this.lines.push(`body ${this.#body}${isEnd ? " end" : ""}`);
  }
  onBlock(stream: number, octets: Buffer, from: number, to: number, isEnd: boolean): void {
    this.lines.push(`block ${stream} ${octets.toString("hex", from, to)}${isEnd ? " end" : ""}`);
  }
  onReset(stream: number, code: number): void {
    this.lines.push(`reset ${stream} ${code}`);
  }
  onSettings(octets: Buffer, from: number, to: number): void {
    this.lines.push(`settings ${octets.toString("hex", from, to)}`);
  }
  onSettingsTaken(): void {
    this.lines.push("settings taken");
  }
  onPing(octets: Buffer, at: number): void {
    this.lines.push(`ping ${octets.toString("hex", at, at + 8)}`);
  }
  onPong(): void {
    this.lines.push("pong");
  }
  onGoaway(): void {
    this.lines.push("goaway");
  }
  onWindow(stream: number, octets: number): void {
    this.lines.push(`window ${stream} ${octets}`);
  }
  onIdleFrame(): void {
    this.lines.push("idle");
  }
  onFault(code: number): void {
    this.lines.push(`fault ${code}`);
  }
  onStreamFault(stream: number, code: number): void {
    this.lines.push(`stream fault ${stream} ${code}`);
  }
}
const LIST_OCTETS = 16_384;
function read(...pieces: readonly Buffer[]): { readonly told: string[]; readonly reader: FrameReader } {
  const told = new Told();
  const reader = new FrameReader(told, LIST_OCTETS);
  for (const piece of pieces) reader.feed(piece);
  return { told: told.lines, reader };
}
/** After the preface and SETTINGS. */
const after = (...frames: readonly Buffer[]): Buffer => Buffer.concat([PREFACE, settings(), ...frames]);

const PADDED = 8;
const PRIORITY = 0x20;
const BLOCK = block(GET);
const HEX = BLOCK.toString("hex");
const GOOD: readonly (readonly [what: string, octets: Buffer, told: readonly string[]])[] = [
  ["DATA", data(1, "hello"), ["data 1 5/5", "body hello"]],
  ["DATA that ends a stream", data(1, "hello", true), ["data 1 5/5 end", "body hello end"]],
  ["empty DATA", data(1, "", true), ["data 1 0/0 end", "body  end"]],
  ["padded DATA", frame(TYPE.data, PADDED, 1, Buffer.from("\x03hello\0\0\0", "latin1")), ["data 1 9/5", "body hello"]],
  ["DATA of padding alone", frame(TYPE.data, PADDED, 1, Buffer.alloc(4, "\x03\0\0\0")), ["data 1 4/0", "body "]],
  ["HEADERS", headers(1, GET), [`block 1 ${HEX} end`]],
  [
    "HEADERS with priority and padding",
    frame(
      TYPE.headers,
      FLAG.endHeaders | PADDED | PRIORITY,
      1,
      Buffer.concat([Buffer.of(2, 0, 0, 0, 0, 16), BLOCK, Buffer.alloc(2)]),
    ),
    [`block 1 ${HEX}`],
  ],
  [
    "HEADERS in three parts",
    Buffer.concat([
      frame(TYPE.headers, FLAG.endStream, 1, BLOCK.subarray(0, 3)),
      frame(TYPE.continuation, 0, 1, BLOCK.subarray(3, 9)),
      frame(TYPE.continuation, FLAG.endHeaders, 1, BLOCK.subarray(9)),
    ]),
    [`block 1 ${HEX} end`],
  ],
  ["PRIORITY", frame(TYPE.priority, 0, 1, Buffer.alloc(5)), ["idle"]],
  ["PRIORITY of another length", frame(TYPE.priority, 0, 1, Buffer.alloc(4)), ["stream fault 1 6"]],
  ["RST_STREAM", reset(1, CODE.cancel), ["reset 1 8"]],
  ["SETTINGS", settings([3, 100]), ["settings 000300000064"]],
  ["SETTINGS taken", frame(TYPE.settings, FLAG.ack, 0), ["settings taken"]],
  ["PING", ping(), ["ping 0000000000000000"]],
  ["PING answered", frame(TYPE.ping, FLAG.ack, 0, Buffer.alloc(8)), ["pong"]],
  ["GOAWAY", goaway(0, CODE.none), ["goaway"]],
  ["WINDOW_UPDATE", windowUpdate(0, 7), ["window 0 7"]],
  ["WINDOW_UPDATE by nothing of a stream", windowUpdate(1, 0), ["stream fault 1 1"]],
  ["a type that is not known", frame(0xfa, 0xff, 77, Buffer.from("?")), ["idle"]],
];
for (const [what, octets, told] of GOOD)
  test(`FrameReader reads ${what}, however it is cut`, () => {
    const all = after(octets, ping());
    const expected = ["settings ", ...told, "ping 0000000000000000"];
    assert.deepEqual(read(all).told, expected);
    for (let at = 1; at < all.length; at++)
      assert.deepEqual(read(all.subarray(0, at), all.subarray(at)).told, expected, `cut at ${at}`);
    const single = read(...Array.from(all, (octet) => Buffer.of(octet)));
    assert.deepEqual(single.told, expected, "octet by octet");
    assert.equal(single.reader.isMidway, false);
  });

const headWith = (...parts: readonly Buffer[]): Buffer => Buffer.concat(parts);
const BAD: readonly (readonly [what: string, octets: Buffer, code: number])[] = [
  ["another preface", Buffer.from("GET / HTTP/1.1\r\n\r\n"), CODE.protocol],
  ["a first frame that is not SETTINGS", headWith(PREFACE, ping()), CODE.protocol],
  ["a first frame that acknowledges", headWith(PREFACE, frame(TYPE.settings, FLAG.ack, 0)), CODE.protocol],
  ["a frame beyond 16,384 octets", after(frame(TYPE.data, 0, 1, Buffer.alloc(16_385))), CODE.frameSize],
  ["DATA of stream 0", after(data(0, "x")), CODE.protocol],
  ["DATA whose padding is all and more", after(frame(TYPE.data, PADDED, 1, Buffer.of(2, 0))), CODE.protocol],
  ["padded DATA without a length", after(frame(TYPE.data, PADDED, 1)), CODE.frameSize],
  ["HEADERS of stream 0", after(headers(0, GET)), CODE.protocol],
  [
    "HEADERS whose padding is all and more",
    after(frame(TYPE.headers, FLAG.endHeaders | PADDED, 1, Buffer.of(9, 0))),
    CODE.protocol,
  ],
  [
    "HEADERS too short for their priority",
    after(frame(TYPE.headers, FLAG.endHeaders | PRIORITY, 1, Buffer.alloc(4))),
    CODE.protocol,
  ],
  ["CONTINUATION without HEADERS", after(frame(TYPE.continuation, FLAG.endHeaders, 1, BLOCK)), CODE.protocol],
  ["a frame amid a block", after(frame(TYPE.headers, 0, 1, BLOCK), ping()), CODE.protocol],
  [
    "CONTINUATION of another stream",
    after(frame(TYPE.headers, 0, 1, BLOCK), frame(TYPE.continuation, FLAG.endHeaders, 3)),
    CODE.protocol,
  ],
  [
    "empty CONTINUATION frames without end (CVE-2024-27316)",
    after(frame(TYPE.headers, 0, 1, BLOCK), ...Array.from({ length: 20 }, () => frame(TYPE.continuation, 0, 1))),
    CODE.calm,
  ],
  [
    "a block far beyond the limit",
    after(
      frame(TYPE.headers, 0, 1, Buffer.alloc(16_384)),
      frame(TYPE.continuation, 0, 1, Buffer.alloc(16_384)),
      frame(TYPE.continuation, 0, 1, Buffer.alloc(1)),
    ),
    CODE.calm,
  ],
  ["PRIORITY of stream 0", after(frame(TYPE.priority, 0, 0, Buffer.alloc(5))), CODE.protocol],
  ["RST_STREAM of stream 0", after(reset(0, 0)), CODE.protocol],
  ["RST_STREAM of another length", after(frame(TYPE.reset, 0, 1, Buffer.alloc(5))), CODE.frameSize],
  ["SETTINGS of a stream", after(frame(TYPE.settings, 0, 1)), CODE.protocol],
  ["SETTINGS of another length", after(frame(TYPE.settings, 0, 0, Buffer.alloc(5))), CODE.frameSize],
  ["SETTINGS that acknowledge and say more", after(frame(TYPE.settings, 1, 0, Buffer.alloc(6))), CODE.frameSize],
  ["SETTINGS without end (CVE-2019-9515)", after(frame(TYPE.settings, 0, 0, Buffer.alloc(6 * 33))), CODE.calm],
  ["PUSH_PROMISE", after(frame(5, FLAG.endHeaders, 1, Buffer.alloc(8))), CODE.protocol],
  ["PING of a stream", after(frame(TYPE.ping, 0, 1, Buffer.alloc(8))), CODE.protocol],
  ["PING of another length", after(frame(TYPE.ping, 0, 0, Buffer.alloc(7))), CODE.frameSize],
  ["GOAWAY of a stream", after(frame(TYPE.goaway, 0, 1, Buffer.alloc(8))), CODE.protocol],
  ["GOAWAY of another length", after(frame(TYPE.goaway, 0, 0, Buffer.alloc(7))), CODE.frameSize],
  ["WINDOW_UPDATE of another length", after(frame(TYPE.window, 0, 0, Buffer.alloc(5))), CODE.frameSize],
  ["WINDOW_UPDATE by nothing of the connection", after(windowUpdate(0, 0)), CODE.protocol],
];
for (const [what, octets, code] of BAD)
  test(`FrameReader ends the connection for ${what}`, () => {
    assert.equal(read(octets).told.at(-1), `fault ${code}`);
    const { told, reader } = read(...Array.from(octets, (octet) => Buffer.of(octet)), ping());
    assert.equal(told.at(-1), `fault ${code}`, "octet by octet, and nothing after it");
    assert.equal(reader.isMidway, false);
  });

test("FrameReader that is stopped from within a call tells nothing more", () => {
  const told = new Told();
  const reader = new FrameReader(told, LIST_OCTETS);
  told.onPing = () => reader.stop();
  reader.feed(after(ping(), data(1, "x")));
  reader.feed(ping());
  assert.deepEqual(told.lines, ["settings "]);
});

test("FrameReader on frames that were changed at random: it never throws, and holds one frame and one block at most", () => {
  const rng = createSeededRng(9_113);
  const below = (most: number): number => Math.floor(rng() * most);
  const frames = GOOD.map(([, octets]) => octets);
  for (let round = 0; round < 3_000; round++) {
    const octets = after(...Array.from({ length: 1 + below(12) }, () => frames[below(frames.length)]!));
    for (let count = below(6); count > 0; count--) octets[below(octets.length)] = below(256);
    const told = new Told();
    const reader = new FrameReader(told, LIST_OCTETS);
    for (let at = 0; at < octets.length; ) {
      const to = Math.min(octets.length, at + 1 + below(40));
      reader.feed(octets.subarray(at, to));
      at = to;
    }
    const faults = told.lines.filter((line) => line.startsWith("fault"));
    assert.ok(faults.length === 0 || (faults.length === 1 && told.lines.at(-1) === faults[0]), told.lines.join("\n"));
  }
});
