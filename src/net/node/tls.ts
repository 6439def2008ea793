/**
 * TLS on a socket of node:net, as the server of who came and as the client of who was connected to.
 *
 * Owns:    the handshake and its time limit. After that the conn stands on the TLS socket, and reset still means the TCP one.
 * Rule:    names, protocols and certificates are what strangers send. What is called for them must not throw: Node lets that
 *          through to the process (CVE-2026-21637).
 * @module
 */
import { isIP } from "node:net";
import { type SecureContext, TLSSocket, connect as tlsConnect } from "node:tls";
import type { TcpConn, TlsAgreement, TlsPeer, TlsTerms, TlsUpstreamTerms } from "#net/driver.ts";
import type { NetConn } from "#net/node/conn.ts";
import { limited, type NetTimers } from "#net/node/timers.ts";
import { nodeContextsOf } from "#net/node/tls-contexts.ts";
import { watchTlsEnd } from "#net/node/tls-end.ts";
import { peerOf } from "#net/tls-peer.ts";
import type { TlsContexts } from "#tls/contexts.ts";

/** The protocol of TLS-ALPN-01 (RFC 8737 §4). */
const ACME_PROTOCOL = "acme-tls/1";
/** The extension `application_layer_protocol_negotiation` (16) with that one protocol, as a validator sends it. */
const ACME_EXTENSION = Buffer.from(`\0\x10\0\x0d\0\x0b\x0a${ACME_PROTOCOL}`, "latin1");
/** Header and fragment of one record (RFC 8446 §5.1). */
const MAX_RECORD_OCTETS = 5 + 16_384;

type Done = (agreement: TlsAgreement | undefined, why?: string) => void;

export function startTls(timers: NetTimers, client: TcpConn, terms: TlsTerms, done: Done): void {
  if (!terms.contexts.hasChallenges) {
    shakeHands(timers, client, terms, false, done);
    return;
  }
  // Which certificate a client gets is decided before its protocols are asked for: so they are looked for here, while an
  // order is under way.
  client.read({ maxOctets: MAX_RECORD_OCTETS, timeoutMs: terms.timeoutMs }, (octets) => {
    if (octets === undefined) {
      client.reset();
      done(undefined);
      return -1;
    }
    const hello = Buffer.from(octets.buffer, octets.byteOffset, octets.length);
    const isWhole = hello.length >= 5 && hello.length >= 5 + hello.readUInt16BE(3);
    if (!isWhole && hello[0] === 22) return -1;
    const isChallenge = hello.includes(ACME_EXTENSION);
    process.nextTick(() => shakeHands(timers, client, terms, isChallenge, done));
    return 0;
  });
}

function shakeHands(timers: NetTimers, client: TcpConn, terms: TlsTerms, isChallenge: boolean, done: Done): void {
  const { contexts, alpn } = terms;
  const conn = client as NetConn;
  const ready = nodeContextsOf(contexts);
  const first = contexts.choose(undefined);
  const choose = (name: string): SecureContext | undefined => {
    const identity = isChallenge ? contexts.challenge(name) : contexts.choose(name);
    return identity === undefined || identity === first ? undefined : ready.of(identity);
  };
  const socket = new TLSSocket(conn.beginTls(), {
    isServer: true,
    server: ready.server,
    secureContext: ready.first(),
    requestCert: contexts.client !== "none" && !isChallenge,
    rejectUnauthorized: false, // `isWelcome` looks: here it would mean that a bad certificate is taken as none
    ...(isChallenge ? { ALPNProtocols: [ACME_PROTOCOL] } : alpn.length > 0 ? { ALPNProtocols: [...alpn] } : {}),
    SNICallback(name: string, use: (error: Error | null, context?: SecureContext) => void) {
      try {
        use(null, choose(name));
      } catch {
        use(null, undefined); // the default goes on
      }
    },
  });
  const finish = limitHandshake(timers, conn, socket, terms.timeoutMs, done);
  socket.once("secure", () => {
    // As Node's own servers say: who speaks HTTP/2 on this socket waits for it (`Http2Session`).
    (socket as unknown as Connecting).secureConnecting = false;
    // A validator has seen the certificate and goes; nothing of this protocol follows.
    if (isChallenge) return finish(undefined, "challenge");
    const agreement = agreementOf(socket);
    if (!isWelcome(socket, contexts.client, agreement.peer)) return finish(undefined, "certificate");
    finish(agreement, undefined);
  });
}

type Connecting = { secureConnecting: boolean };

/** What was verified as far as OpenSSL is concerned; Node's own servers ask in the same way, and offer no other. */
type Handle = { readonly _handle: { verifyError(): Error | null } | null };

function isWelcome(socket: TLSSocket, mode: TlsContexts["client"], peer: TlsPeer | undefined): boolean {
  if (mode === "none") return true;
  if (peer === undefined) return mode === "optional";
  const { _handle: handle } = socket as unknown as Handle;
  return handle !== null && handle.verifyError() === null;
}

export function startTlsClient(timers: NetTimers, upstream: TcpConn, terms: TlsUpstreamTerms, done: Done): void {
  const conn = upstream as NetConn;
  const { serverName, sessions, alpn } = terms;
  const isName = serverName !== undefined && isIP(serverName) === 0;
  const session = sessions?.last;
  const plain = conn.beginTls();
  if (terms.head !== undefined) plain.write(terms.head);
  const socket = tlsConnect({
    socket: plain,
    host: serverName ?? conn.remote.address,
    ...(isName ? { servername: serverName } : {}),
    secureContext: terms.context,
    rejectUnauthorized: terms.isVerified,
    ...(alpn.length > 0 ? { ALPNProtocols: [...alpn] } : {}),
    ...(session === undefined ? {} : { session }),
  });
  if (sessions !== undefined)
    socket.on("session", (next: Buffer) => {
      sessions.last = next;
    });
  watchTlsEnd(socket, () => {
    conn.isCut = true;
  });
  const finish = limitHandshake(timers, conn, socket, terms.timeoutMs, (agreement, why) => {
    if (agreement === undefined && sessions !== undefined) sessions.last = undefined;
    done(agreement, why);
  });
  socket.once("secureConnect", () => finish(agreementOf(socket), undefined));
}

/** @returns what ends the handshake: the first call counts */
function limitHandshake(timers: NetTimers, conn: NetConn, socket: TLSSocket, timeoutMs: number, done: Done): Done {
  let isOver = false;
  const limit = limited(() => finish(undefined, "timeout"));
  const finish: Done = (agreement, why) => {
    if (isOver) return;
    isOver = true;
    timers.cancel(limit);
    if (agreement === undefined) conn.reset();
    else conn.standOn(socket);
    done(agreement, why);
  };
  const fail = (error?: Error): void => finish(undefined, error?.message ?? "closed");
  socket.on("error", fail);
  socket.on("_tlsError", fail);
  socket.on("close", () => fail());
  timers.arm(limit, timers.nowMs() + timeoutMs);
  return finish;
}

function agreementOf(socket: TLSSocket): TlsAgreement {
  const { servername, alpnProtocol } = socket as TLSSocket & { servername?: string | false };
  const certificate = socket.getPeerX509Certificate();
  return {
    serverName: servername || undefined,
    alpn: typeof alpnProtocol === "string" ? alpnProtocol : undefined,
    version: socket.getProtocol() ?? "",
    cipher: socket.getCipher()?.standardName ?? "",
    peer: certificate && peerOf(certificate),
  };
}
