/**
 * What tests of HTTP/2 stand on: a front on a real socket whose time the test moves, exchanges that keep what they were
 * told, raw peers that write frames, and a pool of connections to backends.
 * @module
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from "node:http2";
import { connect as dial, type Socket } from "node:net";
import type { TestContext } from "node:test";
import { createDeadlines, type Deadlines } from "#l7/exchange/deadlines.ts";
import { serveHttp2 } from "#l7/http2/connection.ts";
import type { Fields, RequestHead, ResponseHead } from "#l7/message.ts";
import type { ClientConnection, ClientEvents, ClientStream } from "#l7/stream.ts";
import type { TcpDriver } from "#net/driver.ts";
import { createNetDriver } from "#net/node/driver.ts";
import type { Http2Spec, HttpLimits, HttpSpec, HttpTimeouts } from "#state/http.ts";
import { bindTcp, createQueue, until } from "../../net/bed.ts";
import { arrivedOn, httpSpec } from "../http1/client-bed.ts";
import { type Frame, PREFACE, readFrames, settings, TYPE } from "./frames.ts";

export type FrontChanges = {
  readonly limits?: Partial<HttpLimits>;
  readonly timeouts?: Partial<HttpTimeouts>;
  readonly http2?: Partial<Http2Spec>;
};
export function specOf({ limits = {}, timeouts = {}, http2 = {} }: FrontChanges): HttpSpec {
  const spec = httpSpec({ limits: { fields: 100, ...limits }, timeouts });
  return { ...spec, http2: { ...spec.http2, isEnabled: true, ...http2 } };
}

export const responseOf = (status: number, fields: Fields = [], bodyOctets = 0): ResponseHead => ({
  status,
  fields,
  bodyOctets,
  declaredOctets: undefined,
});

/** One request as its exchange saw it. */
export class Seen implements ClientEvents {
  readonly stream: ClientStream;
  readonly head: RequestHead;
  body = "";
  /** Undefined: the body has not ended. */
  end: { readonly trailers: Fields | undefined } | undefined;
  /** Undefined: the client is there. */
  gone: { readonly status: number | undefined } | undefined;
  rooms = 0;

  constructor(stream: ClientStream, head: RequestHead) {
    this.stream = stream;
    this.head = head;
  }
  onBody(octets: Buffer): void {
    assert.equal(this.gone, undefined);
    this.body += octets.toString("latin1");
  }
  onBodyEnd(trailers: Fields | undefined): void {
    assert.equal(this.gone, undefined);
    this.end = { trailers };
  }
  onClientRoom(): void {
    this.rooms++;
  }
  onClientGone(status: number | undefined): void {
    assert.equal(this.gone, undefined, "told twice");
    this.gone = { status };
  }
  /** Answers in one go. */
  answer(status: number, body = "", fields: Fields = []): void {
    this.stream.sendHead(responseOf(status, fields, body.length), false);
    if (body !== "") this.stream.sendBody(Buffer.from(body, "latin1"));
    this.stream.sendEnd(undefined);
  }
}

export type Front = {
  readonly port: number;
  readonly deadlines: Deadlines;
  readonly seen: Seen[];
  readonly refused: { readonly status: number; readonly rule: string }[];
  readonly connections: ClientConnection[];
  ended: number;
  next(): Promise<Seen>;
  /** Moves time on, in steps as the worker has them. */
  pass(ms: number): void;
};

/** @param onRequest answers from within the call, where it is given */
export function openFront(
  t: Pick<TestContext, "after">,
  changes: FrontChanges = {},
  onRequest?: (seen: Seen) => void,
  createDriver: () => TcpDriver = createNetDriver,
): Front {
  const driver = createDriver();
  const deadlines = createDeadlines(0);
  const spec = specOf(changes);
  const queue = createQueue<Seen>();
  let nowMs = 0;
  const { fd, port } = bindTcp();
  const front: Front = {
    port,
    deadlines,
    seen: [],
    refused: [],
    connections: [],
    ended: 0,
    next: queue.next,
    pass(ms) {
      for (const endMs = nowMs + ms; nowMs < endMs; ) {
        nowMs = Math.min(endMs, nowMs + 50);
        deadlines.advance(nowMs);
      }
    },
  };
  driver.listen(fd, 511, (conn) => {
    const connection = serveHttp2({
      arrived: arrivedOn(conn),
      spec,
      scheme: "http",
      host: {
        deadlines,
        onRequest(stream, head) {
          const seen = new Seen(stream, head);
          front.seen.push(seen);
          if (onRequest !== undefined) onRequest(seen);
          queue.push(seen);
          return seen;
        },
        onBadRequest: (_arrived, status, rule) => front.refused.push({ status, rule }),
        onConnectionEnd: () => front.ended++,
      },
    });
    front.connections.push(connection);
  });
  t.after(() => driver.close());
  return front;
}

