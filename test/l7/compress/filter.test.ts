/** Bodies through compression and back: all codings, pieces of any size, slow clients, clients that go. */
import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import test from "node:test";
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from "node:zlib";
import { createManualClock, systemClock } from "#base/clock.ts";
import { createSeededRng } from "#base/rng.ts";
import type { Coding } from "#l7/compress/compression.ts";
import { createCompression } from "#l7/compress/create-compression.ts";
import { WHOLE_OCTETS } from "#l7/compress/whole-filter.ts";
import { UNKNOWN_LENGTH } from "#l7/message.ts";
import type { BodyFilter, FilterSink } from "#l7/route.ts";
import { head, response } from "../cache/bed.ts";

const CODINGS: readonly Coding[] = ["gzip", "br", "zstd"];
const DECODE = { gzip: gunzipSync, br: brotliDecompressSync, zstd: zstdDecompressSync };
const SPEC = { algorithms: CODINGS, minOctets: 0, types: ["text/*"], level: undefined };

/** Takes all, or stops after each piece until it is let go on. */
class Sink implements FilterSink {
  readonly pieces: Buffer[] = [];
  isOpen = true;
  calls = 0;
  rooms = 0;
  readonly #done = Promise.withResolvers<void>();
  onBody: () => void = () => {};
  body(octets: Uint8Array): boolean {
    this.calls++;
    this.pieces.push(Buffer.from(octets));
    this.onBody();
    return this.isOpen;
  }
  end(): void {
    this.#done.resolve();
  }
  room(): void {
    this.rooms++;
  }
  fail(): void {
    this.#done.reject(new Error("failed"));
  }
  get done(): Promise<void> {
    return this.#done.promise;
  }
  get octets(): Buffer {
    return Buffer.concat(this.pieces);
  }
}

function setUp(type = "text/plain", clock: Pick<typeof systemClock, "after"> = systemClock) {
  const state = { waiting: 0 };
  const waiting = (change: number): void => {
    state.waiting += change;
  };
  const compression = createCompression(SPEC, { clock, waiting });
  const open = (coding: Coding, octets: number, sink: FilterSink): BodyFilter =>
    compression.filter(coding, response(200, ["content-type", type], octets), sink);
  return { state, open };
}

for (const coding of CODINGS)
  test(`${coding} gives back what was put in, in pieces of any size, known length or not`, async () => {
    const rng = createSeededRng(7);
    const { state, open } = setUp();
    for (let round = 0; round < 40; round++) {
      const body = Buffer.alloc(Math.floor(rng() ** 3 * 200_000));
      for (let at = 0; at < body.length; at++) body[at] = rng() < 0.7 ? 0x61 : Math.floor(rng() * 256);
      const sink = new Sink();
      const filter = open(coding, round % 2 === 0 ? body.length : UNKNOWN_LENGTH, sink);
      for (let from = 0; from < body.length; ) {
        const size = 1 + Math.floor(rng() * 20_000);
        // Whoever writes uses its buffer again.
        const view = Buffer.from(body.subarray(from, from + size));
        filter.write(view);
        view.fill(0);
        from += size;
      }
      filter.end();
      await sink.done;
      assert.ok(DECODE[coding](sink.octets).equals(body));
      assert.equal(state.waiting, 0);
    }
  });

test("a short body comes out from within end(), a longer one later", async () => {
  const { open } = setUp();
  for (const [octets, isAtOnce] of [
    [WHOLE_OCTETS, true],
    [WHOLE_OCTETS + 1, false],
  ] as const) {
    const sink = new Sink();
    const filter = open("gzip", octets, sink);
    filter.write(Buffer.alloc(octets, "a"));
    assert.equal(sink.calls, 0);
    filter.end();
    assert.equal(sink.calls > 0, isAtOnce);
    await sink.done;
  }
});

for (const coding of CODINGS)
  test(`${coding} stops who writes while the client takes nothing, and holds no more than that`, async () => {
    const { state, open } = setUp();
    const sink = new Sink();
    sink.isOpen = false;
    const filter = open(coding, UNKNOWN_LENGTH, sink);
    const rng = createSeededRng(1);
    const piece = Buffer.alloc(16_384);
    const first = Promise.withResolvers<void>();
    sink.onBody = first.resolve;
    let written = 0;
    const write = (): boolean => {
      // Octets that no coding makes fewer: what is written must come out.
      for (let at = 0; at < piece.length; at++) piece[at] = rng() * 256;
      written += piece.length;
      return filter.write(piece);
    };
    while (write());
    await first.promise;
    // As a backend does that always has more, until nobody asks for it.
    for (let rooms = 0, quiet = 0; quiet < 10; quiet++) {
      await new Promise((done) => setTimeout(done, 5));
      if (sink.rooms > rooms) quiet = 0;
      while (sink.rooms > rooms) {
        rooms = sink.rooms;
        while (write());
      }
    }
    assert.equal(sink.calls, 1);
    // Brotli's own ring is the most of it.
    assert.ok(written < 3_000_000, `${written} octets were taken`);
    assert.equal(state.waiting, 0, "nothing is waited for while the client is");

    sink.isOpen = true;
    filter.room();
    filter.end();
    await sink.done;
    assert.equal(DECODE[coding](sink.octets).length, written);
    assert.equal(state.waiting, 0);
  });

