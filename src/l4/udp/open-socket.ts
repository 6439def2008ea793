/**
 * Sockets of node:dgram as the UDP listener wants them: addresses are never looked up, errors never throw.
 * @module
 */
import { createSocket, type Socket } from "node:dgram";
import { isIPv6 } from "node:net";
import type { ListenAddress } from "#state/snapshot.ts";

/** Room for a burst while the worker is busy; the system may grant less. */
const RECEIVE_OCTETS = 4 * 1_048_576;
const CAN_SHARE_PORT = process.platform === "linux" || process.platform === "freebsd";

function socketFor(address: string, reusePort: boolean): Socket {
  const isV6 = isIPv6(address.replace(/%.*$/, ""));
  return createSocket({
    type: isV6 ? "udp6" : "udp4",
    ipv6Only: isV6,
    reusePort,
    // Without this each connect and send would take a detour through dns.lookup.
    lookup: (host, _options, callback) => callback(null, host, isIPv6(host.replace(/%.*$/, "")) ? 6 : 4),
  });
}

/**
 * A socket that clients send to.
 *
 * @param fd a bound socket, which belongs to the returned one from now on; undefined: binds `at`, with SO_REUSEPORT
 * @returns rejects with what the system says
 */
export async function openListening(fd: number | undefined, at: ListenAddress): Promise<Socket> {
  const socket = socketFor(at.address, fd === undefined && CAN_SHARE_PORT);
  await new Promise<void>((resolve, reject) => {
    socket.once("error", (error) => {
      socket.close();
      reject(error);
    });
    socket.bind(fd === undefined ? { address: at.address, port: at.port } : { fd }, () => {
      socket.removeAllListeners("error");
      resolve();
    });
  });
  try {
    socket.setRecvBufferSize(RECEIVE_OCTETS);
  } catch {
    // Not granted: the system's default serves as well, with less room for bursts.
  }
  return socket;
}

/** A socket that hears one peer alone. What goes wrong comes by `failed`, also later, and like `connected` never from inside. */
export function openConnected(
  to: ListenAddress,
  connected: () => void,
  failed: (error: NodeJS.ErrnoException) => void,
): Socket {
  const socket = socketFor(to.address, false);
  socket.on("error", (error) => process.nextTick(failed, error));
  connect(socket, to, (error) => (error ? failed(error) : connected()));
  return socket;
}

/** The callback comes later, with an error where there is one, though the types of Node do not say so. */
function connect(socket: Socket, to: ListenAddress, done: (error?: NodeJS.ErrnoException) => void): void {
  try {
    socket.connect(to.port, to.address, done as () => void);
  } catch (error) {
    process.nextTick(done, error);
  }
}

/**
 * A socket at `at`, beside the one that is there already, which hears this client alone.
 * @returns undefined: the system does not let us
 */
export async function openClient(at: ListenAddress, client: ListenAddress): Promise<Socket | undefined> {
  if (!CAN_SHARE_PORT) return undefined;
  const socket = socketFor(at.address, true);
  const isConnected = await new Promise<boolean>((resolve) => {
    socket.on("error", () => resolve(false));
    socket.bind(at, () =>
      socket.connect(client.port, client.address, ((error?: Error) => resolve(!error)) as () => void),
    );
  });
  if (isConnected) return socket;
  socket.close();
  return undefined;
}
