/**
 * Octets from and to sockets, plain or under TLS: what the rest of the driver reads and writes by.
 *
 * Owns:    the sessions of OpenSSL of sockets whose handshake has begun; each ends with its socket.
 * Results: as of recv(2) and send(2), with the system's error number below 0. A read under TLS brings less than it may only
 *          where nothing more is there, as with a plain socket; what it met besides (an end, a fault) is said by the next,
 *          which `readsToEnd` asks for.
 * Ends:    an end without close_notify is an end. HTTP says by itself where a message ends; a plain stream cannot, and is
 *          handed on as the client left it.
 * @module
 */
import { constants } from "node:os";
import type { Address, EpollCalls } from "#net/epoll/load.ts";
import type { EpollSocket } from "#net/epoll/socket.ts";
import type { Sockets } from "#net/epoll/system.ts";
import {
  type OpensslCalls,
  SSL_ERROR_WANT_READ,
  SSL_ERROR_WANT_WRITE,
  SSL_ERROR_ZERO_RETURN,
  SSL_SENT_AND_RECEIVED_SHUTDOWN,
} from "#net/epoll/tls/openssl.ts";

export const MSG_NOSIGNAL = 0x4000;
const MSG_PEEK = 2;
/** What one record carries at most (RFC 8446 §5.1). A larger write would stop after the first, too. */
const RECORD_OCTETS = 16_384;
/** OpenSSL's buffer for reading holds more than this: where less came since it was empty, the kernel had no more. */
const FILL_OCTETS = 16_384;

const { EAGAIN, ECONNRESET } = constants.errno;

/** What is known of a socket under TLS. */
export class TlsSession {
  /** SSL, and the BIO of the socket. */
  readonly session: Address;
  readonly wire: Address;
  /** The handshake is over. */
  isUp = false;
  /** It broke: there is nothing more to be read, to be sent, or to be said. */
  isBroken = false;
  /** Octets that had come (modulo 2^32) when OpenSSL's buffer was last seen to be empty. */
  cameBefore = 0;

  constructor(session: Address, wire: Address) {
    this.session = session;
    this.wire = wire;
  }
}

export type Transport = {
  receive(socket: EpollSocket, at: Address, octets: number): number;
  send(socket: EpollSocket, at: Address, octets: number, flags: number): number;
  /** Whether the peer said something that was not read. @param scratch of one octet */
  hasUnread(socket: EpollSocket, scratch: Address): boolean;
  /** Our half ends, after all that was sent. */
  endWriting(socket: EpollSocket): void;
  close(socket: EpollSocket): void;
  reset(socket: EpollSocket): void;
  /** Sessions that are open. */
  held(): number;
  began(): void;
};

/** @param tls undefined: no socket is under TLS */
export function createTransport(
  calls: Pick<EpollCalls, "recv" | "send" | "errno">,
  sockets: Pick<Sockets, "endWriting" | "close" | "reset">,
  tls: OpensslCalls | undefined,
): Transport {
  const { recv, send, errno } = calls;
  let held = 0;

  /** What came of a read or a write that brought nothing. */
  function faultOf(under: TlsSession, result: number): number {
    switch (tls!.SSL_get_error(under.session, result)) {
      case SSL_ERROR_WANT_READ:
      case SSL_ERROR_WANT_WRITE:
        return -EAGAIN;
      case SSL_ERROR_ZERO_RETURN:
        return 0;
      default:
        under.isBroken = true;
        tls!.ERR_clear_error();
        return -ECONNRESET;
    }
  }
  /** What others left in this thread's queue of errors would be taken for ours. */
  function forgetErrors(): void {
    if (tls!.ERR_peek_error() !== 0) tls!.ERR_clear_error();
  }

  /** All that came was read, as far as that can be told without asking the kernel again. */
  function isDrained(under: TlsSession): boolean {
    if (tls!.SSL_has_pending(under.session) !== 0) return false;
    const came = tls!.BIO_number_read(under.wire);
    const octets = (came - under.cameBefore) >>> 0;
    under.cameBefore = came;
    return octets < FILL_OCTETS;
  }

  function receiveTls(socket: EpollSocket, under: TlsSession, at: Address, octets: number): number {
    if (under.isBroken) return -ECONNRESET;
    forgetErrors();
    let count = 0;
    while (count < octets) {
      const came = tls!.SSL_read(under.session, at + count, octets - count);
      if (came <= 0) {
        const fault = faultOf(under, came);
        if (count === 0) return fault;
        if (fault !== -EAGAIN) socket.readsToEnd = true;
        break;
      }
      count += came;
      if (isDrained(under)) break;
    }
    return count;
  }

  function sendTls(under: TlsSession, at: Address, octets: number): number {
    if (under.isBroken) return -ECONNRESET;
    forgetErrors();
    for (let count = 0; ; ) {
      const sent = tls!.SSL_write(under.session, at + count, Math.min(octets - count, RECORD_OCTETS));
      if (sent > 0) {
        count += sent;
        if (count === octets) return count;
        continue;
      }
      const fault = faultOf(under, sent);
      if (fault !== -EAGAIN) return fault === 0 ? -ECONNRESET : fault;
      return count > 0 ? count : fault;
    }
  }

  /** Says that nothing more comes (close_notify), as far as there is room for it. */
  function sayEnd(under: TlsSession): void {
    if (!under.isUp || under.isBroken) return;
    forgetErrors();
    if (tls!.SSL_shutdown(under.session) < 0) faultOf(under, -1);
  }
  function free(socket: EpollSocket): void {
    const under = socket.tls;
    if (under === undefined) return;
    socket.tls = undefined;
    held--;
    // A session that ended without a word would not be taken up again (RFC 2246 §7.2.1, which later versions lifted).
    if (under.isUp) tls!.SSL_set_shutdown(under.session, SSL_SENT_AND_RECEIVED_SHUTDOWN);
    tls!.SSL_free(under.session);
    forgetErrors();
  }

  return {
    receive(socket, at, octets) {
      if (socket.tls !== undefined) return receiveTls(socket, socket.tls, at, octets);
      const count = recv(socket.descriptor, at, octets, 0);
      return count >= 0 ? count : -errno();
    },
    send(socket, at, octets, flags) {
      if (socket.tls !== undefined) return sendTls(socket.tls, at, octets);
      const count = send(socket.descriptor, at, octets, flags | MSG_NOSIGNAL);
      return count >= 0 ? count : -errno();
    },
    hasUnread(socket, scratch) {
      if (socket.tls !== undefined && !socket.tls.isBroken && tls!.SSL_has_pending(socket.tls.session) !== 0)
        return true;
      return recv(socket.descriptor, scratch, 1, MSG_PEEK) > 0;
    },
    endWriting(socket) {
      if (socket.tls !== undefined) sayEnd(socket.tls);
      sockets.endWriting(socket.descriptor);
    },
    close(socket) {
      if (socket.tls !== undefined) sayEnd(socket.tls);
      free(socket);
      sockets.close(socket.descriptor, socket.isReadable);
    },
    reset(socket) {
      free(socket);
      sockets.reset(socket.descriptor);
    },
    held: () => held,
    began() {
      held++;
    },
  };
}
