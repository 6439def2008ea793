/**
 * The `balancer:` section of rhumb.yaml: where connections and datagrams come in, and which pool they go to.
 *
 * Reader:  `config/`, which turns it into `BalancerSnapshot`. The engines never see it.
 * @module
 */

import { z } from "zod";
import {
  doc,
  durationMs,
  flag,
  hostPort,
  integer,
  name,
  network,
  path,
  refuse,
  requestsPerSecond,
  text,
} from "#base/field.ts";
import { upstreamSourceSchema } from "#cluster/postgres/config.ts";
import { httpSchema, rulesSchema } from "#l7/config.ts";
import { poolSchema } from "#pool/config.ts";
import { LISTENER_PROTOCOLS, type ListenerProtocol } from "#state/balancer.ts";
import { tlsSchema } from "#tls/config.ts";

const live = { reload: "live" } as const;
const restart = { reload: "restart" } as const;

const PROTOCOL_WORDS = LISTENER_PROTOCOLS.join(", ");

const protocol = z
  .string()
  .transform((value, context): ListenerProtocol => {
    const known = LISTENER_PROTOCOLS.find((one) => one === value);
    if (known) return known;
    return refuse(
      context,
      `Must be one of ${PROTOCOL_WORDS}; is ${JSON.stringify(value)}`,
      `Write one of ${PROTOCOL_WORDS}`,
    );
  })
  .meta({
    expects: `one of ${PROTOCOL_WORDS}`,
    unit: LISTENER_PROTOCOLS.map((one) => `\`${one}\``).join(", "),
  });

