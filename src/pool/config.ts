/**
 * `balancer.pools` of rhumb.yaml: groups of backends, and how they are chosen, guarded and given up.
 *
 * Reader:  `config/`, which turns it into `PoolSpec`. The engines never see it.
 * @module
 */

import { z } from "zod";
import { doc, durationMs, flag, integer, name, path, percent, refuse, secret, text } from "#base/field.ts";
import { formatIp, parseIpv4, parseIpv6 } from "#base/ip.ts";
import { outlierSchema } from "#pool/outlier-config.ts";
import { ALGORITHMS, POOL_MODES } from "#state/balancer.ts";

const live = { reload: "live" } as const;

/** A host name of the DNS (RFC 1123 §2.1); one label is enough, as container networks have them. */
const HOST_PATTERN = /^(?=.{1,253}$)[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?)*$/;
/** `_service._proto.name` (RFC 2782). */
const SRV_PATTERN = /^_[a-z0-9-]{1,62}\._(tcp|udp)(\.[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?)+$/;

export type Endpoint = {
  /** An address in canonical text, or a lower-case host name. */
  readonly host: string;
  readonly isName: boolean;
  readonly port: number;
};

/** @returns undefined where `value` is no address or host name with a port from 1 to 65535 */
export function parseEndpoint(value: string): Endpoint | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):([0-9]{1,5})$/.exec(value);
  if (!match) return undefined;
  const port = Number(match[3]);
  if (port < 1 || port > 65_535) return undefined;
  const bytes = match[1] === undefined ? parseIpv4(match[2]!) : parseIpv6(match[1]);
  if (bytes) return { host: formatIp(bytes), isName: false, port };
  const host = match[2]?.toLowerCase().replace(/\.$/, "");
  // 10.0.0.300 is a slip of the keyboard, not a name.
  if (host === undefined || !HOST_PATTERN.test(host) || /^[0-9.]+$/.test(host)) return undefined;
  return { host, isName: true, port };
}

const endpoint = () =>
  z
    .string()
    .transform((value, context): Endpoint => {
      const parsed = parseEndpoint(value);
      if (!parsed)
        return refuse(
          context,
          `Must be address:port; is ${JSON.stringify(value)}`,
          'Write an address or a host name and a port, such as "10.0.0.1:80", "[2001:db8::1]:80" or "web.internal:80"',
        );
      if (/(^|\.)localhost$/.test(parsed.host))
        return refuse(
          context,
          `${JSON.stringify(parsed.host)} is not a name of the DNS`,
          `Write 127.0.0.1:${parsed.port} or "[::1]:${parsed.port}"`,
        );
      return parsed;
    })
    .meta({ expects: "address:port", unit: "address:port" });

const srvName = z
  .string()
  .transform((value, context): string => {
    const srv = value.toLowerCase().replace(/\.$/, "");
    if (SRV_PATTERN.test(srv)) return srv;
    return refuse(
      context,
      `Must be the name of SRV records; is ${JSON.stringify(value)}`,
      "Write _service._proto.name, such as _http._tcp.web.internal",
    );
  })
  .meta({ expects: "the name of SRV records", unit: "SRV name" });

const macAddress = z
  .string()
  .transform((value, context): string => {
    const mac = value.toLowerCase();
    const isMac = /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(mac);
    // The lowest bit of the first octet marks a group address (IEEE 802).
    if (isMac && mac !== "00:00:00:00:00:00" && (Number.parseInt(mac.slice(0, 2), 16) & 1) === 0) return mac;
    return refuse(
      context,
      `Must be the MAC address of one machine; is ${JSON.stringify(value)}`,
      "Write it such as 52:54:00:12:34:56",
    );
  })
  .meta({ expects: "a MAC address", unit: "MAC address" });

const healthPath = z
  .string()
  .regex(/^\/[\x21-\x7e]*$/, { error: "Must start with / and have no spaces" })
  .meta({ expects: "a path such as /health" });

