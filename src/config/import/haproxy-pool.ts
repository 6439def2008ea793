/**
 * A `backend` (or the back half of a `listen`) of HAProxy → a pool.
 * @module
 */
import { compact } from "#config/import/draft.ts";
import { checkOf } from "#config/import/haproxy-check.ts";
import { cookieOf, hashOf, upstreamOf } from "#config/import/haproxy-http-pool.ts";
import { lastOf, modeOf, type ProxySection, type Timeouts, timeoutsOf } from "#config/import/haproxy-proxy.ts";
import { HAPROXY_TIME } from "#config/import/haproxy-read.ts";
import { backendOf, countOption, type Server, serversOf, timeOption } from "#config/import/haproxy-server.ts";
import { type Notes, quoted } from "#config/import/notes.ts";
import { DAY, durationText, HOUR, MINUTE, parseCount, parseTime, SECOND } from "#config/import/words.ts";

/** What `balance` looks at that only HTTP, or another protocol, shows. */
const L7_KEYS = /^(uri|url_param|hdr\(.*|rdp-cookie.*|hash|log-hash|sticky|log-sticky)$/;

function algorithmOf(proxy: ProxySection, notes: Notes): Record<string, unknown> {
  const line = lastOf(proxy, "balance");
  const hashType = lastOf(proxy, "hash-type");
  const isConsistent = hashType?.words[1] === "consistent";
  if (hashType && hashType.words.length > 2)
    notes.changed(
      hashType.at,
      "The hash function is rhumb's own: clients find other servers than before",
      "Nothing to do; all rhumb nodes agree",
    );
  const word = line?.words[1] ?? "";
  if (!line) {
    notes.changed(
      { ...proxy.at, directive: "balance" },
      "Nothing is said of `balance`, which means roundrobin up to HAProxy 3.2 and random after it; weighted_round_robin is written",
      "Write `algorithm: p2c` for random",
    );
    return { algorithm: "weighted_round_robin" };
  }
  if (word === "roundrobin" || word === "static-rr") return { algorithm: "weighted_round_robin" };
  if (word === "leastconn") return { algorithm: "weighted_least_connections" };
  if (word === "first") return { algorithm: "first" };
  const hashed = {
    algorithm: isConsistent ? "ring_hash" : "ip_hash",
    hash: { v6: 128, ...boundOf(proxy, isConsistent, notes) },
  };
  if (word === "source") return hashed;
  const [, draws] = /^random(?:\((\d{1,3})\))?$/.exec(word) ?? [];
  if (word.startsWith("random")) {
    if (draws !== undefined && Number(draws) > 2)
      notes.changed(line.at, "The less loaded of two is chosen, however many draws are asked for", "Nothing to do");
    return { algorithm: draws === "1" ? "weighted_random" : "p2c" };
  }
  const on = modeOf(proxy) === "http" ? hashOf(line) : undefined;
  if (on !== undefined) return { ...hashed, hash: { on, ...boundOf(proxy, isConsistent, notes) } };
  if (L7_KEYS.test(word)) {
    const says = `${quoted(word)} is not looked at; clients are told apart by their address`;
    notes.changed(line.at, says, "Use another `algorithm:` if clients share few addresses");
    return hashed;
  }
  notes.leftOut(line.at, `Unknown algorithm ${quoted(word)}`, "Choose an `algorithm:` of docs/algorithms.md");
  return {};
}

function boundOf(proxy: ProxySection, isConsistent: boolean, notes: Notes): Record<string, unknown> {
  const line = lastOf(proxy, "hash-balance-factor");
  if (!line) return {};
  const factor = parseCount(line.words[1], 0, 65_535);
  if (factor === undefined || (factor > 0 && factor < 100) || !isConsistent) {
    notes.leftOut(line.at, "A bound goes with `hash-type consistent`, and is 0 or more than 100", "Correct it");
    return {};
  }
  return factor === 0 ? {} : { balanceFactor: `${Math.min(factor, 1_000)}%` };
}

function stickyOf(proxy: ProxySection, notes: Notes): Record<string, unknown> | undefined {
  const table = lastOf(proxy, "stick-table");
  const rule = proxy.all.find(({ words }) => words[0] === "stick" && words[2] === "src");
  const isHttp = modeOf(proxy) === "http";
  const cookie = isHttp ? undefined : lastOf(proxy, "cookie");
  for (const { words, at } of proxy.all) {
    if (words[0] === "stick" && words[2] !== "src")
      notes.leftOut(
        at,
        `Clients are told apart by their address, not by ${quoted(words[2] ?? "")}`,
        "Use `sticky: { by: source }`",
      );
  }
  if (cookie)
    notes.changed(
      cookie.at,
      "Cookies are HTTP, which layer 4 does not see; clients are kept by their address",
      "Remove `sticky:` if sessions do not need it",
    );
  if (!rule) {
    const byCookie = isHttp ? cookieOf(proxy, notes) : undefined;
    if (byCookie) return byCookie;
    if (table)
      notes.leftOut(
        table.at,
        "The table keeps no clients at their servers",
        "Use `limits: { client: … }` of the listener for rates",
      );
    return cookie ? { by: "source" } : undefined;
  }
  const option = (name: string): string | undefined => {
    const index = table?.words.indexOf(name) ?? -1;
    return index < 0 ? undefined : table?.words[index + 1];
  };
  const size = /^(\d{1,9})([kmg]?)$/i.exec(option("size") ?? "");
  const factor = { "": 1, k: 1_024, m: 1_048_576, g: 1_073_741_824 }[size?.[2]?.toLowerCase() ?? ""] ?? 1;
  const expireMs = parseTime(option("expire") ?? "", HAPROXY_TIME.units, HAPROXY_TIME.plain);
  if (table && option("peers") !== undefined)
    notes.changed(
      table.at,
      "Tables are not sent to peers: each node remembers by itself",
      "Write `store: redis` and `cluster: { redis: … }`",
    );
  return compact({
    by: "source",
    ttl: durationText(expireMs ?? DAY, SECOND, 30 * DAY),
    maxEntries: size ? Math.min(Math.max(Number(size[1]) * factor, 1), 10_000_000) : undefined,
  });
}

function retryOf(proxy: ProxySection, notes: Notes): Record<string, unknown> {
  const line = lastOf(proxy, "retries");
  if (!line) return {};
  const retries = parseCount(line.words[1], 0, 1_000_000);
  if (retries === undefined) {
    notes.leftOut(
      line.at,
      `${quoted(line.words[1] ?? "")} is no number`,
      "Write `retry: { attempts: 4 }` for 3 retries",
    );
    return {};
  }
  if (retries > 0 && !lastOf(proxy, "option", "redispatch"))
    notes.changed(
      line.at,
      "A retry goes to another server, not to the same one again",
      "Write `retry: { attempts: 1 }` for none",
    );
  return { attempts: Math.min(retries + 1, 10) };
}

/** What the first server says counts for the pool; servers that say otherwise are told. */
function common(servers: readonly Server[], option: string, notes: Notes): Server | undefined {
  const first = servers.find(({ options }) => options.has(option));
  for (const server of first ? servers : []) {
    if (server.options.get(option) !== first?.options.get(option))
      notes.changed(
        { ...server.at, directive: option },
        `It is set for a pool as a whole; that of server ${quoted(first!.name)} is taken`,
        "Make pools of servers that are alike",
      );
  }
  return first;
}

function proxyHeader(servers: readonly Server[], notes: Notes): unknown {
  const forms = ["send-proxy-v2", "send-proxy-v2-ssl", "send-proxy-v2-ssl-cn", "send-proxy"];
  const form = forms.find((one) => servers.some(({ options }) => options.has(one)));
  if (form === undefined) return undefined;
  const server = common(servers, form, notes)!;
  if (form === "send-proxy") return "v1";
  if (form !== "send-proxy-v2")
    notes.changed(
      { ...server.at, directive: form },
      "The header says nothing of the client's TLS",
      "Leave it out if backends do not ask for it",
    );
  const options = (server.options.get("proxy-v2-options") ?? "").split(",").filter((word) => word !== "");
  const known = { "unique-id": "uniqueId", authority: "authority", crc32c: "crc32c" } as Readonly<
    Record<string, string>
  >;
  const unknown = options.filter((word) => !Object.hasOwn(known, word));
  if (unknown.length > 0)
    notes.leftOut(
      { ...server.at, directive: "proxy-v2-options" },
      `The header does not carry ${unknown.map(quoted).join(", ")}`,
      "Leave it out",
    );
  const flags = options.filter((word) => Object.hasOwn(known, word)).map((word) => [known[word]!, true]);
  return flags.length === 0 ? "v2" : { version: 2, ...Object.fromEntries(flags) };
}

function queueOf(servers: readonly Server[], timeouts: Timeouts, notes: Notes): Record<string, unknown> {
  const server = common(servers, "maxqueue", notes);
  const perServer = server && countOption(server, "maxqueue", 0, 1_000_000, notes);
  if (server && perServer)
    notes.changed(
      { ...server.at, directive: "maxqueue" },
      "Who waits, waits for the pool and not for one server: the limits of all servers are added",
      "Choose `queue: { max: … }`",
    );
  const wait = timeouts.get("queue");
  return {
    ...(perServer
      ? { max: Math.min(perServer * servers.filter(({ options }) => options.has("maxqueue")).length, 1_000_000) }
      : {}),
    ...(wait ? { timeout: durationText(wait.ms, 10, 5 * MINUTE) } : {}),
  };
}

function tellTls(servers: readonly Server[], notes: Notes): void {
  for (const { options, at } of servers) {
    if (options.has("ssl"))
      notes.changed(
        { ...at, directive: "ssl" },
        "Connections to backends are not encrypted: what the client sends goes on as it is",
        "Use `protocol: tls-passthrough` in the listener, or a port of the backend without TLS",
      );
  }
}

function outlierOf(servers: readonly Server[], notes: Notes): Record<string, unknown> {
  const server = common(servers, "observe", notes);
  if (!server) return {};
  if (server.options.get("observe") !== "layer4") {
    notes.leftOut(
      { ...server.at, directive: "observe" },
      "Answers are not seen at layer 4",
      "Use `outlier:`, which counts failed connections",
    );
    return {};
  }
  // HAProxy's own default of error-limit is 10.
  return { consecutive5xx: countOption(server, "error-limit", 1, 10_000, notes) ?? 10 };
}

/** @param ports that clients come to, for servers without one */
export function poolOf(proxy: ProxySection, ports: readonly number[], notes: Notes): Record<string, unknown> {
  const servers = serversOf(proxy, ports, notes);
  const timeouts = timeoutsOf(proxy, notes);
  const isAll = lastOf(proxy, "option", "allbackups") !== undefined;
  let backups = 0;
  const backends = servers.map((server) => {
    // Without `option allbackups` only the first backup that works serves: each is a tier of its own.
    const tier = server.options.has("backup") ? (isAll ? 1 : ++backups) : 0;
    return backendOf(server, tier, notes);
  });
  const slow = common(servers, "slowstart", notes);
  const slowMs = slow && timeOption(slow, "slowstart", notes);
  const down = common(servers, "on-marked-down", notes);
  const closes = down?.options.get("on-marked-down") === "shutdown-sessions";
  if (down && closes)
    notes.changed(
      { ...down.at, directive: "on-marked-down" },
      "Connections of a backend that goes down get the pool's `drain` (30s) to finish before they are reset",
      "Write a shorter `drain:`",
    );
  const isHttp = modeOf(proxy) === "http";
  if (!isHttp) tellTls(servers, notes);
  const connect = timeouts.get("connect");
  return compact({
    ...algorithmOf(proxy, notes),
    check: checkOf(proxy, servers, timeouts, notes),
    backends: dedupe(backends, servers, notes),
    connectTimeout: connect ? durationText(connect.ms, 10, 5 * MINUTE) : undefined,
    queue: queueOf(servers, timeouts, notes),
    retry: retryOf(proxy, notes),
    outlier: outlierOf(servers, notes),
    slowStart: slowMs ? { window: durationText(slowMs, 1, HOUR) } : undefined,
    sticky: stickyOf(proxy, notes),
    closeOnDown: closes ? true : undefined,
    proxyProtocol: proxyHeader(servers, notes),
    upstream: isHttp ? upstreamOf(servers, notes) : undefined,
  });
}

/** A pool has each backend once. */
function dedupe(backends: readonly unknown[], servers: readonly Server[], notes: Notes): unknown[] {
  const seen = new Set<string>();
  return backends.filter((_backend, index) => {
    const { address, at } = servers[index]!;
    const key = JSON.stringify(address);
    if (seen.has(key))
      notes.leftOut(at, "The same address stands in this backend a second time", "Give the first a higher weight");
    const isNew = !seen.has(key);
    seen.add(key);
    return isNew;
  });
}
