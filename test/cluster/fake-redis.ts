/** A Redis on a manual clock, as far as records use one, whose every command may be lost before or after it was done. */
import type { Clock } from "#base/clock.ts";
import type { Redis } from "#cluster/redis.ts";
import type { RedisNews } from "#cluster/redis-news.ts";

type Fate = { isLost(): boolean; delayMs(): number; isDoubled(): boolean };

export function createFakeRedis(clock: Clock) {
  const strings = new Map<string, { readonly value: string; readonly endsAtMs: number }>();
  const hashes = new Map<string, Map<string, string>>();
  const listeners = new Set<(message: string) => void>();
  const pause = (ms: number) => new Promise<void>((resolve) => void clock.after(ms, resolve));

  function get(key: string) {
    const found = strings.get(key);
    if (found && found.endsAtMs <= clock.monotonicMs()) strings.delete(key);
    return strings.get(key);
  }
  const commands = {
    set(key: string, value: string, _px?: "PX", lifeMs?: number) {
      strings.set(key, {
        value,
        endsAtMs: lifeMs === undefined ? Number.POSITIVE_INFINITY : clock.monotonicMs() + lifeMs,
      });
      return "OK";
    },
    getrange: (key: string) => get(key)?.value ?? "",
    pttl(key: string) {
      const endsAtMs = get(key)?.endsAtMs;
      return endsAtMs === undefined ? -2 : Number.isFinite(endsAtMs) ? Math.ceil(endsAtMs - clock.monotonicMs()) : -1;
    },
    hset(key: string, ...fields: string[]) {
      const hash = hashes.get(key) ?? new Map<string, string>();
      hashes.set(key, hash);
      for (let at = 0; at < fields.length; at += 2) hash.set(fields[at]!, fields[at + 1]!);
      return 1;
    },
    hdel: (key: string, field: string) => (hashes.get(key)?.delete(field) ? 1 : 0),
    hgetall: (key: string) => Object.fromEntries(hashes.get(key) ?? []),
    publish(_channel: string, message: string) {
      for (const listener of listeners) listener(message);
      return listeners.size;
    },
  };

  return {
    empty() {
      strings.clear();
      hashes.clear();
    },
    /** @param fate of each command on its way there and of its answer, and of each message of the channel */
    connect(fate: Fate): { readonly redis: Redis; followNews(onMessage: (message: string) => void): RedisNews } {
      let isClosed = false;
      const ask =
        (name: keyof typeof commands) =>
        async (...args: never[]) => {
          if (fate.isLost()) throw new Error("lost on the way there");
          await pause(fate.delayMs());
          const answer = (commands[name] as (...args: never[]) => unknown)(...args);
          if (fate.isLost()) throw new Error("lost on the way back");
          return answer;
        };
      const client = new Proxy({} as Parameters<Parameters<Redis["ask"]>[0]>[0], {
        get: (_, name) => ask(name as keyof typeof commands),
      });
      return {
        redis: {
          isUp: () => !isClosed,
          onChange() {},
          why: () => "",
          async ask(question, limitMs) {
            if (isClosed) return undefined;
            return Promise.race([question(client).catch(() => undefined), pause(limitMs).then(() => undefined)]);
          },
          close() {
            isClosed = true;
          },
        },
        followNews(onMessage) {
          const hear = (message: string): void => {
            const times = fate.isDoubled() ? 2 : 1;
            for (let time = 0; time < times; time++)
              if (!fate.isLost()) clock.after(fate.delayMs(), () => void (isClosed || onMessage(message)));
          };
          listeners.add(hear);
          return { says: () => "", close: () => void listeners.delete(hear) };
        },
      };
    },
  };
}