/** `*`, `*.example.com` (one or more labels), `www.example.com`; lower case. */
const sniPattern = z
  .string()
  .transform((value, context): string => {
    const pattern = value.toLowerCase().replace(/\.$/, "");
    if (
      pattern === "*" ||
      /^(\*\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/.test(pattern)
    )
      return pattern;
    return refuse(
      context,
      `Must be a name or a pattern; is ${JSON.stringify(value)}`,
      "Write www.example.com, *.example.com or *; other scripts in their xn-- form",
    );
  })
  .meta({ expects: "a name such as www.example.com, or a pattern such as *.example.com" });

const alpnName = text("a protocol name of ALPN").max(255);

const sniRoute = z.strictObject({
  names: doc(
    z.union([sniPattern, z.array(sniPattern).min(1).max(1_024)]).meta({ expects: "a pattern, or a list of them" }),
    "Names that clients ask for; `*.example.com` stands for all below it, `*` for every name.",
    live,
  ),
  alpn: doc(z.array(alpnName).max(64).default([]), "One of these must be offered by ALPN. Empty: any.", live),
  pool: doc(name("the name of a pool"), "Where they go.", live),
});

const certificateSchema = z.strictObject({
  cert: doc(path(), "Certificate chain, PEM.", { ...live, unit: "path" }),
  key: doc(path(), "Private key, PEM; `file:PATH` or a plain path.", { ...live, unit: "path" }),
});

const limitsSchema = z.strictObject({
  maxConnections: doc(
    integer(1, 1_000_000).default(20_000),
    "Connections (UDP: sessions) at a time. More are refused.",
    live,
  ),
  rate: doc(integer(0, 1_000_000).default(0), "New connections per second. 0: no limit.", {
    ...live,
    unit: "connections/s",
  }),
  client: doc(
    z
      .strictObject({
        maxConnections: doc(integer(0, 1_000_000).default(0), "Connections at a time. 0: no limit.", live),
        rate: doc(integer(0, 1_000_000).default(0), "New connections per second. 0: no limit.", {
          ...live,
          unit: "connections/s",
        }),
        burst: doc(
          integer(1, 1_000_000).optional(),
          "New connections at once, after a while without. Default: as many as `rate`.",
          live,
        ),
      })
      .prefault({}),
    "Limits of one client address (IPv6: of one /64).",
    live,
  ),
});

const timeoutsSchema = z.strictObject({
  preamble: doc(
    durationMs("10ms", "5m").prefault("5s"),
    "From accepting until PROXY header and ClientHello are there.",
    live,
  ),
  handshake: doc(durationMs("100ms", "5m").prefault("10s"), "Time for the TLS handshake.", live),
  idle: doc(
    durationMs("0s", "24h").prefault("350s"),
    "Nothing either way for so long ends the connection; the default is that of AWS' network balancers, which clients behind NAT live with. 0s: never.",
    live,
  ),
  lifetime: doc(durationMs("0s", "30d").prefault("0s"), "The longest that a connection lives. 0s: no limit.", live),
  halfClose: doc(
    durationMs("10ms", "24h").prefault("30s"),
    "After one side has ended, the other may go on without a sign of life for so long.",
    live,
  ),
});

const udpSchema = z.strictObject({
  idle: doc(durationMs("100ms", "24h").prefault("30s"), "A session without datagrams ends after so long.", live),
  responses: doc(
    integer(0, 65_535).default(0),
    "The session ends after so many datagrams from the backend, such as 1 for DNS. 0: by time alone.",
    live,
  ),
  maxSessions: doc(
    integer(1, 1_000_000).default(65_536),
    "Sessions at a time; the least recently used goes first.",
    live,
  ),
});

const accessSchema = z.strictObject({
  network: doc(network(), "Client network. The first entry that matches decides; no match: allowed.", live),
  action: doc(z.enum(["allow", "deny"]), "`deny` closes the connection at once.", live),
});

export const listenerSchema = z.strictObject({
  listen: doc(hostPort(), "Address and port.", live),
  protocol: doc(
    protocol,
    "`tls` and `https` end TLS here; `tls-passthrough` looks at the ClientHello alone; `http` and `https` go by requests.",
    live,
  ),
  pool: doc(
    name("the name of a pool").optional(),
    "Where connections go. With `sni` or `rules`: where nothing of them matches; missing: such connections are refused, such requests get 404.",
    live,
  ),
  rules: doc(
    rulesSchema.default([]),
    "Of `http` and `https`: what is done with which requests. The first that matches has the request.",
    live,
  ),
  http: doc(httpSchema.optional(), "Of `http` and `https`: limits, and what holds for all rules.", live),
  sni: doc(
    z
      .union([z.record(sniPattern, name("the name of a pool")), z.array(sniRoute).max(1_024)])
      .default([])
      .meta({ expects: "a map from names to pools, or a list of routes" }),
    "Of `tls` and `tls-passthrough`: pools by the name that clients ask for, the first match wins. A map from patterns to pools, or a list.",
    live,
  ),
  certificates: doc(
    z.array(certificateSchema).max(1_000).default([]),
    "Of `tls` and `https`: chosen by the client's SNI; the first is for those who name none of them.",
    live,
  ),
  tls: doc(tlsSchema.optional(), "Of `tls` and `https`: what TLS towards clients is like.", live),
  alpn: doc(z.array(alpnName).max(16).default([]), "Of `tls`: protocols to offer by ALPN, best first.", live),
  proxyProtocol: doc(
    z
      .strictObject({
        trusted: doc(
          z.array(network()).min(1).max(1_024),
          "Peers that must begin with a PROXY header (v1 or v2); all others must not.",
          live,
        ),
        timeout: doc(durationMs("10ms", "5m").prefault("5s"), "Time for the header to arrive.", live),
      })
      .optional(),
    "Present: clients are known by the PROXY header of a balancer before this one.",
    live,
  ),
  access: doc(
    z.array(accessSchema).max(4_096).prefault([]),
    "Who may connect; asked of the client that the PROXY header names, where there is one.",
    live,
  ),
  limits: doc(limitsSchema.prefault({}), "Limits over all workers.", live),
  timeouts: doc(timeoutsSchema.prefault({}), "Time limits of connections.", live),
  udp: doc(udpSchema.prefault({}), "Sessions of `protocol: udp`.", live),
  backlog: doc(
    integer(1, 65_535).default(4_096),
    "Connections that the kernel may hold before we accept them; its own limit is net.core.somaxconn.",
    live,
  ),
});
export type ListenerConfig = z.output<typeof listenerSchema>;

const nftSchema = z.strictObject({
  table: doc(
    z
      .string()
      .regex(/^[a-z][a-z0-9_]{0,30}$/, { error: "Must be lower-case letters, digits and underscores" })
      .default("rhumb")
      .meta({ expects: "the name of a table such as rhumb" }),
    "Name of our nftables table; nothing else may use it.",
    restart,
  ),
  device: doc(
    z
      .string()
      .regex(/^[A-Za-z0-9._-]{1,15}$/, { error: "Must be the name of a network device" })
      .optional()
      .meta({ expects: "the name of a network device such as eth0" }),
    "Device at whose ingress `nft-stateless` and `nft-dsr` work; they need it.",
    live,
  ),
  masquerade: doc(
    flag().default(false),
    "Of `mode: nft`: rewrite the source as well, so that backends answer through this host. They then see its address.",
    live,
  ),
});

const settings = {
  region: doc(name("a region"), "Region that this balancer belongs to.", live),
  zone: doc(name("a zone").optional(), "Where this balancer stands, for `preferLocalZone` of pools.", live),
  capacity: doc(
    requestsPerSecond(1, 1e9).optional(),
    "What this balancer is built for, as `1000rps`: it reports its load as a share of it. Default: what `regions.yaml` says of the region.",
    live,
  ),
  source: doc(
    upstreamSourceSchema.optional(),
    "A table of PostgreSQL that names backends of pools, besides those of this file.",
    live,
  ),
  workers: doc(
    z
      .union([z.literal("auto"), integer(1, 64)])
      .default("auto")
      .meta({ expects: "auto, or a whole number from 1 to 64" }),
    "Threads that relay. `auto`: one per core, at most 8.",
    restart,
  ),
  engine: doc(
    z.enum(["auto", "epoll", "net"]).default("auto"),
    "How TCP is relayed: `epoll` by Linux's system calls, `net` by Node's sockets. `auto` takes `epoll` where it works.",
    restart,
  ),
  drain: doc(
    durationMs("0s", "1h").prefault("30s"),
    "How long connections may finish after their listener is gone, at shutdown and at restart; then they are reset.",
    live,
  ),
  nft: doc(nftSchema.prefault({}), "What kernel modes need to know of this host.", live),
};

/** The section without its listeners and pools, which are read one by one. */
export const balancerSettingsSchema = z.strictObject(settings);
export type BalancerSettings = z.output<typeof balancerSettingsSchema>;

export const balancerSchema = z.strictObject({
  ...settings,
  listeners: doc(
    z.record(name("a listener"), listenerSchema).default({}),
    "Where connections and datagrams come in: a name, and below it:",
    live,
  ),
  pools: doc(z.record(name("a pool"), poolSchema).default({}), "Groups of backends: a name, and below it:", live),
});
