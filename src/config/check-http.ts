/**
 * Cross checks of HTTP listeners: what rules, pools and secrets say of each other.
 * @module
 */
import { createPublicKey } from "node:crypto";
import { parsePasswordHash } from "#base/password.ts";
import type { Say } from "#config/check-balancer.ts";
import { isHttp } from "#config/compile-http.ts";
import { partsOf } from "#config/compile-rule.ts";
import type { ConfigFiles } from "#config/files.ts";
import { commonsOf, poolsOfRules } from "#config/http-parts.ts";
import type { BalancerConfig } from "#config/parse-balancer.ts";
import { suggest } from "#config/suggest.ts";
import type { Path } from "#config/yaml.ts";
import type { ListenerConfig } from "#l4/config.ts";
import type { JwtConfig, RuleConfig } from "#l7/rules/config.ts";
import type { PoolConfig } from "#pool/config.ts";

/** RFC 7518 §3.2: a key as long as the hash, at least. */
const MIN_HMAC_OCTETS = 32;
const MIN_COOKIE_SECRET = 16;
const secretOf = (files: ConfigFiles, reference: string): string | undefined => {
  const secret = files.secrets.get(reference);
  return secret && "value" in secret ? secret.value : undefined;
};

/** @returns what keeps these keys from being used */
function keysFault(text: string, isShared: boolean): string | undefined {
  if (isShared)
    return Buffer.byteLength(text) < MIN_HMAC_OCTETS
      ? `The secret of HS256 has less than ${MIN_HMAC_OCTETS} octets`
      : undefined;
  if (text.startsWith("{")) {
    try {
      const { keys } = JSON.parse(text) as { keys?: unknown };
      if (!Array.isArray(keys) || keys.length === 0) return "The keys are no JWKS: there is no list `keys` in it";
      const isPublic = (key: { kty?: unknown; use?: unknown }): boolean => key.kty !== "oct" && key.use !== "enc";
      const usable = keys.filter(isPublic);
      for (const key of usable) createPublicKey({ key, format: "jwk" });
      return usable.length === 0 ? "The JWKS holds no public key to verify with" : undefined;
    } catch {
      return "The keys are no JWKS, or one of them cannot be read";
    }
  }
  const blocks = text.match(/-----BEGIN [A-Z ]+-----[^-]+-----END [A-Z ]+-----/g) ?? [];
  if (blocks.length === 0) return "The keys are neither PEM nor a JWKS";
  for (const block of blocks) {
    if (/PRIVATE KEY/.test(block)) return "The keys hold a private key: only public ones are wanted";
    try {
      createPublicKey(block);
    } catch {
      return "The keys hold a PEM block that is no public key";
    }
  }
  return undefined;
}

function checkJwt(jwt: JwtConfig | undefined, path: Path, files: ConfigFiles, say: Say): void {
  if (!jwt) return;
  const text = secretOf(files, jwt.keys);
  const fault = text === undefined ? undefined : keysFault(text, jwt.algorithms[0] === "HS256");
  if (fault)
    say(
      [...path, "keys"],
      fault,
      jwt.algorithms[0] === "HS256"
        ? "Make one by `openssl rand -hex 32`"
        : "Write public keys as PEM (`BEGIN PUBLIC KEY`) or a JWKS into it",
    );
}

/** As `rhumb config hash-password` prints it. */
const isUser = (line: string): boolean => {
  const colon = line.indexOf(":");
  return colon > 0 && parsePasswordHash(line.slice(colon + 1)) !== undefined;
};

function checkUsers(reference: string, path: Path, files: ConfigFiles, say: Say): void {
  const lines = (secretOf(files, reference) ?? "").split("\n").map((line) => line.trim());
  // The line is not repeated: it may be a password.
  for (const [index, line] of lines.entries())
    if (line !== "" && !line.startsWith("#") && !isUser(line))
      say(
        path,
        `Line ${index + 1} of the users is no name with a hash of ours`,
        "Make it by `rhumb config hash-password NAME`",
      );
}

const CAPTURE = /\$[0-9]/;
/** Whether `$1` means something: the path is matched by regular expressions alone. */
const hasGroups = ({ match }: RuleConfig): boolean => {
  const paths = match.path === undefined ? [] : Array.isArray(match.path) ? match.path : [match.path];
  return paths.length > 0 && paths.every((path) => typeof path === "object" && path.regex !== undefined);
};

