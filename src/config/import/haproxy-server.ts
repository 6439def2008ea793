/**
 * `server`, `server-template` and `default-server` lines of HAProxy → backends.
 * @module
 */

import type { ProxySection } from "#config/import/haproxy-proxy.ts";
import { HAPROXY_TIME, type Line } from "#config/import/haproxy-read.ts";
import { type At, type Notes, quoted } from "#config/import/notes.ts";
import { lookUp, MAX_BACKENDS, parseCount, parseServerAddress, parseTime } from "#config/import/words.ts";

export type Server = {
  readonly at: At;
  readonly name: string;
  /** `address:port`, or the name of SRV records. */
  readonly address: { readonly address: string } | { readonly srv: string };
  /** Options with their arguments, of its line and of `default-server`; flags have the argument "". */
  readonly options: ReadonlyMap<string, string>;
};

/** Options that take a word of their own; all others that are known take none. */
const WITH_ARGUMENT = new Set(
  "weight inter fastinter downinter rise fall port addr maxconn maxqueue minconn cookie slowstart on-marked-down on-marked-up on-error observe error-limit resolvers resolve-prefer resolve-net resolve-opts init-addr id guid source usesrc interface namespace track proto check-proto check-sni check-alpn alpn sni ca-file crt crl-file verify verifyhost ciphers ciphersuites curves sigalgs client-sigalgs ssl-min-ver ssl-max-ver redir proxy-v2-options set-proxy-v2-tlv-fmt agent-port agent-addr agent-inter agent-send pool-max-conn pool-low-conn pool-purge-delay pool-conn-name max-reuse log-proto log-bufsize shard socks4 tcp-ut ws init-state hash-key idle-ping check-pool-conn-name renegotiate".split(
    " ",
  ),
);
const FLAGS = new Set(
  "check backup disabled enabled ssl no-ssl check-ssl no-check-ssl check-via-socks4 check-send-proxy no-check-send-proxy check-reuse-pool no-check-reuse-pool agent-check no-agent-check send-proxy no-send-proxy send-proxy-v2 no-send-proxy-v2 send-proxy-v2-ssl send-proxy-v2-ssl-cn no-check no-backup no-disabled allow-0rtt force-sslv3 force-tlsv10 force-tlsv11 force-tlsv12 force-tlsv13 no-sslv3 no-tlsv10 no-tlsv11 no-tlsv12 no-tlsv13 no-tls-tickets tls-tickets no-ssl-reuse ssl-reuse tfo no-tfo no-verifyhost non-stick stick strict-maxconn no-renegotiate renegotiate".split(
    " ",
  ),
);
/** Options that change nothing of what rhumb does, so that nobody needs to know. */
const WITHOUT_EFFECT = new Set(
  "id guid resolvers resolve-prefer init-addr resolve-opts no-ssl no-check-ssl no-send-proxy no-send-proxy-v2 no-check no-backup no-disabled no-agent-check no-check-send-proxy enabled stick log-proto no-tfo pool-max-conn pool-low-conn pool-purge-delay max-reuse check-reuse-pool no-check-reuse-pool tls-tickets ssl-reuse init-state hash-key".split(
    " ",
  ),
);
/** Options that `haproxy.ts` and its neighbours read. */
const TAKEN = new Set(
  "weight inter fall rise port maxconn maxqueue cookie slowstart on-marked-down observe error-limit check backup disabled ssl check-ssl check-sni sni verify send-proxy send-proxy-v2 send-proxy-v2-ssl send-proxy-v2-ssl-cn proxy-v2-options fastinter downinter addr".split(
    " ",
  ),
);
/** What `ssl` brings along: told with it. */
const TLS_DETAILS =
  /^(ca-file|crt|crl-file|verifyhost|ciphers|ciphersuites|curves|sigalgs|client-sigalgs|ssl-m(in|ax)-ver|alpn|no-(sslv3|tls.*|verifyhost|ssl-reuse)|force-.*|allow-0rtt|check-alpn|no-renegotiate|renegotiate)$/;

const LATER: Readonly<Record<string, readonly [string, string]>> = {
  "agent-check": ["Agents are not asked", "Use `check:`; a `kind: script` can ask an agent"],
  track: ["A server's health is not taken from another one", "Give the pool the same `check:`"],
  source: ["Connections come from the address that the kernel chooses", "Set the route's source address"],
  minconn: ["Limits do not follow the load", "Use `maxConnections` of the backend"],
  "on-error": ["What a failure does is set for the whole pool", "Use `outlier:` and `breaker:` of the pool"],
  redir: ["HTTP is relayed as it is", "Redirect at the backend"],
  socks4: ["Connections go directly", "Route them"],
  "on-marked-up": ["Connections stay at backups until they end", "Drain the backup by `rhumb backend drain`"],
};

