/** What a listener that drains waits for beside its clients, and ends when the time is over. */
import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import test from "node:test";
import { until } from "../net/bed.ts";
import { DRIVERS } from "../net/drivers.ts";
import { type Handler, hello, openHttp } from "./http-bed.ts";

const silent: Handler = () => {};
/** A listener's socket closes within a few turns of the loop. */
const TURNS = 20;

for (const [name, createDriver] of Object.entries(DRIVERS)) {
  for (const { what, handlers, web, rule, places, isAnswered } of [
    {
      what: "a mirror",
      handlers: [hello, silent],
      web: 1,
      rule: { mirror: { pool: "api" } },
      places: [0, 1],
      isAnswered: true,
    },
    {
      what: "a question to another service",
      handlers: [hello, silent],
      web: 1,
      rule: { forwardAuth: { pool: "api", path: "/check" } },
      places: [0, 1],
      isAnswered: false,
    },
    {
      what: "a hedged request",
      handlers: [silent, silent],
      web: 2,
      rule: { retry: { on: [], hedge: "20ms" } },
      places: [1, 1],
      isAnswered: false,
    },
  ])
    test(`a drain ends ${what} that nobody answers when its time is over, and gives back its places (${name})`, async (t) => {
      const bed = await openHttp(t, { driver: createDriver(), handlers, web, rules: [{ pool: "web", ...rule }] });
      const client = await bed.dial("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
      await until(() => places.every((count, row) => bed.active(row) === count));
      if (isAnswered) {
        // Its client has all that it wants: the drain is not for it.
        assert.equal(await client.ending, "fin");
        client.socket.end();
        await until(() => bed.count("active") === 0);
      }
      await bed.drain(100);
      assert.deepEqual([bed.active(0), bed.active(1), bed.count("active")], [0, 0, 0]);
    });

  test(`a drain waits for a mirror as long as there is time (${name})`, async (t) => {
    let answer: ServerResponse | undefined;
    const bed = await openHttp(t, {
      driver: createDriver(),
      handlers: [
        hello,
        (_request, response) => {
          answer = response;
        },
      ],
      web: 1,
      rules: [{ pool: "web", mirror: { pool: "api" } }],
    });
    const client = await bed.dial("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert.equal(await client.ending, "fin");
    client.socket.end();
    await until(() => answer !== undefined && bed.count("active") === 0);
    let isOver = false;
    const drained = bed.drain(60_000).then(() => {
      isOver = true;
    });
    for (let turn = 0; turn < TURNS; turn++) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(isOver, false);
    assert.equal(bed.active(1), 1);
    answer!.end();
    await drained;
    assert.equal(bed.active(1), 0);
  });
}
