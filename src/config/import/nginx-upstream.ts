/**
 * `upstream` blocks of nginx → pools.
 * @module
 */
import { compact } from "#config/import/draft.ts";
import { all, type Directive, last, NGINX_TIME } from "#config/import/nginx-read.ts";
import { type Notes, quoted } from "#config/import/notes.ts";
import {
  durationText,
  HOUR,
  MAX_BACKENDS,
  MINUTE,
  parseCount,
  parseServerAddress,
  parseTime,
  SECOND,
} from "#config/import/words.ts";

const ADDRESS_KEYS = /^\$\{?(binary_)?remote_addr\}?$/;

function algorithmOf(block: readonly Directive[], notes: Notes): Record<string, unknown> {
  const found = block.findLast(({ name }) => ["least_conn", "ip_hash", "hash", "random", "least_time"].includes(name));
  if (!found) return { algorithm: "weighted_round_robin" };
  const { name, args, at } = found;
  switch (name) {
    case "least_conn":
      return { algorithm: "weighted_least_connections" };
    case "ip_hash":
      // The first three octets of IPv4, all of IPv6 (ngx_http_upstream_module, "ip_hash").
      return { algorithm: "ip_hash", hash: { v4: 24, v6: 128 } };
    case "random":
      if (args[1]?.startsWith("least_time"))
        notes.changed(
          at,
          "Of two servers the one with fewer connections is taken, not the faster one",
          "Use `algorithm: peak_ewma`",
        );
      return { algorithm: args[0] === "two" ? "p2c" : "weighted_random" };
    case "least_time":
      notes.changed(
        at,
        "At layer 4 the time is that of connecting to the backend",
        "Use `algorithm: peak_ewma` to follow peaks",
      );
      return { algorithm: "least_response_time" };
    default: {
      if (!ADDRESS_KEYS.test(args[0] ?? ""))
        notes.changed(
          at,
          `${quoted(args[0] ?? "")} is not seen at layer 4; clients are told apart by their address`,
          "Use another `algorithm:` if clients share few addresses",
        );
      const isConsistent = args.includes("consistent");
      notes.changed(
        at,
        "The hash is rhumb's own: clients find other servers than before",
        "Nothing to do; all rhumb nodes agree",
      );
      return { algorithm: isConsistent ? "ring_hash" : "ip_hash", hash: { v6: 128 } };
    }
  }
}

type Parsed = {
  readonly directive: Directive;
  readonly options: ReadonlyMap<string, string>;
  readonly backend: unknown;
  readonly key: string;
};

const FLAGS = ["backup", "down", "resolve", "drain"];
const OPTIONS = ["weight", "max_fails", "fail_timeout", "max_conns", "slow_start", "service", "route"];

/** @param defaultPort of servers without one: 80 in `http`, none in `stream` */
function serverOf(directive: Directive, defaultPort: number | undefined, notes: Notes): Parsed | undefined {
  const { args, at } = directive;
  const [place = "", ...parameters] = args;
  const options = new Map<string, string>();
  for (const parameter of parameters) {
    const [, name = "", value = ""] = /^([a-z_]+)(?:=(.*))?$/.exec(parameter) ?? [];
    const isKnown = FLAGS.includes(name) || OPTIONS.includes(name);
    if (isKnown) options.set(name, value);
    else notes.leftOut({ ...at, directive: `server … ${parameter}` }, "Unknown parameter of a server", "Correct it");
  }
  const number = (option: string, max: number): number | undefined => {
    const text = options.get(option);
    const count = parseCount(text, option === "weight" ? 1 : 0, max);
    if (text !== undefined && count === undefined)
      notes.leftOut(
        { ...at, directive: `server … ${option}` },
        `${quoted(text)} is no number up to ${max}`,
        "Correct it",
      );
    return count;
  };
  if (options.has("drain"))
    notes.changed(
      { ...at, directive: "server … drain" },
      "It gets no new clients: its weight is 0",
      "Use `rhumb backend drain` to let it go",
    );
  if (options.has("route"))
    notes.leftOut({ ...at, directive: "server … route" }, "Routes are read from HTTP", "Use `sticky: { by: source }`");
  const service = options.get("service");
  const srv = service === undefined || /^[a-z]/i.test(service) === false ? service : `_${service}._tcp`;
  const host = place.replace(/:\d+$/, "");
  const address = srv === undefined ? parseServerAddress(place, defaultPort) : undefined;
  if (srv === undefined && address === undefined) {
    const says = place.startsWith("unix:")
      ? "Backends are reached over TCP or UDP alone"
      : "Cannot tell the address and port";
    notes.leftOut(at, `${says}: ${quoted(place)}`, "Write address:port");
    return undefined;
  }
  const weight = options.has("drain") ? 0 : number("weight", 1_000);
  const maxConnections = number("max_conns", 1_000_000);
  const extra = compact({
    weight: weight === 1 ? undefined : weight,
    backup: options.has("backup") ? true : undefined,
    maxConnections: maxConnections === 0 ? undefined : maxConnections,
    enabled: options.has("down") ? false : undefined,
  });
  const place2 = srv === undefined ? { address } : { srv: `${srv}.${host}`.toLowerCase() };
  const isPlain = srv === undefined && Object.keys(extra).length === 0;
  return { directive, options, backend: isPlain ? address : { ...place2, ...extra }, key: address ?? place2.srv! };
}

