/**
 * A weighted choice among pools: by chance, by the client's address, or by a cookie of ours that says what was chosen.
 *
 * Rule:    the cookie is not signed: who writes it by hand chooses a part, and no more than a part that has weight.
 * @module
 */
import { combine32, hashText, mix32 } from "#base/hash.ts";
import type { HttpRequest } from "#l7/request.ts";
import type { Decision } from "#l7/route.ts";
import type { RuleEnv } from "#l7/rules/create-router.ts";
import { clientKey } from "#pool/client-key.ts";
import type { ActionSpec } from "#state/http.ts";

/** All of IPv4; of IPv6 the network that one client has. */
const CLIENT_BITS = { v4: 32, v6: 64 };

/** @param rule its name: the same client falls differently in other rules */
export function createSplit(
  { parts, sticky }: Extract<ActionSpec, { kind: "split" }>,
  rule: string,
  env: RuleEnv,
): (request: HttpRequest) => Decision {
  const heavy = parts.filter(({ weight }) => weight > 0);
  const decisions = heavy.map(({ pool }): Decision & { kind: "pool" } => ({ kind: "pool", pool: env.pool(pool) }));
  const total = heavy.reduce((sum, { weight }) => sum + weight, 0);
  /** @param point from 0 to 1, without 1 */
  const choose = (point: number): Decision & { kind: "pool" } => {
    let left = point * total;
    for (const [index, { weight }] of heavy.entries()) {
      if (left < weight) return decisions[index]!;
      left -= weight;
    }
    return decisions.at(-1)!;
  };
  if (sticky === "none") return () => choose(env.rng());
  if (sticky === "source") {
    const seed = hashText(rule);
    return ({ client }) => choose(mix32(combine32(seed, clientKey(client, CLIENT_BITS))) / 0x1_0000_0000);
  }
  const byName = new Map(decisions.map((decision) => [decision.pool.spec.name, decision]));
  const attributes = `; Path=/; Max-Age=${Math.ceil(sticky.ttlMs / 1_000)}; HttpOnly; SameSite=Lax`;
  return (request) => {
    const brought = request.cookieOf(sticky.cookie);
    const known = brought === undefined ? undefined : byName.get(brought);
    if (known) return known;
    const chosen = choose(env.rng());
    const secure = request.head.scheme === "https" ? "; Secure" : "";
    return { ...chosen, setCookie: `${sticky.cookie}=${chosen.pool.spec.name}${attributes}${secure}` };
  };
}
