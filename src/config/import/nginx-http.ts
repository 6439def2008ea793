/**
 * Servers of nginx' `http` block → listeners that relay their connections as they are.
 *
 * One address is one listener: with TLS the name in the handshake tells servers apart, without it the default server
 * gets all. A server's connections go to the pool of `location /`, or else of its first `proxy_pass`.
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
import { tellLeftOut } from "#config/import/nginx-stream.ts";
import { checkOf, retryOf } from "#config/import/nginx-upstream.ts";
import { type Notes, quoted } from "#config/import/notes.ts";
import type { createNames } from "#config/import/words.ts";

const READ = new Set(
  "listen server_name location proxy_pass proxy_connect_timeout proxy_read_timeout proxy_send_timeout proxy_next_upstream proxy_next_upstream_tries ssl_certificate ssl_certificate_key allow deny limit_conn set_real_ip_from health_check server upstream map limit_conn_zone match types default_type http2".split(
    " ",
  ),
);
const HTTP = [
  "HTTP is relayed as it is: layer 4 reads and changes none of it",
  "Write it as a rule of `protocol: http` (docs/rules.md), or do it in the backend",
] as const;
const REASONS: readonly (readonly [RegExp, string, string])[] = [
  [
    /^proxy_ssl/,
    "Connections to backends are not encrypted",
    "Use `protocol: tls-passthrough`, or a port of the backend without TLS",
  ],
  [
    /^(access_log|error_log|log_format|open_log_file_cache|log_not_found)$/,
    "rhumb writes a log of its own",
    "Read it from standard output, and `/metrics`",
  ],
  [/^ssl_/, "TLS has settings of its own: version 1.2 and later", "Leave it out"],
  [
    /^(root|alias|index|try_files|autoindex|expires|add_header|etag|open_file_cache.*)$/,
    "Files are not served: requests go to the backend, whatever their path",
    "Serve them from a backend",
  ],
  [
    /^(return|rewrite|error_page|if|set|break)$/,
    "No request is answered or rewritten here",
    "Write it as a rule of `protocol: http` (docs/rules.md), or do it in the backend",
  ],
  [
    /^proxy_set_header$/,
    "No header is added: layer 4 does not touch HTTP, and backends see this machine's address",
    "Write `proxyProtocol: v2` into the pool, if backends read it",
  ],
  [
    /^(limit_req.*|auth_.*|satisfy|internal)$/,
    "Requests are not counted or refused at layer 4",
    "Use `limits:` of the listener, or the backend",
  ],
  [/^(proxy_bind)$/, "Connections come from the address that the kernel chooses", "Set the route's source address"],
  [/./, ...HTTP],
];

type Site = {
  readonly server: Directive;
  readonly scope: Scope;
  readonly names: readonly string[];
  readonly pool: string;
  readonly listens: readonly Listen[];
};

/** `http://web/path` → `web`; https is told. */
function targetOf(pass: Directive, notes: Notes): string {
  const [, scheme, target = ""] = /^(?:(https?|grpcs?|uwsgi|fastcgi|scgi):\/\/)?([^/]*)/.exec(pass.args[0] ?? "") ?? [];
  if (scheme === "https" || scheme === "grpcs") {
    notes.changed(
      pass.at,
      "Connections to backends are not encrypted: what the client sends goes on as it is",
      "Use `protocol: tls-passthrough` in the listener, or a port of the backend without TLS",
    );
    return /:\d+$/.test(target) || /^[a-z0-9_-]+$/i.test(target) ? target : `${target}:443`;
  }
  return target;
}

type Location = { readonly directive: Directive; readonly pass: Directive };
function locationsOf(block: readonly Directive[]): Location[] {
  return block.flatMap((directive): Location[] => {
    if (directive.name !== "location") return [];
    const inner = directive.block ?? [];
    const pass = last(inner, "proxy_pass") ?? last(inner, "grpc_pass");
    return [...(pass ? [{ directive, pass }] : []), ...locationsOf(inner)];
  });
}

