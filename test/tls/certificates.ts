/** Certificates for tests, made by openssl. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CertificatePem } from "#tls/contexts.ts";

/** Self-signed, for these names. */
export function makeCertificate(...names: readonly string[]): CertificatePem {
  const folder = mkdtempSync(join(tmpdir(), "rhumb-tls-"));
  const [keyFile, certFile] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  const alternative = names.map((name) => `DNS:${name}`).join(",");
  execFileSync(
    "openssl",
    [
      ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"],
      ["-subj", `/CN=${names[0]}`, "-addext", `subjectAltName=${alternative}`, "-keyout", keyFile, "-out", certFile],
    ].flat(),
    { stdio: "pipe" },
  );
  const made = { name: names[0]!, cert: readFileSync(certFile, "utf8"), key: readFileSync(keyFile, "utf8") };
  rmSync(folder, { recursive: true });
  return made;
}
