/**
 * A socket of node:net as the L4 engine sees it before it is relayed, and the events that it hands to its relay after that.
 *
 * Owns:    the socket and what came in and was not consumed. Handlers are attached once per socket, in the tick in which
 *          it was made: an `error` without a listener ends the process.
 * Reads:   only while somebody asked (`read`, relay). A paused stream holds 64 KiB at most.
 * @module
 */
import type { Socket } from "node:net";
import { WheelEntry } from "#base/wheel.ts";
import type { ReadEnd, StreamOwner, TcpAddress, TcpConn } from "#net/driver.ts";
import { NetStream } from "#net/node/stream.ts";
import type { Limited, NetTimers } from "#net/node/timers.ts";

/** What is left to send of a conn that was closed goes on as long as the peer takes some of it in such a time. */
const CLOSE_STALL_MS = 30_000;

/** What takes over the events of a socket. */
export type ConnOwner = {
  onData(from: NetConn, chunk: Buffer): void;
  onEnd(from: NetConn): void;
  onDrain(to: NetConn): void;
  onFault(conn: NetConn): void;
  onClose(conn: NetConn): void;
};

type Look = Parameters<TcpConn["read"]>[1];

export class NetConn extends WheelEntry implements TcpConn, Limited {
  /** Where plain octets come and go: the TCP socket, or the TLS one on top of it. */
  socket: Socket;
  readonly remote: TcpAddress;
  /** Came in and was not consumed. */
  held: Buffer | undefined;
  /** The peer ended its half, and all before that was seen. */
  isEnded = false;
  isBroken = false;
  isCut = false;
  owner: ConnOwner | undefined;

  readonly #tcp: Socket;
  /** Undefined during a TLS handshake. */
  #source: Socket | undefined;
  readonly #timers: NetTimers;
  #local: TcpAddress | undefined;
  #look: Look | undefined;
  #maxOctets = 0;
  #isLetGo = false;
  #stream: NetStream | undefined;
  /** Octets that waited when it was closed, or looked at last. */
  #untakenBefore = 0;

  /** @param socket paused */
  constructor(socket: Socket, remote: TcpAddress, timers: NetTimers) {
    super();
    this.#tcp = socket;
    this.#timers = timers;
    this.socket = socket;
    this.remote = remote;
    this.#attach(socket);
  }

