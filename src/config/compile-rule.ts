/**
 * One rule of an HTTP listener → `RuleSpec`.
 * @module
 */
import type { ConfigFiles } from "#config/files.ts";
import { type JwtConfig, RULE_STANDARDS, type RuleConfig, type RuleDefaults } from "#l7/rules/config.ts";
import type {
  ActionSpec,
  GuardsSpec,
  HeaderEdit,
  JwtSpec,
  MatchSpec,
  PathMatch,
  RateLimitSpec,
  RedirectSpec,
  RewriteSpec,
  RuleSpec,
  ValueMatch,
} from "#state/http.ts";

type Context = {
  readonly files: ConfigFiles;
  readonly poolIndex: (name: string) => number;
  readonly defaults: RuleDefaults;
};

const listOf = <T>(value: T | readonly T[] | undefined): readonly T[] =>
  value === undefined ? [] : Array.isArray(value) ? (value as readonly T[]) : [value as T];
/** A secret that could not be resolved has been reported: nothing of this is applied then. */
const secretOf = (files: ConfigFiles, reference: string): string => {
  const secret = files.secrets.get(reference);
  return secret && "value" in secret ? secret.value : "";
};

// ── match ────────────────────────────────────────────────────────────────────────────────────────────────────────

const withoutSlash = (path: string): string => (path === "/" ? path : path.replace(/\/$/, ""));

type PathConfig = Exclude<RuleConfig["match"]["path"], readonly unknown[] | undefined>;
function compilePath(path: PathConfig): PathMatch {
  if (typeof path === "string")
    return path.endsWith("/") ? { kind: "segment", value: withoutSlash(path) } : { kind: "exact", value: path };
  if (path.exact !== undefined) return { kind: "exact", value: path.exact };
  if (path.prefix !== undefined) return { kind: "prefix", value: path.prefix };
  if (path.segment !== undefined) return { kind: "segment", value: withoutSlash(path.segment) };
  return { kind: "regex", value: path.regex! };
}

function compileValues(values: RuleConfig["match"]["header"]): ValueMatch[] {
  return Object.entries(values).map(([name, match]): ValueMatch => {
    if (typeof match === "boolean") return { name, kind: "present", value: "", isNegated: !match };
    if (typeof match === "string") return { name, kind: "exact", value: match, isNegated: false };
    const { not: isNegated, ...kinds } = match;
    const [kind, value] = Object.entries(kinds)[0]! as [keyof typeof kinds, string];
    return { name, kind, value, isNegated };
  });
}

const compileJwt = (jwt: JwtConfig | undefined, files: ConfigFiles): JwtSpec | undefined =>
  jwt && {
    algorithms: jwt.algorithms,
    keys: secretOf(files, jwt.keys),
    issuer: jwt.issuer,
    audience: jwt.audience,
    from: jwt.from,
    leewayMs: jwt.leeway,
  };

function compileMatch({ match }: RuleConfig, jwt: JwtSpec | undefined, files: ConfigFiles): MatchSpec {
  const { body } = match;
  const claims = compileValues(match.claim);
  return {
    hosts: listOf(match.host),
    paths: listOf(match.path).map(compilePath),
    methods: listOf(match.method),
    headers: compileValues(match.header),
    cookies: compileValues(match.cookie),
    query: compileValues(match.query),
    sources: listOf(match.source),
    claims,
    jwt: claims.length > 0 ? (compileJwt(match.jwt, files) ?? jwt) : undefined,
    body: body && {
      maxOctets: body.max,
      contains: body.contains,
      json: body.json && { path: body.json.path, value: String(body.json.value) },
    },
  };
}
const EVERYTHING: MatchSpec = {
  hosts: [],
  paths: [],
  methods: [],
  headers: [],
  cookies: [],
  query: [],
  sources: [],
  claims: [],
  jwt: undefined,
  body: undefined,
};

// ── action ───────────────────────────────────────────────────────────────────────────────────────────────────────

function compileRedirect(redirect: NonNullable<RuleConfig["redirect"]>): Extract<ActionSpec, { kind: "redirect" }> {
  if (typeof redirect !== "string") {
    const { status, scheme, host, port, path, query } = redirect;
    return { kind: "redirect", status, to: { scheme, host, port, path, keepsQuery: query } };
  }
  const match = /^(?:(https?):\/\/([^/:]+|\[[^\]]+\])(?::(\d+))?)?(\/.*)?$/.exec(redirect)!;
  const to: RedirectSpec = {
    scheme: match[1] as RedirectSpec["scheme"],
    host: match[2],
    port: match[3] === undefined ? undefined : Number(match[3]),
    path: match[4],
    keepsQuery: true,
  };
  return { kind: "redirect", status: 308, to };
}

/** The parts of a split, in its long form and in its short one. */
export function partsOf(split: NonNullable<RuleConfig["split"]>): {
  readonly parts: Readonly<Record<string, number>>;
  readonly sticky: "none" | "source" | { readonly cookie: string; readonly ttl: number };
} {
  const { parts } = split;
  if (typeof parts === "object") return split as ReturnType<typeof partsOf>;
  return { parts: split as Record<string, number>, sticky: "none" };
}

function compileAction(rule: RuleConfig, { poolIndex }: Context): ActionSpec {
  const { pool, split, redirect, respond } = rule;
  if (pool !== undefined) return { kind: "pool", pool: poolIndex(pool) };
  if (split) {
    const { parts, sticky } = partsOf(split);
    return {
      kind: "split",
      parts: Object.entries(parts).map(([name, weight]) => ({ pool: poolIndex(name), weight })),
      sticky: typeof sticky === "object" ? { cookie: sticky.cookie, ttlMs: sticky.ttl } : sticky,
    };
  }
  if (redirect !== undefined) return compileRedirect(redirect);
  const { status, contentType, body, headers } = respond!;
  return { kind: "respond", status, contentType, body, headers: Object.entries(headers) };
}

