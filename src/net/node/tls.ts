/**
 * TLS on an accepted socket of node:net, as its server.
 *
 * Owns:    the handshake and its time limit. After that the conn stands on the TLS socket, and reset still means the TCP one.
 * Rule:    names and protocols are what strangers send. What is called for them must not throw: Node lets that through to
 *          the process (CVE-2026-21637).
 * @module
 */
import { type SecureContext, TLSSocket } from "node:tls";
import type { TcpConn, TlsAgreement, TlsTerms } from "#net/driver.ts";
import type { NetConn } from "#net/node/conn.ts";
import { limited, type NetTimers } from "#net/node/timers.ts";

export function startTls(
  timers: NetTimers,
  client: TcpConn,
  { choose, alpn, timeoutMs }: TlsTerms,
  done: (agreement: TlsAgreement | undefined) => void,
): void {
  const conn = client as NetConn;
  const tcp = conn.beginTls();
  const socket = new TLSSocket(tcp, {
    isServer: true,
    secureContext: choose(undefined),
    ...(alpn.length > 0 ? { ALPNProtocols: [...alpn] } : {}),
    SNICallback(name: string, use: (error: Error | null, context?: SecureContext) => void) {
      try {
        use(null, choose(name));
      } catch {
        use(null, undefined); // the default goes on
      }
    },
  });
  let isOver = false;
  const limit = limited(() => finish(undefined));
  const finish = (agreement: TlsAgreement | undefined): void => {
    if (isOver) return;
    isOver = true;
    timers.cancel(limit);
    if (agreement === undefined) conn.reset();
    else conn.standOn(socket);
    done(agreement);
  };
  const fail = (): void => finish(undefined);
  socket.on("error", fail);
  socket.on("_tlsError", fail);
  socket.on("close", fail);
  socket.once("secure", () => {
    const { servername, alpnProtocol } = socket as TLSSocket & { servername?: string | false };
    finish({
      serverName: servername || undefined,
      alpn: typeof alpnProtocol === "string" ? alpnProtocol : undefined,
      version: socket.getProtocol() ?? "",
      cipher: socket.getCipher()?.standardName ?? "",
      peer: undefined,
    });
  });
  timers.arm(limit, timers.nowMs() + timeoutMs);
}
