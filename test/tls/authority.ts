/** A certificate authority for tests, kept by `openssl ca`: issues, revokes, writes CRLs, answers OCSP. */
import { execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { until } from "../net/bed.ts";

export type Issued = {
  readonly name: string;
  readonly cert: string;
  readonly key: string;
  readonly certFile: string;
  readonly keyFile: string;
};
export type IssueOptions = {
  readonly subject?: string;
  readonly names?: readonly string[];
  readonly addresses?: readonly string[];
  readonly keyType?: "ec" | "rsa";
  /** `openssl`'s form: `20250101000000Z`. Default: since yesterday, for ten days. */
  readonly notBefore?: string;
  readonly notAfter?: string;
  /** Of its OCSP responder. */
  readonly responder?: string;
  /** More of them, in `openssl`'s form: `extendedKeyUsage=serverAuth`. */
  readonly extensions?: readonly string[];
};

const CONFIG = (folder: string): string => `
[ca]
default_ca = main
[main]
dir = ${folder}
database = $dir/index.txt
new_certs_dir = $dir
serial = $dir/serial
crlnumber = $dir/crlnumber
certificate = $dir/ca.pem
private_key = $dir/ca.key
default_md = sha256
default_days = 10
default_crl_days = 10
policy = any
copy_extensions = copy
unique_subject = no
[any]
organizationName = optional
commonName = supplied
`;

export type Authority = ReturnType<typeof createAuthority>;

export function createAuthority(t: TestContext | undefined, name = "Test CA") {
  const folder = mkdtempSync(join(tmpdir(), "rhumb-ca-"));
  t?.after(() => rmSync(folder, { recursive: true, force: true }));
  const at = (file: string): string => join(folder, file);
  const openssl = (...args: (string | readonly string[])[]): string =>
    execFileSync("openssl", args.flat(), { stdio: ["ignore", "pipe", "pipe"], encoding: "utf8" });
  writeFileSync(at("ca.cnf"), CONFIG(folder));
  writeFileSync(at("index.txt"), "");
  // As CAs must: 64 bits at least that nobody can guess (CA/Browser Forum, 7.1).
  writeFileSync(at("serial"), `10${randomBytes(15).toString("hex")}\n`);
  writeFileSync(at("crlnumber"), "01\n");
  const EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  openssl("req", "-x509", EC, "-days", "20", "-subj", `/CN=${name}`, "-keyout", at("ca.key"), "-out", at("ca.pem"));
  let issued = 0;

  return {
    folder,
    caFile: at("ca.pem"),
    ca: readFileSync(at("ca.pem"), "utf8"),
    keyFile: at("ca.key"),
    issue(options: IssueOptions = {}): Issued {
      const id = `leaf${++issued}`;
      const { names = [], addresses = [], keyType = "ec", responder } = options;
      const subject = options.subject ?? `/CN=${names[0] ?? id}`;
      const alternatives = [...names.map((one) => `DNS:${one}`), ...addresses.map((one) => `IP:${one}`)].join(",");
      const key = keyType === "ec" ? EC : ["-newkey", "rsa:2048", "-nodes"];
      const extensions = [
        ...(alternatives === "" ? [] : ["-addext", `subjectAltName=${alternatives}`]),
        ...(responder === undefined ? [] : ["-addext", `authorityInfoAccess=OCSP;URI:${responder}`]),
        ...(options.extensions ?? []).flatMap((extension) => ["-addext", extension]),
      ];
      const [keyFile, certFile, request] = [at(`${id}.key`), at(`${id}.pem`), at(`${id}.csr`)];
      openssl("req", "-new", key, "-subj", subject, extensions, "-keyout", keyFile, "-out", request);
      const times = [
        ...(options.notBefore === undefined ? [] : ["-startdate", options.notBefore]),
        ...(options.notAfter === undefined ? [] : ["-enddate", options.notAfter]),
      ];
      openssl("ca", "-batch", "-notext", "-config", at("ca.cnf"), times, "-in", request, "-out", certFile);
      return {
        name: names[0] ?? id,
        cert: readFileSync(certFile, "utf8"),
        key: readFileSync(keyFile, "utf8"),
        certFile,
        keyFile,
      };
    },
    /** Signs what a client made. */
    sign(csrPem: string, subject?: string): string {
      const id = `signed${++issued}`;
      writeFileSync(at(`${id}.csr`), csrPem);
      const named = subject === undefined ? [] : ["-subj", subject];
      const files = ["-in", at(`${id}.csr`), "-out", at(`${id}.pem`)];
      openssl("ca", "-batch", "-notext", "-config", at("ca.cnf"), named, files);
      return readFileSync(at(`${id}.pem`), "utf8");
    },
    revoke(leaf: Pick<Issued, "certFile">): void {
      openssl("ca", "-config", at("ca.cnf"), "-revoke", leaf.certFile);
    },
    /** PEM of all that is revoked. */
    crl(): string {
      openssl("ca", "-config", at("ca.cnf"), "-gencrl", "-out", at("crl.pem"));
      return readFileSync(at("crl.pem"), "utf8");
    },
    /** `openssl ocsp` at a port of loopback. @returns its address, which certificates name */
    async startResponder(test: TestContext, port: number, more: readonly string[] = []): Promise<void> {
      const files = ["-index", at("index.txt"), "-CA", at("ca.pem"), "-rsigner", at("ca.pem"), "-rkey", at("ca.key")];
      const child = spawn("openssl", ["ocsp", "-port", String(port), files, "-nmin", "10", more].flat(), {
        stdio: ["ignore", "pipe", "pipe"],
      });
      const exited = once(child, "exit");
      test.after(async () => {
        child.kill();
        await exited;
      });
      let said = "";
      for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => (said += String(text)));
      await until(() => /waiting for OCSP/i.test(said) || child.exitCode !== null);
      if (child.exitCode !== null) throw new Error(said);
    },
  };
}
