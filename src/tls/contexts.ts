/**
 * Certificates of a listener and what else it promises, for any driver: identities by the name that the client asks for.
 *
 * Owns:    the index from names to identities, made once per configuration. A driver makes of an identity what its
 *          handshakes need; connections keep what they began with.
 * Binds:   sessions to the listener and to what it asks of clients (authorities and revocations included): a ticket of
 *          another listener, or from before a revocation, begins with a full handshake (CVE-2014-3616, CVE-2025-23419).
 * Never:   reads files, or trusts a name: what a client sends is looked up and nothing else.
 * @module
 */
import { createHash, createPrivateKey, X509Certificate } from "node:crypto";
import { RhumbError } from "#base/errors.ts";
import { createSecureIdentity } from "#tls/secure-identity.ts";
import type { SessionCache } from "#tls/session-cache.ts";
import { type Tickets, ticketSlot } from "#tls/tickets.ts";

export type CertificatePem = {
  /** How messages name it: the path of its file. */
  readonly name: string;
  /** The certificate, and those up to the root, in this order. */
  readonly cert: string;
  readonly key: string;
};
/** Certificate that proves a domain by TLS-ALPN-01 (RFC 8737): shown to who offers `acme-tls/1` for it, and to nobody else. */
export type ChallengeCertificate = { readonly domain: string; readonly cert: string; readonly key: string };

/** What a listener asks of clients and offers them. */
export type TlsPolicy = {
  readonly minVersion: "TLSv1.2" | "TLSv1.3";
  /** OpenSSL's names. Empty: `DEFAULT_CIPHERS`. */
  readonly ciphers: readonly string[];
  /** PEM texts. Undefined: clients are not asked for a certificate. */
  readonly client:
    | { readonly mode: "optional" | "require"; readonly ca: string; readonly crl: string | undefined }
    | undefined;
};
export const DEFAULT_POLICY: TlsPolicy = { minVersion: "TLSv1.2", ciphers: [], client: undefined };

/** What all identities of a listener share. */
export type TlsSettings = {
  readonly policy: TlsPolicy;
  /** What sessions are bound to: at most 32 octets (OpenSSL's SSL_MAX_SID_CTX_LENGTH). */
  readonly sessionIdContext: string;
  readonly tickets: Tickets;
  /** OCSP responses (DER) by SHA-256 of the certificate, lower-case hex. */
  readonly staples: ReadonlyMap<string, Uint8Array>;
  /** Of TLS 1.2 clients that take no tickets; undefined: they are not taken up again. */
  readonly sessions: SessionCache | undefined;
};

/** What a client is shown. */
export type TlsIdentity = {
  /** Of the same names, each with a key of another type; a client gets the first that it can check. */
  readonly certificates: readonly CertificatePem[];
  /** What a driver made of it that is not given back by itself. */
  ready: { release(): void } | undefined;
};

export type TlsContexts = {
  /** Of this name, else of `*` and its parent, else the first. Does not throw. */
  choose(serverName: string | undefined): TlsIdentity;
  /** What proves this name to an ACME server; for who offers `acme-tls/1`. */
  challenge(serverName: string | undefined): TlsIdentity | undefined;
  readonly hasChallenges: boolean;
  readonly client: "none" | "optional" | "require";
  readonly settings: TlsSettings;
  /** How many there are to choose from. */
  readonly identities: number;
  /** The slot of time whose ticket keys count now. */
  ticketSlot(): number;
  /** Gives back what drivers made ready of it: others have taken its place. Who still uses it has it made again. */
  release(): void;
};

export type TlsContextsOptions = {
  /** Sessions do not cross from one to another. */
  readonly listener: string;
  readonly certificates: readonly CertificatePem[];
  readonly policy?: TlsPolicy;
  readonly tickets: Tickets;
  /** OCSP responses (DER) by SHA-256 of the certificate, lower-case hex. */
  readonly staples?: ReadonlyMap<string, Uint8Array>;
  readonly challenges?: readonly ChallengeCertificate[];
  readonly sessions?: SessionCache;
  readonly nowMs?: () => number;
};

