/**
 * `tls:` of the balancer's listeners of `protocol: tls` and `https`: what TLS towards clients is like.
 *
 * Reader:  `config/compile-tls.ts`, which turns it into `TlsSpec`. The engines never see it.
 * @module
 */
import { z } from "zod";
import { doc, durationMs, flag, path, refuse, url } from "#base/field.ts";

const live = { reload: "live" } as const;
const file = { ...live, unit: "path" } as const;

/** One of OpenSSL's names, not an expression such as `HIGH:!aNULL`: what is configured is what is offered. */
const cipher = z
  .string()
  .regex(/^[A-Z0-9_-]+$/, { error: "Must be a cipher's name as OpenSSL writes it" })
  .meta({ expects: "a cipher's name such as ECDHE-RSA-AES128-GCM-SHA256" });

const domain = z
  .string()
  .transform((value, context): string => {
    const name = value.toLowerCase().replace(/\.$/, "");
    if (/^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(name) && name.length <= 253)
      return name;
    return refuse(
      context,
      name.startsWith("*.")
        ? "A wildcard is proved by DNS alone, which is not done here"
        : `Must be a host name; is ${JSON.stringify(value)}`,
      "Write a full name such as www.example.com",
    );
  })
  .meta({ expects: "a host name such as www.example.com" });

const clientSchema = z.strictObject({
  mode: doc(
    z.enum(["optional", "require"]).default("require"),
    "`require`: who shows no certificate is refused. One that is shown must be good, with either.",
    live,
  ),
  ca: doc(path(), "Authorities whose certificates are taken, PEM.", file),
  crl: doc(
    path().optional(),
    "What they revoked, PEM: one list of each authority, all of them in date; else nobody is let in.",
    file,
  ),
});

const ticketsSchema = z.strictObject({
  rotate: doc(
    durationMs("1m", "7d").prefault("12h"),
    "Keys of session tickets are new every so often, at the same time on all nodes; each client then has one full handshake.",
    live,
  ),
  secret: doc(
    path().optional(),
    "A file of at least 32 octets, the same on all nodes: sessions are then taken up at each of them, and after a restart. Default: a secret of this process.",
    file,
  ),
});

const acmeSchema = z.strictObject({
  directory: doc(
    url("https").default("https://acme-v02.api.letsencrypt.org/directory"),
    "The authority's directory.",
    live,
  ),
  email: doc(
    z.email({ error: "Must be an email address" }).optional().meta({ expects: "an email address" }),
    "Whom the authority writes to.",
    live,
  ),
  acceptTerms: doc(
    z.literal(true, { error: "Must be true" }).meta({ expects: "true" }),
    "That you accept the authority's terms of service; without it there is no account.",
    live,
  ),
  domains: doc(z.array(domain).min(1).max(100), "Names of the one certificate; each is proved.", live),
  challenge: doc(
    z.enum(["http-01", "tls-alpn-01"]).default("tls-alpn-01"),
    "`tls-alpn-01`: the authority connects to port 443 of each name, which must lead to this listener. `http-01`: to port 80, which must lead to an `http` listener of this balancer.",
    live,
  ),
  folder: doc(path().default("acme/"), "Where account, keys and certificates are kept; for this user alone.", file),
  renewBefore: doc(durationMs("1d", "60d").prefault("30d"), "A certificate is renewed so long before its end.", live),
  ca: doc(path().optional(), "Authorities to trust at the directory, PEM. Default: those of the system.", file),
});

export const tlsSchema = z.strictObject({
  minVersion: doc(z.enum(["1.2", "1.3"]).default("1.2"), "Older versions are refused.", live),
  ciphers: doc(
    z.array(cipher).max(64).default([]),
    "Best first, by OpenSSL's names; those of TLS 1.3 begin with `TLS_`. Empty: ECDHE with AES-GCM or ChaCha20.",
    live,
  ),
  client: doc(clientSchema.optional(), "Present: clients show certificates.", live),
  ocsp: doc(
    flag().default(true),
    "Staples the authority's word on a certificate, where the certificate names a responder.",
    live,
  ),
  tickets: doc(ticketsSchema.prefault({}), "Sessions that clients take up again.", live),
  acme: doc(
    acmeSchema.optional(),
    "Present: a certificate of an ACME authority is ordered and renewed; it comes before those of `certificates`.",
    live,
  ),
});
export type TlsConfig = z.output<typeof tlsSchema>;