  get descriptor(): number | undefined {
    return (this.#tcp as Socket & { readonly _handle?: { readonly fd?: number } | null })._handle?.fd;
  }

  /** Events of a socket count as long as the conn stands on it. */
  #attach(socket: Socket): void {
    this.#source = socket;
    socket.on("data", (chunk: Buffer) => {
      if (this.#source !== socket) return;
      if (this.owner !== undefined) this.owner.onData(this, chunk);
      else this.#hold(chunk);
    });
    socket.on("end", () => {
      if (this.#source !== socket) return;
      this.isEnded = true;
      if (this.owner !== undefined) this.owner.onEnd(this);
      else this.#endRead("ended");
    });
    for (const event of ["error", "_tlsError"]) // of records that are none, Node says the second alone
      socket.on(event, () => {
        if (this.#source === socket) this.#break();
      });
    socket.on("drain", () => {
      if (this.#source === socket) this.owner?.onDrain(this);
    });
    socket.on("close", () => {
      if (this.#source === socket) this.owner?.onClose(this);
    });
  }

  #break(): void {
    this.isBroken = true;
    if (this.socket !== this.#tcp) this.#tcp.destroy(); // what TLS does not take ends the connection under it
    if (this.owner !== undefined) this.owner.onFault(this);
    else this.#endRead("reset");
  }

  /** Lets go of the TCP socket's octets: what came and was not consumed is read from it again. */
  beginTls(): Socket {
    this.stopRead();
    this.#source = undefined;
    if (this.held !== undefined) this.socket.unshift(this.held);
    this.held = undefined;
    return this.socket;
  }
  /** From now on octets come and go through this socket, on top of the TCP one. */
  standOn(socket: Socket): void {
    this.socket = socket;
    socket.pause();
    this.#attach(socket);
  }

  get local(): TcpAddress {
    this.#local ??= { address: this.#tcp.localAddress ?? "", port: this.#tcp.localPort ?? 0 };
    return this.#local;
  }

  read(options: { readonly maxOctets: number; readonly timeoutMs: number }, look: Look): void {
    this.#look = look;
    this.#maxOctets = options.maxOctets;
    this.#timers.arm(this, this.#timers.nowMs() + options.timeoutMs);
    if (this.held !== undefined || this.isEnded || this.isBroken) process.nextTick(() => this.#showHeld(look));
    else this.socket.resume();
  }

  #hold(chunk: Buffer): void {
    this.held = this.held === undefined ? chunk : Buffer.concat([this.held, chunk]);
    if (this.#look !== undefined) this.#show(this.#look);
  }

  #showHeld(look: Look): void {
    if (this.#look !== look) return; // ended in the meantime
    if (this.held !== undefined) this.#show(look);
    if (this.#look !== look) return;
    if (this.isBroken) this.#endRead("reset");
    else if (this.isEnded) this.#endRead("ended");
    else this.socket.resume();
  }

  #show(look: Look): void {
    const held = this.held!;
    this.#look = undefined; // the look may end the conn, or begin another read
    const consumed = look(held.length > this.#maxOctets ? held.subarray(0, this.#maxOctets) : held, undefined);
    const isReplaced = this.#look !== undefined;
    if (consumed >= 0) {
      this.held = consumed < held.length ? held.subarray(consumed) : undefined;
      if (!isReplaced) this.stopRead();
    } else if (!isReplaced && !this.#isLetGo) {
      this.#look = look;
      if (held.length >= this.#maxOctets) this.#endRead("too-long");
    }
  }

  #endRead(why: ReadEnd): void {
    const look = this.#look;
    this.stopRead();
    look?.(undefined, why);
  }
  /** Ends a read that is under way, without a further look. */
  stopRead(): void {
    this.#look = undefined;
    if (this.bucket < 0) return; // there was none
    this.#timers.cancel(this);
    this.socket.pause();
  }
  onDue(): void {
    if (this.#isLetGo) this.#watchClose();
    else this.#endRead("timeout");
  }

  // ── a stream ───────────────────────────────────────────────────────────────────────────────────────────────────

  stream(owner: StreamOwner): void {
    if (this.#stream !== undefined) return void this.#stream.handTo(owner);
    this.stopRead();
    this.#stream = new NetStream(this, owner);
    this.owner = this.#stream;
  }
  pause(): void {
    this.#stream?.pause();
  }
  resume(): void {
    this.#stream?.resume();
  }
  write(octets: Uint8Array): boolean {
    return this.#stream?.write(octets) ?? true;
  }
  writeText(latin1: string): boolean {
    return this.#stream?.writeText(latin1) ?? true;
  }
  finish(): void {
    this.#stream?.finish();
  }
  unsent(): number {
    return this.#stream?.unsent() ?? this.socket.writableLength;
  }
  /** What was read and not consumed is read from the socket again, by who takes it. */
  takeSocket(): Socket {
    const { socket } = this;
    this.#isLetGo = true;
    this.stopRead();
    this.#source = undefined;
    if (this.held !== undefined && this.held.length > 0) socket.unshift(this.held);
    this.held = undefined;
    socket.removeAllListeners("data");
    return socket;
  }

  // ── ends ───────────────────────────────────────────────────────────────────────────────────────────────────────

  close(last?: Uint8Array): void {
    if (this.#isLetGo) return;
    this.#isLetGo = true;
    this.#stream?.sendLast();
    this.#stream?.letGo();
    this.stopRead();
    const { socket } = this;
    if (last !== undefined && socket.writable) socket.write(last);
    socket.destroySoon();
    if (socket.destroyed) return;
    if (this.#stream !== undefined) socket.resume(); // what is not read when it closes would make a RST of the FIN
    this.#untakenBefore = this.#untaken();
    this.#timers.arm(this, this.#timers.nowMs() + CLOSE_STALL_MS);
    socket.once("close", () => this.#timers.cancel(this));
  }
  /** Falls whenever the kernel takes something: Node's own count falls with the last octet of a write alone. */
  #untaken(): number {
    const { _handle } = this.#tcp as Socket & { readonly _handle?: { readonly writeQueueSize: number } | null };
    return this.socket.writableLength + (_handle?.writeQueueSize ?? 0);
  }
  #watchClose(): void {
    const untaken = this.#untaken();
    if (untaken >= this.#untakenBefore) return void this.reset();
    this.#untakenBefore = untaken;
    this.#timers.arm(this, this.#timers.nowMs() + CLOSE_STALL_MS);
  }

  reset(): void {
    this.#isLetGo = true;
    this.#stream?.letGo();
    this.stopRead();
    const { socket } = this;
    if (this.#tcp.destroyed) return;
    // While a FIN is on its way out libuv refuses to reset (UV_EINVAL), and Node would lose the handle: one turn later.
    if (socket.writableEnded && !socket.writableFinished && socket.writableLength === 0 && !socket.destroyed)
      socket.once("finish", () => this.reset());
    else this.#tcp.resetAndDestroy();
  }
}
