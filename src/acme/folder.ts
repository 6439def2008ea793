/**
 * Where accounts and certificates of ACME are kept: a folder for this user alone, which several nodes may share.
 *
 * Owns:    `account-HASH.json` (key and address of an account, HASH: of the directory) and `NAME-HASH.json` (certificate and
 *          its key in one file, HASH: of directory and names), mode 0600, replaced whole; `NAME-HASH.lock` while somebody
 *          orders it.
 * @module
 */
import { createHash, X509Certificate } from "node:crypto";
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import type { AcmeSpec } from "#state/http.ts";

export type StoredAccount = { readonly key: string; readonly url: string | undefined };
export type StoredCertificate = {
  readonly cert: string;
  readonly key: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
};

export type AcmeFolder = {
  account(): StoredAccount | undefined;
  keepAccount(account: StoredAccount): void;
  /** Undefined: there is none, or it cannot be read. */
  certificate(): StoredCertificate | undefined;
  keepCertificate(cert: string, key: string): void;
  /** @returns how to let go; undefined: another node orders this certificate now */
  lock(nowMs: number): (() => void) | undefined;
};

/** A node that died within an order is not waited for. */
const STALE_LOCK_MS = 900_000;

const hashOf = (...parts: readonly string[]): string =>
  createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 12);
/** Equal for listeners that want the same certificate of the same authority. */
export const acmeKey = ({ directory, domains }: AcmeSpec): string =>
  `${domains[0]}-${hashOf(directory, ...[...domains].sort())}`;

/** Nothing is read or written before it is asked for. */
export function openAcmeFolder(spec: AcmeSpec): AcmeFolder {
  const { folder } = spec;
  const accountFile = join(folder, `account-${hashOf(spec.directory)}.json`);
  const certificateFile = join(folder, `${acmeKey(spec)}.json`);
  const lockFile = join(folder, `${acmeKey(spec)}.lock`);
  const read = (file: string): Record<string, unknown> | undefined => {
    try {
      return JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>;
    } catch {
      return undefined; // missing, or broken: it is had anew
    }
  };
  const keep = (file: string, value: object): void => {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const partial = `${file}.${process.pid}.new`;
    const fd = openSync(partial, "w", 0o600);
    try {
      writeSync(fd, `${JSON.stringify(value, undefined, 2)}\n`);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(partial, file);
  };
  return {
    account() {
      const { key, url } = read(accountFile) ?? {};
      return typeof key === "string" ? { key, url: typeof url === "string" ? url : undefined } : undefined;
    },
    keepAccount: (account) => keep(accountFile, account),
    certificate() {
      const { cert, key } = read(certificateFile) ?? {};
      if (typeof cert !== "string" || typeof key !== "string") return undefined;
      try {
        const { validFromDate, validToDate } = new X509Certificate(cert);
        return { cert, key, notBeforeMs: validFromDate.getTime(), notAfterMs: validToDate.getTime() };
      } catch {
        return undefined;
      }
    },
    keepCertificate: (cert, key) => keep(certificateFile, { cert, key }),
    lock(nowMs) {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      try {
        if (nowMs - statSync(lockFile).mtimeMs > STALE_LOCK_MS) rmSync(lockFile, { force: true });
      } catch {
        // there is none
      }
      try {
        closeSync(openSync(lockFile, "wx", 0o600));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "EEXIST") return undefined;
        throw error;
      }
      return () => rmSync(lockFile, { force: true });
    },
  };
}
