/**
 * The HTTP cache of one worker: stores by name, invalidation after writes, purging.
 *
 * Owns:    the stores. They outlive configurations: a reload keeps what is stored.
 * @module
 */
import type { Clock } from "#base/clock.ts";
import { Bucket } from "#l7/cache/bucket.ts";
import type { CacheRoute, HttpCache, Purge } from "#l7/cache/cache.ts";
import { Route } from "#l7/cache/cache-route.ts";
import { keyOf } from "#l7/cache/key.ts";
import type { StoredResponse } from "#l7/cache/stored-response.ts";
import { fieldOf, type RequestHead, type ResponseHead } from "#l7/message.ts";
import type { RuleSpec } from "#state/http.ts";

export type HttpCacheOptions = {
  readonly clock: Pick<Clock, "nowMs" | "monotonicMs">;
  /** Told of each URL that a write made invalid, so that other workers can purge it. */
  readonly onInvalidate?: (url: string) => void;
};

/** RFC 9110 §9.2.1: everything else may change something, methods that nobody knows as well (RFC 9111 §4.4). */
const SAFE: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "TRACE"]);

/** Fields that we write for the backend by ourselves: the client's own of that name does not say what the backend saw. */
const OURS = [
  "forwarded",
  "traceparent",
  "tracestate",
  "via",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-port",
  "x-forwarded-proto",
  "x-real-ip",
  "x-request-id",
] as const;

export function createHttpCache(options: HttpCacheOptions): HttpCache {
  const { clock, onInvalidate } = options;
  const buckets = new Map<string, Bucket>();

  const bucketOf = (name: string, maxOctets: number): Bucket => {
    let bucket = buckets.get(name);
    if (bucket === undefined) {
      bucket = new Bucket(name, maxOctets);
      buckets.set(name, bucket);
    } else if (bucket.store.maxOctets !== maxOctets) bucket.store.resize(maxOctets);
    return bucket;
  };

  const removeKey = (key: string): number => {
    let count = 0;
    for (const bucket of buckets.values()) count += bucket.removeKey(key);
    return count;
  };

  return {
    route(listener: string, rule: RuleSpec): CacheRoute | undefined {
      const spec = rule.cache;
      if (spec === undefined) return undefined;
      const { guards } = rule;
      const unkeyed = new Set<string>(OURS);
      for (const name of guards.forwardAuth?.copyToBackend ?? []) unkeyed.add(name.toLowerCase());
      for (const edit of rule.requestHeaders)
        if (edit.kind !== "remove" && /[{$]/.test(edit.value)) unkeyed.add(edit.name.toLowerCase());
      const bucket = bucketOf(spec.store, spec.maxOctets);
      const terms = {
        bucket,
        spec,
        // What decides about the backend's answer beside the URL and the pool.
        scope: JSON.stringify([listener, rule.name, rule.rewrite, rule.requestHeaders]),
        maxObjectOctets: Math.min(spec.maxObjectOctets, bucket.store.maxOctets),
        clock,
        unkeyed,
      };
      const isAuthorized =
        guards.basicAuth !== undefined ||
        guards.jwt !== undefined ||
        guards.forwardAuth !== undefined ||
        rule.match.jwt !== undefined;
      return new Route(terms, isAuthorized);
    },

    invalidate(request: RequestHead, response: ResponseHead) {
      if (SAFE.has(request.method) || response.status < 200 || response.status >= 400) return;
      if (buckets.size === 0) return;
      const key = keyOf(request);
      if (key === undefined) return;
      const keys = new Set([key]);
      for (const name of ["location", "content-location"] as const) {
        const other = sameOrigin(key, fieldOf(response.fields, name));
        if (other !== undefined) keys.add(other);
      }
      for (const each of keys) {
        removeKey(each);
        onInvalidate?.(each);
      }
    },

    purge(what: Purge): number {
      let count = 0;
      const matches = (stored: StoredResponse) =>
        (what.url === undefined || stored.place.key === what.url) &&
        (what.prefix === undefined || stored.place.key.startsWith(what.prefix)) &&
        (what.tag === undefined || stored.tags.includes(what.tag));
      for (const bucket of buckets.values()) {
        if (what.store !== undefined && bucket.store.name !== what.store) continue;
        for (const fill of bucket.fills) {
          // Its tags are not known yet.
          if (what.url !== undefined && fill.key !== what.url) continue;
          if (what.prefix === undefined || fill.key.startsWith(what.prefix)) fill.invalidate();
        }
        const before = count;
        const gone = what.url === undefined ? bucket.store.all() : [...(bucket.store.variants(what.url) ?? [])];
        for (const stored of gone) {
          if (!matches(stored)) continue;
          bucket.store.remove(stored);
          count++;
        }
        bucket.purged += count - before;
      }
      return count;
    },

    stats: () => [...buckets.values()].map((bucket) => bucket.stats()),

    tick() {
      const nowMs = clock.monotonicMs();
      for (const bucket of buckets.values()) bucket.tick(nowMs);
    },

    close() {
      buckets.clear();
    },
  };
}

/** @returns the key of what a field of a response names, if it is of the same origin as `key` (RFC 9111 §4.4) */
function sameOrigin(key: string, reference: string | undefined): string | undefined {
  if (reference === undefined || !URL.canParse(reference, key)) return undefined;
  const url = new URL(reference, key);
  const scheme = url.protocol.slice(0, -1);
  if (scheme !== "http" && scheme !== "https") return undefined;
  const other = keyOf({ scheme, authority: url.host, target: `${url.pathname}${url.search}` });
  return other !== undefined && originOf(other) === originOf(key) ? other : undefined;
}

const originOf = (key: string): string => key.slice(0, key.indexOf("/", key.indexOf("://") + 3));