/** `auth_basic off` and the like switch off what an outer block has switched on. */
const isOn = ({ args }: Directive): boolean => args[0] !== "off";
const AUTH = ["auth_basic", "auth_request", "auth_jwt", "auth_oidc"];

/** What keeps some requests out of a server, or out of parts of it, for who has no password, address or path for it. */
function guardOf(server: Directive, http: readonly Directive[], chosen: Directive): Directive | undefined {
  const block = server.block ?? [];
  for (const name of AUTH) {
    const outer = inherited([block, http], name);
    if (outer && isOn(outer)) return outer;
  }
  return innerGuard(block, chosen);
}
/** @param chosen location whose access list is the listener's */
function innerGuard(block: readonly Directive[], chosen: Directive): Directive | undefined {
  for (const directive of block) {
    const inner = directive.block ?? [];
    const own = inner.find(
      (one) =>
        (AUTH.includes(one.name) && isOn(one)) ||
        one.name === "internal" ||
        (one.name === "deny" && directive !== chosen) ||
        (one.name === "return" && /^40[13]$/.test(one.args[0] ?? "")),
    );
    const found = own ?? innerGuard(inner, chosen);
    if (found) return found;
  }
  return undefined;
}

/** The location that stands for a whole server: `/`, else the first that passes on. */
function siteOf(server: Directive, http: readonly Directive[], pools: Pools, notes: Notes): Site | undefined {
  const block = server.block ?? [];
  const locations = locationsOf(block);
  const chosen = locations.find(({ directive }) => directive.args.at(-1) === "/") ?? locations[0];
  const names = block
    .filter(({ name }) => name === "server_name")
    .flatMap(({ args }) => args.map((name) => name.toLowerCase()));
  const listens = block.filter(({ name }) => name === "listen").flatMap((one) => listensOf(one, 80, notes));
  tellBlock(block, notes);
  const pathOf = ({ args }: Directive): string => quoted(args.join(" "));
  for (const directive of block.filter(({ name }) => name === "location")) {
    if (directive === chosen?.directive) {
      notes.changed(
        directive.at,
        `Connections to this server go to ${quoted(chosen.pass.args[0] ?? "")}, whatever their requests ask for`,
        "Nothing to do, if all of the server is there",
      );
    } else
      notes.leftOut(
        directive.at,
        chosen
          ? `Paths are not seen at layer 4: requests for ${pathOf(directive)} go where those of ${pathOf(chosen.directive)} go`
          : "Paths are not seen at layer 4, and nothing of this server is passed on",
        "Route it in the backend, or give it a name or port of its own",
      );
  }
  if (!chosen) {
    notes.leftOut(server.at, "Nothing of this server is passed to a backend", "Serve it by a backend of its own");
    return undefined;
  }
  const guard = guardOf(server, http, chosen.directive);
  if (guard) {
    notes.leftOut(
      guard.at,
      `Layer 4 would let in whom this keeps out: no connection goes to the server at line ${server.at.line}`,
      "Write it as a listener of `protocol: http` with `basicAuth`, `forwardAuth` or `access` in its rules (docs/rules.md)",
    );
    return undefined;
  }
  const scope: Scope = [chosen.directive.block ?? [], block, http];
  const check = last(chosen.directive.block ?? [], "health_check");
  const settings = compact({
    check: check ? checkOf(check, true, http, notes) : undefined,
    connectTimeout: shortText(timeOf(inherited(scope, "proxy_connect_timeout"), notes)),
    retry: retryOf(inherited(scope, "proxy_next_upstream_tries"), inherited(scope, "proxy_next_upstream"), notes),
  });
  const pool = pools.find(targetOf(chosen.pass, notes), settings, chosen.pass.at);
  return pool === undefined ? undefined : { server, scope, names, pool, listens };
}

