/**
 * What listeners that end TLS are served with, as it crosses to the workers: texts of files and what was fetched.
 *
 * Owns:    the type, the reading of files (main thread), and what of it is a listener's.
 * @module
 */
import { readFileSync } from "node:fs";
import { RhumbError } from "#base/errors.ts";
import type { BalancerSnapshot, ListenerSpec } from "#state/balancer.ts";
import type { CertificatePem, ChallengeCertificate, TlsContextsOptions, TlsPolicy } from "#tls/contexts.ts";
import { MIN_TICKET_SECRET_OCTETS } from "#tls/tickets.ts";

export type TlsMaterial = {
  /** Texts of PEM files by path: of listeners, and of what backends are verified with. */
  readonly texts: Readonly<Record<string, string>>;
  /** Secrets of session tickets by path; `""`: of this process. */
  readonly ticketSecrets: Readonly<Record<string, Uint8Array>>;
  /** OCSP responses by SHA-256 of the certificate. */
  readonly staples: ReadonlyMap<string, Uint8Array>;
  /** Certificates that an ACME authority issued, by listener. */
  readonly issued: Readonly<Record<string, CertificatePem>>;
  readonly challenges: AcmeChallenges;
};
/** What proves names to an ACME authority now. */
export type AcmeChallenges = {
  /** Key authorizations by token, for HTTP-01. */
  readonly http: Readonly<Record<string, string>>;
  /** By listener, for TLS-ALPN-01. */
  readonly alpn: Readonly<Record<string, readonly ChallengeCertificate[]>>;
};
export const NO_CHALLENGES: AcmeChallenges = { http: {}, alpn: {} };

const isText = (file: string | undefined): file is string => file !== undefined;

/** Files that a worker needs the text of. */
function textFiles({ listeners, pools }: BalancerSnapshot): [of: string, file: string][] {
  const named: [string, string | undefined][] = [
    ...listeners.flatMap(({ name, certificates, tls }): [string, string | undefined][] => [
      ...certificates.flatMap(({ certFile, keyFile }): [string, string][] => [
        [name, certFile],
        [name, keyFile],
      ]),
      [name, tls?.client?.caFile],
      [name, tls?.client?.crlFile],
    ]),
    ...pools.flatMap(({ name, upstream: { tls } }): [string, string | undefined][] =>
      [tls?.caFile, tls?.certFile, tls?.keyFile].map((file) => [name, file]),
    ),
  ];
  return named.filter((each): each is [string, string] => isText(each[1]));
}

/** @throws RhumbError RHUMB_BALANCER_CERTIFICATE, RHUMB_BALANCER_TICKETS */
export function readTexts(snapshot: BalancerSnapshot, own: Uint8Array): Pick<TlsMaterial, "texts" | "ticketSecrets"> {
  const texts: Record<string, string> = {};
  const ticketSecrets: Record<string, Uint8Array> = { "": own };
  for (const [of, file] of textFiles(snapshot)) {
    try {
      texts[file] ??= readFileSync(file, "utf8");
    } catch (error) {
      throw new RhumbError("RHUMB_BALANCER_CERTIFICATE", `${of}: ${(error as Error).message}`, { cause: error });
    }
  }
  for (const file of snapshot.listeners.map(({ tls }) => tls?.tickets.secretFile).filter(isText))
    ticketSecrets[file] ??= readSecret(file);
  return { texts, ticketSecrets };
}

function readSecret(file: string): Uint8Array {
  let secret: Uint8Array;
  try {
    secret = new Uint8Array(readFileSync(file));
  } catch (error) {
    throw new RhumbError("RHUMB_BALANCER_TICKETS", (error as Error).message, { cause: error });
  }
  if (secret.length < MIN_TICKET_SECRET_OCTETS)
    throw new RhumbError("RHUMB_BALANCER_TICKETS", `${file} has ${secret.length} octets`);
  return secret;
}

/** Certificates of a listener, best first: what was issued for it comes before files. */
export function certificatesOf({ name, certificates }: ListenerSpec, { texts, issued }: TlsMaterial): CertificatePem[] {
  const own = issued[name];
  return [
    ...(own === undefined ? [] : [own]),
    ...certificates.map(({ certFile, keyFile }) => ({ name: certFile, cert: texts[certFile]!, key: texts[keyFile]! })),
  ];
}

/** What contexts of a listener are made of, all of it data. */
export function contextsInput(spec: ListenerSpec, material: TlsMaterial): TlsContextsOptions {
  const { texts, ticketSecrets, staples, challenges } = material;
  const tls = spec.tls!;
  const policy: TlsPolicy = {
    minVersion: tls.minVersion,
    ciphers: tls.ciphers,
    client: tls.client && {
      mode: tls.client.mode,
      ca: texts[tls.client.caFile]!,
      crl: tls.client.crlFile === undefined ? undefined : texts[tls.client.crlFile]!,
    },
  };
  const secret = ticketSecrets[tls.tickets.secretFile ?? ""]!;
  return {
    listener: spec.name,
    certificates: certificatesOf(spec, material),
    policy,
    tickets: { secret, rotateMs: tls.tickets.rotateMs },
    ...(tls.staples ? { staples } : {}),
    challenges: challenges.alpn[spec.name] ?? [],
  };
}
