/**
 * The `health:` section of rhumb.yaml, the check files in health/, and health/overrides.yaml.
 *
 * Reader:  `config/`, which turns them into `HealthSnapshot`.
 * @module
 */

import { z } from "zod";
import { coordinates, doc, durationMs, flag, integer, ipAddress, name, path, refuse, text } from "#base/field.ts";

const live = { reload: "live" } as const;

export const healthSchema = z.strictObject({
  checks: doc(path().default("health/"), "Folder of the checks: one file each, named after the check.", live),
  vantage: doc(name("a vantage").optional(), "From where this node probes. Default: the name of the node.", live),
  vantages: doc(
    z
      .record(
        name("a vantage"),
        z.strictObject({ at: doc(coordinates(), "Where it is: latitude, then longitude.", live) }),
      )
      .default({}),
    "All places that probe.",
    live,
  ),
  quorum: doc(
    z
      .union([z.literal("auto"), integer(1, 64)])
      .default("auto")
      .meta({ expects: "auto, or a whole number from 1 to 64" }),
    "Votes that decide. `auto`: the majority of the vantages; 1 when alone.",
    live,
  ),
  references: doc(
    z
      .array(
        z.strictObject({
          address: doc(
            ipAddress(),
            "What to probe: something that others run, and that is up whenever this node's own network is.",
            live,
          ),
          check: doc(name("a check"), "How: a check of the folder.", live),
        }),
      )
      .max(16)
      .default([]),
    "While most of them fail, this vantage does not trust itself, and its votes do not count. Never steered to.",
    live,
  ),
  safety: doc(
    z
      .strictObject({
        assert: doc(
          z
            .array(
              z.strictObject({
                atLeast: doc(integer(1, 64).default(1), "So many of them must stay in service.", live),
                of: doc(z.array(name("a region")).min(1).max(64), "Regions.", live),
              }),
            )
            .max(64)
            .default([]),
          "What overrides and evacuations may not break.",
          live,
        ),
        gates: doc(
          z
            .strictObject({
              override: doc(name("a switch").optional(), "To set a region down, or drain it, by an override.", live),
              evacuate: doc(name("a switch").optional(), "To evacuate a region.", live),
            })
            .prefault({}),
          "Switches that must be on for a change: `rhumb override up switch/NAME --reason … --for 2h`.",
          live,
        ),
      })
      .prefault({}),
    "Rules for operators in a hurry. `--force` goes past them, is told to all and stands in the audit log.",
    live,
  ),
});
export type HealthConfig = z.output<typeof healthSchema>;

const failbackSchema = z.strictObject({
  mode: doc(
    z.enum(["auto", "manual"]).default("auto"),
    "`manual`: a region that was down waits for an operator.",
    live,
  ),
  hold: doc(
    z
      .union([z.literal("auto"), durationMs("0s", "1h")])
      .prefault("auto")
      .meta({ expects: "auto, or a duration such as 30s" }),
    "How long a region stays out after it recovered. `auto`: four times the outage, at most 120s; doubled per flap.",
    live,
  ),
  ramp: doc(
    z.array(integer(1, 100)).min(1).max(16).default([10, 25, 50, 100]),
    "Percent of its clients that a returning region gets, step by step; rises to 100. [100]: at once.",
    { ...live, unit: "percent" },
  ),
  step: doc(durationMs("1s", "1h").prefault("30s"), "Length of one step of the ramp.", live),
  after: doc(durationMs("0s", "1h").prefault("30s"), "Only an outage longer than this is followed by a ramp.", live),
});

/** Ports to probe where a region's check gives none; a backend's check then probes the backend's own. */
export const STANDARD_PORTS: Readonly<Record<string, number>> = { tls: 443, http: 80, https: 443, dns: 53 };
const port = doc(
  integer(1, 65_535).optional(),
  "Port to probe. Default: of a backend its own; of a region 80 (http), 443 (https, tls), 53 (dns); others need it.",
  live,
);

