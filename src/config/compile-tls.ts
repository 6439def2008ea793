/**
 * `tls:` of a listener → `TlsSpec`, the files that it names, and what is wrong with it.
 * @module
 */
import { resolve } from "node:path";
import type { Path } from "#config/yaml.ts";
import type { ListenerConfig } from "#l4/config.ts";
import type { TlsSpec } from "#state/http.ts";
import { type TlsConfig, tlsSchema } from "#tls/config.ts";

export const endsTls = ({ protocol }: Pick<ListenerConfig, "protocol">): boolean =>
  protocol === "tls" || protocol === "https";

/** Undefined: such a listener does not end TLS. */
export function compileTls(listener: ListenerConfig, folder: string): TlsSpec | undefined {
  if (!endsTls(listener)) return undefined;
  const { minVersion, ciphers, client, ocsp, tickets, acme } = listener.tls ?? tlsSchema.parse({});
  const fileOf = <T extends string | undefined>(path: T) =>
    (path === undefined ? undefined : resolve(folder, withoutScheme(path))) as T;
  return {
    minVersion: `TLSv${minVersion}`,
    ciphers,
    client: client && { mode: client.mode, caFile: fileOf(client.ca), crlFile: fileOf(client.crl) },
    staples: ocsp,
    tickets: { rotateMs: tickets.rotate, secretFile: fileOf(tickets.secret) },
    acme: acme && {
      directory: acme.directory,
      email: acme.email,
      domains: acme.domains,
      challenge: acme.challenge,
      folder: fileOf(acme.folder),
      renewBeforeMs: acme.renewBefore,
      caFile: fileOf(acme.ca),
    },
  };
}

const withoutScheme = (path: string): string => path.replace(/^file:/, "");

/** With their paths below the listener; `file:` is taken off. */
export function filesOfTls(tls: TlsConfig | undefined): { path: Path; value: string; isSecret: boolean }[] {
  if (tls === undefined) return [];
  const named: [Path, string | undefined, boolean][] = [
    [["tls", "client", "ca"], tls.client?.ca, false],
    [["tls", "client", "crl"], tls.client?.crl, false],
    [["tls", "tickets", "secret"], tls.tickets.secret, true],
    [["tls", "acme", "ca"], tls.acme?.ca, false],
  ];
  return named.flatMap(([path, value, isSecret]) =>
    value === undefined ? [] : [{ path, value: withoutScheme(value), isSecret }],
  );
}

type Say = (path: Path, says: string, fix: string, where?: { readonly want: "key" }) => void;

export function checkTls(listener: ListenerConfig, hasHttpListener: boolean, say: Say): void {
  const { protocol, tls } = listener;
  if (tls === undefined) return;
  if (!endsTls(listener)) {
    const fix = `Remove it, or write \`protocol: ${protocol === "http" ? "https" : "tls"}\``;
    say(["tls"], `\`protocol: ${protocol}\` does not end TLS`, fix, { want: "key" });
    return;
  }
  const { minVersion, ciphers, acme } = tls;
  if (minVersion === "1.3" && ciphers.length > 0 && !ciphers.some((name) => name.startsWith("TLS_")))
    say(
      ["tls", "ciphers"],
      "None of these is of TLS 1.3",
      "Add one such as TLS_AES_128_GCM_SHA256, or remove `ciphers`",
    );
  if (acme?.challenge === "http-01" && !hasHttpListener)
    say(
      ["tls", "acme", "challenge"],
      "`http-01` is answered by a listener of `protocol: http`, and there is none",
      "Add one that clients reach at port 80, or write `challenge: tls-alpn-01`",
    );
}
