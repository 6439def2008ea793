/**
 * One UDP session: a client's address and port, a place at a backend, and a socket of its own that is connected to it.
 *
 * Owns:    the way of datagrams to the backend and of its replies back; waiting for a place; the second try. Because the
 *          socket is connected, the kernel hands it the backend's datagrams alone, and its ICMP errors.
 * Rules:   what waits for a place or a socket is bounded in number and octets, and the oldest goes first. The last datagram
 *          that nobody has answered is held for a moment: if the backend turns out to be gone, the next one gets it, once.
 *          UDP has no handshake, so a place counts as connected with the first reply, or when the moment is over without
 *          an error: protocols that never reply are none the worse for it.
 * Units:   steady ms.
 * @module
 */
import type { Socket } from "node:dgram";
import { openConnected } from "#l4/udp/open-socket.ts";
import type { Listed } from "#l4/udp/session-table.ts";
import { connectFault } from "#net/connect-fault.ts";
import type { ListenerContext } from "#net/listener.ts";
import { NO_PLACE, type PlaceRequest, type Places } from "#pool/place.ts";
import { BACKEND_COUNTER, type BackendCounter, backendCounter } from "#state/backend-table.ts";
import type { ListenerLimits } from "#state/balancer.ts";
import { LISTENER_COUNTER, type ListenerCounter } from "#state/counters.ts";

/** So long an ICMP error may take to come back. */
export const HOLD_MS = 250;
const MAX_WAITING_DATAGRAMS = 16;
/** What all sessions of a listener in a worker may hold. */
export const MAX_HELD_OCTETS = 8 * 1_048_576;
/** What the kernel does not take at once is queued by the socket, up to this. */
const MAX_UNSENT_OCTETS = 4 * 1_048_576;

/** What sessions of a listener share. */
export type SessionHost = {
  readonly context: ListenerContext;
  /** Octets that wait or are held. */
  heldOctets: number;
  /** Sessions whose last datagram is held, or whose place is not known to work. */
  readonly unproven: Set<UdpSession>;
  /** A datagram came from the backend. */
  used(session: UdpSession, nowMs: number): void;
  /** There is no descriptor or port left for the session's socket. The session ends by itself. */
  exhausted(session: UdpSession, code: string): void;
  /** The session is over: its place, its sockets and its limits are given back. */
  ended(session: UdpSession): void;
};
export type SessionEnd = Extract<
  ListenerCounter,
  | "closed"
  | "idle_timeout"
  | "lifetime_ended"
  | "stopped"
  | "sessions_evicted"
  | "no_backend"
  | "queue_full"
  | "queue_timeout"
  | "retry_budget"
  | "connect_failed"
  | "upstream_reset"
>;

const REFUSALS: Readonly<Record<number, SessionEnd>> = {
  [NO_PLACE.none]: "no_backend",
  [NO_PLACE.full]: "queue_full",
  [NO_PLACE.queueFull]: "queue_full",
  [NO_PLACE.queueTimeout]: "queue_timeout",
  [NO_PLACE.budget]: "retry_budget",
};
const EXHAUSTED: ReadonlySet<string> = new Set(["EMFILE", "ENFILE", "EADDRINUSE"]);
/** One datagram is too much, the session is not: the size of the path, a full queue. */
const OF_ONE_DATAGRAM: ReadonlySet<string> = new Set(["EMSGSIZE", "ENOBUFS", "EAGAIN", "ENOMEM"]);

export type UdpSessionOptions = {
  readonly key: string;
  readonly address: string;
  readonly port: number;
  /** Where the client's datagrams come in: replies leave from there. */
  readonly socket: Socket;
  readonly places: Places;
  readonly hash: number;
  /** Those that `admit` was given. */
  readonly limits: ListenerLimits;
  /** The session ends after so many datagrams from the backend; 0: by time alone. */
  readonly responses: number;
  readonly nowMs: number;
};

