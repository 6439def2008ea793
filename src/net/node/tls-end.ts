/**
 * Whether the peer of a TLS socket said that it ends (close_notify), or its TCP connection just ended: then what came may
 * have been cut by anybody on the way (RFC 8446 §6.1).
 *
 * Node tells both as `end`. They differ in when: an end that was said is told out of the read that brought it, while the TCP
 * handle goes on reading; one that was not is told because that handle came to its end, and reads no more. So the handle is asked
 * to read in that moment: one that reads refuses.
 *
 * Never:   guesses "cut": where the fields of Node are not found, or nobody wanted octets, an end counts as said.
 * @module
 */
import type { TLSSocket } from "node:tls";

type TcpHandle = { readStart?(): number; readStop?(): number };
type TlsHandle = { readonly reading?: boolean; readonly _parent?: TcpHandle | null };

/** @param cut called before `end` is, where the end was not said */
export function watchTlsEnd(socket: TLSSocket, cut: () => void): void {
  const { push } = socket;
  socket.push = (chunk, encoding) => {
    if (chunk === null && hasStopped(socket)) cut();
    return push.call(socket, chunk, encoding);
  };
}

/** The TCP end comes only while somebody reads. */
function hasStopped(socket: TLSSocket): boolean {
  const { _handle: handle } = socket as unknown as { readonly _handle?: TlsHandle | null };
  const tcp = handle?._parent;
  if (handle?.reading !== true || tcp?.readStart === undefined || tcp.readStart() !== 0) return false;
  tcp.readStop?.();
  return true;
}
