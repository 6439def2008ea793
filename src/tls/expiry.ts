/**
 * What people are told of a certificate: whose it is, and how near its end, in steps.
 * @module
 */
import { createHash, X509Certificate } from "node:crypto";

const DAY_MS = 86_400_000;
/** Days before the end; at the last one it is over. */
export const EXPIRY_STEPS_DAYS = [21, 7, 1, 0] as const;

/** @returns 0 where the end is far away, up to 4 where it is past */
export const expiryStep = (notAfterMs: number, nowMs: number): number =>
  EXPIRY_STEPS_DAYS.filter((days) => notAfterMs - nowMs <= days * DAY_MS).length;

export type CertificateFacts = {
  readonly names: readonly string[];
  /** Its common name, or its organization. */
  readonly issuer: string;
  readonly notAfterMs: number;
  /** SHA-256 of the certificate, lower-case hex. */
  readonly sha256: string;
  /** Whether it names somebody to ask whether it is revoked (OCSP). */
  readonly hasResponder: boolean;
};

/** @param chain PEM; its first certificate counts. @throws where it is none */
export function certificateFacts(chain: string): CertificateFacts {
  const certificate = new X509Certificate(chain);
  const { subjectAltName = "", subject = "", issuer, infoAccess = "", validToDate, raw } = certificate;
  const names = [...subjectAltName.matchAll(/(?:DNS|IP Address):("(?:[^"\\]|\\.)*"|[^,]*)/g)].map(([, name]) => name!);
  const commonName = partOf(subject, "CN");
  return {
    names: names.length > 0 || commonName === undefined ? names : [commonName],
    issuer: partOf(issuer, "CN") ?? partOf(issuer, "O") ?? issuer.replaceAll("\n", ", "),
    notAfterMs: validToDate.getTime(),
    sha256: createHash("sha256").update(raw).digest("hex"),
    hasResponder: infoAccess.includes("OCSP - URI:"),
  };
}

/** Of a name as Node writes it, one part a line. */
const partOf = (name: string, key: string): string | undefined =>
  name
    .split("\n")
    .find((line) => line.startsWith(`${key}=`))
    ?.slice(key.length + 1);
