/** Tries of requests over the whole way: what is sent again, to whom, within which limits of number, time and budget. */
import assert from "node:assert/strict";
import test from "node:test";
import { until } from "../net/bed.ts";
import { DRIVERS } from "../net/drivers.ts";
import { type Handler, hello, openHttp, textOf } from "./http-bed.ts";

const say =
  (text: string, status = 200): Handler =>
  (_request, response) =>
    response.writeHead(status).end(text);
const reset: Handler = (request) => request.socket.resetAndDestroy();
const silent: Handler = () => {};
/** Reads the whole request before it does so. */
const afterBody =
  (then: Handler): Handler =>
  (request, response) =>
    void textOf(request).then(() => then(request, response));
const rule = (settings: object) => ({ rules: [{ pool: "web", ...settings }] });
/** The first of the ranking is the first of the list. */
const first = { algorithm: "first" } as const;
const ALL = ["connect-failure", "reset", "empty-response", "timeout", "5xx"];

for (const [name, createDriver] of Object.entries(DRIVERS)) {
  const over = (says: string): string => `${says} (${name})`;

  test(over("a backend that refuses, resets, or answers 503 is followed by the next one"), async (t) => {
    const bed = await openHttp(t, {
      driver: createDriver(),
      pool: { ...first, retry: { attempts: 4, budgetPercent: 100, minPerSecond: 100, windowMs: 10_000 } },
      handlers: [hello, reset, say("no", 503), say("yes")],
      ...rule({ retry: { on: ALL } }),
    });
    bed.backends[0]!.kill();
    const { status, body } = await bed.ask("/");
    assert.deepEqual([status, body], [200, "yes"]);
    assert.equal(bed.log[0]!.tries, 4);
    assert.equal(bed.log[0]!.backend, bed.backends[3]!.spec.key);
    assert.equal(bed.count("http_retries"), 3);
    assert.equal(bed.backendCount(0, "connect_refused"), 1);
    assert.equal(bed.backendCount(1, "resets"), 1);
    assert.equal(bed.backendCount(2, "gateway_failures"), 1);
  });

  test(over("R36: what may have been carried out is not sent again, unless the rule says so"), async (t) => {
    const bed = await openHttp(t, {
      driver: createDriver(),
      pool: first,
      handlers: [afterBody(reset), afterBody(say("second"))],
      ...rule({ retry: { on: ALL } }),
    });
    const post = { method: "POST", body: "payload" };
    assert.equal((await bed.ask("/", post)).status, 502);
    assert.equal(bed.backends[1]!.seen.length, 0);
    assert.match(bed.log[0]!.flags, /UC/);
    bed.apply(rule({ retry: { on: ALL, nonIdempotent: true } }));
    assert.equal((await bed.ask("/", post)).body, "second");
    assert.equal((await bed.ask("/", { ...post, method: "PUT" })).body, "second");
  });

  test(
    over("a body goes to the next backend whole, where it was kept, and not at all where it is longer"),
    async (t) => {
      const bed = await openHttp(t, {
        driver: createDriver(),
        pool: first,
        handlers: [
          afterBody(say("no", 503)),
          (request, response) => void textOf(request).then((body) => response.end(`${body.length}`)),
        ],
        ...rule({ retry: { on: ["503"], buffer: "4KiB" } }),
      });
      assert.equal((await bed.ask("/", { method: "PUT", body: Buffer.alloc(4_096, "x") })).body, "4096");
      assert.equal((await bed.ask("/", { method: "PUT", body: Buffer.alloc(4_097, "x") })).status, 503);
      assert.equal(bed.backends[1]!.seen.length, 1);
    },
  );

  test(over("a connection that the backend closed meanwhile costs nobody a request"), async (t) => {
    const bed = await openHttp(t, { driver: createDriver(), ...rule({ retry: { on: [] } }) });
    for (let count = 0; count < 20; count++) {
      assert.equal((await bed.ask("/")).status, 200);
      // Idle at our side still: the backend closes it as the next request comes.
      bed.backends[0]!.handler = (request, response) => {
        bed.backends[0]!.handler = hello;
        response.end("hello", () => request.socket.destroySoon());
      };
      assert.equal((await bed.ask("/")).status, 200);
    }
    assert.equal(bed.count("http_5xx"), 0);
  });

  test(over("a pool of one is asked again after a moment"), async (t) => {
    let asked = 0;
    const bed = await openHttp(t, {
      driver: createDriver(),
      handlers: [(request, response) => (++asked < 3 ? reset : hello)(request, response)],
      ...rule({ retry: { on: ["reset"] } }),
    });
    assert.equal((await bed.ask("/")).status, 200);
    assert.equal(asked, 3);
  });

  test(over("the budget bounds what is tried again"), async (t) => {
    const bed = await openHttp(t, {
      driver: createDriver(),
      pool: { retry: { attempts: 3, budgetPercent: 0, minPerSecond: 0, windowMs: 10_000 } },
      handlers: [say("no", 503), say("no", 503)],
      ...rule({ retry: { on: ["503"] } }),
    });
    assert.equal((await bed.ask("/")).status, 503);
    assert.equal((await bed.ask("/")).body, "no");
    assert.equal(bed.log[0]!.tries, 1);
  });

  test(over("a try that takes too long is followed by another, and all together have a limit: 504"), async (t) => {
    const bed = await openHttp(t, {
      driver: createDriver(),
      pool: first,
      handlers: [silent, say("second")],
      ...rule({ retry: { on: ["timeout"] }, timeouts: { try: "100ms", total: "5s" } }),
    });
    assert.equal((await bed.ask("/")).body, "second");
    bed.backends[1]!.handler = silent;
    bed.apply(rule({ timeouts: { total: "100ms" } }));
    const late = await bed.ask("/");
    assert.equal(late.status, 504);
    assert.equal(late.headers["content-type"], "application/problem+json");
    assert.match(bed.log[1]!.flags, /UT/);
    assert.equal(bed.count("http_timeouts"), 1);
  });

  test(
    over("a second try is begun beside one that takes long; the first head wins, the other is given up"),
    async (t) => {
      const bed = await openHttp(t, {
        driver: createDriver(),
        pool: first,
        handlers: [silent, say("second")],
        ...rule({ retry: { on: [], hedge: "50ms" } }),
      });
      assert.equal((await bed.ask("/")).body, "second");
      assert.equal(bed.count("http_hedges"), 1);
      assert.deepEqual([bed.active(0), bed.active(1)], [0, 0]);
      assert.equal(bed.backendCount(0, "failures"), 0);
      // Bodies are not sent twice for that.
      bed.apply(rule({ retry: { on: [], hedge: "50ms" }, timeouts: { total: "200ms" } }));
      assert.equal((await bed.ask("/", { method: "PUT", body: "x" })).status, 504);
      assert.equal(bed.count("http_hedges"), 1);
    },
  );

  test(over("who waits for a place gets it in turn, or 503 when it takes too long"), async (t) => {
    const held: (() => void)[] = [];
    const bed = await openHttp(t, {
      driver: createDriver(),
      handlers: [(_request, response) => void held.push(() => response.end("hello"))],
      pool: { queue: { max: 2, timeoutMs: 200 } },
      backend: { maxConnections: 1 },
    });
    const letGo = async (): Promise<void> => {
      await until(() => held.length > 0);
      held.shift()!();
    };
    const served = bed.ask("/1");
    const others = await Promise.all(["/2", "/3", "/4"].map((path) => bed.ask(path)));
    for (const { status, headers } of others) assert.deepEqual([status, headers["retry-after"]], [503, "1"]);
    assert.deepEqual([bed.count("queue_full"), bed.count("queue_timeout")], [1, 2]);
    await letGo();
    assert.equal((await served).status, 200);
    const inTurn = [bed.ask("/5"), bed.ask("/6")];
    await letGo();
    await letGo();
    for (const answer of inTurn) assert.equal((await answer).status, 200);
  });
}