/** A client of Node's. */
export async function openClient(t: TestContext, port: number): Promise<ClientHttp2Session> {
  const client = connect(`http://127.0.0.1:${port}`);
  client.on("error", () => {});
  t.after(() => client.destroy());
  await once(client, "remoteSettings");
  return client;
}

export type Answer = {
  readonly status: number;
  readonly fields: Record<string, unknown>;
  readonly body: string;
  readonly trailers: Record<string, unknown> | undefined;
};
/** The whole response. Rejects with the code of a reset. */
export function answerOf(stream: ClientHttp2Stream): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let fields: Record<string, unknown> = {};
    let trailers: Record<string, unknown> | undefined;
    let body = "";
    let hasEnded = false;
    stream.on("response", (head) => {
      fields = { ...head };
    });
    stream.on("trailers", (got) => {
      trailers = { ...got };
    });
    stream.on("data", (octets: Buffer) => {
      body += octets.toString("latin1");
    });
    stream.on("end", () => {
      hasEnded = true;
    });
    stream.on("error", () => {}); // its code is told by `close`
    stream.on("close", () => {
      if (stream.rstCode === 0 && hasEnded) resolve({ status: Number(fields[":status"]), fields, body, trailers });
      else reject(Object.assign(new Error(`reset ${stream.rstCode}`), { code: stream.rstCode }));
    });
  });
}

/** A peer that writes frames, and keeps those that come. */
export class RawPeer {
  readonly socket: Socket;
  readonly frames: Frame[] = [];
  isOver = false;
  #rest: Buffer = Buffer.alloc(0);

  /** @param isServer the preface comes before its peer's first frame */
  constructor(socket: Socket, isServer = false) {
    this.socket = socket;
    let skips = isServer ? PREFACE.length : 0;
    socket.on("error", () => {});
    socket.on("close", () => {
      this.isOver = true;
    });
    socket.on("end", () => socket.end());
    socket.on("data", (octets: Buffer) => {
      this.#rest = Buffer.concat([this.#rest, octets]);
      if (this.#rest.length < skips) return;
      this.#rest = this.#rest.subarray(skips);
      skips = 0;
      const { frames, length } = readFrames(this.#rest);
      this.frames.push(...frames);
      this.#rest = this.#rest.subarray(length);
    });
  }
  write(...frames: readonly Uint8Array[]): void {
    if (!this.socket.destroyed) this.socket.write(Buffer.concat(frames));
  }
  /** The first frame that is so, now or later. */
  async frame(is: (frame: Frame) => boolean): Promise<Frame> {
    await until(() => this.isOver || this.frames.some(is));
    return this.frames.find(is) ?? assert.fail(`the connection ended without it: ${this.summary()}`);
  }
  /** Code of the RST_STREAM of a stream. */
  async resetOf(stream: number): Promise<number> {
    return (await this.frame((one) => one.type === TYPE.reset && one.stream === stream)).payload.readUInt32BE();
  }
  /** Code of the GOAWAY. */
  async goaway(): Promise<number> {
    return (await this.frame(({ type }) => type === TYPE.goaway)).payload.readUInt32BE(4);
  }
  /** Of all DATA frames that have come. */
  dataOctets(): number {
    return this.frames.reduce((octets, { type, payload }) => octets + (type === TYPE.data ? payload.length : 0), 0);
  }
  summary(): string {
    return this.frames
      .map(({ type, stream, payload }) => `${type}/${stream}(${payload.toString("hex", 0, 40)})`)
      .join(" ");
  }
}

export async function openRaw(t: TestContext, port: number): Promise<RawPeer> {
  const socket = dial({ port, host: "127.0.0.1", noDelay: true });
  const peer = new RawPeer(socket);
  t.after(() => socket.destroy());
  await once(socket, "connect");
  peer.write(PREFACE, settings());
  return peer;
}
