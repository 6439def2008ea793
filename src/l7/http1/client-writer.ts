/**
 * What goes to an HTTP/1.1 client: heads, and bodies in the framing that the client understands.
 *
 * Owns:    the framing of the response under way, and whether the client takes what is written.
 * Units:   octets, steady ms.
 * @module
 */
import { CHUNK_END, chunkHead, LAST_CHUNK, writeLastChunk } from "#l7/http1/write-body.ts";
import {
  type Asked,
  type ResponseFraming,
  reasonOf,
  responseFraming,
  writeReply,
  writeResponseHead,
} from "#l7/http1/write-head.ts";
import type { Fields, RequestHead, ResponseHead } from "#l7/message.ts";
import type { TcpConn } from "#net/driver.ts";

export class ClientWriter {
  /** The client has enough for now. */
  isFull = false;
  readonly #conn: TcpConn;
  #framing: ResponseFraming = "none";
  /** Of a body with a length: what is missing. */
  #missing = 0;
  #written = 0;
  #taken = 0;
  /** Since when nothing was taken. */
  #takenMs = 0;

  constructor(conn: TcpConn) {
    this.#conn = conn;
  }

  /** @returns whether the connection may go on after this response */
  head(request: RequestHead, head: ResponseHead, persists: boolean): boolean {
    this.#framing = responseFraming(request, head);
    this.#missing = head.bodyOctets;
    const mayPersist = persists && this.#framing !== "close";
    this.text(writeResponseHead(request, head, this.#framing, mayPersist));
    return mayPersist;
  }
  body(octets: Uint8Array): boolean {
    switch (this.#framing) {
      case "none":
        return true;
      case "close":
        return this.raw(octets);
      case "length":
        this.#missing -= octets.length;
        // More than was announced would be read as the next response.
        return this.#missing < 0 || this.raw(octets);
      case "chunked":
        if (octets.length === 0) return true;
        this.text(chunkHead(octets.length));
        this.raw(octets);
        return this.text(CHUNK_END);
    }
  }
  /** @returns false: the body is not as long as was announced */
  end(trailers: Fields | undefined): boolean {
    if (this.#framing === "chunked") this.text(trailers === undefined ? LAST_CHUNK : writeLastChunk(trailers));
    return this.#framing !== "length" || this.#missing === 0;
  }
  /** A whole response to what is no request, or does not become one. */
  refusal(status: number): void {
    const fields = ["content-type", "text/plain"];
    this.text(writeReply(NOBODY, { status, fields, body: `${status} ${reasonOf(status)}\n` }, false));
  }

  /** @returns false: the client has enough for now */
  raw(octets: Uint8Array): boolean {
    this.#written += octets.length;
    return this.#conn.write(octets);
  }
  text(latin1: string): boolean {
    this.#written += latin1.length;
    return this.#conn.writeText(latin1);
  }

  /** The client has enough from now on. */
  fill(nowMs: number): void {
    this.isFull = true;
    this.#taken = this.#written - this.#conn.unsent();
    this.#takenMs = nowMs;
  }
  /** @returns since when the client has taken nothing, as far as it was asked */
  stalledSinceMs(nowMs: number): number {
    const taken = this.#written - this.#conn.unsent();
    if (taken !== this.#taken) this.#takenMs = nowMs;
    this.#taken = taken;
    return this.#takenMs;
  }
}

/** Who could not say what it asks for. */
const NOBODY: Asked = { method: "GET", version: "1.1", upgrade: undefined };
