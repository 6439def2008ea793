/**
 * TLS to the backends of a pool: whom we trust, under which name, and the sessions that backends gave us.
 *
 * Owns:    one context a pool and configuration, and the last session of each (backend, name).
 * Rule:    verification is on unless the configuration says otherwise, and the name that is looked for is never taken from
 *          the backend. A session stands for the check that was done when it began, so it is kept by name.
 * @module
 */
import { isIP } from "node:net";
import { createSecureContext, type SecureContext } from "node:tls";
import { RhumbError } from "#base/errors.ts";
import type { UpstreamTlsSpec } from "#state/http.ts";

/** As `net/driver.ts` takes it. */
export type UpstreamTerms = {
  readonly context: SecureContext;
  readonly serverName: string | undefined;
  readonly isVerified: boolean;
  readonly alpn: readonly string[];
  readonly timeoutMs: number;
  readonly sessions: { last: Buffer | undefined };
};

export type UpstreamTls = {
  /**
   * @param host the request's `Host`, with or without its port; it counts where no name is configured
   * @param backend its row: sessions are of one backend
   */
  terms(host: string | undefined, backend: number): UpstreamTerms;
};

export type UpstreamTlsOptions = {
  readonly spec: UpstreamTlsSpec;
  /** Text of a file that the configuration names. */
  readonly textOf: (file: string) => string;
  readonly alpn: readonly string[];
  readonly timeoutMs: number;
};

/** Names come from clients where none is configured. */
const MAX_TERMS = 4_096;

/** @throws RhumbError RHUMB_BALANCER_CERTIFICATE */
export function createUpstreamTls({ spec, textOf, alpn, timeoutMs }: UpstreamTlsOptions): UpstreamTls {
  const context = createContext(spec, textOf);
  const known = new Map<string, UpstreamTerms>();
  return {
    terms(host, backend) {
      const serverName = spec.serverName ?? nameOfHost(host);
      const key = `${backend} ${serverName ?? ""}`;
      let terms = known.get(key);
      if (terms === undefined) {
        if (known.size === MAX_TERMS) known.delete(known.keys().next().value!);
        const { isVerified } = spec;
        terms = { context, serverName, isVerified, alpn, timeoutMs, sessions: { last: undefined } };
        known.set(key, terms);
      }
      return terms;
    },
  };
}

/** The name in a `Host` (RFC 9110 §7.2), lower case; undefined: it is an address, or nothing that can be a name. */
export function nameOfHost(host: string | undefined): string | undefined {
  if (host === undefined) return undefined;
  const name = host.replace(/:\d*$/, "").replace(/\.$/, "").toLowerCase();
  return name.length <= 253 && /^[a-z0-9_]([a-z0-9._-]*[a-z0-9_])?$/.test(name) && isIP(name) === 0 ? name : undefined;
}

function createContext({ caFile, certFile, keyFile }: UpstreamTlsSpec, textOf: (file: string) => string) {
  try {
    return createSecureContext({
      ...(caFile === undefined ? {} : { ca: textOf(caFile) }),
      ...(certFile === undefined ? {} : { cert: textOf(certFile) }),
      ...(keyFile === undefined ? {} : { key: textOf(keyFile) }),
      minVersion: "TLSv1.2",
    });
  } catch (error) {
    if (error instanceof RhumbError) throw error;
    const files = [caFile, certFile, keyFile].filter((file) => file !== undefined).join(", ");
    throw new RhumbError("RHUMB_BALANCER_CERTIFICATE", `${files}: ${(error as Error).message}`, { cause: error });
  }
}
