/**
 * Certificates, ready for handshakes: one context per certificate, chosen by the name that the client asks for.
 *
 * Owns:    the index from names to contexts, made once per configuration. Connections keep the context that they began with.
 * Never:   reads files, or trusts a name: what a client sends is looked up and nothing else.
 * @module
 */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { createSecureContext, type SecureContext } from "node:tls";
import { RhumbError } from "#base/errors.ts";

export type CertificatePem = {
  /** How messages name it: the path of its file. */
  readonly name: string;
  /** The certificate, and those up to the root, in this order. */
  readonly cert: string;
  readonly key: string;
};

export type TlsContexts = {
  /** The certificate of this name, else one for `*` and its parent, else the first. */
  choose(serverName: string | undefined): SecureContext;
};

/**
 * @param ticketKeys 48 octets that all workers and nodes share, so that a session is resumed wherever it comes back
 * @throws RhumbError RHUMB_BALANCER_CERTIFICATE
 */
export function createTlsContexts(certificates: readonly CertificatePem[], ticketKeys: Uint8Array): TlsContexts {
  const byName = new Map<string, SecureContext>();
  let first: SecureContext | undefined;
  for (const pem of certificates) {
    const context = createContext(pem, ticketKeys);
    first ??= context;
    for (const name of namesOf(pem.cert)) if (!byName.has(name)) byName.set(name, context);
  }
  if (first === undefined) throw new RhumbError("RHUMB_BALANCER_CERTIFICATE", "none is configured");
  const otherwise = first;
  return {
    choose(serverName) {
      if (serverName === undefined) return otherwise;
      const name = serverName.toLowerCase();
      const dot = name.indexOf(".");
      return byName.get(name) ?? (dot > 0 ? byName.get(`*${name.slice(dot)}`) : undefined) ?? otherwise;
    },
  };
}

function createContext({ name, cert, key }: CertificatePem, ticketKeys: Uint8Array): SecureContext {
  try {
    // Checked here: an empty key is taken, and fails at each handshake.
    if (!new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) throw new Error("the key is of another one");
    return createSecureContext({
      cert,
      key,
      minVersion: "TLSv1.2",
      honorCipherOrder: true,
      sessionIdContext: "rhumb",
      ticketKeys: Buffer.from(ticketKeys),
    });
  } catch (error) {
    throw new RhumbError("RHUMB_BALANCER_CERTIFICATE", `${name}: ${(error as Error).message}`, { cause: error });
  }
}

/** Names of the leaf, in lower case: subject alternative names alone count (RFC 9525 §2). */
function namesOf(cert: string): string[] {
  const names = new X509Certificate(cert).subjectAltName ?? "";
  return [...names.matchAll(/DNS:([^,\s"]+)/g)].map((match) => match[1]!.toLowerCase());
}