for (const coding of CODINGS)
  test(`${coding} gives out each event at once, before the next one comes`, async () => {
    const { open } = setUp("text/event-stream");
    const sink = new Sink();
    const filter = open(coding, UNKNOWN_LENGTH, sink);
    for (const text of ["data: one\n\n", "data: two\n\n"]) {
      const came = Promise.withResolvers<void>();
      sink.onBody = came.resolve;
      filter.write(Buffer.from(text));
      await came.promise;
    }
    filter.end();
    await sink.done;
    assert.equal(DECODE[coding](sink.octets).toString(), "data: one\n\ndata: two\n\n");
  });

test("what a slow backend sent comes out after a while without more, and not before", async () => {
  const clock = createManualClock();
  const { open } = setUp("text/plain", clock);
  const sink = new Sink();
  const filter = open("br", UNKNOWN_LENGTH, sink);
  filter.write(Buffer.from("a first piece"));
  clock.advance(40);
  filter.write(Buffer.from(", a second"));
  clock.advance(40);
  assert.equal(sink.calls, 0);
  const came = Promise.withResolvers<void>();
  sink.onBody = came.resolve;
  clock.advance(10);
  await came.promise;
  filter.end();
  await sink.done;
  assert.equal(brotliDecompressSync(sink.octets).toString(), "a first piece, a second");
});

test("cancel() frees the encoder: thousands leave no memory behind, and nothing comes after it", async () => {
  const { state, open } = setUp();
  const piece = Buffer.alloc(32_768, "abc");
  const round = async (count: number) => {
    for (let turn = 0; turn < count; turn++) {
      const sink = new Sink();
      const filter = open(CODINGS[turn % 3]!, UNKNOWN_LENGTH, sink);
      filter.write(piece);
      if (turn % 2 === 0) filter.end();
      filter.cancel();
      filter.cancel();
      assert.equal(sink.calls, 0);
      // The thread pool must come to what was given to it.
      if (turn % 50 === 0) await new Promise((done) => setTimeout(done, 1));
    }
    await new Promise((done) => setTimeout(done, 100));
  };
  await round(500);
  const before = process.memoryUsage().rss;
  await round(10_000);
  const grown = (process.memoryUsage().rss - before) / 10_000;
  // The smallest encoder has over 250,000 octets.
  assert.ok(grown < 25_000, `${grown.toFixed(0)} octets each`);
  assert.equal(state.waiting, 0);
});

test("curl reads what we send, in every coding that it knows", async () => {
  const body = "a line of text that repeats\n".repeat(3_000);
  const features = /^Features: (.*)$/m.exec(execFileSync("curl", ["--version"], { encoding: "latin1" }))![1]!;
  const compression = createCompression({ ...SPEC, minOctets: 1 }, { clock: systemClock, waiting: () => {} });
  const server = createServer((incoming, outgoing) => {
    const from = response(200, ["content-type", "text/plain"], Buffer.byteLength(body));
    const asked = head(["accept-encoding", incoming.headers["x-only"] as string]);
    const { coding, head: sent } = compression.choose(asked, from)!;
    outgoing.writeHead(200, sent.fields);
    const filter = compression.filter(coding!, from, {
      body: (octets) => {
        outgoing.write(Buffer.from(octets));
        return true;
      },
      end: () => outgoing.end(),
      room: () => {},
      fail: () => outgoing.destroy(),
    });
    filter.write(Buffer.from(body));
    filter.end();
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  for (const [coding, feature] of [
    ["gzip", "libz"],
    ["br", "brotli"],
    ["zstd", "zstd"],
  ] as const) {
    if (!features.includes(feature)) continue;
    const text = await new Promise<string>((done, fail) =>
      execFile("curl", ["-sS", "--compressed", "-H", `X-Only: ${coding}`, url], { maxBuffer: 1e7 }, (error, stdout) =>
        error === null ? done(stdout) : fail(error),
      ),
    );
    assert.equal(text, body);
  }
  server.closeAllConnections();
  server.close();
});
