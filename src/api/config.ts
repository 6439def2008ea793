/**
 * The `control:` section of rhumb.yaml: where the control API listens, and who may use it.
 *
 * Reader:  `config/`, which turns it into `ControlSnapshot`.
 * @module
 */

import { z } from "zod";
import { doc, name, parseHostPort, path, percent, refuse, secret, url } from "#base/field.ts";

const live = { reload: "live" } as const;

const listen = z
  .string()
  .transform((value, context) => {
    if (value.startsWith("unix:") && value.length > 5) return { socket: value.slice(5) };
    const parsed = parseHostPort(value);
    if (parsed) return parsed;
    return refuse(
      context,
      `Must be address:port or unix:PATH; is ${JSON.stringify(value)}`,
      'Write "127.0.0.1:8053" or "unix:run/rhumb.sock"',
    );
  })
  .meta({ expects: "address:port or unix:PATH", unit: "address:port" });

export const controlSchema = z.strictObject({
  listen: doc(
    listen.prefault("127.0.0.1:8053"),
    "Where the API, the dashboard and the metrics are served. Beyond loopback it needs `tls`.",
    live,
  ),
  tokens: doc(
    z
      .record(
        name("a token's name"),
        z.strictObject({
          token: doc(secret(), "The bearer token, at least 16 characters.", live),
          role: doc(
            z.enum(["read", "operate", "admin"]),
            "`read` looks, `operate` also overrides, `admin` also changes the configuration.",
            live,
          ),
        }),
      )
      .default({}),
    "Who may use the API. The name goes into the audit log. Required unless `listen` is a Unix socket.",
    live,
  ),
  tls: doc(
    z
      .strictObject({
        cert: doc(path(), "Certificate chain, PEM.", { ...live, unit: "path" }),
        key: doc(path(), "Private key, PEM; `file:PATH` or a plain path.", { ...live, unit: "path" }),
      })
      .optional(),
    "TLS of the API.",
    live,
  ),
  peers: doc(
    z
      .record(
        name("a node's name"),
        z.strictObject({
          url: doc(url("https", "http"), "The peer's control API. Beyond loopback it must be https.", live),
          token: doc(secret(), "A token of the peer, of the role `operate`: it lets this node ask it to probe.", live),
          ca: doc(path().optional(), "Certificates to trust for it instead of the system's, PEM.", {
            ...live,
            unit: "path",
          }),
        }),
      )
      .default({}),
    "The control APIs of the other nodes: `rhumb doctor` asks each how it sees this one.",
    live,
  ),
  maxChange: doc(
    percent(0, 100).prefault("50%"),
    "Share of the answers that one push may change; with `--break-glass` any. Up to 10 answers always may.",
    live,
  ),
});
export type ControlConfig = z.output<typeof controlSchema>;