const base = {
  interval: doc(durationMs("100ms", "1h").prefault("5s"), "Time from probe to probe; jitter only shortens it.", live),
  timeout: doc(durationMs("10ms", "5m").prefault("2s"), "A probe that takes longer has failed.", live),
  thresholds: doc(
    z
      .strictObject({
        down: doc(integer(1, 100).default(3), "Failures until down.", live),
        up: doc(integer(1, 100).default(5), "Successes in a row until up.", live),
        ok: doc(integer(1, 100).default(5), "Successes in a row that forgive earlier failures.", live),
      })
      .prefault({}),
    "When a verdict changes.",
    live,
  ),
  downSpan: doc(durationMs("0s", "1h").prefault("2s"), "The failures that mean down span at least this long.", live),
  failback: doc(failbackSchema.prefault({}), "How a region comes back.", live),
};

const tlsOptions = {
  serverName: doc(
    text("a host name").optional(),
    "Name for SNI and for the certificate. Default: `host`, else the address.",
    live,
  ),
  verify: doc(flag().default(true), "Verify the certificate's chain and name.", live),
  minDaysLeft: doc(integer(0, 3_650).default(0), "Fewer days left on the certificate is a failure. 0: not looked at.", {
    ...live,
    unit: "days",
  }),
  ca: doc(path().optional(), "Certificates to trust instead of the system's, PEM.", { ...live, unit: "path" }),
};