/** `max_fails` and `fail_timeout` are told by each server; here they are a pool's. */
function breakerOf(servers: readonly Parsed[], notes: Notes): Record<string, unknown> {
  const told = servers.filter(({ options }) => options.has("max_fails") || options.has("fail_timeout"));
  const [first] = told;
  if (!first) return {};
  const say = (server: Parsed) => `${server.options.get("max_fails")} ${server.options.get("fail_timeout")}`;
  const at = { ...first.directive.at, directive: "server … max_fails" };
  const failures = parseCount(first.options.get("max_fails") ?? "1", 0, 1_000);
  const pauseMs = parseTime(first.options.get("fail_timeout") ?? "10s", NGINX_TIME.units, NGINX_TIME.plain);
  if (failures === undefined || pauseMs === undefined) {
    notes.leftOut(at, "max_fails and fail_timeout are a number and a time", "Correct them");
    return {};
  }
  for (const server of told) {
    if (say(server) !== say(first))
      notes.changed(
        { ...server.directive.at, directive: "server … max_fails" },
        "It is set for a pool as a whole; what its first server says is taken",
        "Make pools of servers that are alike",
      );
  }
  if (failures === 0) {
    notes.changed(
      at,
      "Nobody is left alone for failures, by any worker; a check still finds who is down",
      "Write `breaker:` and `outlier:`",
    );
    return { breaker: { failures: 1_000 }, outlier: { enabled: false } };
  }
  notes.changed(
    at,
    "Failures count that follow one another, not those within fail_timeout; the pause doubles each time",
    "Choose `breaker:` and `outlier:` of the pool",
  );
  return { breaker: { failures, base: durationText(pauseMs, 100, HOUR) } };
}

/** Matches of `health_check match=NAME`: a status is what rhumb can compare. */
function expectOf(match: Directive | undefined, notes: Notes): Record<string, unknown> | undefined {
  if (!match) return undefined;
  const status = last(match.block ?? [], "status");
  const ranges = (status?.args ?? []).filter((word) => /^[1-5]\d\d(-[1-5]\d\d)?$/.test(word));
  for (const line of match.block ?? []) {
    if (line !== status)
      notes.leftOut(line.at, "Checks compare statuses and plain text alone", "Use `expect: { body: … }` for text");
  }
  if (status && ranges.length < status.args.length)
    notes.leftOut(status.at, "Statuses are numbers and ranges", "Write `expect: { status: [200-299] }`");
  return ranges.length > 0 ? { status: ranges.map((word) => (word.includes("-") ? word : Number(word))) } : undefined;
}