/** @throws RhumbError RHUMB_BALANCER_CERTIFICATE */
export function createTlsContexts(options: TlsContextsOptions): TlsContexts {
  const { listener, certificates, policy = DEFAULT_POLICY, tickets, nowMs = Date.now } = options;
  if (certificates.length === 0) throw new RhumbError("RHUMB_BALANCER_CERTIFICATE", `${listener}: none is configured`);
  const settings: TlsSettings = {
    policy,
    sessionIdContext: sessionContextOf(listener, policy),
    tickets,
    staples: options.staples ?? NO_STAPLES,
    sessions: options.sessions,
  };
  const { byName, first } = indexByName(certificates);
  const challenges = new Map(
    (options.challenges ?? []).map(({ domain, cert, key }) => [
      domain.toLowerCase(),
      identityOf([{ name: `the challenge of ${domain}`, cert, key }]),
    ]),
  );
  const identities = new Set([first, ...byName.values(), ...challenges.values()]);
  for (const { certificates: each } of identities) check(each, settings);

  return {
    choose(serverName) {
      if (serverName === undefined) return first;
      const name = serverName.toLowerCase();
      const dot = name.indexOf(".");
      return byName.get(name) ?? (dot > 0 ? byName.get(`*${name.slice(dot)}`) : undefined) ?? first;
    },
    challenge: (serverName) => (serverName === undefined ? undefined : challenges.get(serverName.toLowerCase())),
    hasChallenges: challenges.size > 0,
    client: policy.client?.mode ?? "none",
    settings,
    identities: identities.size,
    ticketSlot: () => ticketSlot(tickets, nowMs()),
    release() {
      for (const identity of identities) {
        identity.ready?.release();
        identity.ready = undefined;
      }
    },
  };
}
const NO_STAPLES: ReadonlyMap<string, Uint8Array> = new Map();
const identityOf = (certificates: readonly CertificatePem[]): TlsIdentity => ({ certificates, ready: undefined });

/** Whether handshakes could be served with these, found out by making ready what Node needs for them. */
function check(certificates: readonly CertificatePem[], settings: TlsSettings): void {
  try {
    createSecureIdentity(certificates, settings, 0);
  } catch (error) {
    const subject = certificates.map(({ name }) => name).join(" and ");
    throw new RhumbError("RHUMB_BALANCER_CERTIFICATE", `${subject}: ${(error as Error).message}`, { cause: error });
  }
}

function sessionContextOf(listener: string, { client }: TlsPolicy): string {
  const hash = createHash("sha256").update(JSON.stringify([listener, client]));
  return hash.digest("base64url").slice(0, 32);
}

/** Beside a certificate stand the others of its first name that have keys of other types. */
function indexByName(certificates: readonly CertificatePem[]): {
  byName: Map<string, TlsIdentity>;
  first: TlsIdentity;
} {
  const leaves = certificates.map((pem) => ({ pem, ...readLeaf(pem) }));
  const byName = new Map<string, TlsIdentity>();
  let first: TlsIdentity | undefined;
  for (const { pem, names, keyType } of leaves) {
    const types = new Map([[keyType, pem]]);
    for (const other of leaves)
      if (names.length > 0 && other.names.includes(names[0]!) && !types.has(other.keyType))
        types.set(other.keyType, other.pem);
    const identity = identityOf([...types.values()]);
    first ??= identity;
    for (const name of names) if (!byName.has(name)) byName.set(name, identity);
  }
  return { byName, first: first! };
}

/** Names in lower case: subject alternative names alone count (RFC 9525 §2). */
function readLeaf({ name, cert, key }: CertificatePem): { names: string[]; keyType: string } {
  try {
    const leaf = new X509Certificate(cert);
    // Checked here: an empty key is taken, and fails at each handshake.
    if (!leaf.checkPrivateKey(createPrivateKey(key))) throw new Error("the key is of another one");
    const names = [...(leaf.subjectAltName ?? "").matchAll(/DNS:([^,\s"]+)/g)].map((match) => match[1]!.toLowerCase());
    return { names, keyType: leaf.publicKey.asymmetricKeyType ?? "" };
  } catch (error) {
    throw new RhumbError("RHUMB_BALANCER_CERTIFICATE", `${name}: ${(error as Error).message}`, { cause: error });
  }
}
