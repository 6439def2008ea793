/**
 * What nodes share of sticky clients: which backend a client has, in Redis, forgotten after the time for which it stayed away.
 *
 * Never:   costs a client its connection: `get` has an answer, or none, within a limit. Meets `StickyStore` of
 *          `pool/place.ts`.
 * Bounds:  Redis keeps one key per client and pool for `ttl`; its `maxmemory-policy` may drop any of them.
 * @module
 */
import { REDIS_KEYS, type Redis } from "#cluster/redis.ts";

export const GET_LIMIT_MS = 50;
/** Nobody waits for it. */
const PUT_LIMIT_MS = 1_000;

/** @param getLimitMs how long a client waits at most */
export function createStickyStore(
  redis: Redis,
  getLimitMs = GET_LIMIT_MS,
): {
  get(client: string, ttlMs: number): Promise<string | undefined>;
  put(client: string, backendKey: string, ttlMs: number): void;
} {
  return {
    async get(client, ttlMs) {
      const key = REDIS_KEYS.sticky(client);
      return (await redis.ask((connection) => connection.getex(key, "PX", ttlMs), getLimitMs)) ?? undefined;
    },
    put(client, backendKey, ttlMs) {
      const key = REDIS_KEYS.sticky(client);
      void redis.ask((connection) => connection.set(key, backendKey, "PX", ttlMs), PUT_LIMIT_MS);
    },
  };
}
