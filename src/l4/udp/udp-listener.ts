/**
 * The UDP listener: datagrams of clients, each client (address and port) a session at one backend.
 *
 * Owns:    the sockets that clients send to, who may have a session, the bound on their number, idle time, draining.
 * Never:   sends anything to anybody but what the backend of his session says, to who asked.
 * Bounds:  `maxSessions` over all workers: the worker that is one too many ends the session that it used least recently,
 *          and only where it has none it goes beyond, so the bound may be passed by one for each worker.
 * Rules:   an idle time that changes holds for all sessions; limits, the pool and `responses` of a session stay.
 *          A listener at a wildcard address replies from the address that the system's routes give.
 * Units:   steady ms.
 * @module
 */
import type { RemoteInfo, Socket } from "node:dgram";
import { setImmediate as nextTurn } from "node:timers/promises";
import { openClient, openListening } from "#l4/udp/open-socket.ts";
import { SessionTable } from "#l4/udp/session-table.ts";
import { type SessionHost, UdpSession } from "#l4/udp/udp-session.ts";
import type { Listener, ListenerContext } from "#net/listener.ts";
import { type AccessList, createAccessList } from "#pool/access-list.ts";
import { clientKey } from "#pool/client-key.ts";
import type { Admission } from "#pool/client-limits.ts";
import type { ListenerLimits, ListenerSpec } from "#state/balancer.ts";
import { LISTENER_COUNTER, type ListenerCounter } from "#state/counters.ts";
import type { ListenAddress } from "#state/snapshot.ts";

const REFUSALS: Readonly<Record<Exclude<Admission, "admitted">, ListenerCounter>> = {
  "listener-full": "refused_limit",
  "listener-rate": "refused_limit",
  "client-full": "refused_client_limit",
  "client-rate": "refused_client_limit",
};
/** Sessions that get a socket of their own while the listener drains; it costs a descriptor each. */
const MAX_OWN_SOCKETS = 4_096;
/** Turns of the event loop that reading the rest of a socket's queue may take; a flood must not keep it open. */
const DRAIN_TURNS = 64;
const WARN_EVERY_MS = 60_000;

