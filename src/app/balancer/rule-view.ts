/**
 * Rules of a listener as operators read them.
 *
 * Never:   shows what may be a secret: keys, hashes and names of users, and values of fields, cookies, queries and claims.
 * @module
 */
import type { RuleView } from "#api/views.ts";
import type { ListenerSpec, PoolSpec } from "#state/balancer.ts";
import type { ActionSpec, GuardsSpec, MatchSpec, PathMatch, RedirectSpec, ValueMatch } from "#state/http.ts";

/** @param pools of the snapshot that the listener is of */
export function ruleViews({ name: listener, http }: ListenerSpec, pools: readonly PoolSpec[]): RuleView[] {
  const nameOf = (pool: number): string => pools[pool]!.name;
  return (http?.rules ?? []).map(({ name, match, guards, action, mirror, cache, compression }, index) => ({
    listener,
    order: index + 1,
    name,
    match: describeMatch(match),
    action: describeAction(action, nameOf),
    guards: guardsOf(guards),
    mirror: mirror === undefined ? null : { pool: nameOf(mirror.pool), percent: mirror.percent },
    cache: cache?.store ?? null,
    compression: [...(compression?.algorithms ?? [])],
  }));
}

const KINDS: Readonly<Record<PathMatch["kind"], (value: string) => string>> = {
  exact: (value) => `path is ${value}`,
  prefix: (value) => `path begins with ${value}`,
  segment: (value) => `path ${value} and below`,
  regex: (value) => `path like ${value}`,
};
const any = (what: string, values: readonly string[]): string[] =>
  values.length === 0 ? [] : [`${what} ${values.join(" or ")}`];
const values = (what: string, all: readonly ValueMatch[]): string[] =>
  all.map(({ name, kind, isNegated }) =>
    kind === "present"
      ? `${isNegated ? "no " : ""}${what} ${name}`
      : `${what} ${name} ${isNegated ? "not " : ""}by ${kind}`,
  );

function describeMatch({
  hosts,
  paths,
  methods,
  headers,
  cookies,
  query,
  sources,
  claims,
  jwt,
  body,
}: MatchSpec): string[] {
  return [
    ...any("host", hosts),
    ...(paths.length === 0 ? [] : [paths.map(({ kind, value }) => KINDS[kind](value)).join(" or ")]),
    ...any("method", methods),
    ...values("field", headers),
    ...values("cookie", cookies),
    ...values("query", query),
    ...any("from", sources),
    ...(jwt === undefined ? [] : ["a good token"]),
    ...values("claim", claims),
    ...(body?.contains === undefined ? [] : ["body by contains"]),
    ...(body?.json === undefined ? [] : [`body field ${body.json.path} by exact`]),
  ];
}

function describeAction(action: ActionSpec, nameOf: (pool: number) => string): RuleView["action"] {
  switch (action.kind) {
    case "pool": {
      const pool = nameOf(action.pool);
      return { kind: action.kind, pools: [{ pool, weight: 1 }], status: null, says: `pool ${pool}` };
    }
    case "split": {
      const pools = action.parts.map(({ pool, weight }) => ({ pool: nameOf(pool), weight }));
      const says = `split ${pools.map(({ pool, weight }) => `${pool} ${weight}`).join(", ")}`;
      return { kind: action.kind, pools, status: null, says };
    }
    case "redirect":
      return { kind: action.kind, pools: [], status: action.status, says: `${action.status} to ${target(action.to)}` };
    case "respond":
      return { kind: action.kind, pools: [], status: action.status, says: `reply ${action.status}` };
    default:
      return action satisfies never;
  }
}

/** What stays as it was asked for stands in braces. */
function target({ scheme, host, port, path, keepsQuery }: RedirectSpec): string {
  const where = `${scheme ?? "{scheme}"}://${host ?? "{host}"}${port === undefined ? "" : `:${port}`}`;
  return `${where}${path ?? "{path}"}${keepsQuery ? "{query}" : ""}`;
}

function guardsOf({ access, waf, rateLimits, basicAuth, jwt, forwardAuth }: GuardsSpec): RuleView["guards"] {
  const present = {
    access: access.length > 0,
    waf: waf !== undefined,
    "rate-limit": rateLimits.length > 0,
    "basic-auth": basicAuth !== undefined,
    jwt: jwt !== undefined,
    "forward-auth": forwardAuth !== undefined,
  } as const;
  return (Object.keys(present) as (keyof typeof present)[]).filter((name) => present[name]);
}
