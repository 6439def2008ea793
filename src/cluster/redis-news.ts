/**
 * The channel of Redis by which changes are heard at once, on a connection of its own: one that listens cannot ask.
 *
 * Never:   is relied on: what it misses while it is away the next round of reading finds.
 * @module
 */
import type { Clock } from "#base/clock.ts";
import type { Rng } from "#base/rng.ts";
import { REDIS_KEYS } from "#cluster/redis.ts";
import { holdRedisClient } from "#cluster/redis-client.ts";
import type { RedisSpec } from "#state/cluster.ts";

export type RedisNews = { close(): void };

/** @param options.onMessage told of each message, our own too */
export function followNews(options: {
  readonly spec: RedisSpec;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly onMessage: (message: string) => void;
}): RedisNews {
  const { spec, clock, rng, onMessage } = options;
  const { client, begin, close } = holdRedisClient(spec, clock, rng);
  // Told by the connection that asks: this one only repeats it.
  client.on("error", () => {});
  client.on("ready", () => void client.subscribe(REDIS_KEYS.news).catch(() => {}));
  client.on("message", (_channel: string, message: string) => onMessage(message));
  begin();
  return { close };
}
