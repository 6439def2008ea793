/**
 * Listening TCP sockets: bound by the main thread, one per worker with SO_REUSEPORT, served by workers, and handed from
 * a process to the one that follows it.
 *
 * Owns:    which file descriptor belongs to which address. A socket that is handed over is never closed in between, so no
 *          connection in its accept queue is lost (closing one of a SO_REUSEPORT group resets what waits there).
 * Never:   accepts.
 * @module
 */
import { closeSync, readlinkSync } from "node:fs";
import { BoundSocket } from "node:net";
import { findPortOwner } from "#app/port-owner.ts";
import { RhumbError } from "#base/errors.ts";
import { endpointText } from "#base/ip.ts";
import type { ListenAddress } from "#state/snapshot.ts";

/** What one process gives to the next: numbers of open file descriptors by address. */
export type InheritedSockets = Readonly<Record<string, readonly number[]>>;

export type BoundFd = {
  readonly fd: number;
  /** With the real port where 0 was asked for. */
  readonly at: ListenAddress;
};

export type SocketBank = {
  /**
   * @returns `count` sockets bound to `listen`, or more where the process before had more; those of a thread that died
   *   and that still are ours come first
   * @throws RhumbError RHUMB_BALANCER_LISTEN
   */
  take(listen: ListenAddress, count: number): BoundFd[];
  /** The worker that had them has closed them, or is about to. */
  forget(fds: readonly number[]): void;
  /** Closes those that nobody took over. */
  drop(fds: readonly number[]): void;
  /** Closes what was inherited and nobody asked for. */
  dropInherited(): void;
  /** All that are open, for the process that follows. */
  list(): InheritedSockets;
  /** The thread that served it is gone: whether the descriptor still is our socket (one of node:net went with its thread). */
  survives(fd: number): boolean;
};

export const formatListen = ({ address, port }: ListenAddress): string => endpointText(address, port);

const identityOf = (fd: number): string | undefined => {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return undefined;
  }
};

function listenError(listen: ListenAddress, error: NodeJS.ErrnoException): RhumbError {
  const where = formatListen(listen);
  const owner = error.code === "EADDRINUSE" ? findPortOwner("tcp", listen.port, listen.address) : undefined;
  const held = owner ? `process ${owner.pid} (${owner.name}) holds the port` : error.message;
  return new RhumbError("RHUMB_BALANCER_LISTEN", `${where}: ${held}`, { cause: error });
}

export function createSocketBank(inherited: InheritedSockets = {}): SocketBank {
  const open = new Map<number, { readonly key: string; readonly identity: string | undefined }>();
  const waiting = new Map(Object.entries(inherited).map(([key, fds]) => [key, [...fds]]));
  /** Handles are kept: their descriptors belong to workers, and must not be closed when a handle is collected. */
  const handles: BoundSocket[] = [];

  const bind = (listen: ListenAddress): BoundFd => {
    try {
      const socket = new BoundSocket({ host: listen.address, port: listen.port, reusePort: true });
      handles.push(socket);
      const { port } = socket.address() as { port: number };
      return { fd: socket.fd(), at: { address: listen.address, port } };
    } catch (error) {
      throw listenError(listen, error as NodeJS.ErrnoException);
    }
  };
  const note = ({ fd, at }: BoundFd): void => {
    open.set(fd, { key: formatListen(at), identity: identityOf(fd) });
  };
  /** With SO_REUSEPORT a stranger's socket would silently share the port with ours. */
  const refuseShared = (listen: ListenAddress): void => {
    const isOurs = [...open.values()].some(({ key }) => key === formatListen(listen));
    if (listen.port === 0 || isOurs) return;
    const owner = findPortOwner("tcp", listen.port, listen.address);
    if (owner && owner.pid !== process.pid)
      throw new RhumbError(
        "RHUMB_BALANCER_LISTEN",
        `${formatListen(listen)}: process ${owner.pid} (${owner.name}) holds the port`,
      );
  };
  const close = (fd: number): void => {
    open.delete(fd);
    try {
      closeSync(fd);
    } catch {
      // It was closed by the thread that had it.
    }
  };

  return {
    take(listen, count) {
      const before = waiting.get(formatListen(listen)) ?? [];
      waiting.delete(formatListen(listen));
      const taken = before.map((fd): BoundFd => ({ fd, at: listen }));
      if (taken.length === 0) refuseShared(listen);
      try {
        for (const one of taken) note(one);
        while (taken.length < count) {
          const one = bind(taken[0]?.at ?? listen);
          note(one);
          taken.push(one);
        }
      } catch (error) {
        for (const { fd } of taken) close(fd);
        throw error;
      }
      return taken;
    },
    forget(fds) {
      for (const fd of fds) open.delete(fd);
    },
    drop(fds) {
      for (const fd of fds) close(fd);
    },
    dropInherited() {
      for (const fds of waiting.values()) for (const fd of fds) close(fd);
      waiting.clear();
    },
    list() {
      const all: Record<string, number[]> = {};
      for (const [fd, { key }] of open) all[key] = [...(all[key] ?? []), fd];
      return all;
    },
    survives: (fd) => {
      const known = open.get(fd)?.identity;
      return known !== undefined && identityOf(fd) === known;
    },
  };
}
