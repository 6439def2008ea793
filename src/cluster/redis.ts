/**
 * The connection to Redis: what nodes share without having to.
 *
 * Owns:    the connection, and the names of all keys. It connects when it is first asked something, and again and again
 *          while it is closed, with a pause that grows to 5 s.
 * Never:   makes anybody wait: a question has a time limit, nothing is kept for later, and while Redis is away or slow there
 *          is no answer at once. Never throws; never tells a password.
 * Needs:   Redis 6.2 (GETEX), or Valkey.
 * Units:   ms.
 * @module
 */
import type { Clock } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import type { Rng } from "#base/rng.ts";
import { holdRedisClient, type RedisClient, redisText } from "#cluster/redis-client.ts";
import type { RedisSpec } from "#state/cluster.ts";
import type { RecordKind } from "#state/shared.ts";

/** Every key of ours, so that one look shows who else may use the same Redis. */
export const REDIS_KEYS = {
  /** Backend of a client of a pool with `sticky: { store: redis }`; `client` is `pool:address`, or `pool:hash` of a field. */
  sticky: (client: string) => `rhumb:sticky:${client}`,
  /** A record, as `PX COPY`: such as `rhumb:report:us-east/lb1`. It expires when the record ends. */
  record: (kind: RecordKind, key: string) => `rhumb:${kind}:${key}`,
  /** Hash of one kind: key of each record → its stamp. What nodes compare once a second. */
  index: (kind: RecordKind) => `rhumb:index:${kind}`,
  /** Channel of what has just changed: copies of small records, and signals. */
  news: "rhumb:news",
} as const;

/** After an answer that did not come in time nobody asks for so long, and then one. */
const SLOW_MS = 1_000;

export type Redis = {
  /** False from the moment it is known that it is closed, or slow, to its next answer. Before the first question: false. */
  isUp(): boolean;
  /** Calls back with each change of `isUp()`. */
  onChange(listener: (isUp: boolean) => void): void;
  /** Why it is away, or what it refused last; empty: nothing. */
  why(): string;
  /** @returns what Redis answers; undefined: it is away, too slow, or says no */
  ask<Answer>(question: (client: RedisClient) => Promise<Answer>, limitMs: number): Promise<Answer | undefined>;
  close(): void;
};

export function connectRedis(options: {
  readonly spec: RedisSpec;
  readonly clock: Clock;
  readonly log: Log;
  readonly rng: Rng;
}): Redis {
  const { spec, clock, log, rng } = options;
  const where = redisText(spec);
  const held = holdRedisClient(spec, clock, rng);
  const { client } = held;
  const listeners: ((isUp: boolean) => void)[] = [];
  const connected = Promise.withResolvers<void>();
  let hasBegun = false;
  let isClosed = false;
  /** What was told last; undefined: nothing yet. */
  let isUp: boolean | undefined;
  let lastError = "";
  let lastRefusal = "";
  /** It owed an answer: until then nobody asks. 0: it does not. */
  let askAgainAtMs = 0;

  function tell(next: boolean, why: string): void {
    if (isUp === next || isClosed) return;
    if (!next)
      log.warn({ redis: where, reason: why }, "Redis is away: what nodes share is not shared until it is back");
    else if (isUp === false) log.info({ redis: where }, "Redis is back");
    isUp = next;
    for (const listener of listeners) listener(next);
  }
  client.on("error", (error: Error) => {
    lastError = error.message;
  });
  client.on("ready", () => {
    askAgainAtMs = 0;
    tell(true, "");
    connected.resolve();
  });
  client.on("close", () => {
    tell(false, lastError === "" ? "the connection was closed" : lastError);
    connected.resolve(); // who waited for the first connection is told that there is none
  });

  /** An error that Redis itself answered: a user without rights, a version without the command. Told once. */
  function refused(error: Error): undefined {
    if (error.name !== "ReplyError" || error.message === lastRefusal) return;
    lastRefusal = error.message;
    log.warn({ redis: where, reason: error.message }, "Redis refuses what nodes share");
  }
  function begin(): void {
    hasBegun = true;
    held.begin();
  }
  function isSlow(): boolean {
    if (askAgainAtMs === 0) return false;
    const nowMs = clock.monotonicMs();
    if (nowMs < askAgainAtMs) return true;
    askAgainAtMs = nowMs + SLOW_MS; // this one may ask
    return false;
  }

  return {
    isUp: () => isUp === true,
    onChange: (listener) => void listeners.push(listener),
    why: () => (lastRefusal === "" ? lastError : lastRefusal),
    async ask(question, limitMs) {
      if (!hasBegun && !isClosed) begin();
      if (isClosed || (isUp === false && client.status !== "ready") || isSlow()) return undefined;
      const { promise: tooLate, resolve } = Promise.withResolvers<"too late">();
      // What came while this thread was busy is read before it counts as late: timers run before sockets are looked at.
      const timer = clock.after(limitMs, () => setImmediate(resolve, "too late" as const));
      const answer = connected.promise
        .then(() => question(client))
        .then((value) => {
          if (client.status === "ready") {
            askAgainAtMs = 0;
            tell(true, "");
          }
          return value;
        }, refused);
      const first = await Promise.race([answer, tooLate]);
      timer.cancel();
      if (first !== "too late") return first;
      if (client.status === "ready") {
        askAgainAtMs = clock.monotonicMs() + SLOW_MS;
        tell(false, `no answer within ${limitMs} ms`);
      }
      return undefined;
    },
    close() {
      isClosed = true;
      held.close();
    },
  };
}