export class UdpSession implements Listed<UdpSession> {
  readonly key: string;
  readonly address: string;
  readonly port: number;
  readonly limits: ListenerLimits;
  readonly startedMs: number;
  newer: UdpSession | undefined;
  older: UdpSession | undefined;
  lastMs: number;
  /** Where replies leave; replaced where the client's datagrams come in by another socket from now on. */
  socket: Socket;
  /** Whether `socket` is connected to the client. */
  isOwnSocket = false;
  /** -1: no place yet. */
  row = -1;
  isOver = false;

  readonly #host: SessionHost;
  readonly #places: Places;
  readonly #hash: number;
  readonly #responses: number;
  #tried: readonly number[] = [];
  #stopWaiting: (() => void) | undefined;
  #upstream: Socket | undefined;
  #isOpen = false;
  #isProven = false;
  #waiting: Buffer[] = [];
  #held: Buffer | undefined;
  #sentMs = 0;
  #responded = 0;

  constructor(host: SessionHost, options: UdpSessionOptions) {
    this.#host = host;
    this.key = options.key;
    this.address = options.address;
    this.port = options.port;
    this.socket = options.socket;
    this.limits = options.limits;
    this.startedMs = options.nowMs;
    this.lastMs = options.nowMs;
    this.#places = options.places;
    this.#hash = options.hash;
    this.#responses = options.responses;
  }

