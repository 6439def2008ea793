/**
 * Relay between two sockets of node:net: octets, ends and resets of one side go to the other.
 *
 * Owns:    both conns until both sides are done. What a side does not take waits in its socket, 64 KiB and one chunk at
 *          most; then the other side is paused until it has drained.
 * @module
 */
import { WheelEntry } from "#base/wheel.ts";
import type { Relay, RelayEnd, RelayOptions, RelayReason } from "#net/driver.ts";
import type { ConnOwner, NetConn } from "#net/node/conn.ts";
import type { Limited, NetTimers } from "#net/node/timers.ts";

export class NetRelay extends WheelEntry implements Relay, ConnOwner, Limited {
  readonly #client: NetConn;
  readonly #upstream: NetConn;
  readonly #options: RelayOptions;
  readonly #timers: NetTimers;
  readonly #done: (end: RelayEnd) => void;
  readonly #firstOctet: () => void;
  /** Steady ms; Infinity: never. */
  readonly #endsAtMs: number;
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
    timers: NetTimers,
    done: (end: RelayEnd) => void,
    firstOctet: () => void,
  ) {
    super();
    this.#client = client;
    this.#upstream = upstream;
    this.#options = options;
    this.#timers = timers;
    this.#done = done;
    this.#firstOctet = firstOctet;
    for (const conn of [client, upstream]) {
      conn.stopRead();
      conn.owner = this;
    }
    this.#lastMs = timers.nowMs();
    this.#endsAtMs = options.lifetimeMs > 0 ? this.#lastMs + options.lifetimeMs : Number.POSITIVE_INFINITY;
    this.#armLimits();
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
    this.#lastMs = this.#timers.nowMs();
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
    this.#lastMs = this.#timers.nowMs(); // a slow reader that takes is no idle one
    this.#other(to).socket.resume();
  }

  onEnd(from: NetConn): void {
    this.#other(from).socket.end();
    this.#lastMs = this.#timers.nowMs();
    if (this.#isHalfClosed) return;
    this.#isHalfClosed = true;
    this.#armLimits();
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

  /** Of the limit that comes first. */
  #dueMs(): number {
    const quietMs = this.#isHalfClosed ? this.#options.halfCloseMs : this.#options.idleMs;
    return Math.min(this.#endsAtMs, quietMs > 0 ? this.#lastMs + quietMs : Number.POSITIVE_INFINITY);
  }
  /** Octets that move later postpone the end without a word to the wheel: it looks again when it comes. */
  #armLimits(): void {
    const dueMs = this.#dueMs();
    if (dueMs === Number.POSITIVE_INFINITY) this.#timers.cancel(this);
    else this.#timers.arm(this, dueMs);
  }
  onDue(): void {
    const nowMs = this.#timers.nowMs();
    if (this.#dueMs() > nowMs) this.#armLimits();
    else this.#finish(nowMs >= this.#endsAtMs ? "lifetime" : "idle");
  }

  #other(conn: NetConn): NetConn {
    return conn === this.#client ? this.#upstream : this.#client;
  }

  #letGo(): void {
    this.#timers.cancel(this);
    this.#client.reset();
    this.#upstream.reset();
  }

  #finish(reason: RelayReason): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (reason === "closed") this.#timers.cancel(this);
    else this.#letGo();
    this.#tell(reason);
  }

  #tell(reason: RelayReason): void {
    this.#done({ reason, octetsToUpstream: this.#octetsToUpstream, octetsToClient: this.#octetsToClient });
  }
}
