/**
 * TCP driver on node:net: works everywhere, and is the one that can TLS. Where koffi is there, `epoll/` relays plain TCP
 * for less.
 *
 * Owns:    its sockets, and the timers of their limits.
 * @module
 */
import { fstatSync } from "node:fs";
import { createServer, isIP, connect as netConnect, type Socket } from "node:net";
import { type Clock, systemClock } from "#base/clock.ts";
import { connectFault } from "#net/connect-fault.ts";
import type { ConnectFault, DriverListener, TcpAddress, TcpConn, TcpDriver } from "#net/driver.ts";
import { NetConn } from "#net/node/conn.ts";
import { NetRelay } from "#net/node/relay.ts";
import { createNetTimers, limited } from "#net/node/timers.ts";
import { startTls, startTlsClient } from "#net/node/tls.ts";

/** Half-closed connections live on; nothing waits for an ACK (Nagle); a peer that is gone for good is found in minutes. */
const SOCKET_OPTIONS = { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 } as const;

export function createNetDriver(options: { readonly clock?: Clock } = {}): TcpDriver {
  const timers = createNetTimers(options.clock ?? systemClock);
  const sockets = new Set<Socket>();
  const listeners = new Set<DriverListener & { stop(): void }>();

  /** Keeps count of a socket until it is closed. */
  function hold(socket: Socket): void {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  }

  function listen(fd: number, backlog: number, accept: (conn: TcpConn) => void): DriverListener {
    fstatSync(fd); // throws EBADF, which the server would tell later
    let accepted = 0;
    const server = createServer({ ...SOCKET_OPTIONS, pauseOnConnect: true }, (socket) => {
      accepted++;
      hold(socket);
      const { remoteAddress, remotePort } = socket;
      const conn = new NetConn(socket, { address: remoteAddress ?? "", port: remotePort ?? 0 }, timers);
      if (remoteAddress === undefined)
        socket.destroy(); // gone before it was accepted
      else accept(conn);
    });
    server.on("error", () => {}); // one accept that failed, such as for want of file descriptors
    server.listen({ fd, backlog });
    if (!server.listening) throw Object.assign(new Error(`Cannot listen on descriptor ${fd}`), { code: "EINVAL" });
    let isClosing = false;
    const listener = {
      close(closed?: () => void) {
        if (isClosing) return;
        isClosing = true;
        closeWhenQuiet(closed);
      },
      stop() {
        isClosing = true;
        listeners.delete(listener);
        server.close();
      },
    };
    /** Closes after a turn of the event loop that accepted nothing; what is in the queue when a socket closes is lost. */
    function closeWhenQuiet(closed: (() => void) | undefined): void {
      const before = accepted;
      setImmediate(() => {
        setImmediate(() => {
          if (accepted > before && listeners.has(listener)) closeWhenQuiet(closed);
          else {
            listener.stop();
            closed?.();
          }
        });
      });
    }
    listeners.add(listener);
    return listener;
  }

  function connect(to: TcpAddress, timeoutMs: number, done: (result: TcpConn | ConnectFault) => void): () => void {
    let isOver = false;
    if (isIP(to.address) === 0) {
      process.nextTick(() => {
        if (!isOver) done("other");
      });
      return () => {
        isOver = true;
      };
    }
    const socket = netConnect({ ...SOCKET_OPTIONS, host: to.address, port: to.port, autoSelectFamily: false });
    hold(socket);
    socket.pause();
    const limit = limited(() => fail("timeout"));
    const fail = (fault: ConnectFault | undefined): void => {
      if (isOver) return;
      isOver = true;
      timers.cancel(limit);
      socket.destroy();
      if (fault !== undefined) done(fault);
    };
    const onError = (error: NodeJS.ErrnoException): void => fail(connectFault(error.code) ?? "other");
    socket.on("error", onError);
    socket.once("connect", () => {
      if (isOver) return;
      isOver = true;
      timers.cancel(limit);
      const conn = new NetConn(socket, to, timers);
      socket.off("error", onError);
      done(conn);
    });
    timers.arm(limit, timers.nowMs() + timeoutMs);
    return () => fail(undefined);
  }

  return {
    listen,
    connect,
    relay: (client, upstream, relayOptions, done, firstOctet) =>
      new NetRelay(client as NetConn, upstream as NetConn, relayOptions, timers, done, firstOctet),
    startTls: (client, terms, done) => startTls(timers, client, terms, done),
    startTlsClient: (upstream, terms, done) =>
      startTlsClient(timers, upstream, terms, (agreement, why) => done(agreement, why)),
    takeSocket: (conn) => (conn as NetConn).takeSocket(),
    open: () => sockets.size + listeners.size,
    close() {
      for (const listener of listeners) listener.stop();
      for (const socket of sockets) {
        // While a FIN is on its way out libuv refuses to reset, and Node would wait for the handle for ever.
        if (socket.connecting || (socket.writableEnded && !socket.writableFinished)) socket.destroy();
        else socket.resetAndDestroy();
      }
      timers.close();
    },
  };
}
