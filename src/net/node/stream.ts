/**
 * A socket of node:net whose octets go to an owner as they come, and that takes what is written.
 *
 * Owns:    whether the owner wants octets now, and what it was told. The octets of one call-back leave together: sockets that
 *          were written to stay corked until it is over.
 * @module
 */
import { STREAM_HIGH_WATER, type StreamOwner } from "#net/driver.ts";
import type { ConnOwner, NetConn } from "#net/node/conn.ts";

/** Sockets that were written to in this call-back. */
let written: NetStream[] = [];
/** Memory that an owner is looking at: Node does not write to it again, so that it may be handed on without a copy. */
let arriving: ArrayBufferLike | undefined;

function sendWritten(): void {
  const streams = written;
  written = [];
  for (const stream of streams) stream.send();
}

export class NetStream implements ConnOwner {
  readonly #conn: NetConn;
  #owner: StreamOwner;
  #isPaused = false;
  #isOver = false;
  #isEndTold = false;
  #isCorked = false;
  #wantsRoom = false;
  #isDue = false;

  constructor(conn: NetConn, owner: StreamOwner) {
    this.#conn = conn;
    this.#owner = owner;
    this.#deliverSoon();
  }

  /** The next owner hears of the end of the peer too. */
  handTo(owner: StreamOwner): void {
    this.#owner = owner;
    this.#isEndTold = false;
    this.#deliverSoon();
  }

  // ── what comes ─────────────────────────────────────────────────────────────────────────────────────────────────

  #deliverSoon(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    process.nextTick(() => {
      this.#isDue = false;
      this.#deliver();
    });
  }
  /** What came before, then the rest. */
  #deliver(): void {
    const conn = this.#conn;
    if (this.#isOver) return;
    if (conn.isBroken) return void this.onFault();
    if (this.#isPaused) return;
    const { held } = conn;
    conn.held = undefined;
    if (held !== undefined && held.length > 0) this.onData(conn, held);
    if (this.#isOver || this.#isPaused) return;
    if (!conn.isEnded) conn.socket.resume();
    else if (!this.#isEndTold) this.#tellEnd();
  }
  #tellEnd(): void {
    this.#isEndTold = true;
    this.#owner.onEnd();
  }

  onData(_from: NetConn, chunk: Buffer): void {
    if (this.#isOver) return;
    arriving = chunk.buffer;
    this.#owner.onOctets(chunk);
    arriving = undefined;
  }
  onEnd(): void {
    if (!this.#isOver && !this.#isPaused) this.#tellEnd();
  }
  onDrain(): void {
    if (!this.#wantsRoom || this.#isOver) return;
    this.#wantsRoom = false;
    this.#owner.onRoom();
  }
  onFault(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#owner.onGone();
  }
  onClose(): void {
    const { isEnded, socket } = this.#conn;
    if (!(isEnded && socket.writableFinished)) this.onFault();
  }

  pause(): void {
    this.#isPaused = true;
    this.#conn.socket.pause();
  }
  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#deliverSoon();
  }

  // ── what goes ──────────────────────────────────────────────────────────────────────────────────────────────────

  write(octets: Uint8Array): boolean {
    const { socket } = this.#conn;
    if (this.#isOver || !socket.writable) return true;
    this.#cork();
    socket.write(octets.buffer === arriving ? octets : Buffer.from(octets));
    return this.#hasRoom();
  }
  writeText(latin1: string): boolean {
    const { socket } = this.#conn;
    if (this.#isOver || !socket.writable) return true;
    this.#cork();
    socket.write(latin1, "latin1");
    return this.#hasRoom();
  }
  #hasRoom(): boolean {
    const hasRoom = this.#conn.socket.writableLength < STREAM_HIGH_WATER;
    if (!hasRoom) this.#wantsRoom = true;
    return hasRoom;
  }
  #cork(): void {
    if (this.#isCorked) return;
    this.#isCorked = true;
    this.#conn.socket.cork();
    if (written.push(this) === 1) process.nextTick(sendWritten);
  }
  send(): void {
    this.#isCorked = false;
    this.#conn.socket.uncork();
  }
  finish(): void {
    if (!this.#isOver) this.#conn.socket.end();
  }
  /** Nothing is told any more. */
  letGo(): void {
    this.#isOver = true;
  }
}