function compileRewrite(rewrite: RuleConfig["rewrite"]): RewriteSpec | undefined {
  if (!rewrite) return undefined;
  if ("prefix" in rewrite) return { kind: "prefix", from: rewrite.prefix, to: rewrite.to };
  if ("regex" in rewrite) return { kind: "regex", from: rewrite.regex, to: rewrite.to };
  return { kind: "path", to: rewrite.path };
}

// ── what rules and defaults may say ──────────────────────────────────────────────────────────────────────────────

function compileEdits(edits: RuleDefaults["request"]): HeaderEdit[] {
  if (!edits) return [];
  return [
    ...edits.remove.map((name): HeaderEdit => ({ kind: "remove", name })),
    ...Object.entries(edits.set).map(([name, value]): HeaderEdit => ({ kind: "set", name, value })),
    ...Object.entries(edits.add).map(([name, value]): HeaderEdit => ({ kind: "add", name, value })),
  ];
}

/** `true` stands for the standard, `false` for nothing. */
const switched = <T extends object>(value: T | boolean | undefined, standard: T): T | undefined =>
  value === true ? standard : value === false ? undefined : value;

function compileRateLimits(limits: RuleDefaults["rateLimit"], owner: string): RateLimitSpec[] {
  return listOf(limits).map(({ by, rate, burst }, index) => ({
    id: `${owner}#${index}`,
    by,
    perSecond: rate,
    burst: burst ?? Math.max(1, Math.ceil(rate)),
  }));
}

function compileGuards(rule: RuleDefaults, name: string, { files, poolIndex, defaults }: Context): GuardsSpec {
  const waf = switched(rule.waf ?? defaults.waf, RULE_STANDARDS.waf);
  const basic = rule.basicAuth ?? defaults.basicAuth;
  const forward = rule.forwardAuth ?? defaults.forwardAuth;
  return {
    access: rule.access ?? defaults.access ?? [],
    waf: waf && {
      methods: waf.methods,
      deniesTraversal: waf.traversal,
      maxTargetOctets: waf.maxTarget,
      maxHeadOctets: waf.maxHead,
      denyTargets: waf.denyTargets,
      denyHeaders: Object.entries(waf.denyHeaders).map(([field, pattern]) => ({ name: field, pattern })),
      isEnforced: waf.enforced,
    },
    // What the defaults limit is counted over all rules that do not limit by themselves.
    rateLimits: rule.rateLimit
      ? compileRateLimits(rule.rateLimit, name)
      : compileRateLimits(defaults.rateLimit, "defaults"),
    basicAuth: basic && {
      realm: basic.realm,
      users: secretOf(files, basic.users)
        .split("\n")
        .map((line) => line.trim())
        .filter((line) => line !== "" && !line.startsWith("#")),
    },
    jwt: compileJwt(rule.jwt ?? defaults.jwt, files),
    forwardAuth: forward && {
      pool: poolIndex(forward.pool),
      path: forward.path,
      timeoutMs: forward.timeout,
      copyToBackend: forward.copyToBackend,
      copyFromRequest: forward.copyFromRequest,
    },
  };
}

function compileCommon(rule: RuleDefaults, name: string, context: Context) {
  const { defaults, poolIndex } = context;
  const mirror = rule.mirror ?? defaults.mirror;
  const timeouts = rule.timeouts ?? defaults.timeouts ?? RULE_STANDARDS.timeouts;
  const retry = rule.retry ?? defaults.retry ?? RULE_STANDARDS.retry;
  const compression = switched(rule.compression ?? defaults.compression, RULE_STANDARDS.compression);
  const cache = switched(rule.cache ?? defaults.cache, RULE_STANDARDS.cache);
  return {
    name,
    guards: compileGuards(rule, name, context),
    requestHeaders: compileEdits(rule.request ?? defaults.request),
    responseHeaders: compileEdits(rule.response ?? defaults.response),
    mirror: mirror && { pool: poolIndex(mirror.pool), percent: mirror.percent, maxBodyOctets: mirror.maxBody },
    timeouts: { totalMs: timeouts.total, tryMs: timeouts.try, idleMs: timeouts.idle },
    retry: {
      on: retry.on,
      isNonIdempotentToo: retry.nonIdempotent,
      bufferOctets: retry.buffer,
      hedgeMs: retry.hedge,
    },
    compression: compression && {
      algorithms: compression.algorithms,
      minOctets: compression.min,
      types: compression.types,
      level: compression.level,
    },
    cache: cache && {
      store: cache.store,
      maxOctets: cache.max,
      maxObjectOctets: cache.maxObject,
      defaultTtlMs: cache.ttl,
      staleWhileRevalidateMs: cache.staleWhileRevalidate,
      staleIfErrorMs: cache.staleIfError,
      addsStatus: cache.status,
    },
    maxBodyOctets: rule.maxBody ?? defaults.maxBody ?? Number.MAX_SAFE_INTEGER,
  };
}

/** @param index its position in the file */
export function compileRule(rule: RuleConfig, index: number, context: Context): RuleSpec {
  const common = compileCommon(rule, rule.name ?? `rules[${index}]`, context);
  return {
    ...common,
    match: compileMatch(rule, common.guards.jwt, context.files),
    action: compileAction(rule, context),
    rewrite: compileRewrite(rule.rewrite),
  };
}

/** What `pool:` of the listener means: the last rule, which has all that is left. */
export function defaultRule(pool: number, context: Context): RuleSpec {
  return {
    ...compileCommon({}, "default", context),
    match: EVERYTHING,
    action: { kind: "pool", pool },
    rewrite: undefined,
  };
}