const backendSchema = z
  .strictObject({
    address: doc(
      endpoint().optional(),
      "Where it is. A host name stands for one backend per address; it is asked for again when its TTL ends.",
      live,
    ),
    srv: doc(
      srvName.optional(),
      "Instead of `address`: SRV records, one backend per target and address, with their port, weight and priority.",
      live,
    ),
    weight: doc(
      integer(0, 1_000).default(1),
      "Its share next to the others of its tier. 0: no new clients. SRV records bring their own.",
      live,
    ),
    backup: doc(flag().default(false), "Serves only while no other can: short for `priority: 1`.", live),
    priority: doc(
      integer(0, 255).optional(),
      "Tier: 0 serves; the next one serves while nothing of those before can. Default: 0, of a backup 1.",
      live,
    ),
    maxConnections: doc(integer(0, 1_000_000).default(0), "Connections at a time. 0: no limit.", live),
    zone: doc(name("a zone").optional(), "Where it stands, for `preferLocalZone`.", live),
    enabled: doc(flag().default(true), "false: in maintenance.", live),
    mac: doc(
      macAddress.optional(),
      "Of `nft-stateless` and `nft-dsr`: its MAC address. Default: as the kernel knows it by ARP.",
      live,
    ),
    healthPath: doc(healthPath.optional(), "Path to probe instead of that of the pool's check.", live),
  })
  .superRefine((backend, context) => {
    if ((backend.address === undefined) === (backend.srv === undefined))
      refuse(
        context,
        backend.srv === undefined ? "The backend has no address" : "The backend has both `address` and `srv`",
        'Write `address: "10.0.0.1:80"`, or `srv:` alone',
      );
    if (backend.backup && backend.priority === 0)
      refuse(context, "`backup: true` and `priority: 0` say different things", "Keep one of the two");
  });
export type BackendConfig = z.output<typeof backendSchema>;

const token = (expects: string) =>
  z
    .string()
    .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$/, { error: `Must be ${expects}` })
    .meta({ expects });
const fieldName = () => token("the name of a field").transform((value) => value.toLowerCase());

const keySource = z
  .union([
    z.enum(["address", "path", "uri"]),
    z.strictObject({ header: doc(fieldName(), "A field of the request.", live) }),
    z.strictObject({ cookie: doc(token("the name of a cookie"), "A cookie.", live) }),
    z.strictObject({ query: doc(text("a name"), "A parameter of the query.", live) }),
  ])
  .meta({ expects: "address, path, uri, or a map with `header`, `cookie` or `query`" });

const hashSchema = z.strictObject({
  on: doc(
    z
      .union([keySource, z.array(keySource).min(1).max(8)])
      .default("address")
      .meta({ expects: "address, path, uri, a map, or a list of them" }),
    "Of HTTP: what is hashed, the first that is not empty. If all are, it is the address.",
    live,
  ),
  balanceFactor: doc(
    percent(0, 1_000)
      .refine((factor) => factor === 0 || factor >= 100, {
        error: "Must be 0% or at least 100%",
        params: { fix: "Write 0% for no bound, or 125% to 200%" },
      })
      .prefault("0%"),
    "Bounded load of `ring_hash`, `maglev` and `rendezvous`: nobody gets more than this share of the mean. 0%: no bound.",
    live,
  ),
  v4: doc(integer(1, 32).default(32), "Bits of an IPv4 client's address that hash algorithms look at.", {
    ...live,
    unit: "bits",
  }),
  v6: doc(integer(1, 128).default(64), "Bits of an IPv6 client's address that hash algorithms look at.", {
    ...live,
    unit: "bits",
  }),
});

const queueSchema = z.strictObject({
  max: doc(
    integer(0, 1_000_000).default(1_024),
    "Connections that may wait while all backends have their `maxConnections`. 0: none waits.",
    live,
  ),
  timeout: doc(durationMs("10ms", "5m").prefault("5s"), "Who waited this long is refused.", live),
});

const retrySchema = z.strictObject({
  attempts: doc(
    integer(1, 10).default(2),
    "Backends that a connection is tried at, the first included. Nothing is tried again once octets were passed on.",
    live,
  ),
  budget: doc(percent(0, 100).prefault("20%"), "Retries may be this share of all tries within `window`.", live),
  minPerSecond: doc(integer(0, 1_000_000).default(10), "Retries that are allowed in any case.", {
    ...live,
    unit: "retries/s",
  }),
  window: doc(durationMs("1s", "10m").prefault("10s"), "What `budget` counts over.", live),
});

const breakerSchema = z.strictObject({
  failures: doc(integer(1, 1_000).default(5), "Failures in a row that open the breaker of a backend.", live),
  base: doc(durationMs("100ms", "1h").prefault("5s"), "How long it stays open at first; doubles each time.", live),
  max: doc(durationMs("100ms", "1h").prefault("300s"), "The longest that it stays open. Then one may try.", live),
});

const slowStartSchema = z.strictObject({
  window: doc(
    durationMs("0s", "1h").prefault("0s"),
    "How long the weight of a backend that came up grows: weight × max(min, (t / window)^(1 / aggression)). 0s: off. Never at the start of the process.",
    live,
  ),
  aggression: doc(
    z.number().min(0.1).max(10).default(1).meta({ expects: "a number from 0.1 to 10" }),
    "1: linear; more: steep at first.",
    live,
  ),
  min: doc(percent(1, 100).prefault("10%"), "Share of its weight that it starts with.", live),
});

