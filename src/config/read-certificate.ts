/**
 * Looks whether a certificate and its key can be used, so that a listener does not find out with its first client.
 * @module
 */
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import type { CertificateFacts } from "#config/files.ts";
import { messageOf } from "#config/read-text.ts";

type Fault = Extract<CertificateFacts, { fault: string }>;
const isFault = (value: object): value is Fault => "fault" in value;

function readPem<T extends object>(
  path: string,
  shown: string,
  setting: "cert" | "key",
  what: string,
  parse: (pem: Buffer) => T,
): T | Fault {
  let pem: Buffer;
  try {
    pem = readFileSync(path);
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === "ENOENT";
    return {
      setting,
      fault: isMissing ? `There is no file ${shown}` : `Cannot read ${shown}: ${messageOf(error)}`,
      fix: isMissing ? "Create it, or correct the path" : "Check that this user may read it",
    };
  }
  try {
    return parse(pem);
  } catch (error) {
    return {
      setting,
      fault: `${shown} holds no ${what} that can be used: ${messageOf(error)}`,
      fix: `Write the ${what} as PEM, without a password`,
    };
  }
}

/** @param cert absolute path of the chain, its leaf first @param key absolute path of its private key */
export function readCertificate(cert: string, key: string, shown: (path: string) => string): CertificateFacts {
  const leaf = readPem(cert, shown(cert), "cert", "certificate", (pem) => new X509Certificate(pem));
  if (isFault(leaf)) return leaf;
  const privateKey = readPem<KeyObject>(key, shown(key), "key", "private key", (pem) => createPrivateKey(pem));
  if (isFault(privateKey)) return privateKey;
  if (!leaf.checkPrivateKey(privateKey))
    return {
      setting: "key",
      fault: `${shown(key)} is not the key of the certificate in ${shown(cert)}`,
      fix: "Write the key that the certificate was issued for",
    };
  return { notAfterMs: leaf.validToDate.getTime() };
}
