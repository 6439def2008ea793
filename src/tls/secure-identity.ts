/**
 * What TLS is like on either driver, as OpenSSL's texts and numbers, and what Node makes of an identity.
 *
 * Owns:    ciphers, groups and options that are offered.
 * @module
 */
import { constants } from "node:crypto";
import { createSecureContext, type SecureContext } from "node:tls";
import type { CertificatePem, TlsPolicy, TlsSettings } from "#tls/contexts.ts";
import { ticketKeysAt } from "#tls/tickets.ts";

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
export const GROUPS = "X25519MLKEM768:X25519:P-256:P-384";
export const OPTIONS =
  constants.SSL_OP_NO_RENEGOTIATION |
  constants.SSL_OP_NO_COMPRESSION | // CRIME
  constants.SSL_OP_PRIORITIZE_CHACHA; // where the client likes it best, it has no instructions for AES

/** @returns names for TLS 1.3 and for 1.2, best first; of 1.2 there may be none */
export function cipherNames({ ciphers }: TlsPolicy): { readonly suites: string[]; readonly ciphers: string[] } {
  const chosen = ciphers.length > 0 ? ciphers : DEFAULT_CIPHERS;
  const suites = chosen.filter((name) => name.startsWith("TLS_"));
  return {
    suites: suites.length > 0 ? suites : TLS13_SUITES,
    ciphers: chosen.filter((name) => !name.startsWith("TLS_")),
  };
}

/** Name (16), HMAC key (16) and AES key (16). */
const NODE_TICKET_OCTETS = 48;

/** @param slot of time, whose ticket keys are taken. @throws what OpenSSL says */
export function createSecureIdentity(
  certificates: readonly CertificatePem[],
  { policy, sessionIdContext, tickets }: TlsSettings,
  slot: number,
): SecureContext {
  const { minVersion, client } = policy;
  const { suites, ciphers } = cipherNames(policy);
  return createSecureContext({
    cert: certificates.map(({ cert }) => cert),
    key: certificates.map(({ key }) => key),
    ...(client ? { ca: client.ca, ...(client.crl === undefined ? {} : { crl: client.crl }) } : {}),
    ciphers: [...suites, ...ciphers].join(":"),
    ecdhCurve: GROUPS,
    minVersion,
    honorCipherOrder: true,
    secureOptions: OPTIONS,
    sessionIdContext,
    ticketKeys: Buffer.from(ticketKeysAt(tickets, slot, NODE_TICKET_OCTETS)),
  });
}
