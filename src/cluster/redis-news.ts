/**
 * The channel of Redis by which changes are heard at once, on a connection of its own: one that listens cannot ask.
 *
 * Never:   is relied on: what it misses while it is away the next round of reading finds.
 * @module
 */
import { backoffMs } from "#base/backoff.ts";
import type { Clock } from "#base/clock.ts";
import type { Rng } from "#base/rng.ts";
import { REDIS_KEYS } from "#cluster/redis.ts";
import { holdRedisClient } from "#cluster/redis-client.ts";
import type { RedisSpec } from "#state/cluster.ts";

export type RedisNews = {
  /** Why it is not heard; empty: it is. */
  says(): string;
  close(): void;
};

/** Redis says no (rights were taken away, it is full): asked again so soon, on the connection that stands. */
const RETRY_BASE_MS = 1_000;
const RETRY_CAP_MS = 5_000;

/** @param options.onMessage told of each message, our own too */
export function followNews(options: {
  readonly spec: RedisSpec;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly onMessage: (message: string) => void;
}): RedisNews {
  const { spec, clock, rng, onMessage } = options;
  const { client, begin, close } = holdRedisClient(spec, clock, rng);
  let says = "nobody answers yet";
  /** Of the connection that stands: what an earlier one still waits for is no business of ours. */
  let connection = 0;

  function subscribe(of: number, attempt: number): void {
    if (of !== connection) return;
    client.subscribe(REDIS_KEYS.news).then(
      () => {
        if (of === connection) says = "";
      },
      (error: Error) => {
        if (of !== connection) return;
        says = error.message;
        const waitMs = RETRY_BASE_MS + backoffMs(attempt, RETRY_BASE_MS, RETRY_CAP_MS, rng);
        clock.after(waitMs, () => subscribe(of, attempt + 1));
      },
    );
  }

  // Told by the connection that asks: this one only repeats it.
  client.on("error", () => {});
  client.on("ready", () => subscribe(++connection, 0));
  client.on("close", () => {
    connection++;
    says = "the connection is closed";
  });
  client.on("message", (_channel: string, message: string) => onMessage(message));
  begin();
  return {
    says: () => says,
    close() {
      connection++;
      close();
    },
  };
}