function checkRule(rule: RuleConfig, path: Path, files: ConfigFiles, say: Say): void {
  const { match, split, rewrite, redirect } = rule;
  checkJwt(match.jwt, [...path, "match", "jwt"], files, say);
  if (split && Object.values(partsOf(split).parts).every((weight) => weight === 0))
    say([...path, "split"], "All parts have the weight 0: nobody would get a request", "Raise one");
  if (rewrite && rule.pool === undefined && !split)
    say([...path, "rewrite"], "There is nothing to rewrite: the request goes to no backend", "Remove it", {
      want: "key",
    });
  const values: [Path, string][] = [];
  for (const key of ["request", "response"] as const)
    for (const kind of ["set", "add"] as const)
      for (const [name, value] of Object.entries(rule[key]?.[kind] ?? {})) values.push([[key, kind, name], value]);
  if (rewrite && "path" in rewrite) values.push([["rewrite", "path"], rewrite.path]);
  if (rewrite && "prefix" in rewrite) values.push([["rewrite", "to"], rewrite.to]);
  if (typeof redirect === "object" && redirect.path !== undefined) values.push([["redirect", "path"], redirect.path]);
  for (const [at, value] of values)
    if (CAPTURE.test(value.replaceAll("$$", "")) && !hasGroups(rule))
      say(
        [...path, ...at],
        "`$1` stands for nothing: the rule's path is no regular expression",
        "Match `path: { regex: … }`; $$ stands for $",
      );
  if (
    rewrite &&
    "prefix" in rewrite &&
    typeof match.path === "string" &&
    !`${match.path}/`.startsWith(rewrite.prefix.replace(/\/$/, ""))
  )
    say(
      [...path, "rewrite", "prefix"],
      "No path that the rule matches begins with this",
      "Write what `match.path` begins with",
      {
        severity: "warning",
      },
    );
}

/** A rule that takes everything hides those after it. */
function checkReach(rules: readonly RuleConfig[], say: Say): void {
  const isAll = ({ match }: RuleConfig): boolean =>
    [match.host, match.path, match.method, match.source, match.body].every((one) => one === undefined) &&
    [match.header, match.cookie, match.query, match.claim].every((one) => Object.keys(one).length === 0);
  const first = rules.findIndex((rule) => isAll(rule));
  if (first < 0) return;
  for (const [index, { priority }] of rules.entries())
    if (index > first && priority === undefined)
      say(["rules", index], "No request gets to this rule: one before it matches everything", "Move it up", {
        severity: "warning",
        want: "key",
      });
}

export function checkHttp(balancer: BalancerConfig, listener: ListenerConfig, files: ConfigFiles, say: Say): void {
  const { rules, http, protocol } = listener;
  if (!isHttp(listener)) {
    for (const key of ["rules", "http"] as const)
      if (key === "rules" ? rules.length > 0 : http)
        say([key], `\`protocol: ${protocol}\` knows no requests`, "Write `protocol: http` or `https`", { want: "key" });
    return;
  }
  for (const { path, value } of poolsOfRules(listener))
    if (!balancer.pools.has(value))
      say(path, `There is no pool ${JSON.stringify(value)}`, suggest(value, [...balancer.pools.names], "pool"));
  for (const { path, common } of commonsOf(listener)) {
    checkJwt(common.jwt, [...path, "jwt"], files, say);
    if (common.basicAuth) checkUsers(common.basicAuth.users, [...path, "basicAuth", "users"], files, say);
  }
  const names = new Set<string>();
  for (const [index, rule] of rules.entries()) {
    const path = ["rules", index];
    checkRule(rule, path, files, say);
    if (Object.keys(rule.match.claim).length > 0 && !rule.match.jwt && !rule.jwt && !http?.defaults.jwt)
      say(
        [...path, "match", "claim"],
        "Nobody says how the token is verified",
        "Add `jwt:` to the match or to the rule",
        {
          want: "key",
        },
      );
    if (rule.name !== undefined && names.has(rule.name))
      say([...path, "name"], `Two rules are called ${JSON.stringify(rule.name)}`, "Give each a name of its own");
    if (rule.name !== undefined) names.add(rule.name);
  }
  checkReach(rules, say);
}

/** @param listeners those that lead to the pool */
export function checkHttpPool(
  listeners: readonly (readonly [string, ListenerConfig])[],
  { sticky, hash }: PoolConfig,
  files: ConfigFiles,
  say: Say,
): void {
  const isPlain = listeners.length > 0 && !listeners.some(([, listener]) => isHttp(listener));
  if (isPlain && sticky && sticky.by !== "source")
    say(
      ["sticky", "by"],
      "No HTTP listener leads to this pool: there is no such thing in its connections",
      "Write `by: source`",
    );
  if (isPlain && hash.on !== "address")
    say(["hash", "on"], "No HTTP listener leads to this pool: there are only addresses to hash", "Write `on: address`");
  for (const [id, reference] of Object.entries(sticky?.cookie?.keys ?? {})) {
    const secret = secretOf(files, reference);
    if (secret !== undefined && secret.length < MIN_COOKIE_SECRET)
      say(
        ["sticky", "cookie", "keys", id],
        `The key has ${secret.length} characters`,
        `Use at least ${MIN_COOKIE_SECRET}, such as from \`openssl rand -hex 24\``,
      );
  }
}
