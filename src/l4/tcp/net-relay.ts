/**
 * Relay between two sockets of node:net: octets, ends and resets of one side go to the other.
 *
 * Owns:    both conns until both sides are done. What a side does not take waits in its socket, 64 KiB and one chunk at
 *          most; then the other side is paused until it has drained.
 * @module
 */
import type { Relay, RelayEnd, RelayOptions, RelayReason } from "#l4/tcp/driver.ts";
import type { ConnOwner, NetConn } from "#l4/tcp/net-conn.ts";
import type { TimerWheel, WheelEntry } from "#l4/tcp/timer-wheel.ts";

export class NetRelay implements Relay, ConnOwner, WheelEntry {
  dueTick = -1;
  readonly #client: NetConn;
  readonly #upstream: NetConn;
  readonly #options: RelayOptions;
  readonly #wheel: TimerWheel;
  readonly #done: (end: RelayEnd) => void;
  readonly #firstOctet: () => void;
  readonly #startMs: number;
  #lastMs: number;
  #isHalfClosed = false;
  #octetsToUpstream = 0;
  #octetsToClient = 0;
  #open = 2;
  #isOver = false;

  constructor(
    client: NetConn,
    upstream: NetConn,
    options: RelayOptions,
    wheel: TimerWheel,
    done: (end: RelayEnd) => void,
    firstOctet: () => void,
  ) {
    this.#client = client;
    this.#upstream = upstream;
    this.#options = options;
    this.#wheel = wheel;
    this.#done = done;
    this.#firstOctet = firstOctet;
    for (const conn of [client, upstream]) {
      conn.stopRead();
      conn.owner = this;
    }
    this.#startMs = wheel.readMs();
    this.#lastMs = this.#startMs;
    this.#wait();
    upstream.socket.cork(); // head and first octets leave as one
    if (options.head !== undefined) upstream.socket.write(options.head);
    this.#begin(client);
    upstream.socket.uncork();
    process.nextTick(() => this.#begin(upstream));
  }

  /** Hands on what came from a side before the relay, and what it will send. */
  #begin(from: NetConn): void {
    if (this.#isOver) return;
    const { held } = from;
    from.held = undefined;
    from.socket.resume();
    if (held !== undefined) this.onData(from, held);
    if (from.isBroken) process.nextTick(() => this.onFault(from));
    else if (from.isEnded) this.onEnd(from);
  }

  onData(from: NetConn, chunk: Buffer): void {
    this.#lastMs = this.#wheel.nowMs;
    let to: NetConn;
    if (from === this.#client) {
      to = this.#upstream;
      this.#octetsToUpstream += chunk.length;
    } else {
      to = this.#client;
      if (this.#octetsToClient === 0) this.#firstOctet();
      this.#octetsToClient += chunk.length;
    }
    if (!to.socket.write(chunk)) from.socket.pause();
  }

  onDrain(to: NetConn): void {
    this.#lastMs = this.#wheel.nowMs; // a slow reader that takes is no idle one
    this.#other(to).socket.resume();
  }

  onEnd(from: NetConn): void {
    this.#other(from).socket.end();
    this.#lastMs = this.#wheel.nowMs;
    if (this.#isHalfClosed) return;
    this.#isHalfClosed = true;
    this.#wait();
  }

  onFault(conn: NetConn): void {
    this.#finish(conn === this.#client ? "client-reset" : "upstream-reset");
  }

  onClose(): void {
    if (--this.#open === 0) this.#finish("closed");
  }

  stop(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#letGo();
    process.nextTick(() => this.#tell("stopped"));
  }

  /** Starts the wheel for the limit that comes first. */
  #wait(): void {
    const { lifetimeMs } = this.#options;
    const quietMs = this.#isHalfClosed ? this.#options.halfCloseMs : this.#options.idleMs;
    const now = this.#wheel.nowMs;
    const quietLeft = quietMs > 0 ? this.#lastMs + quietMs - now : Number.POSITIVE_INFINITY;
    const lifeLeft = lifetimeMs > 0 ? this.#startMs + lifetimeMs - now : Number.POSITIVE_INFINITY;
    const left = Math.min(quietLeft, lifeLeft);
    if (left === Number.POSITIVE_INFINITY) this.#wheel.stop(this);
    else this.#wheel.start(this, Math.max(0, left));
  }

  onDue(): void {
    const { lifetimeMs } = this.#options;
    const quietMs = this.#isHalfClosed ? this.#options.halfCloseMs : this.#options.idleMs;
    const now = this.#wheel.nowMs;
    if (lifetimeMs > 0 && now - this.#startMs >= lifetimeMs) this.#finish("lifetime");
    else if (quietMs > 0 && now - this.#lastMs >= quietMs) this.#finish("idle");
    else this.#wait();
  }

  #other(conn: NetConn): NetConn {
    return conn === this.#client ? this.#upstream : this.#client;
  }

  #letGo(): void {
    this.#wheel.stop(this);
    this.#client.reset();
    this.#upstream.reset();
  }

  #finish(reason: RelayReason): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (reason === "closed") this.#wheel.stop(this);
    else this.#letGo();
    this.#tell(reason);
  }

  #tell(reason: RelayReason): void {
    this.#done({ reason, octetsToUpstream: this.#octetsToUpstream, octetsToClient: this.#octetsToClient });
  }
}