  /** Looks for a place. The session may be over when this returns. */
  start(): void {
    const request = this.#request();
    const isLookedUp = this.#places.remember(request, () => {
      if (!this.isOver) this.#place();
    });
    if (!isLookedUp) this.#place();
  }

  /** A datagram of the client. */
  send(datagram: Buffer): void {
    if (this.#isOpen) this.#forward(datagram);
    else this.#wait(datagram);
  }

  /** Called from time to time while it is in `unproven`. @returns whether it stays there */
  settle(nowMs: number): boolean {
    if (!this.#isOpen || nowMs - this.#sentMs < HOLD_MS) return true;
    this.#letGo();
    this.#prove(HOLD_MS * 1_000, nowMs);
    return false;
  }

  end(why: SessionEnd): void {
    if (this.isOver) return;
    this.isOver = true;
    this.#count(why, 1);
    this.#stopWaiting?.();
    this.#leave();
    this.#letGo();
    this.#count("datagrams_dropped", this.#waiting.length);
    for (const datagram of this.#waiting) this.#host.heldOctets -= datagram.length;
    this.#waiting = [];
    this.#host.unproven.delete(this);
    this.#host.ended(this);
  }

  // ── a place ────────────────────────────────────────────────────────────────────────────────────────────────────

  #request(): PlaceRequest {
    return { client: this.address, key: this.#hash, tried: this.#tried };
  }
  #place(): void {
    const request = this.#request();
    const nowMs = this.#nowMs();
    const row = this.#places.take(request, nowMs);
    if (row === NO_PLACE.full)
      this.#stopWaiting = this.#places.wait(request, nowMs, (found) => {
        this.#stopWaiting = undefined;
        this.#placed(found);
      });
    else this.#placed(row);
  }
  #placed(row: number): void {
    if (row >= 0) this.row = row;
    const backend = row >= 0 ? this.#places.backend(row) : undefined;
    if (!backend) {
      this.end(REFUSALS[row] ?? "no_backend");
      return;
    }
    const socket: Socket = openConnected(
      backend,
      () => {
        if (this.#upstream === socket) this.#opened();
      },
      (error) => {
        if (this.#upstream === socket) this.#failed(error);
      },
    );
    this.#upstream = socket;
    socket.on("message", (datagram: Buffer) => {
      if (this.#upstream === socket) this.#answered(datagram);
    });
  }
  #opened(): void {
    this.#isOpen = true;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const datagram of waiting) {
      this.#host.heldOctets -= datagram.length;
      if (this.#isOpen) this.#forward(datagram);
      else this.#wait(datagram);
    }
  }
  /** Gives the place back. */
  #leave(): void {
    const upstream = this.#upstream;
    this.#upstream = undefined;
    this.#isOpen = false;
    upstream?.close();
    if (this.row >= 0) this.#places.release(this.row, this.#nowMs());
    this.row = -1;
  }

  #failed(error: NodeJS.ErrnoException): void {
    if (OF_ONE_DATAGRAM.has(error.code ?? "")) {
      this.#count("datagrams_dropped", 1);
      return;
    }
    const { row } = this;
    const fault = connectFault(error.code);
    const wasProven = this.#isProven;
    this.#isProven = false;
    if (fault) this.#places.failed(row, fault, this.#nowMs());
    else if (EXHAUSTED.has(error.code ?? "")) this.#host.exhausted(this, error.code!);
    const again = this.#held;
    this.#letGo();
    if (again !== undefined) this.#wait(again);
    const isSecondTry = this.#tried.length > 0;
    if (!fault || isSecondTry || this.#waiting.length === 0) {
      this.end(wasProven ? "upstream_reset" : "connect_failed");
      return;
    }
    this.#leave();
    this.#tried = [row];
    this.#count("retries", 1);
    this.#place();
  }
  /** The backend is there. */
  #prove(micros: number, nowMs: number): void {
    if (this.#isProven) return;
    this.#isProven = true;
    this.#tried = [];
    this.#places.connected(this.row, micros, nowMs);
  }

  // ── datagrams ──────────────────────────────────────────────────────────────────────────────────────────────────

  /** Keeps a datagram until there is a socket to send it by. */
  #wait(datagram: Buffer): void {
    if (this.#waiting.length === MAX_WAITING_DATAGRAMS) {
      this.#host.heldOctets -= this.#waiting.shift()!.length;
      this.#count("datagrams_dropped", 1);
    }
    if (this.#host.heldOctets + datagram.length > MAX_HELD_OCTETS) {
      this.#count("datagrams_dropped", 1);
      return;
    }
    this.#host.heldOctets += datagram.length;
    this.#waiting.push(datagram);
  }
  #forward(datagram: Buffer): void {
    const upstream = this.#upstream!;
    if (upstream.getSendQueueSize() > MAX_UNSENT_OCTETS) {
      this.#count("datagrams_dropped", 1);
      return;
    }
    this.#hold(datagram);
    this.#countBackend("datagrams_to_backend", 1);
    this.#countBackend("octets_to_backend", datagram.length);
    upstream.send(datagram, (error) => {
      if (error && this.#upstream === upstream) this.#failed(error);
    });
  }
  #answered(datagram: Buffer): void {
    const nowMs = this.#nowMs();
    this.#host.used(this, nowMs);
    this.#countBackend("datagrams_from_backend", 1);
    this.#countBackend("octets_from_backend", datagram.length);
    this.#prove((nowMs - this.#sentMs) * 1_000, nowMs);
    this.#letGo();
    this.#reply(datagram);
    this.#responded++;
    if (this.#responded === this.#responses) this.end("closed");
  }

  #reply(datagram: Buffer): void {
    if (this.socket.getSendQueueSize() > MAX_UNSENT_OCTETS) {
      this.#count("datagrams_dropped", 1);
      return;
    }
    this.#count("datagrams_to_clients", 1);
    this.#count("octets_to_clients", datagram.length);
    const sent = (error: Error | null): void => {
      if (error) this.#count("datagrams_dropped", 1);
    };
    if (this.isOwnSocket) this.socket.send(datagram, sent);
    else this.socket.send(datagram, this.port, this.address, sent);
  }

  #hold(datagram: Buffer): void {
    this.#letGo();
    this.#sentMs = this.#nowMs();
    this.#host.unproven.add(this);
    if (this.#host.heldOctets + datagram.length > MAX_HELD_OCTETS) return;
    this.#held = datagram;
    this.#host.heldOctets += datagram.length;
  }
  #letGo(): void {
    if (this.#held === undefined) return;
    this.#host.heldOctets -= this.#held.length;
    this.#held = undefined;
  }

  #nowMs(): number {
    return this.#host.context.clock.monotonicMs();
  }
  #count(counter: ListenerCounter, change: number): void {
    this.#host.context.slots[LISTENER_COUNTER[counter]]! += change;
  }
  #countBackend(counter: BackendCounter, change: number): void {
    this.#host.context.backendCounters[backendCounter(this.row, BACKEND_COUNTER[counter])]! += change;
  }
}