const stickyCookieSchema = z.strictObject({
  name: doc(token("the name of a cookie").optional(), "Its name. Default: `rhumb-` and the pool's name.", live),
  keys: doc(
    z
      .record(
        z
          .string()
          .regex(/^[A-Za-z0-9_-]{1,16}$/, { error: "Must be up to 16 letters, digits, dashes and underscores" }),
        secret(),
      )
      .refine((keys) => Object.keys(keys).length > 0, {
        error: "Must not be empty",
        params: { fix: "Add `k1: env:NAME`" },
      }),
    "Secrets by a name of yours: the first signs, all are believed. All nodes need the same.",
    live,
  ),
  secure: doc(
    z
      .union([z.literal("auto"), flag()])
      .default("auto")
      .meta({ expects: "auto, true or false" }),
    "Attribute `Secure`; `auto`: where the client came by TLS.",
    live,
  ),
  sameSite: doc(z.enum(["Lax", "Strict", "None"]).default("Lax"), "Attribute `SameSite`.", live),
  path: doc(
    z
      .string()
      .regex(/^\/[\x21-\x3a\x3c-\x7e]*$/, { error: "Must start with /, without spaces and semicolons" })
      .default("/")
      .meta({ expects: "a path" }),
    "Attribute `Path`.",
    live,
  ),
  domain: doc(
    z
      .string()
      .regex(HOST_PATTERN, { error: "Must be a host name in lower case" })
      .optional()
      .meta({ expects: "a host name" }),
    "Attribute `Domain`. Default: none, which is this host alone.",
    live,
  ),
});

const stickySchema = z
  .strictObject({
    by: doc(
      z
        .union([z.enum(["source", "cookie"]), z.strictObject({ header: doc(fieldName(), "Name of the field.", live) })])
        .default("source")
        .meta({ expects: "source, cookie, or a map with `header`" }),
      "What names a client: its address; of HTTP also a field, or a signed cookie of ours that names the backend.",
      live,
    ),
    cookie: doc(stickyCookieSchema.optional(), "Of `by: cookie`.", live),
    ttl: doc(durationMs("1s", "30d").prefault("1h"), "A client that stayed away this long is forgotten.", live),
    store: doc(
      z.enum(["memory", "redis"]).default("memory"),
      "`memory`: each node remembers by itself. `redis`: all nodes share what they remember, by `cluster.redis`.",
      live,
    ),
    maxEntries: doc(
      integer(1, 10_000_000).default(100_000),
      "Clients that a node remembers in memory; those not seen for longest go first.",
      live,
    ),
    duringDrain: doc(
      flag().default(false),
      "Whether a draining backend keeps its clients. false: they are given another one at their next connection.",
      live,
    ),
  })
  .superRefine(({ by, cookie }, context) => {
    if ((by === "cookie") !== (cookie !== undefined))
      refuse(
        context,
        cookie ? "`cookie` is of `by: cookie` alone" : "`by: cookie` needs keys to sign with",
        cookie ? "Write `by: cookie`, or remove it" : "Add `cookie: { keys: { k1: env:NAME } }`",
      );
  });

const upstreamSchema = z.strictObject({
  protocol: doc(
    z.enum(["http1", "http2"]).default("http1"),
    "`http2`: by ALPN with `tls`, else by prior knowledge.",
    live,
  ),
  tls: doc(
    z
      .strictObject({
        verify: doc(flag().default(true), "Whether the certificate is verified.", live),
        ca: doc(path().optional(), "Authorities, PEM. Default: those of the system.", { ...live, unit: "path" }),
        cert: doc(path().optional(), "Our certificate, PEM.", { ...live, unit: "path" }),
        key: doc(path().optional(), "Its key, PEM; `file:PATH` or a plain path.", { ...live, unit: "path" }),
        serverName: doc(
          text("a host name").optional(),
          "What is asked for, and verified. Default: the host of the request.",
          live,
        ),
      })
      .superRefine(({ cert, key }, context) => {
        if ((cert === undefined) !== (key === undefined))
          refuse(context, "Certificate and key belong together", `Add \`${cert ? "key" : "cert"}:\``);
      })
      .optional(),
    "Present: backends are spoken to over TLS.",
    live,
  ),
  maxIdle: doc(integer(0, 100_000).default(256), "Idle connections that a worker keeps for each backend.", live),
  idle: doc(
    durationMs("0s", "1h").prefault("4s"),
    "How long it keeps them: less than the backend does, or it closes what we are about to use (Node's own is 5 s).",
    live,
  ),
  maxRequests: doc(integer(0, 1_000_000_000).default(0), "Requests on one connection. 0: no limit.", live),
  maxStreams: doc(integer(1, 10_000).default(100), "Streams on one HTTP/2 connection.", live),
  host: doc(
    text("a host name")
      .regex(/^[A-Za-z0-9._:[\]-]+$/, { error: "Must be a host name, with a port or without" })
      .optional(),
    "What Host the backend sees. Default: the client's.",
    live,
  ),
  underscores: doc(flag().default(false), "Pass on fields with `_` in their names, which CGI takes for dashes.", live),
  trailers: doc(flag().default(false), "Pass on trailers; of responses to clients that take them.", live),
});

