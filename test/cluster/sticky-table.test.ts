import assert from "node:assert/strict";
import test from "node:test";
import type { Redis } from "#cluster/redis.ts";
import { createStickyStore, GET_LIMIT_MS } from "#cluster/sticky-table.ts";
import type { StickyStore } from "#pool/place.ts";

/** Notes what is asked of Redis. @param answer of each question; undefined: Redis is away */
function createRedis(answer: unknown) {
  const asked: unknown[][] = [];
  const client = new Proxy({} as Parameters<Parameters<Redis["ask"]>[0]>[0], {
    get:
      (_, command) =>
      async (...args: unknown[]) => {
        asked.push([command, ...args]);
        return answer;
      },
  });
  const redis: Redis = {
    isUp: () => answer !== undefined,
    onChange() {},
    why: () => "",
    ask: async (question, limitMs) => {
      asked.push([limitMs]);
      return answer === undefined ? undefined : question(client);
    },
    close() {},
  };
  return { store: createStickyStore(redis) satisfies StickyStore, asked };
}

test("get() reads the client's backend, and keeps the entry for as long again", async () => {
  const { store, asked } = createRedis("10.0.0.1:80");
  assert.equal(await store.get("web:192.0.2.7", 60_000), "10.0.0.1:80");
  assert.deepEqual(asked, [[GET_LIMIT_MS], ["getex", "rhumb:sticky:web:192.0.2.7", "PX", 60_000]]);
});

for (const [name, answer] of [
  ["a client that nobody knows", null],
  ["a store that is away", undefined],
] as const) {
  test(`get() says undefined for ${name}`, async () => {
    assert.equal(await createRedis(answer).store.get("web:192.0.2.7", 60_000), undefined);
  });
}

test("put() writes the client's backend with its time to live", () => {
  const { store, asked } = createRedis("OK");
  store.put("web:2001:db8::7", "[2001:db8::1]:80", 1_000);
  assert.deepEqual(asked[1], ["set", "rhumb:sticky:web:2001:db8::7", "[2001:db8::1]:80", "PX", 1_000]);
});
