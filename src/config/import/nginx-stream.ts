/**
 * Servers of nginx' `stream` block → listeners (nginx.org, ngx_stream_*_module).
 * @module
 */
import { compact, type Draft } from "#config/import/draft.ts";
import type { Pools } from "#config/import/nginx-pools.ts";
import { type Directive, last } from "#config/import/nginx-read.ts";
import {
  certificatesOf,
  idleText,
  inherited,
  type Listen,
  listenerBase,
  listensOf,
  type Scope,
  shortText,
  timeOf,
} from "#config/import/nginx-scope.ts";
import { checkOf, retryOf } from "#config/import/nginx-upstream.ts";
import { type Notes, quoted } from "#config/import/notes.ts";
import { type createNames, durationText, parseCount } from "#config/import/words.ts";

const READ = new Set(
  "listen proxy_pass proxy_timeout proxy_connect_timeout proxy_protocol proxy_protocol_version proxy_responses ssl_preread allow deny proxy_next_upstream proxy_next_upstream_tries ssl_certificate ssl_certificate_key ssl_alpn limit_conn set_real_ip_from preread_timeout health_check server_name status_zone ssl_handshake_timeout".split(
    " ",
  ),
);
/** Of the `stream` block itself. */
const READ_OUTSIDE = new Set(["server", "upstream", "map", "limit_conn_zone", "match", "log_format", ...READ]);

const REASONS: readonly (readonly [RegExp, string, string])[] = [
  [
    /^proxy_ssl/,
    "Connections to backends are not encrypted",
    "Use `protocol: tls-passthrough`, or a port of the backend without TLS",
  ],
  [
    /^(access_log|error_log|log_format|open_log_file_cache)$/,
    "rhumb writes a log of its own",
    "Read it from standard output, and `/metrics`",
  ],
  [/^ssl_/, "TLS has settings of its own: version 1.2 and later", "Leave it out"],
  [/^proxy_bind$/, "Connections come from the address that the kernel chooses", "Set the route's source address"],
  [/^proxy_requests$/, "A session ends by time, and by the number of answers", "Use `udp: { responses: … }`"],
  [/^proxy_next_upstream_timeout$/, "Tries are limited by their number", "Use `retry: { attempts: … }`"],
  [
    /^(return|js_.*|pass|split_clients|geo|geoip_.*|set)$/,
    "There is nothing like it at layer 4",
    "Do it in the backend",
  ],
  [
    /^(proxy_buffer_size|proxy_upload_rate|proxy_download_rate|tcp_nodelay|preread_buffer_size|proxy_socket_keepalive|proxy_half_close|variables_hash.*|resolver|resolver_timeout|limit_conn_log_level|limit_conn_dry_run|status_zone|resolver)$/,
    "rhumb sets up its connections by itself",
    "Leave it out",
  ],
];
export function tellLeftOut({ name, at }: Directive, reasons: typeof REASONS, notes: Notes): void {
  const [, says, fix] = reasons.find(([pattern]) => pattern.test(name)) ?? [];
  notes.leftOut(at, says ?? `Unknown line ${quoted(name)}`, fix ?? "Correct it, or see docs/settings.md");
}

type Route = { readonly names: string[]; readonly target: string; readonly directive: Directive };
type SniMap = { readonly routes: readonly Route[]; readonly fallback: Route | undefined };

