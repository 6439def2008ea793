/**
 * TLS side of a probe: whom to expect, whom to trust, how long the certificate lasts.
 *
 * The handshake itself always completes, also with a certificate that we then refuse: only so can the result say what
 * is wrong with it. One secure context per check, because making one costs more than a handshake.
 * @module
 */
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import {
  type ConnectionOptions,
  checkServerIdentity,
  createSecureContext,
  type SecureContext,
  type TLSSocket,
} from "node:tls";
import type { TlsCheckOptions } from "#state/snapshot.ts";

const MS_PER_DAY = 86_400_000;
/** Keyed by the check's own object: a reload makes new ones, and so reads a CA file again. */
const contexts = new WeakMap<TlsCheckOptions, SecureContext>();

function contextOf(tls: TlsCheckOptions): SecureContext {
  let context = contexts.get(tls);
  if (context === undefined) {
    const ca = tls.caFile === undefined ? undefined : readFileSync(tls.caFile);
    context = createSecureContext(ca === undefined ? {} : { ca });
    contexts.set(tls, context);
  }
  return context;
}

/** @throws when the CA file cannot be read or holds no certificate */
export function tlsOptions(tls: TlsCheckOptions, address: string, alpn: string[] | undefined): ConnectionOptions {
  const name = tls.serverName ?? address;
  return {
    secureContext: contextOf(tls),
    // RFC 6066 §3: an address is no server name.
    servername: isIP(name) === 0 ? name : "",
    rejectUnauthorized: false,
    checkServerIdentity: (_host, certificate) => (tls.verify ? checkServerIdentity(name, certificate) : undefined),
    ...(alpn === undefined ? {} : { ALPNProtocols: alpn }),
  };
}

/** @returns what is wrong with the certificate of a finished handshake, or undefined */
export function tlsProblem(socket: TLSSocket, tls: TlsCheckOptions, nowMs: number): string | undefined {
  if (tls.minDaysLeft > 0) {
    const end = socket.getPeerX509Certificate()?.validToDate.getTime();
    if (end === undefined) return "the target sent no certificate";
    const daysLeft = Math.floor((end - nowMs) / MS_PER_DAY);
    if (end <= nowMs) return `the certificate expired on ${new Date(end).toISOString().slice(0, 10)}`;
    if (daysLeft < tls.minDaysLeft) return `the certificate lasts ${daysLeft} more days, fewer than ${tls.minDaysLeft}`;
  }
  if (tls.verify && !socket.authorized) {
    const error = socket.authorizationError as unknown;
    return `the certificate is not trusted: ${error instanceof Error ? error.message : String(error)}`;
  }
  return undefined;
}