export function createUdpListener(options: { spec: ListenerSpec; context: ListenerContext }): Listener {
  const { context } = options;
  const { slots } = context;
  const sockets = new Map<Socket, ListenAddress>();
  const own = new Map<UdpSession, Socket>();
  const table = new SessionTable<UdpSession>();
  let spec = options.spec;
  let isAllowed: AccessList = createAccessList(spec.access);
  let isDraining = false;
  let received = 0;
  let warnedMs = Number.NEGATIVE_INFINITY;
  let allEnded: (() => void) | undefined;

  const count = (counter: ListenerCounter, change = 1): void => {
    slots[LISTENER_COUNTER[counter]]! += change;
  };
  const nowMs = (): number => context.clock.monotonicMs();

  const host: SessionHost = {
    context,
    heldOctets: 0,
    unproven: new Set(),
    used(session, now) {
      session.lastMs = now;
      table.touch(session);
    },
    exhausted(session, code) {
      if (nowMs() - warnedMs >= WARN_EVERY_MS) {
        warnedMs = nowMs();
        const says = "Cannot open a socket for a UDP session; the least recently used one ends";
        context.log.warn({ listener: spec.name, code, sessions: table.size }, says);
      }
      if (table.oldest !== session) table.oldest?.end("sessions_evicted");
    },
    ended(session) {
      table.remove(session);
      context.limits.release(context.listener, session.limits, session.address);
      count("active", -1);
      own.get(session)?.close();
      own.delete(session);
      if (table.size === 0) allEnded?.();
    },
  };

  function hear(socket: Socket, datagram: Buffer, from: RemoteInfo): void {
    received++;
    count("datagrams_from_clients");
    count("octets_from_clients", datagram.length);
    const now = nowMs();
    const key = `${from.address} ${from.port}`;
    let session = table.get(key);
    if (session && spec.timeouts.lifetimeMs > 0 && now - session.startedMs >= spec.timeouts.lifetimeMs) {
      session.end("lifetime_ended");
      session = undefined;
    }
    if (session) {
      host.used(session, now);
      if (!session.isOwnSocket) session.socket = socket;
      session.send(datagram);
      return;
    }
    session = begin(key, socket, from, now);
    if (session) {
      session.send(datagram); // waits for the place
      session.start();
    } else count("datagrams_dropped");
  }

  /** @returns undefined: this client may have no session */
  function begin(key: string, socket: Socket, from: RemoteInfo, now: number): UdpSession | undefined {
    // Nobody can hear an answer that is sent to port 0.
    if (isDraining || from.port === 0) return undefined;
    const { address, port } = from;
    if (!isAllowed(address)) return refuse("refused_access");
    if (spec.pool === undefined) return refuse("refused_route");
    const { limits } = spec;
    const admission = admit(limits, address, now);
    if (admission !== "admitted") return refuse(REFUSALS[admission]);
    count("accepted");
    count("active");
    const places = context.places(spec.pool);
    const hash = clientKey(address, places.spec.hashBits);
    const { responses } = spec.udp;
    const session = new UdpSession(host, { key, address, port, socket, places, hash, limits, responses, nowMs: now });
    table.add(session);
    return session;
  }
  function refuse(counter: ListenerCounter): undefined {
    count(counter);
    return undefined;
  }
  function admit(limits: ListenerLimits, address: string, now: number): Admission {
    const { maxSessions } = spec.udp;
    if (maxSessions >= limits.maxConnections) return context.limits.admit(context.listener, limits, address, now);
    const bounded = { ...limits, maxConnections: maxSessions };
    const admission = context.limits.admit(context.listener, bounded, address, now);
    if (admission !== "listener-full") return admission;
    table.oldest?.end("sessions_evicted");
    return context.limits.admit(context.listener, limits, address, now);
  }

  function endAll(): void {
    for (const session of [...table.values()]) session.end("stopped");
  }
  /** What has come so far, while everybody is still served. */
  async function readRest(): Promise<void> {
    for (let turn = 0, idle = 0, before = received; turn < DRAIN_TURNS && idle < 2; turn++) {
      await nextTurn();
      idle = received === before ? idle + 1 : 0;
      before = received;
    }
  }
  function closeSockets(): void {
    for (const socket of sockets.keys()) socket.close();
    sockets.clear();
  }
  /**
   * Gives each session a socket that is connected to its client. The kernel prefers it for this client's datagrams, so
   * the socket for all can be closed, and new clients reach who listens there next.
   * @returns false: that could not be done for all
   */
  async function giveOwnSockets(): Promise<boolean> {
    const sessions = [...table.values()].filter((session) => !session.isOwnSocket);
    for (const session of sessions.splice(Math.max(0, MAX_OWN_SOCKETS - own.size))) session.end("stopped");
    const made = sessions.map(async (session) => {
      const at = sockets.get(session.socket);
      const socket = at && (await openClient(at, session));
      if (!socket) return false;
      if (session.isOver) {
        socket.close();
        return true;
      }
      own.set(session, socket);
      session.socket = socket;
      session.isOwnSocket = true;
      // Between its binding and its connecting it was open to everybody.
      socket.on("message", (datagram, from) => {
        if (from.port === session.port && from.address === session.address) hear(socket, datagram, from);
      });
      return true;
    });
    return (await Promise.all(made)).every(Boolean);
  }

  return {
    connections: () => table.size,
    apply(next) {
      if (JSON.stringify(next.access) !== JSON.stringify(spec.access)) isAllowed = createAccessList(next.access);
      spec = next;
    },
    async open(fd, at) {
      const socket = await openListening(fd, at);
      const { address, port } = socket.address();
      sockets.set(socket, { address, port });
      socket.on("message", (datagram, from) => hear(socket, datagram, from));
      // What the network says of a reply concerns one client, and he will ask again.
      socket.on("error", () => count("datagrams_dropped"));
      return port;
    },
    stopBackend(row) {
      // Who waits may get a place there while these end: only those that have it now are meant.
      for (const session of [...table.values()].filter((each) => each.row === row)) session.end("stopped");
    },
    async drain(drainMs) {
      const timer = context.clock.after(drainMs, endAll);
      if (drainMs > 0) {
        const isFirstDone = await giveOwnSockets();
        await readRest();
        isDraining = true;
        // Once more, for who came meanwhile.
        if ((await giveOwnSockets()) && isFirstDone) closeSockets();
      }
      isDraining = true;
      if (drainMs <= 0) endAll();
      if (table.size > 0) {
        await new Promise<void>((resolve) => {
          allEnded = resolve;
        });
      }
      timer.cancel();
      closeSockets();
    },
    tick(now) {
      for (const session of host.unproven) if (!session.settle(now)) host.unproven.delete(session);
      const { idleMs } = spec.udp;
      if (idleMs === 0) return;
      for (let oldest = table.oldest; oldest && now - oldest.lastMs >= idleMs; oldest = table.oldest)
        oldest.end("idle_timeout");
    },
  };
}
