/**
 * How a certificate of a peer is named to rules and logs.
 * @module
 */
import type { X509Certificate } from "node:crypto";
import type { TlsPeer } from "#net/driver.ts";

export const peerOf = ({ subject, fingerprint256 }: X509Certificate): TlsPeer => ({
  subject: subjectText(subject),
  fingerprint: fingerprint256.replaceAll(":", "").toLowerCase(),
});

/** RFC 4514: the last part first. OpenSSL gives one part a line, in the certificate's order, with its values escaped. */
const subjectText = (subject: string | undefined): string => (subject ?? "").split("\n").reverse().join(",");