/** @param outer block that holds the `match` blocks */
export function checkOf(check: Directive, isHttp: boolean, outer: readonly Directive[], notes: Notes): unknown {
  const options = new Map(check.args.map((word) => [word.split("=")[0]!, word.slice(word.indexOf("=") + 1)] as const));
  const intervalMs = parseTime(options.get("interval") ?? "5s", NGINX_TIME.units, NGINX_TIME.plain) ?? 5 * SECOND;
  const match = outer.find(({ name, args }) => name === "match" && args[0] === options.get("match"));
  for (const word of ["jitter", "udp", "mandatory", "persistent", "keepalive_time", "type"]) {
    if (options.has(word))
      notes.leftOut(
        { ...check.at, directive: `health_check ${word}` },
        "There is no such option of checks",
        "Leave it out",
      );
  }
  const uri = options.get("uri") ?? "/";
  return compact({
    kind: isHttp ? "http" : "tcp",
    port: parseCount(options.get("port"), 1, 65_535),
    path: isHttp && /^\/[\x21-\x7e]*$/.test(uri) ? uri : undefined,
    // Without `match` any status of 200 to 399 is good (ngx_http_upstream_hc_module).
    expect: isHttp ? (expectOf(match, notes) ?? { status: ["200-399"] }) : undefined,
    interval: durationText(intervalMs, 100, HOUR),
    timeout: durationText(Math.min(intervalMs, 3 * SECOND), 10, HOUR),
    thresholds: {
      down: parseCount(options.get("fails") ?? "1", 1, 100) ?? 1,
      up: parseCount(options.get("passes") ?? "1", 1, 100) ?? 1,
      ok: 1,
    },
    downSpan: "0s",
  });
}

const READ = new Set("server least_conn ip_hash hash random least_time zone sticky queue".split(" "));

export function poolOf(upstream: Directive, defaultPort: number | undefined, notes: Notes): Record<string, unknown> {
  const block = upstream.block ?? [];
  const servers: Parsed[] = [];
  const keys = new Set<string>();
  for (const directive of all(block, "server")) {
    if (servers.length >= MAX_BACKENDS) {
      notes.leftOut(directive.at, `A pool has at most ${MAX_BACKENDS} backends`, "Make several pools");
      continue;
    }
    const server = serverOf(directive, defaultPort, notes);
    if (server && keys.has(server.key))
      notes.leftOut(
        directive.at,
        "The same address stands in this upstream a second time",
        "Give the first a higher weight",
      );
    else if (server) {
      servers.push(server);
      keys.add(server.key);
    }
  }
  for (const { name, at } of block) {
    if (READ.has(name)) continue;
    const isKeepalive = name.startsWith("keepalive");
    notes.leftOut(
      at,
      isKeepalive ? "Each client has a connection of its own to a backend" : "There is nothing like it for pools",
      "Leave it out",
    );
  }
  const slow = servers.find(({ options }) => options.has("slow_start"));
  const slowMs = slow && parseTime(slow.options.get("slow_start")!, NGINX_TIME.units, NGINX_TIME.plain);
  if (slow && servers.some(({ options }) => options.get("slow_start") !== slow.options.get("slow_start")))
    notes.changed(
      { ...slow.directive.at, directive: "server … slow_start" },
      "It is set for a pool as a whole",
      "Make pools of servers that are alike",
    );
  const sticky = last(block, "sticky");
  if (sticky)
    notes.changed(
      sticky.at,
      "Cookies and routes are HTTP, which layer 4 does not see; clients are kept by their address",
      "Remove `sticky:` if sessions do not need it",
    );
  const queue = last(block, "queue");
  const wait = queue?.args.find((word) => word.startsWith("timeout="))?.slice(8);
  const waitMs = wait === undefined ? undefined : parseTime(wait, NGINX_TIME.units, NGINX_TIME.plain);
  return compact({
    ...algorithmOf(block, notes),
    backends: servers.map(({ backend }) => backend),
    queue:
      queue &&
      compact({
        max: parseCount(queue.args[0], 0, 1_000_000),
        timeout: waitMs && durationText(waitMs, 10, 5 * MINUTE),
      }),
    ...breakerOf(servers, notes),
    slowStart: slowMs ? { window: durationText(slowMs, 1, HOUR) } : undefined,
    sticky: sticky ? { by: "source" } : undefined,
  });
}

/** How often a connection is tried, over several servers. @param prefix `proxy_next_upstream` */
export function retryOf(
  tries: Directive | undefined,
  isOn: Directive | undefined,
  notes: Notes,
): Record<string, unknown> | undefined {
  if (isOn?.args[0] === "off") return { attempts: 1 };
  if (!tries) return undefined;
  const count = parseCount(tries.args[0], 0, 1_000_000);
  if (count === undefined)
    notes.leftOut(tries.at, `${quoted(tries.args[0] ?? "")} is no number`, "Write `retry: { attempts: 3 }`");
  // 0: as many as there are servers.
  return count === undefined ? undefined : { attempts: count === 0 ? 10 : Math.min(count, 10) };
}
