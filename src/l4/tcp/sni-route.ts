/**
 * Which pool a TLS client is for, by the name and the protocols of its ClientHello. First match wins.
 *
 * Owns:    an index of the patterns: the time per client grows with the labels of its name, not with the routes.
 * @module
 */

import type { SniRoute } from "#state/balancer.ts";
import type { ClientHello } from "#tls/client-hello.ts";

const ANY = "*";

/**
 * @param routes patterns as `SniRoute.names` has them. `*` matches every name, but not a client that names none.
 * @returns index of the pool, or undefined where no route matches
 */
export function createSniRouter(routes: readonly SniRoute[]): (hello: ClientHello) => number | undefined {
  /** By pattern, in the order of the routes. */
  const byPattern = new Map<string, number[]>();
  for (const [index, route] of routes.entries())
    for (const pattern of route.names) {
      const indices = byPattern.get(pattern);
      if (indices) indices.push(index);
      else byPattern.set(pattern, [index]);
    }

  return ({ serverName, alpn }) => {
    if (serverName === undefined) return undefined;
    let best = routes.length;
    const consider = (pattern: string): void => {
      const index = byPattern.get(pattern)?.find((each) => isOffered(routes[each]!, alpn));
      if (index !== undefined && index < best) best = index;
    };
    consider(serverName);
    for (let dot = serverName.indexOf("."); dot >= 0; dot = serverName.indexOf(".", dot + 1))
      consider(`*${serverName.slice(dot)}`);
    consider(ANY);
    return routes[best]?.pool;
  };
}

const isOffered = (route: SniRoute, alpn: readonly string[]): boolean =>
  route.alpn.length === 0 || route.alpn.some((protocol) => alpn.includes(protocol));