for (const [interim, status] of [
  [32, 200],
  [33, 502],
] as const) {
  test(`a backend that sends ${interim} interim responses before its own: ${status}`, async (t) => {
    const bed = await openHttp(t, {
      handlers: [
        (_request, response) => {
          for (let count = 0; count < interim; count++) response.writeProcessing();
          response.end("hello");
        },
      ],
    });
    assert.equal((await bed.ask("/")).status, status);
    assert.equal(bed.log[0]!.flags, status === 200 ? "" : "UPE");
    assert.equal(bed.active(0), 0);
  });
}

test("a response whose end does not come in time is cut, so that the client sees it", async (t) => {
  const bed = await openHttp(t, {
    handlers: [(_request, response) => void response.writeHead(200, { "content-length": 100 }).write("begun")],
    ...rule({ timeouts: { idle: "100ms" } }),
  });
  const client = await bed.dial("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  assert.equal(await client.ending, "reset");
  assert.equal(bed.count("http_upstream_aborts"), 1);
  assert.deepEqual([bed.log[0]!.status, bed.log[0]!.flags], [200, "UT"]);
});

test("a client that leaves takes its request away from the backend", async (t) => {
  const bed = await openHttp(t, { handlers: [silent] });
  const client = await bed.dial("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  await until(() => bed.backends[0]!.seen.length > 0);
  const closed = new Promise((resolve) => bed.backends[0]!.seen[0]!.socket.once("close", resolve));
  client.socket.resetAndDestroy();
  await closed;
  assert.deepEqual([bed.log[0]!.status, bed.log[0]!.flags], [0, "DC"]);
  assert.equal(bed.backendCount(0, "client_aborts"), 1);
});