const proxyOutSchema = z.strictObject({
  version: doc(
    z
      .union([z.literal(1), z.literal(2)])
      .default(2)
      .meta({ expects: "1 or 2" }),
    "Version.",
    live,
  ),
  uniqueId: doc(flag().default(false), "Of version 2: send an id of the connection.", live),
  authority: doc(flag().default(false), "Of version 2: send the name that the client asked for by SNI.", live),
  crc32c: doc(flag().default(false), "Of version 2: send a checksum.", live),
});

export const poolSchema = z.strictObject({
  algorithm: doc(
    z.enum(ALGORITHMS).default("p2c"),
    "How a backend is chosen. `p2c`: the less loaded of two drawn at random.",
    live,
  ),
  mode: doc(
    z.enum(POOL_MODES).default("proxy"),
    "`proxy`: rhumb relays. `nft`: the kernel forwards, by nftables (DNAT); `nft-stateless` without connection tracking; `nft-dsr` sends frames to the backend's MAC, and it answers clients directly.",
    live,
  ),
  hash: doc(hashSchema.prefault({}), "What hash algorithms look at.", live),
  check: doc(
    z
      .union([name("the name of a check"), z.record(z.string(), z.unknown())])
      .optional()
      .meta({ expects: "the name of a check, a check, or none", unit: "name or map" }),
    "The name of a file in `health/`; or a check right here, with the keys of such a file (interval 5s, timeout 3s, down 3, up 2 are then the defaults); or `none`. Without `port` it probes the backend's port. Default: a TCP connection.",
    live,
  ),
  backends: doc(
    z
      .array(z.union([endpoint(), backendSchema]).meta({ expects: "address:port, or a map with `address` or `srv`" }))
      .max(10_000)
      .default([]),
    "The servers: `address:port`, or a map.",
    live,
  ),
  connectTimeout: doc(
    durationMs("10ms", "5m").prefault("5s"),
    "A backend that does not accept within this time has failed.",
    live,
  ),
  queue: doc(queueSchema.prefault({}), "Who waits for a place at a full pool.", live),
  retry: doc(retrySchema.prefault({}), "What happens when a backend does not accept.", live),
  breaker: doc(breakerSchema.prefault({}), "Leaves a backend alone that keeps failing, for each worker.", live),
  outlier: doc(outlierSchema.prefault({}), "Outlier ejection, with Envoy's fields and defaults.", live),
  slowStart: doc(slowStartSchema.prefault({}), "How a backend that came up gets its clients.", live),
  panic: doc(
    percent(0, 100).prefault("0%"),
    "With a smaller share of a tier healthy than this, health is ignored. 0%: only when none is.",
    live,
  ),
  failOpen: doc(
    flag().default(true),
    "With no healthy backend, try all of them: a check may be wrong. false: connections are refused.",
    live,
  ),
  minHealthy: doc(
    integer(0, 10_000).default(1),
    "With fewer healthy backends than this, this node reports its region as not serving, and DNS leaves it. 0: never.",
    live,
  ),
  sticky: doc(stickySchema.optional(), "Present: clients come back to the backend that they had.", live),
  drain: doc(
    durationMs("0s", "1h").prefault("30s"),
    "How long connections may go on at a backend that drains, is in maintenance or was removed; then they are reset.",
    live,
  ),
  closeOnDown: doc(
    flag().default(false),
    "Whether connections at a backend that goes down get `drain` as well. false: they stay until they end.",
    live,
  ),
  proxyProtocol: doc(
    z
      .union([z.enum(["v1", "v2"]), proxyOutSchema])
      .optional()
      .meta({ expects: "v1, v2, or a map" }),
    "Tell backends who the client is, by a PROXY header.",
    live,
  ),
  upstream: doc(upstreamSchema.prefault({}), "How HTTP listeners speak to the backends.", live),
  preferLocalZone: doc(
    flag().default(false),
    "Backends in the `zone` of this balancer come before all others of their tier.",
    live,
  ),
});
export type PoolConfig = z.output<typeof poolSchema>;