/** Reads `key value` pairs; tells what is unknown. */
function readOptions(words: readonly string[], at: At, options: Map<string, string>, notes: Notes): void {
  for (let index = 0; index < words.length; index++) {
    const word = words[index]!;
    const takes = WITH_ARGUMENT.has(word);
    const argument = takes ? (words[++index] ?? "") : "";
    if (word === "source" && words[index + 1] === "usesrc") index += 2;
    options.set(word, argument);
    if (word.startsWith("no-")) options.delete(word.slice(3));
    if (word === "enabled") options.delete("disabled");
    if (TAKEN.has(word) || WITHOUT_EFFECT.has(word) || TLS_DETAILS.test(word)) continue;
    if (word.startsWith("agent-") && word !== "agent-check") continue;
    const [says, fix] = lookUp(LATER, word) ?? [];
    if (says !== undefined) notes.leftOut({ ...at, directive: word }, says, fix!);
    else if (takes || FLAGS.has(word))
      notes.leftOut({ ...at, directive: word }, "There is nothing like it for backends", "Leave it out");
    else notes.leftOut({ ...at, directive: word }, `Unknown word ${quoted(word)} of a server line`, "Correct it");
  }
}

const SRV = /^_[a-z0-9-]+\._(tcp|udp)\./i;

function readAddress(text: string, at: At, ports: readonly number[], notes: Notes): Server["address"] | undefined {
  if (SRV.test(text)) return { srv: text.replace(/:\d+$/, "").toLowerCase() };
  const plain = text.replace(/^(ipv4|ipv6|tcp|tcp4|tcp6)@/, "");
  if (/^(unix|abns|abnsz|fd|sockpair|rhttp|quic|mptcp)[46]?@|^\//.test(plain) || plain.includes("$")) {
    const says = plain.includes("$") ? "Variables are not known here" : "Backends are reached over TCP or UDP alone";
    notes.leftOut(at, `${says}: ${quoted(text)}`, "Write an address and a port");
    return undefined;
  }
  if (/:[+-]\d+$/.test(plain)) {
    notes.leftOut(
      at,
      `The port of ${quoted(text)} depends on the client's`,
      "Make one pool and listener for each port",
    );
    return undefined;
  }
  const port = ports.length === 1 ? ports[0] : undefined;
  // The last colon is always that of the port, also behind an IPv6 address without brackets.
  const [, ipv6, itsPort] = /^([0-9a-f:.]*:[0-9a-f:.]*):([0-9]+)$/i.exec(plain) ?? [];
  const address =
    ipv6 === undefined
      ? parseServerAddress(plain.replace(/:0$/, ""), port)
      : parseServerAddress(`[${ipv6}]:${itsPort}`, undefined);
  if (address === undefined)
    notes.leftOut(
      at,
      `${quoted(text)} is no address with a port`,
      "Write address:port; without a port HAProxy takes the one that the client came to",
    );
  return address === undefined ? undefined : { address };
}

/** @param ports that clients of this backend come to, for servers that have none of their own */
export function serversOf(proxy: ProxySection, ports: readonly number[], notes: Notes): Server[] {
  const defaults = new Map<string, string>();
  const servers: Server[] = [];
  const isOwn = new Set<Line>(proxy.own);
  for (const line of proxy.all) {
    const { words, at } = line;
    if (words[0] === "default-server") readOptions(words.slice(1), at, defaults, notes);
    const isTemplate = words[0] === "server-template";
    if ((words[0] !== "server" && !isTemplate) || !isOwn.has(line)) continue;
    if (servers.length >= MAX_BACKENDS) {
      notes.leftOut(at, `A pool has at most ${MAX_BACKENDS} backends`, "Make several pools");
      continue;
    }
    const [, name, ...rest] = words;
    if (isTemplate) rest.shift();
    const text = rest.shift();
    if (name === undefined || text === undefined) {
      notes.leftOut(at, "The server has no address", "Write name, address and port");
      continue;
    }
    const address = readAddress(text, at, ports, notes);
    if (!address) continue;
    const options = new Map(defaults);
    readOptions(rest, at, options, notes);
    if (isTemplate)
      notes.changed(at, "There are as many backends as the DNS has addresses, not a number of slots", "Nothing to do");
    servers.push({ at, name, address, options });
  }
  return servers;
}

/** A number of a server's option; nonsense is told, and counts as not given. */
export function countOption(server: Server, option: string, min: number, max: number, notes: Notes) {
  const text = server.options.get(option);
  if (text === undefined) return undefined;
  const count = parseCount(text, min, max);
  if (count === undefined)
    notes.leftOut(
      { ...server.at, directive: option },
      `${quoted(text)} is no number from ${min} to ${max}`,
      "Correct it",
    );
  return count;
}
export function timeOption(server: Server, option: string, notes: Notes): number | undefined {
  const text = server.options.get(option);
  if (text === undefined) return undefined;
  const ms = parseTime(text, HAPROXY_TIME.units, HAPROXY_TIME.plain);
  if (ms === undefined)
    notes.leftOut({ ...server.at, directive: option }, `${quoted(text)} is no time`, "Write such as 2s or 500ms");
  return ms;
}

export function backendOf(server: Server, backupTier: number, notes: Notes): Record<string, unknown> | string {
  const { address, options } = server;
  const weight = countOption(server, "weight", 0, 256, notes);
  const maxConnections = countOption(server, "maxconn", 0, 1_000_000, notes);
  const extra = {
    ...(weight !== undefined && weight !== 1 ? { weight } : {}),
    ...(options.has("backup") ? (backupTier === 1 ? { backup: true } : { priority: Math.min(backupTier, 255) }) : {}),
    ...(maxConnections ? { maxConnections } : {}),
    ...(options.has("disabled") ? { enabled: false } : {}),
  };
  if ("address" in address && Object.keys(extra).length === 0) return address.address;
  return { ...address, ...extra };
}
