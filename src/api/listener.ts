/**
 * The sockets of the control API: TCP with or without TLS, or a Unix socket of mode 600.
 *
 * Owns:    node:http servers and their limits. Never: knows a route; requests go to the handler that it is given.
 * @module
 */
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { readFileSync, unlinkSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer, type Server as TlsServer } from "node:https";
import { type AddressInfo, connect } from "node:net";
import { RhumbError } from "#base/errors.ts";
import { cidrContains, endpointText, parseCidr, parseIp } from "#base/ip.ts";
import type { ControlSnapshot } from "#state/snapshot.ts";

/** Limits against clients that hold a connection without asking anything. */
const LIMITS = {
  headersTimeout: 10_000,
  requestTimeout: 30_000, // headers and body; an answer may take as long as it likes
  keepAliveTimeout: 10_000,
  connectionsCheckingInterval: 5_000,
  maxHeaderSize: 16_384,
} as const;
const MAX_CONNECTIONS = 512;
/** What is still being answered gets this long when a listener closes. */
const DRAIN_MS = 2_000;

export type Handler = (request: IncomingMessage, response: ServerResponse) => void;
export type Listener = {
  /** Such as `http://127.0.0.1:8053` or `unix:/run/rhumb/api.sock`. */
  readonly url: string;
  readonly isUnix: boolean;
  readonly certificate: () => X509Certificate | undefined;
  /** Reads certificate and key again. @throws RhumbError RHUMB_API_TLS, and goes on with the old ones */
  renewTls(control: ControlSnapshot): void;
  close(): Promise<void>;
};

const LOOPBACK = ["127.0.0.0/8", "::1/128"].map((text) => parseCidr(text)!);
const isLoopback = (address: string): boolean => {
  const bytes = parseIp(address);
  return bytes !== undefined && LOOPBACK.some((cidr) => cidrContains(cidr, bytes));
};

function readTls(tls: NonNullable<ControlSnapshot["tls"]>): {
  cert: Buffer;
  key: Buffer;
  certificate: X509Certificate;
} {
  try {
    const cert = readFileSync(tls.certFile);
    const key = readFileSync(tls.keyFile);
    return { cert, key, certificate: new X509Certificate(cert) };
  } catch (cause) {
    throw new RhumbError("RHUMB_API_TLS", tls.certFile, { cause });
  }
}

/** A socket file that nobody answers on is left over from a process that died; one that answers is not ours to take. */
async function removeStaleSocket(path: string): Promise<void> {
  const probe = connect(path);
  const outcome = await new Promise<string>((resolve) => {
    probe.once("connect", () => resolve("answers"));
    probe.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? "error"));
  });
  probe.destroy();
  if (outcome === "answers") throw new RhumbError("RHUMB_API_LISTEN", path);
  if (outcome === "ECONNREFUSED") unlinkSync(path);
}

/** @throws RhumbError RHUMB_API_INSECURE, RHUMB_API_TLS, RHUMB_API_LISTEN */
export async function openListener(control: ControlSnapshot, handler: Handler): Promise<Listener> {
  const { listen, tls } = control;
  const isUnix = "socket" in listen;
  const where = isUnix ? listen.socket : endpointText(listen.address, listen.port);
  if (!isUnix && !tls && !isLoopback(listen.address)) throw new RhumbError("RHUMB_API_INSECURE", where);

  let certificate: X509Certificate | undefined;
  let server: Server | TlsServer;
  if (tls && !isUnix) {
    const material = readTls(tls);
    certificate = material.certificate;
    try {
      server = createTlsServer({ ...LIMITS, cert: material.cert, key: material.key, minVersion: "TLSv1.2" }, handler);
    } catch (cause) {
      throw new RhumbError("RHUMB_API_TLS", tls.certFile, { cause });
    }
  } else server = createServer(LIMITS, handler);
  server.maxConnections = MAX_CONNECTIONS;

  try {
    if (isUnix) {
      await removeStaleSocket(listen.socket);
      // The file must never exist with more rights, not even between listen() and a chmod().
      const before = process.umask(0o177);
      try {
        server.listen({ path: listen.socket });
      } finally {
        process.umask(before);
      }
    } else server.listen({ host: listen.address, port: listen.port, exclusive: true });
    await once(server, "listening");
  } catch (cause) {
    if (cause instanceof RhumbError) throw cause;
    throw new RhumbError("RHUMB_API_LISTEN", where, { cause });
  }

  const port = isUnix ? 0 : (server.address() as AddressInfo).port;
  const url = isUnix ? `unix:${where}` : `${tls ? "https" : "http"}://${where.replace(/:\d+$/, "")}:${port}`;
  return {
    url,
    isUnix,
    certificate: () => certificate,
    renewTls(next) {
      if (!next.tls || !("setSecureContext" in server)) return;
      const material = readTls(next.tls);
      try {
        server.setSecureContext({ cert: material.cert, key: material.key, minVersion: "TLSv1.2" });
      } catch (cause) {
        throw new RhumbError("RHUMB_API_TLS", next.tls.certFile, { cause });
      }
      certificate = material.certificate;
    },
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      const deadline = setTimeout(() => server.closeAllConnections(), DRAIN_MS);
      await closed;
      clearTimeout(deadline);
    },
  };
}
