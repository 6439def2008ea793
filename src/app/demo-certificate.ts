/**
 * Certificates of the demo world: an authority of its own, and one certificate for all of its names and addresses.
 *
 * Owns:    `tls/` in the demo's run folder. They are kept from start to start, so that what trusts the authority goes on
 *          trusting it, and made anew when they end soon or the addresses have changed.
 * @module
 */
import { X509Certificate as Certificate, webcrypto } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { isIP } from "node:net";
import { join } from "node:path";
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";

const DAY_MS = 86_400_000;
const LIFETIME_DAYS = 90;
const RENEW_DAYS = 10;
const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

/** Paths of PEM files. */
export type DemoCertificate = { readonly authority: string; readonly cert: string; readonly key: string };

/** @param names DNS names and addresses */
export async function demoCertificate(run: string, names: readonly string[], nowMs: number): Promise<DemoCertificate> {
  const folder = join(run, "tls");
  const files = {
    authority: join(folder, "ca.pem"),
    cert: join(folder, "cert.pem"),
    key: join(folder, "key.pem"),
  };
  if (!isGood(files, names, nowMs)) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const { authority, cert, key } = await make(names, nowMs);
    writeFileSync(files.authority, authority);
    writeFileSync(files.cert, cert);
    writeFileSync(files.key, key, { mode: 0o600 });
  }
  return files;
}

function isGood({ authority, cert, key }: DemoCertificate, names: readonly string[], nowMs: number): boolean {
  if (![authority, cert, key].every((file) => existsSync(file))) return false;
  try {
    const leaf = new Certificate(readFileSync(cert));
    const issuer = new Certificate(readFileSync(authority));
    return (
      leaf.verify(issuer.publicKey) &&
      Date.parse(leaf.validTo) > nowMs + RENEW_DAYS * DAY_MS &&
      names.every((name) => (isIP(name) === 0 ? leaf.checkHost(name.replace("*", "any")) : leaf.checkIP(name)))
    );
  } catch {
    return false;
  }
}

const newKeys = () => webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);

async function make(names: readonly string[], nowMs: number) {
  const [authorityKeys, keys] = await Promise.all([newKeys(), newKeys()]);
  const times = { notBefore: new Date(nowMs - DAY_MS), notAfter: new Date(nowMs + LIFETIME_DAYS * DAY_MS) };
  const authority = await X509CertificateGenerator.createSelfSigned(
    {
      ...times,
      name: "CN=rhumb demo authority",
      keys: authorityKeys,
      signingAlgorithm: ALGORITHM,
      extensions: [
        new BasicConstraintsExtension(true, 0, true),
        new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      ],
    },
    webcrypto,
  );
  const cert = await X509CertificateGenerator.create(
    {
      ...times,
      subject: "CN=demo.example",
      issuer: authority.subject,
      signingKey: authorityKeys.privateKey,
      publicKey: keys.publicKey,
      signingAlgorithm: ALGORITHM,
      extensions: [
        new BasicConstraintsExtension(false),
        new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
        new SubjectAlternativeNameExtension(
          names.map((name) => ({ type: isIP(name) === 0 ? "dns" : "ip", value: name })),
        ),
      ],
    },
    webcrypto,
  );
  const octets = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey)).toString("base64");
  const key = `-----BEGIN PRIVATE KEY-----\n${octets.replace(/.{64}/g, "$&\n").trimEnd()}\n-----END PRIVATE KEY-----\n`;
  return { authority: `${authority.toString("pem")}\n`, cert: `${cert.toString("pem")}\n`, key };
}
