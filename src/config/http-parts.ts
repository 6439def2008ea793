/**
 * What the `balancer:` section names in its HTTP and TLS parts: pools, secrets and PEM files, each with its place.
 *
 * Readers: the loader, which reads them, and the cross checks, which say what is wrong with them.
 * @module
 */
import { SECRET_PATTERN } from "#base/field.ts";
import { partsOf } from "#config/compile-rule.ts";
import { filesOfTls } from "#config/compile-tls.ts";
import type { BalancerConfig } from "#config/parse-balancer.ts";
import type { Path } from "#config/yaml.ts";
import type { ListenerConfig } from "#l4/config.ts";
import type { RuleConfig, RuleDefaults } from "#l7/rules/config.ts";

export type Named = { readonly path: Path; readonly value: string };

/** What may stand in a rule and in the defaults, with the path of either. */
export function commonsOf({ rules, http }: ListenerConfig): { readonly path: Path; readonly common: RuleDefaults }[] {
  return [
    ...(http ? [{ path: ["http", "defaults"], common: http.defaults }] : []),
    ...rules.map((common, index) => ({ path: ["rules", index], common })),
  ];
}

function poolsOfAction({ pool, split }: RuleConfig, path: Path): Named[] {
  if (pool !== undefined) return [{ path: [...path, "pool"], value: pool }];
  if (!split) return [];
  const isLong = typeof split.parts === "object";
  return Object.keys(partsOf(split).parts).map((name) => ({
    path: [...path, "split", ...(isLong ? ["parts"] : []), name],
    value: name,
  }));
}

/** Pools that rules lead to, with their paths below the listener. */
export function poolsOfRules(listener: ListenerConfig): Named[] {
  return [
    ...listener.rules.flatMap((rule, index) => poolsOfAction(rule, ["rules", index])),
    ...commonsOf(listener).flatMap(({ path, common: { mirror, forwardAuth } }) => [
      ...(mirror ? [{ path: [...path, "mirror", "pool"], value: mirror.pool }] : []),
      ...(forwardAuth ? [{ path: [...path, "forwardAuth", "pool"], value: forwardAuth.pool }] : []),
    ]),
  ];
}

/** References to secrets, with their paths in rhumb.yaml. */
export function secretsOfBalancer({ listeners, pools, settings }: BalancerConfig): Named[] {
  const found: Named[] = [];
  const database = settings?.source?.postgres;
  if (database !== undefined && SECRET_PATTERN.test(database))
    found.push({ path: ["balancer", "source", "postgres"], value: database });
  for (const [name, listener] of listeners.valid) {
    const at = [...listeners.path, name];
    for (const { path, common } of commonsOf(listener)) {
      if (common.jwt) found.push({ path: [...at, ...path, "jwt", "keys"], value: common.jwt.keys });
      if (common.basicAuth) found.push({ path: [...at, ...path, "basicAuth", "users"], value: common.basicAuth.users });
    }
    for (const [index, { match }] of listener.rules.entries())
      if (match.jwt) found.push({ path: [...at, "rules", index, "match", "jwt", "keys"], value: match.jwt.keys });
  }
  for (const [name, { sticky }] of pools.valid)
    for (const [id, value] of Object.entries(sticky?.cookie?.keys ?? {}))
      found.push({ path: [...pools.path, name, "sticky", "cookie", "keys", id], value });
  return found;
}

/** PEM files that workers read by themselves, with their paths in rhumb.yaml; `file:` is taken off. */
export function pemFilesOf({ listeners, pools, settings }: BalancerConfig): (Named & { readonly isSecret: boolean })[] {
  const ofListeners = [...listeners.valid].flatMap(([name, { tls }]) =>
    filesOfTls(tls).map((file) => ({ ...file, path: [...listeners.path, name, ...file.path] })),
  );
  const ofPools = [...pools.valid].flatMap(([name, { upstream }]) =>
    (["ca", "cert", "key"] as const).flatMap((key) => {
      const value = upstream.tls?.[key];
      const path = [...pools.path, name, "upstream", "tls", key];
      return value === undefined ? [] : [{ path, value: value.replace(/^file:/, ""), isSecret: key === "key" }];
    }),
  );
  const ca = settings?.source?.ca;
  const ofSource = ca === undefined ? [] : [{ path: ["balancer", "source", "ca"], value: ca, isSecret: false }];
  return [...ofListeners, ...ofPools, ...ofSource];
}
