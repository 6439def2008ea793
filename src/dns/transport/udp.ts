/**
 * What every UDP transport is: a socket that answers, as its worker and its guard see it.
 * @module
 */
import type { NativeSocket } from "#dns/transport/native-socket.ts";
import type { Client } from "#state/respond.ts";

/** Payload ceiling of any UDP answer (`dns/respond.ts`), rounded up to whole cache lines. */
export const RESPONSE_SLOT_OCTETS = 1_280;

/**
 * Asked of the kernel, which grants at most `net.core.rmem_max` and `wmem_max` to a process without CAP_NET_ADMIN. A
 * burst of 4 MiB is some 5,000 queries (the kernel charges about 800 octets for a small datagram): longer than a garbage
 * collection, shorter than the time after which a resolver has given up.
 */
export const SOCKET_BUFFER_OCTETS = 4_194_304;

/** Told of each datagram that was read and answered; `responseLength` 0: there was no answer. */
export type Observe = (
  client: Client,
  request: Uint8Array,
  length: number,
  response: Uint8Array,
  responseLength: number,
) => void;

export type UdpTransport = {
  readonly port: number;
  /** Undefined where the socket is an ordinary one. */
  readonly native: NativeSocket | undefined;
  /**
   * Answers what the kernel has queued, then closes; resolves when the socket is closed. Replies that wait for the
   * kernel are lost.
   */
  close(): Promise<void>;
};

/** Whether several sockets may share an address and have clients spread over them; elsewhere there is one worker. */
export const CAN_SHARE_PORT = !["darwin", "win32"].includes(process.platform);
