/**
 * A client's HTTP/2 connection without sockets: what the client says goes in at once, and what it is told can be read at once.
 * @module
 */
import { createDeadlines, type Deadlines } from "#l7/exchange/deadlines.ts";
import { serveHttp2 } from "#l7/http2/connection.ts";
import { HpackDecoder } from "#l7/http2/hpack/decoder.ts";
import { HeaderList } from "#l7/http2/hpack/header-list.ts";
import type { ClientConnection } from "#l7/stream.ts";
import { arrivedOn, MemoryConn } from "../http1/client-bed.ts";
import { type FrontChanges, Seen, specOf } from "./bed.ts";
import { type Frame, PREFACE, readFrames, settings, TYPE } from "./frames.ts";

export class MemoryFront {
  readonly conn = new MemoryConn();
  readonly deadlines: Deadlines = createDeadlines(0);
  readonly seen: Seen[] = [];
  readonly refused: number[] = [];
  readonly connection: ClientConnection;
  ended = 0;
  readonly #decoder = new HpackDecoder();
  #read = 0;

  constructor(changes: FrontChanges = {}, onRequest?: (seen: Seen) => void) {
    this.connection = serveHttp2({
      arrived: arrivedOn(this.conn),
      spec: specOf(changes),
      scheme: "http",
      host: {
        deadlines: this.deadlines,
        onRequest: (stream, head) => {
          const seen = new Seen(stream, head);
          this.seen.push(seen);
          onRequest?.(seen);
          return seen;
        },
        onBadRequest: (_arrived, status) => this.refused.push(status),
        onConnectionEnd: () => {
          this.ended++;
        },
      },
    });
  }
  /** The preface and SETTINGS, and whatever else. */
  begin(...frames: readonly Buffer[]): this {
    return this.say(PREFACE, settings(), ...frames);
  }
  say(...frames: readonly Buffer[]): this {
    this.conn.arrive(Buffer.concat(frames).toString("latin1"));
    return this;
  }
  /** What was told since it was asked last. Throws where that is no whole number of frames. */
  frames(): Frame[] {
    const octets = Buffer.from(this.conn.sent.slice(this.#read), "latin1");
    const { frames, length } = readFrames(octets);
    if (length !== octets.length) throw new Error(`${octets.length - length} octets are no frame`);
    this.#read = this.conn.sent.length;
    return frames;
  }
  /** Of a HEADERS frame; each once, in order. */
  fieldsOf({ payload }: Frame): readonly string[] | undefined {
    const list = new HeaderList();
    list.begin(1e6, 1e3);
    return this.#decoder.decode(payload, 0, payload.length, list) ? list.raw : undefined;
  }
}

/** What it means, in short: `goaway 1`, `reset 3 5`, `headers 1 end`. Settings and windows are left out. */
export function told(frames: readonly Frame[]): string[] {
  return frames.flatMap(({ type, flags, stream, payload }) => {
    const end = (flags & 1) === 1 ? " end" : "";
    switch (type) {
      case TYPE.goaway:
        return [`goaway ${payload.readUInt32BE(4)}`];
      case TYPE.reset:
        return [`reset ${stream} ${payload.readUInt32BE()}`];
      case TYPE.headers:
        return [`headers ${stream}${end}`];
      case TYPE.data:
        return [`data ${stream} ${payload.length}${end}`];
      default:
        return [];
    }
  });
}