function tellBlock(block: readonly Directive[], notes: Notes): void {
  for (const directive of block) {
    if (!READ.has(directive.name)) tellLeftOut(directive, REASONS, notes);
    if (directive.name === "location") tellBlock(directive.block ?? [], notes);
  }
}

/** Names of a server as patterns of `sni`; `.example.com` is the name and all below it. */
function sniNames({ names, server }: Site, notes: Notes): string[] {
  return names.flatMap((name) => {
    if (name === "_" || name === "") return [];
    const found = name.startsWith(".") ? [name.slice(1), `*${name}`] : [name];
    if (
      found.every(
        (one) =>
          /^(\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$/.test(one) &&
          one.length <= 253,
      )
    )
      return found;
    notes.leftOut(
      { ...server.at, directive: "server_name" },
      `${quoted(name)} is no name, and does not begin with "*."`,
      "Write the names out",
    );
    return [];
  });
}

export function importHttp(
  http: readonly Directive[],
  pools: Pools,
  draft: Draft,
  listenerNames: ReturnType<typeof createNames>,
  notes: Notes,
): void {
  tellBlock(
    http.filter(({ name }) => name !== "server"),
    notes,
  );
  const servers = http.filter(({ name }) => name === "server");
  const sites = servers.flatMap((server) => siteOf(server, http, pools, notes) ?? []);
  /** Sites by the address that they share. */
  const places = new Map<string, { site: Site; listen: Listen }[]>();
  for (const site of sites) {
    if (site.listens.length === 0)
      notes.leftOut(site.server.at, "Nothing is said of where to listen", "Add a `listen` line");
    for (const listen of site.listens)
      places.set(listen.listen, [...(places.get(listen.listen) ?? []), { site, listen }]);
  }
  for (const shared of places.values()) {
    const first = shared.find(({ listen }) => listen.isDefault) ?? shared[0]!;
    const isTls = shared.some(({ listen }) => listen.isTls);
    const { listen, site } = first;
    for (const other of isTls ? [] : shared) {
      if (other !== first)
        notes.leftOut(
          other.listen.directive.at,
          `Without TLS the name is not seen: connections to ${listen.listen} go to ${quoted(site.pool)}`,
          "Use TLS, or an address of its own",
        );
    }
    const certificates = isTls
      ? [
          ...new Map(
            [first, ...shared].flatMap((one) => certificatesOf(one.site.scope, notes)).map((pair) => [pair.cert, pair]),
          ).values(),
        ]
      : [];
    if (isTls && certificates.length === 0) {
      notes.leftOut(
        listen.directive.at,
        "TLS ends here, and no certificate could be taken over",
        "Write `protocol: tls` with `certificates:`",
      );
      continue;
    }
    const sni = !isTls
      ? []
      : shared
          .filter((one) => one !== first && one.site.pool !== site.pool)
          .flatMap((one) => {
            const names = sniNames(one.site, notes);
            return names.length > 0 ? [{ names, pool: one.site.pool }] : [];
          });
    if (sni.length > 0)
      notes.changed(
        { ...listen.directive.at, directive: "server_name" },
        `At ${listen.listen} the name in the TLS handshake chooses the server, for the whole connection`,
        "Nothing to do, unless clients use one connection for several names",
      );
    const reads = ["proxy_read_timeout", "proxy_send_timeout"]
      .map((name) => timeOf(inherited(site.scope, name), notes))
      .filter((ms) => ms !== undefined);
    const value = compact({
      listen: listen.listen,
      protocol: isTls ? "tls" : "tcp",
      pool: site.pool,
      sni,
      certificates,
      ...listenerBase(listen, site.scope, http, notes),
      timeouts: compact({ idle: reads.length > 0 ? idleText(Math.max(...reads)) : undefined }),
    });
    draft.balancer.listeners.set(listenerNames.fresh(site.pool), { value, at: listen.directive.at });
  }
}