/** `200`, `200-299` → inclusive range. */
const statusRange = z
  .union([z.int(), z.string()])
  .transform((value, context): readonly [number, number] => {
    const match = /^([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?$/.exec(String(value));
    const from = Number(match?.[1]);
    const to = Number(match?.[2] ?? match?.[1]);
    if (match && from <= to) return [from, to];
    return refuse(context, `Must be a status or a range; is ${JSON.stringify(value)}`, "Write 204 or 200-299");
  })
  .meta({ expects: "a status such as 204, or a range such as 200-299", unit: "HTTP status" });

const http = {
  path: doc(
    z
      .string()
      .regex(/^\/[\x21-\x7e]*$/, { error: "Must start with / and have no spaces" })
      .default("/")
      .meta({ expects: "a path such as /healthz" }),
    "Path and query to ask for.",
    live,
  ),
  method: doc(z.enum(["GET", "HEAD", "POST", "OPTIONS"]).default("GET"), "Method of the request.", live),
  headers: doc(
    z
      .record(
        z.string().regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/, { error: "Must be a header name" }),
        z.string().regex(/^[\t\x20-\x7e\x80-\xff]*$/, { error: "Must be one line of text" }),
      )
      .default({}),
    "Headers to send.",
    live,
  ),
  host: doc(
    text("a host name")
      .regex(/^[\x21-\x7e]+$/, { error: "Must have no spaces" })
      .optional(),
    "Host header. Default: the address.",
    live,
  ),
  expect: doc(
    z
      .strictObject({
        status: doc(z.array(statusRange).min(1).max(32).prefault(["200-299"]), "Statuses that count as success.", live),
        body: doc(text().max(1_024).optional(), "Text that must stand in the first 64 KiB of the body.", live),
      })
      .prefault({}),
    "What counts as success.",
    live,
  ),
};

/** By `kind`; the file's name is the check's name. */
export const CHECK_SCHEMAS = {
  tcp: z.strictObject({ kind: doc(z.literal("tcp"), "A connection is accepted.", live), port, ...base }),
  tls: z.strictObject({
    kind: doc(z.literal("tls"), "A TLS handshake succeeds.", live),
    port,
    ...tlsOptions,
    ...base,
  }),
  http: z.strictObject({
    kind: doc(z.literal("http"), "An HTTP request succeeds.", live),
    port,
    ...http,
    ...base,
  }),
  https: z.strictObject({
    kind: doc(z.literal("https"), "An HTTPS request succeeds.", live),
    port,
    ...http,
    ...tlsOptions,
    ...base,
  }),
  dns: z.strictObject({
    kind: doc(z.literal("dns"), "A DNS query is answered.", live),
    port,
    name: doc(text("a domain name").max(253), "Name to ask for.", live),
    type: doc(
      z
        .string()
        .regex(/^[A-Z0-9]+$/, { error: "Must be a record type such as A" })
        .default("A"),
      "Type to ask for.",
      live,
    ),
    rcode: doc(
      z.enum(["NOERROR", "NXDOMAIN", "REFUSED", "SERVFAIL"]).default("NOERROR"),
      "Response code that counts as success.",
      live,
    ),
    answer: doc(
      text().optional(),
      "Text that one of the answer's records must have. Default: any answer will do.",
      live,
    ),
    overTcp: doc(flag().default(false), "Ask over TCP.", live),
    ...base,
  }),
  grpc: z.strictObject({
    kind: doc(z.literal("grpc"), "grpc.health.v1.Health/Check says SERVING.", live),
    port,
    service: doc(z.string().max(255).default(""), "Service to ask about. Empty: the server as a whole.", live),
    authority: doc(text().optional(), "The :authority header. Default: the address.", live),
    ...base,
  }),
  script: z.strictObject({
    kind: doc(z.literal("script"), "A program in the checks folder ends with status 0.", live),
    file: doc(
      text("a file name"),
      "The program: a file in the folder of the checks, executable, not writable by everybody.",
      { ...live, unit: "path" },
    ),
    args: doc(
      z.array(z.string().max(1_024)).max(64).default([]),
      "Arguments; `{address}` stands for the address, `{port}` for the port of a backend.",
      live,
    ),
    user: doc(text("a user").optional(), "User to run it as. Default: that of the process.", live),
    ...base,
  }),
} as const;
export const CHECK_KINDS = Object.keys(CHECK_SCHEMAS) as (keyof typeof CHECK_SCHEMAS)[];
export type CheckConfig = z.output<(typeof CHECK_SCHEMAS)[keyof typeof CHECK_SCHEMAS]>;
export type FailbackConfig = z.output<typeof failbackSchema>;

const verb = z
  .string()
  .transform((value, context): { verb: "up" | "down" | "drain" | "ignore-health"; weightPercent: number } => {
    const match = /^(?:(up|down|ignore-health)|drain(?:=(100|[0-9]{1,2})%?)?)$/.exec(value);
    if (!match)
      return refuse(
        context,
        `Must be a verb; is ${JSON.stringify(value)}`,
        "Write up, down, drain, drain=20 or ignore-health",
      );
    const plain = match[1] as "up" | "down" | "ignore-health" | undefined;
    return { verb: plain ?? "drain", weightPercent: plain ? 100 : Number(match[2] ?? 0) };
  })
  .meta({ expects: "up, down, drain, drain=20 or ignore-health" });

const moment = z
  .string()
  .transform((value, context): number => {
    const atMs = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/.test(value)
      ? Date.parse(value)
      : Number.NaN;
    if (!Number.isNaN(atMs)) return atMs;
    return refuse(
      context,
      `Must be a time; is ${JSON.stringify(value)}`,
      "Write it with its zone, such as 2027-01-01T00:00:00Z",
    );
  })
  .meta({ expects: "a time such as 2027-01-01T00:00:00Z", unit: "RFC 3339" });

/** One entry of health/overrides.yaml: the last match wins; those of the API come after. */
export const overrideSchema = z.strictObject({
  target: doc(
    z
      .string()
      .superRefine((value, context) => {
        if (!/^(region|backend)\/[A-Za-z0-9._:*?[\]/-]+$/.test(value) && !/^[a-z0-9*?][a-z0-9._*?-]*$/.test(value))
          refuse(
            context,
            `Must be a target; is ${JSON.stringify(value)}`,
            "Write region/eu-west, region/eu-* or backend/web/10.0.0.1:80",
          );
      })
      .meta({ expects: "a target such as region/eu-west" }),
    "What it is about; `*` stands for any text. A bare name is a region.",
    live,
  ),
  verb: doc(verb, "What to do with it. `drain=20` leaves 20 % of its clients.", live),
  reason: doc(text().max(512), "Why, for the colleagues.", live),
  owner: doc(text().max(128), "Who to ask.", live),
  until: doc(moment, "When it ends.", live),
});
export type OverrideConfig = z.output<typeof overrideSchema>;
