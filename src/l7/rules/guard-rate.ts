/** Requests per second of one client, field or cookie: 429 with Retry-After for more (RFC 6585 §4). @module */
import { combine32, hashText } from "#base/hash.ts";
import { formatIp, maskIp, parseIp, unmapIp } from "#base/ip.ts";
import { ownReply } from "#l7/exchange/own-reply.ts";
import { listOf, setField } from "#l7/message.ts";
import type { HttpRequest } from "#l7/request.ts";
import type { Guard } from "#l7/route.ts";
import type { RuleEnv } from "#l7/rules/create-router.ts";
import type { RateLimitSpec } from "#state/http.ts";

/** One client: an IPv4 address, or the /64 of an IPv6 one. */
export function clientOf(address: string): string {
  if (address.indexOf(":") < 0) return address;
  const zone = address.indexOf("%");
  const parsed = parseIp(zone < 0 ? address : address.slice(0, zone));
  if (!parsed) return address;
  const bytes = unmapIp(parsed);
  return formatIp(bytes.length === 16 ? maskIp(bytes, 64) : bytes);
}

/** So that nobody's field counts as somebody's address. */
function keyReader(by: RateLimitSpec["by"]): (request: HttpRequest) => string {
  const byAddress = ({ client }: HttpRequest): string => `a${clientOf(client)}`;
  if (by === "address") return byAddress;
  if ("header" in by) {
    return (request) => {
      const value = listOf(request.head.fields, by.header);
      return value === undefined ? byAddress(request) : `h${value}`;
    };
  }
  return (request) => {
    const value = request.cookieOf(by.cookie);
    return value === undefined ? byAddress(request) : `c${value}`;
  };
}

export function rateLimitGuard({ id, by, perSecond, burst }: RateLimitSpec, rule: string, env: RuleEnv): Guard {
  const limit = combine32(hashText(id), env.listener);
  const keyOf = keyReader(by);
  return (request, nowMs) => {
    const waitMs = env.rateLimits.take(limit, keyOf(request), perSecond, burst, nowMs);
    if (waitMs === 0) return undefined;
    env.limited?.(rule);
    const reply = ownReply(429, request.requestId);
    setField(reply.fields, "retry-after", String(Math.max(1, Math.ceil(waitMs / 1_000))));
    return reply;
  };
}
