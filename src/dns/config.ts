/**
 * The `dns:` section of rhumb.yaml: schema, defaults, units and documentation.
 *
 * Reader:  `config/`, which turns it into `DnsSnapshot`. The dns rooms never see it.
 * @module
 */

import { z } from "zod";
import { doc, durationMs, flag, hostPort, integer, network, path, secret, sizeOctets, text } from "#base/field.ts";

const live = { reload: "live" } as const;
const restart = { reload: "restart" } as const;

const tcpSchema = z.strictObject({
  maxConnections: doc(integer(1, 65_536).default(1_024), "Open TCP connections over all addresses.", live),
  maxConnectionsPerClient: doc(
    integer(1, 65_536).default(64),
    "Open TCP connections of one client address. Resolvers of large networks open many.",
    live,
  ),
  maxInFlight: doc(integer(1, 1_024).default(64), "Queries read from one connection and not yet answered.", live),
  maxOutput: doc(
    sizeOctets("64KiB", "16MiB").prefault("256KiB"),
    "Answers that a client may leave unread before its connection is closed.",
    live,
  ),
  idle: doc(
    durationMs("1s", "10m").prefault("10s"),
    "A connection without a query is closed after this long (RFC 7766 §6.2.3).",
    live,
  ),
  message: doc(
    durationMs("100ms", "1m").prefault("5s"),
    "Time for one whole query from its first octet on; slower senders are cut off.",
    live,
  ),
  drain: doc(durationMs("0s", "1m").prefault("5s"), "At shutdown, time for open connections to end.", live),
});

const rrlSchema = z.strictObject({
  enabled: doc(flag().default(true), "Limit answers per client network, against reflection attacks.", live),
  dryRun: doc(flag().default(false), "Count what would be limited, and limit nobody.", live),
  rate: doc(integer(1, 1_000_000).default(200), "Answers per second that one client address may cost.", {
    ...live,
    unit: "answers/s",
  }),
  slip: doc(
    integer(0, 100).default(2),
    "Every n-th limited answer is sent truncated, so that real clients come back over TCP. 0: all are dropped. 1: all are truncated.",
    live,
  ),
  tableSize: doc(integer(1_024, 16_777_216).default(262_144), "Buckets of the table; the memory is fixed.", live),
  allow: doc(z.array(network()).max(1_024).prefault([]), "Networks that are never limited.", live),
});

const cookiesSchema = z.strictObject({
  enabled: doc(
    flag().default(true),
    "DNS cookies (RFC 7873, RFC 9018): clients with a valid one are never rate limited.",
    live,
  ),
  secrets: doc(
    z.array(secret()).max(2).default([]),
    "The secret that signs, then the previous one that is still accepted; each 32 hexadecimal digits. All nodes behind one address need the same. Empty: a random one per process.",
    live,
  ),
  badCookieUnderLimit: doc(
    flag().default(true),
    "Under limit, answer BADCOOKIE instead of a truncated answer to clients that know cookies.",
    live,
  ),
});

const accessSchema = z.strictObject({
  network: doc(network(), "Client network. The first entry that matches decides; no match: allowed.", live),
  action: doc(z.enum(["allow", "refuse", "drop"]), "`refuse` answers REFUSED, `drop` nothing.", live),
});

const queryLogSchema = z.strictObject({
  every: doc(
    z
      .union([z.literal("off"), integer(1, 1_000_000_000)])
      .default("off")
      .meta({ expects: "off, or a whole number from 1 to 1000000000" }),
    "One of so many responses is logged, drawn at random; 1: all of them. `off`: none, because who asks for what is personal data.",
    { ...live, unit: "responses" },
  ),
  privacy: doc(
    z.enum(["prefix", "full"]).default("prefix"),
    "`prefix` keeps /24 of IPv4 and /48 of IPv6 addresses of clients, `full` all of them.",
    live,
  ),
  file: doc(
    path().nullable().default(null),
    "Samples as JSON lines; opened anew by SIGHUP, for log rotation. null: memory only, the last 1,000.",
    live,
  ),
});

const bits = (max: number, standard: number) => integer(1, max).default(standard);

export const dnsSchema = z.strictObject({
  listen: doc(
    z.union([hostPort(), z.array(hostPort()).min(1).max(64)]).meta({ expects: "address:port, or a list of them" }),
    "Addresses that answer UDP and TCP.",
    live,
  ),
  engine: doc(
    z.enum(["auto", "batch", "dgram", "xdp"]).default("auto"),
    "How UDP is received: `batch` takes up to 64 datagrams with one system call (Linux), `dgram` one by one, `xdp` takes them before the kernel's network stack (docs/xdp.md). `auto` takes `batch` where it works, never `xdp`; the log and `rhumb status` say which it is and why.",
    restart,
  ),
  interface: doc(
    z
      .string()
      .regex(/^[^\s/:]{1,15}$/, { error: "Must be the name of a network interface" })
      .optional()
      .meta({ expects: "the name of a network interface, such as eth0" }),
    "With `engine: xdp`: the network interface whose queues are read. Addresses on other interfaces are served by ordinary sockets.",
    restart,
  ),
  workers: doc(
    z
      .union([z.literal("auto"), integer(1, 64)])
      .default("auto")
      .meta({ expects: "auto, or a whole number from 1 to 64" }),
    "UDP workers for each address. `auto`: one per core, at most 8.",
    live,
  ),
  nsid: doc(
    z.string().max(64).optional(),
    "Server identifier that clients may ask for (NSID, RFC 5001). Default: the name of the node. Empty: not answered.",
    live,
  ),
  chaos: doc(
    z
      .strictObject({
        version: doc(text().max(255).nullable().default(null), "Answer to `version.bind` TXT CH. null: REFUSED.", live),
        id: doc(
          text().max(255).nullable().default(null),
          "Answer to `id.server` and `hostname.bind` TXT CH. null: REFUSED.",
          live,
        ),
      })
      .prefault({}),
    "What is told to CHAOS queries.",
    live,
  ),
  ecs: doc(
    flag().default(true),
    "Use the client subnet that resolvers send (RFC 7871). false: ignored and not echoed.",
    live,
  ),
  hashPrefix: doc(
    z
      .strictObject({
        v4: doc(bits(32, 24), "For IPv4 clients.", { ...live, unit: "bits" }),
        v6: doc(bits(128, 48), "For IPv6 clients.", { ...live, unit: "bits" }),
      })
      .prefault({}),
    "Clients of one network this large get the same choice of `weighted`, `sticky` and `shuffle`.",
    live,
  ),
  tcp: doc(tcpSchema.prefault({}), "Limits of TCP.", live),
  rrl: doc(rrlSchema.prefault({}), "Response rate limit.", live),
  cookies: doc(cookiesSchema.prefault({}), "DNS cookies.", live),
  admission: doc(
    flag().default(true),
    "When more queries arrive than a worker can answer, let in first those from networks and for names that were there before the flood. Linux alone, by a filter on the socket.",
    restart,
  ),
  queryLog: doc(queryLogSchema.prefault({}), "Samples of queries with their answers: `rhumb queries`.", live),
  access: doc(z.array(accessSchema).max(4_096).prefault([]), "Who may ask.", live),
});
export type DnsConfig = z.output<typeof dnsSchema>;