/** Of one route (`l4/config.ts`: 1,024), with room for the two names of the last entry. */
const MAX_NAMES = 1_000;
const NAME = /^(\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$/;

/** `map $ssl_preread_server_name $name { … }`: exact names first, then the longest patterns, as nginx looks them up. */
function readMap(map: Directive, notes: Notes): SniMap {
  const exact: Route[] = [];
  const patterns: Route[] = [];
  let fallback: Route | undefined;
  for (const directive of map.block ?? []) {
    const [target = ""] = directive.args;
    const key = directive.name.replace(/^\\/, "").toLowerCase().replace(/\.$/, "");
    if (["hostnames", "volatile"].includes(key) && directive.args.length === 0) continue;
    if (key === "default") fallback = { names: [], target, directive };
    else if (key === "")
      notes.leftOut(
        directive.at,
        "Clients that name nobody go where unknown names go",
        "Nothing to do, if that is right",
      );
    else if (key.startsWith(".") && NAME.test(key.slice(1)))
      patterns.push({ names: [key.slice(1), `*${key}`], target, directive });
    else if (NAME.test(key) && key.length <= 253)
      (key.startsWith("*") ? patterns : exact).push({ names: [key], target, directive });
    else
      notes.leftOut(
        directive.at,
        "Names are matched whole, or by `*.` at their beginning, not by expressions",
        "Write the names out",
      );
  }
  const length = ({ names }: Route): number => names.at(-1)!.length;
  return { routes: [...exact, ...patterns.sort((a, b) => length(b) - length(a))], fallback };
}

const SNI_VARIABLES = ["$ssl_preread_server_name", "$ssl_server_name"];
const plainVariable = (text: string): string => text.replace(/^\$\{(.*)\}$/, "$$$1");

export function importStream(
  stream: readonly Directive[],
  pools: Pools,
  draft: Draft,
  names: ReturnType<typeof createNames>,
  notes: Notes,
): void {
  const maps = new Map(
    stream.filter(({ name }) => name === "map").map((map) => [plainVariable(map.args[1] ?? ""), map]),
  );
  for (const directive of stream) if (!READ_OUTSIDE.has(directive.name)) tellLeftOut(directive, REASONS, notes);

  for (const server of stream.filter(({ name }) => name === "server")) {
    const block = server.block ?? [];
    const scope: Scope = [block, stream];
    for (const directive of block) if (!READ.has(directive.name)) tellLeftOut(directive, REASONS, notes);
    const pass = last(block, "proxy_pass");
    if (!pass) {
      notes.leftOut(server.at, "The server passes to nobody", "Add a `proxy_pass` line");
      continue;
    }
    const on = (name: string): boolean => inherited(scope, name)?.args[0] === "on";
    const listens = block.filter(({ name }) => name === "listen").flatMap((one) => listensOf(one, undefined, notes));
    const isUdp = listens.some((listen) => listen.isUdp);
    const check = last(block, "health_check");
    const settings = compact({
      check: check && !isUdp ? checkOf(check, false, stream, notes) : undefined,
      connectTimeout: shortText(timeOf(inherited(scope, "proxy_connect_timeout"), notes)),
      retry: retryOf(inherited(scope, "proxy_next_upstream_tries"), inherited(scope, "proxy_next_upstream"), notes),
      proxyProtocol:
        on("proxy_protocol") && !isUdp
          ? inherited(scope, "proxy_protocol_version")?.args[0] === "2"
            ? "v2"
            : "v1"
          : undefined,
    });

    const target = plainVariable(pass.args[0] ?? "");
    const map = maps.get(target);
    const sni: { names: string[]; pool: string }[] = [];
    let pool: string | undefined;
    if (map && SNI_VARIABLES.includes(plainVariable(map.args[0] ?? ""))) {
      const { routes, fallback } = readMap(map, notes);
      for (const route of routes) {
        const found = pools.find(route.target, settings, route.directive.at, isUdp);
        const before = sni.at(-1);
        // One route for all neighbours that lead to the same pool.
        if (before && before.pool === found && before.names.length < MAX_NAMES) before.names.push(...route.names);
        else if (found !== undefined) sni.push({ names: [...route.names], pool: found });
      }
      pool = fallback && pools.find(fallback.target, settings, fallback.directive.at, isUdp);
    } else pool = pools.find(target, settings, pass.at, isUdp);
    if (pool === undefined && sni.length === 0) continue;

    for (const listen of listens) {
      const value = listenerOf({ listen, scope, stream, pool, sni, isPreread: on("ssl_preread") }, notes);
      if (value) draft.balancer.listeners.set(names.fresh(pool ?? sni[0]!.pool), { value, at: listen.directive.at });
    }
  }
}

type Parts = {
  readonly listen: Listen;
  readonly scope: Scope;
  readonly stream: readonly Directive[];
  readonly pool: string | undefined;
  readonly sni: readonly { readonly names: readonly string[]; readonly pool: string }[];
  readonly isPreread: boolean;
};
function listenerOf(
  { listen, scope, stream, pool, sni, isPreread }: Parts,
  notes: Notes,
): Record<string, unknown> | undefined {
  const idleMs = timeOf(inherited(scope, "proxy_timeout"), notes);
  const { at } = listen.directive;
  const base = listenerBase(listen, scope, stream, notes);
  if (listen.isUdp) {
    const responses = parseCount(inherited(scope, "proxy_responses")?.args[0], 0, 65_535);
    const udp = compact({ idle: idleMs === undefined ? undefined : durationText(idleMs, 100, 86_400_000), responses });
    return compact({ listen: listen.listen, protocol: "udp", pool, ...base, udp });
  }
  const certificates = listen.isTls ? certificatesOf(scope, notes) : [];
  if (listen.isTls && certificates.length === 0) {
    notes.leftOut(
      at,
      "TLS ends here, and no certificate could be taken over",
      "Write `protocol: tls` with `certificates:`",
    );
    return undefined;
  }
  return compact({
    listen: listen.listen,
    protocol: listen.isTls ? "tls" : isPreread && sni.length > 0 ? "tls-passthrough" : "tcp",
    pool,
    sni: listen.isTls || isPreread ? sni : [],
    certificates,
    alpn: listen.isTls ? (inherited(scope, "ssl_alpn")?.args ?? []) : [],
    ...base,
    timeouts: compact({
      idle: idleText(idleMs),
      preamble: shortText(timeOf(inherited(scope, "preread_timeout"), notes)),
      handshake: listen.isTls ? handshakeText(timeOf(inherited(scope, "ssl_handshake_timeout"), notes)) : undefined,
    }),
  });
}
const handshakeText = (ms: number | undefined): string | undefined =>
  ms === undefined ? undefined : durationText(ms, 100, 300_000);
