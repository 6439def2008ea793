/**
 * What `node:tls` needs of a listener's certificates: secure contexts, and who answers for sessions and OCSP responses.
 *
 * Owns:    what was made of each `TlsContexts`, for as long as that is in use.
 * @module
 */
import { createHash } from "node:crypto";
import { createServer, type SecureContext, type Server } from "node:tls";
import type { TlsContexts, TlsIdentity } from "#tls/contexts.ts";
import { createSecureIdentity } from "#tls/secure-identity.ts";

export type NodeTlsContexts = {
  /** Where a handshake begins. Its ticket keys are those that count (OpenSSL looks there). */
  first(): SecureContext;
  /** Of an identity that a name chose: Node uses one certificate of it. */
  of(identity: TlsIdentity): SecureContext;
  /** Never listens: TLS sockets ask it for sessions and for OCSP responses. */
  readonly server: Server;
};

const made = new WeakMap<TlsContexts, NodeTlsContexts>();

export function nodeContextsOf(contexts: TlsContexts): NodeTlsContexts {
  let node = made.get(contexts);
  if (node === undefined) {
    node = createNodeContexts(contexts);
    made.set(contexts, node);
  }
  return node;
}

function createNodeContexts(contexts: TlsContexts): NodeTlsContexts {
  const { settings } = contexts;
  const { certificates } = contexts.choose(undefined);
  const chosen = new WeakMap<TlsIdentity, SecureContext>();
  let slot = Number.NaN;
  let first: SecureContext;
  return {
    first() {
      const now = contexts.ticketSlot();
      if (now !== slot) first = createSecureIdentity(certificates, settings, now);
      slot = now;
      return first;
    },
    of(identity) {
      let context = chosen.get(identity);
      if (context === undefined) {
        context = createSecureIdentity(identity.certificates.slice(0, 1), settings, contexts.ticketSlot());
        chosen.set(identity, context);
      }
      return context;
    },
    server: createAnswerer(contexts),
  };
}

/** What TLS sockets ask while they shake hands. It must not throw, and must answer each time: a handshake waits for it. */
function createAnswerer({ settings: { sessions, staples }, choose }: TlsContexts): Server {
  const server = createServer();
  if (sessions !== undefined) {
    server.on("newSession", (id: Buffer, session: Buffer, done: () => void) => {
      sessions.put(id, session);
      done();
    });
    server.on("resumeSession", (id: Buffer, done: (error: Error | null, session: Buffer | null) => void) => {
      done(null, sessions.get(id) ?? null);
    });
  }
  if (staples.size > 0) {
    // For clients that get the first certificate. Where there are two of them nobody knows yet which it will be: no staple.
    const [only, ...others] = choose(undefined).certificates;
    if (others.length === 0) server.setSecureContext({ cert: only!.cert, key: only!.key });
    server.on("OCSPRequest", (certificate: Buffer, _issuer: Buffer, done: (error: null, response?: Buffer) => void) => {
      const staple = staples.get(createHash("sha256").update(certificate).digest("hex"));
      if (staple === undefined) done(null);
      else done(null, Buffer.from(staple));
    });
  }
  return server;
}
