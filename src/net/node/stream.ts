/**
 * A socket of node:net whose octets go to an owner as they come, and that takes what is written.
 *
 * Owns:    whether the owner wants octets now, and what it was told. The octets of one call-back leave together, at its end.
 * Rule:    small messages go past the queues of node:stream both ways, which cost more than the calls of the system do.
 *          Writes: `_write` is called as Writable would, while it holds nothing; where the kernel does not take all at once,
 *          Writable is told, and everything is its own until it is empty again. Reads: `read-past.ts`.
 * @module
 */
import type { Socket } from "node:net";
import { STREAM_HIGH_WATER, type StreamOwner } from "#net/driver.ts";
import type { ConnOwner, NetConn } from "#net/node/conn.ts";
import { readPast } from "#net/node/read-past.ts";

/** What is shorter goes into the text that leaves at the end of a call-back: one write, one TLS record. */
const TEXT_OCTETS = 8_192;

/** Who has written in this call-back. */
let written: NetStream[] = [];
/** Memory that an owner is looking at: Node does not write to it again, so that it may be handed on without a copy. */
let arriving: ArrayBufferLike | undefined;

function sendWritten(): void {
  const streams = written;
  written = [];
  for (const stream of streams) stream.send();
}

type WriteDone = (error?: Error | null) => void;

export class NetStream implements ConnOwner {
  readonly #conn: NetConn;
  #owner: StreamOwner;
  #isPaused = false;
  #isOver = false;
  #isEndTold = false;
  #wantsRoom = false;
  #isDue = false;
  /** Waits for the end of the call-back: latin1, after what the socket holds. */
  #text = "";
  #isCorked = false;
  #isWaiting = false;
  /** Of the write that went past Writable: whether it was over when the call came back, and whom to tell if not. */
  #isTaken = false;
  #onTaken: WriteDone | undefined;

  constructor(conn: NetConn, owner: StreamOwner) {
    this.#conn = conn;
    this.#owner = owner;
    readPast(conn.socket, (octets) => this.#onRead(octets));
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

  /** TLS decodes all records that came, paused or not. */
  #onRead(octets: Buffer): void {
    const conn = this.#conn;
    if (this.#isOver) return;
    if (!this.#isPaused && !this.#isDue) this.#owner.onOctets(octets);
    else conn.held = conn.held === undefined ? Buffer.from(octets) : Buffer.concat([conn.held, octets]);
  }
  onData(_from: NetConn, chunk: Buffer): void {
    if (this.#isOver) return;
    arriving = chunk.buffer;
    this.#owner.onOctets(chunk);
    arriving = undefined;
  }
  onEnd(): void {
    // What waits to be delivered comes before it.
    if (!this.#isOver && !this.#isPaused && !this.#isDue) this.#tellEnd();
  }
  onDrain(): void {
    this.#tellRoom();
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
    if (octets.length <= TEXT_OCTETS) return this.#hold(latin1Of(octets));
    if (!this.#isCorked) {
      this.#isCorked = true;
      socket.cork();
    }
    this.#moveText();
    socket.write(octets.buffer === arriving ? octets : Buffer.from(octets));
    return this.#hold("");
  }
  writeText(latin1: string): boolean {
    return this.#isOver || !this.#conn.socket.writable || this.#hold(latin1);
  }
  #hold(latin1: string): boolean {
    this.#text += latin1;
    if (!this.#isWaiting) {
      this.#isWaiting = true;
      if (written.push(this) === 1) process.nextTick(sendWritten);
    }
    const hasRoom = this.unsent() < STREAM_HIGH_WATER;
    if (!hasRoom) this.#wantsRoom = true;
    return hasRoom;
  }
  unsent(): number {
    return this.#conn.socket.writableLength + this.#text.length;
  }
  /** Hands what waits to the socket. */
  send(): void {
    const { socket } = this.#conn;
    this.#isWaiting = false;
    if (this.#isCorked || socket.writableLength > 0) this.#moveText();
    else if (this.#text.length > 0) this.#sendText(socket);
    if (this.#isCorked) {
      this.#isCorked = false;
      socket.uncork();
    }
  }
  #moveText(): void {
    const text = this.#text;
    this.#text = "";
    if (text.length > 0 && this.#conn.socket.writable) this.#conn.socket.write(text, "latin1");
  }
  #sendText(socket: Socket): void {
    const text = this.#text;
    this.#text = "";
    if (!socket.writable) return;
    this.#isTaken = false;
    socket._write(text, "latin1", this.#onWritten);
    if (this.#isTaken) {
      this.#tellRoom();
      return;
    }
    const { _write } = socket;
    socket._write = (_chunk, _encoding, done) => {
      this.#onTaken = done;
    };
    socket.write(text, "latin1"); // counts until the kernel has it
    socket._write = _write;
  }
  readonly #onWritten: WriteDone = (error) => {
    const onTaken = this.#onTaken;
    this.#isTaken = true;
    this.#onTaken = undefined;
    if (onTaken !== undefined) {
      onTaken(error);
      this.#tellRoom();
    } else if (error) this.#conn.socket.destroy(error);
  };
  #tellRoom(): void {
    if (!this.#wantsRoom || this.#isOver || this.unsent() >= STREAM_HIGH_WATER) return;
    this.#wantsRoom = false;
    this.#owner.onRoom();
  }
  /** Nobody writes after this. */
  sendLast(): void {
    this.#wantsRoom = false;
    this.send();
  }
  finish(): void {
    if (this.#isOver) return;
    this.sendLast();
    this.#conn.socket.end();
  }
  /** Nothing is told any more, and what waits is not sent. */
  letGo(): void {
    this.#isOver = true;
    this.#text = "";
  }
}

const latin1Of = (octets: Uint8Array): string =>
  (octets instanceof Buffer ? octets : Buffer.from(octets.buffer, octets.byteOffset, octets.length)).toString("latin1");
