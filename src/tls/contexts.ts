/**
 * Certificates, ready for handshakes: contexts by the name that the client asks for, and what else a listener promises.
 *
 * Owns:    the index from names to contexts, made once per configuration. Connections keep the context that they began with.
 * Binds:   sessions to the listener and to what it asks of clients (authorities and revocations included): a ticket of
 *          another listener, or from before a revocation, begins with a full handshake (CVE-2014-3616, CVE-2025-23419).
 * Never:   reads files, or trusts a name: what a client sends is looked up and nothing else.
 * @module
 */
import { constants, createHash, createPrivateKey, X509Certificate } from "node:crypto";
import { createSecureContext, createServer, type SecureContext, type Server } from "node:tls";
import { RhumbError } from "#base/errors.ts";
import type { SessionCache } from "#tls/session-cache.ts";
import { type Tickets, ticketKeysAt, ticketSlot } from "#tls/tickets.ts";

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

/** Forward secrecy and authenticated encryption alone (RFC 9325 §4.2), AES-128 first: machines have instructions for it. */
export const DEFAULT_CIPHERS: readonly string[] = [
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
];
/** All that TLS 1.3 has but CCM. */
const TLS13_SUITES = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"];
/** A hybrid with ML-KEM first: what is recorded today is not read by tomorrow's machines. */
const GROUPS = "X25519MLKEM768:X25519:P-256:P-384";
const OPTIONS =
  constants.SSL_OP_NO_RENEGOTIATION |
  constants.SSL_OP_NO_COMPRESSION | // CRIME
  constants.SSL_OP_PRIORITIZE_CHACHA; // where the client likes it best, it has no instructions for AES

export type TlsContexts = {
  /**
   * The certificate of this name, else one for `*` and its parent, else the first. Does not throw.
   * The ticket keys of the context without a name are those that count (OpenSSL looks there).
   */
  choose(serverName: string | undefined): SecureContext;
  /** The certificate that proves this name to an ACME server; for who offers `acme-tls/1`. */
  challenge(serverName: string | undefined): SecureContext | undefined;
  readonly hasChallenges: boolean;
  readonly client: "none" | "optional" | "require";
  /** Never listens: TLS sockets ask it for sessions and for OCSP responses. */
  readonly server: Server;
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
  const sessionIdContext = sessionContextOf(listener, policy);
  const make = (pems: readonly CertificatePem[], ticketKeys: Uint8Array): SecureContext =>
    createContext(pems, policy, sessionIdContext, ticketKeys);
  let slot = ticketSlot(tickets, nowMs());
  let ticketKeys = ticketKeysAt(tickets, slot);
  const { byName, otherwise } = indexByName(certificates, (pems) => make(pems, ticketKeys));
  let first = otherwise.context;

  const challenges = new Map(
    (options.challenges ?? []).map(({ domain, cert, key }) => [
      domain.toLowerCase(),
      make([{ name: `the challenge of ${domain}`, cert, key }], ticketKeys),
    ]),
  );

  /** Tickets are opened with the keys of the context that a connection begins with, so this alone is made anew. */
  function rotate(next: number): void {
    slot = next;
    ticketKeys = ticketKeysAt(tickets, slot);
    first = make(otherwise.pems, ticketKeys);
  }

  return {
    choose(serverName) {
      const now = ticketSlot(tickets, nowMs());
      if (now !== slot) rotate(now);
      if (serverName === undefined) return first;
      const name = serverName.toLowerCase();
      const dot = name.indexOf(".");
      const entry = byName.get(name) ?? (dot > 0 ? byName.get(`*${name.slice(dot)}`) : undefined);
      return entry === undefined || entry === otherwise ? first : entry.context;
    },
    challenge: (serverName) => (serverName === undefined ? undefined : challenges.get(serverName.toLowerCase())),
    hasChallenges: challenges.size > 0,
    client: policy.client?.mode ?? "none",
    server: createAnswerer(otherwise.pems, options),
  };
}

/** What TLS sockets ask while they shake hands. It must not throw, and must answer each time: a handshake waits for it. */
function createAnswerer(pems: readonly CertificatePem[], { sessions, staples }: TlsContextsOptions): Server {
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
  if (staples !== undefined && staples.size > 0) {
    // For clients that get the first certificate. Where there are two of them nobody knows yet which it will be: no staple.
    if (pems.length === 1) server.setSecureContext({ cert: pems[0]!.cert, key: pems[0]!.key });
    server.on("OCSPRequest", (certificate: Buffer, _issuer: Buffer, done: (error: null, response?: Buffer) => void) => {
      const staple = staples.get(createHash("sha256").update(certificate).digest("hex"));
      if (staple === undefined) done(null);
      else done(null, Buffer.from(staple));
    });
  }
  return server;
}

/** At most 32 octets (OpenSSL's SSL_MAX_SID_CTX_LENGTH). */
function sessionContextOf(listener: string, { client }: TlsPolicy): string {
  const hash = createHash("sha256").update(JSON.stringify([listener, client]));
  return hash.digest("base64url").slice(0, 32);
}

type Entry = { readonly pems: readonly CertificatePem[]; readonly context: SecureContext };

/**
 * The first certificate has the others of its first name that have keys of other types beside it: OpenSSL takes the one that
 * the client can check. Of a context that a name chooses, Node uses one certificate: there the first of a name counts.
 */
function indexByName(
  certificates: readonly CertificatePem[],
  make: (pems: readonly CertificatePem[]) => SecureContext,
): { byName: Map<string, Entry>; otherwise: Entry } {
  const leaves = certificates.map((pem) => ({ pem, ...readLeaf(pem) }));
  const [{ names, pem: firstPem, keyType }] = leaves as [(typeof leaves)[number]];
  const types = new Map([[keyType, firstPem]]);
  for (const other of leaves)
    if (names.length > 0 && other.names.includes(names[0]!) && !types.has(other.keyType))
      types.set(other.keyType, other.pem);
  const pems = [...types.values()];
  const otherwise = { pems, context: make(pems) };
  const byName = new Map<string, Entry>();
  for (const { pem, names: own } of leaves) {
    const isFirst = pem === firstPem;
    const entry = isFirst ? otherwise : { pems: [pem], context: make([pem]) };
    for (const name of own) if (!byName.has(name)) byName.set(name, entry);
  }
  return { byName, otherwise };
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

function createContext(
  pems: readonly CertificatePem[],
  { minVersion, ciphers, client }: TlsPolicy,
  sessionIdContext: string,
  ticketKeys: Uint8Array,
): SecureContext {
  const isWithSuites = ciphers.some((cipher) => cipher.startsWith("TLS_"));
  const chosen = ciphers.length > 0 ? ciphers : DEFAULT_CIPHERS;
  try {
    return createSecureContext({
      cert: pems.map(({ cert }) => cert),
      key: pems.map(({ key }) => key),
      ...(client ? { ca: client.ca, ...(client.crl === undefined ? {} : { crl: client.crl }) } : {}),
      ciphers: [...(isWithSuites ? [] : TLS13_SUITES), ...chosen].join(":"),
      ecdhCurve: GROUPS,
      minVersion,
      honorCipherOrder: true,
      secureOptions: OPTIONS,
      sessionIdContext,
      ticketKeys: Buffer.from(ticketKeys),
    });
  } catch (error) {
    const subject = pems.map(({ name }) => name).join(" and ");
    throw new RhumbError("RHUMB_BALANCER_CERTIFICATE", `${subject}: ${(error as Error).message}`, { cause: error });
  }
}
