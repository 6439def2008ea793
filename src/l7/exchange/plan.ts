/**
 * What a listener's settings mean for its requests, made ready once per configuration.
 *
 * Owns:    which hosts are served, whom a connection may ask for, and what goes with each rule: cache and compression.
 * @module
 */
import type { CacheRoute } from "#l7/cache/cache.ts";
import type { Compression } from "#l7/compress/compression.ts";
import { createTrust } from "#l7/headers/client-address.ts";
import { createForwarded, type Forwarded } from "#l7/headers/forwarded.ts";
import type { RequestHead } from "#l7/message.ts";
import { type RequestView, viewRequest } from "#l7/request-view.ts";
import type { PoolRef, Route, Router } from "#l7/route.ts";
import { createStickyCookie, type StickyCookie } from "#l7/sticky/sticky-cookie.ts";
import type { Arrived } from "#net/arrival.ts";
import type { ListenerSpec, PoolSpec } from "#state/balancer.ts";
import type { HttpSpec, RuleSpec } from "#state/http.ts";
import type { TlsContexts } from "#tls/contexts.ts";

export type ExchangePlan = {
  readonly listener: ListenerSpec;
  readonly http: HttpSpec;
  readonly router: Router;
  readonly forwarded: Forwarded;
  /** @returns undefined: its path cannot be understood in one way (400) */
  view(head: RequestHead, arrived: Arrived): RequestView | undefined;
  /** It was sent to the wrong one: not our host, or not that of the certificate that its connection has (R44). */
  isMisdirected(host: string, arrived: Arrived): boolean;
  extrasOf(route: Route): RouteExtras;
  stickyCookieOf(pool: PoolRef): StickyCookie | undefined;
};
export type RouteExtras = {
  readonly cache: CacheRoute | undefined;
  readonly compression: Compression | undefined;
};

export type PlanOptions = {
  readonly spec: ListenerSpec;
  readonly router: Router;
  /** Of listeners that end TLS. */
  readonly contexts: TlsContexts | undefined;
  newRequestId(): string;
  cacheOf(listener: string, rule: RuleSpec): CacheRoute | undefined;
  compressionOf(rule: RuleSpec): Compression | undefined;
};

export function createExchangePlan(options: PlanOptions): ExchangePlan {
  const { spec, router, contexts, newRequestId } = options;
  const http = spec.http!;
  const trust = createTrust(http);
  const terms = { trust, keepsRequestId: http.forwarded.requestId, newRequestId };
  const isServed = hostsMatcher(http.hosts);
  const extras = new Map<Route, RouteExtras>();
  const stickyCookies = new Map<PoolSpec, StickyCookie | undefined>();

  return {
    listener: spec,
    http,
    router,
    forwarded: createForwarded(http, trust),
    view: (head, arrived) => viewRequest(head, arrived, terms),
    isMisdirected(host, { tls }) {
      if (!isServed(host)) return true;
      if (tls === undefined || contexts === undefined || host === tls.serverName) return false;
      return contexts.choose(host) !== contexts.choose(tls.serverName);
    },
    extrasOf(route) {
      let known = extras.get(route);
      if (known === undefined) {
        known = {
          cache: options.cacheOf(spec.name, route.spec),
          compression: options.compressionOf(route.spec),
        };
        extras.set(route, known);
      }
      return known;
    },
    stickyCookieOf({ spec: pool }) {
      if (pool.sticky?.by !== "cookie") return undefined;
      if (!stickyCookies.has(pool)) stickyCookies.set(pool, createStickyCookie(pool));
      return stickyCookies.get(pool);
    },
  };
}

/** `*.example` matches one or more labels; no hosts: all are served. */
function hostsMatcher(hosts: readonly string[]): (host: string) => boolean {
  if (hosts.length === 0) return () => true;
  const exact = new Set(hosts);
  const suffixes = hosts.filter((host) => host.startsWith("*.")).map((host) => host.slice(1));
  return (host) => exact.has(host) || suffixes.some((suffix) => host.length > suffix.length && host.endsWith(suffix));
}
