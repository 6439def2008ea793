/** Who is let through: access, WAF, rates, passwords, forward auth. Tokens have `tokens.test.ts`. */
import assert from "node:assert/strict";
import test from "node:test";
import { Worker } from "node:worker_threads";
import { hashPassword, parsePasswordHash } from "#base/password.ts";
import type { Subrequest, SubrequestResult } from "#l7/context.ts";
import { fieldOf } from "#l7/message.ts";
import {
  createRateLimits,
  createRateLimitsMemory,
  RATE_LIMITS_OCTETS,
  rateLimitsOctets,
} from "#l7/rules/rate-limits.ts";
import { type Asked, ask, guarded, headerOf, routeOf, routerOf, statusOf } from "./bed.ts";

test("access: the first network that matches decides, by the client of each request", async () => {
  const access = [
    { network: "10.1.0.0/16", action: "allow" },
    { network: "10.0.0.0/8", action: "deny" },
  ];
  const router = routerOf([{ access, pool: "web" }]);
  for (const [source, status] of [
    ["10.1.2.3", 200],
    ["10.2.0.1", 403],
    ["192.0.2.1", 200],
    ["::ffff:10.2.0.1", 403],
  ] as const)
    assert.equal(await statusOf(router, { source }), status, source);
});

// ── WAF ──────────────────────────────────────────────────────────────────────────────────────────────────────────

for (const [waf, good, bad] of [
  [{ methods: ["GET", "POST"] }, [{}, { method: "POST" }], [{ method: "TRACE" }, { method: "get" }]],
  [
    true,
    [{ target: "/a/b?x=1..2" }, { target: "/a..b" }, { target: "/a?re=%5Cd" }, { target: "/%2541" }],
    [
      { target: "/a/../b" },
      { target: "/a/%2e%2E/b" },
      { target: "/a/%252e%252e/b" },
      { target: "/?file=../../etc/passwd" },
      { target: "/?file=..%2f..%2fetc" },
      { target: "/?f=%252e%252e%252f" },
      { target: "/a%5cb" },
      { target: `/${"a".repeat(8_192)}` },
      { fields: { "x-a": "b".repeat(32_768) } },
    ],
  ],
  [
    { denyTargets: ["(?i)\\bunion\\s+select\\b", "<script"] },
    [{ target: "/reunion?select" }],
    [{ target: "/?q=1+UNION+%73elect+2" }, { target: "/%3Cscript%3E" }, { target: "/?a=%3cscript" }],
  ],
  [
    { denyHeaders: { "User-Agent": "(?i)sqlmap" } },
    [{ fields: { "user-agent": "curl" } }],
    [{ fields: { "user-agent": "SQLmap/1" } }],
  ],
] as readonly [unknown, readonly Asked[], readonly Asked[]][])
  test(`waf ${JSON.stringify(waf)}`, async () => {
    const router = routerOf([{ waf, pool: "web" }]);
    for (const asked of good) assert.equal(await statusOf(router, asked), 200, JSON.stringify(asked));
    for (const asked of bad) assert.equal(await statusOf(router, asked), 403, JSON.stringify(asked).slice(0, 100));
  });

test("a WAF that is not enforced tells what it finds, and lets it pass", async () => {
  const told: string[] = [];
  const env = { found: (rule: string, what: string) => void told.push(`${rule} ${what}`) };
  const router = routerOf([{ name: "r", waf: { enforced: false, methods: ["GET"] }, pool: "web" }], { env });
  assert.equal(await statusOf(router, { method: "PUT" }), 200);
  assert.deepEqual(told, ["r method"]);
});

test("hostile text does not slow patterns of a WAF down", async () => {
  const router = routerOf([
    { waf: { maxTarget: "64KiB", denyTargets: ["(a+)+$", "(x+x+)+y", "(.*)*=(.*)*!"] }, pool: "web" },
  ]);
  // A matcher that goes back would not come back from here.
  assert.equal(await statusOf(router, { target: `/${"x".repeat(30_000)}` }), 200);
  assert.equal(await statusOf(router, { target: `/${"a".repeat(30_000)}b` }), 200);
});

// ── rates ────────────────────────────────────────────────────────────────────────────────────────────────────────

test("a rate is a burst, then one request an interval, and 429 says when", async () => {
  const router = routerOf([{ rateLimit: { rate: 2, burst: 3 }, pool: "web" }]);
  const statuses = async (nowMs: number, times: number, asked: Asked = {}) => {
    const list: number[] = [];
    for (let time = 0; time < times; time++) list.push(await statusOf(router, asked, nowMs));
    return list.join(" ");
  };
  assert.equal(await statuses(0, 5), "200 200 200 429 429");
  assert.equal(await statuses(0, 1, { source: "192.0.2.2" }), "200", "others have their own");
  assert.equal(await statuses(500, 2), "200 429");
  assert.equal(await statuses(60_000, 4), "200 200 200 429");
  const request = ask();
  const reply = await guarded((await routeOf(router, request))!, request, 60_000);
  assert.equal(headerOf(reply, "retry-after"), "1");
});

for (const [by, same, other] of [
  ["address", { source: "2001:db8:0:1::7" }, { source: "2001:db8:0:2::7" }],
  [{ header: "X-Key" }, { source: "192.0.2.9", fields: { "x-key": "a" } }, { fields: { "x-key": "b" } }],
  [{ cookie: "id" }, { source: "192.0.2.9", fields: { cookie: "id=a" } }, { fields: { cookie: "id=b" } }],
] as readonly [unknown, Asked, Asked][])
  test(`a rate by ${JSON.stringify(by)}`, async () => {
    const router = routerOf([{ rateLimit: { by, rate: 0.001 }, pool: "web" }]);
    const first = by === "address" ? { source: "2001:db8:0:1::1" } : { ...same, source: "198.51.100.1" };
    assert.equal(await statusOf(router, first), 200);
    assert.equal(await statusOf(router, same), 429);
    assert.equal(await statusOf(router, other), 200);
    if (by !== "address") {
      assert.equal(await statusOf(router, { source: "198.51.100.7" }), 200, "without the field the address counts");
      assert.equal(await statusOf(router, { source: "198.51.100.7" }), 429);
    }
  });

test("rules have rates of their own; what the defaults say is one rate over all of them", async () => {
  const own = routerOf([
    { match: { path: "/a" }, rateLimit: { rate: 0.001 }, pool: "web" },
    { match: { path: "/b" }, rateLimit: { rate: 0.001 }, pool: "web" },
  ]);
  assert.equal(await statusOf(own, { target: "/a" }), 200);
  assert.equal(await statusOf(own, { target: "/b" }), 200);
  const rules = [{ match: { path: "/a" }, pool: "web" }, { pool: "api" }];
  const shared = routerOf(rules, { defaults: { rateLimit: { rate: 0.001 } } });
  assert.equal(await statusOf(shared, { target: "/a" }), 200);
  assert.equal(await statusOf(shared, { target: "/b" }), 429);
});

test("two workers share the rates: together they let exactly one burst through", async () => {
  const shared = new SharedArrayBuffer(RATE_LIMITS_OCTETS);
  const module = new URL("../../../src/l7/rules/rate-limits.ts", import.meta.url).href;
  const code = `
    import { parentPort, workerData } from "node:worker_threads";
    const { createRateLimits } = await import(${JSON.stringify(module)});
    const limits = createRateLimits(workerData.shared, { offsetMs: 0 });
    const gate = new Int32Array(workerData.gate);
    // Both begin together.
    Atomics.add(gate, 0, 1);
    while (Atomics.load(gate, 0) < 2) Atomics.wait(gate, 1, 0, 1);
    let passed = 0;
    for (let time = 0; time < 100000; time++) if (limits.take(7, "client" + (time % 2), 0.001, 50000, 0) === 0) passed += 1;
    parentPort.postMessage(passed);`;
  const gate = new SharedArrayBuffer(8);
  const counts = await Promise.all(
    [0, 1].map(
      () =>
        new Promise<number>((resolve, reject) => {
          const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), {
            workerData: { shared, gate },
          });
          worker.once("message", resolve);
          worker.once("error", reject);
        }),
    ),
  );
  assert.equal(counts[0]! + counts[1]!, 100_000);
});

test("the table of rates is bounded: the key nearest to its whole burst gives way", () => {
  const limits = createRateLimits(new SharedArrayBuffer(rateLimitsOctets(1)), { offsetMs: 0 });
  for (let time = 0; time < 5; time++) assert.equal(limits.take(1, "busy", 1, 5, 0), 0);
  for (let key = 0; key < 500; key++) assert.equal(limits.take(1, `key ${key}`, 1, 5, 0), 0);
  assert.ok(limits.take(1, "busy", 1, 5, 0) > 0, "who has used up most stays");
});

test("keys of different kinds and limits do not meet", () => {
  const limits = createRateLimitsMemory();
  assert.equal(limits.take(1, "a", 0.001, 1, 0), 0);
  assert.equal(limits.take(2, "a", 0.001, 1, 0), 0);
  assert.ok(limits.take(1, "a", 0.001, 1, 0) > 0);
});

// ── passwords ────────────────────────────────────────────────────────────────────────────────────────────────────

const basic = (text: string): Asked => ({ fields: { authorization: `Basic ${Buffer.from(text).toString("base64")}` } });

test("basicAuth asks for a name and a password, and knows a good pair again without waiting", async () => {
  const users = `# staff\nkim:${await hashPassword("tälk:1")}\nlee:${await hashPassword("other")}\n`;
  const waits: number[] = [];
  const options = { secrets: { "file:users": users }, env: { waiting: (change: number) => void waits.push(change) } };
  const router = routerOf([{ basicAuth: { realm: "staff", users: "file:users" }, pool: "web" }], options);
  const request = ask();
  const reply = await guarded((await routeOf(router, request))!, request);
  assert.deepEqual([reply?.status, headerOf(reply, "www-authenticate")], [401, 'Basic realm="staff", charset="UTF-8"']);
  for (const [text, status] of [
    ["kim:tälk:1", 200],
    ["kim:other", 401],
    ["lee:other", 200],
    ["nobody:tälk:1", 401],
    [":", 401],
    ["kim", 401],
  ] as const)
    assert.equal(await statusOf(router, basic(text)), status, text);
  assert.deepEqual(
    await Promise.all(
      ["Basic !", "Bearer a.b.c", ""].map((value) => statusOf(router, { fields: { authorization: value } })),
    ),
    [401, 401, 401],
  );
  assert.equal(
    waits.reduce((sum, change) => sum + change, 0),
    0,
  );
  const again = ask(basic("kim:tälk:1"));
  const route = await routeOf(router, again);
  assert.equal(route?.guards[0]?.(again, 0), undefined, "no promise for who was good before");
});

test("of many passwords at once most are told to come back: each costs a core and memory", async () => {
  const users = `kim:${await hashPassword("x")}`;
  const router = routerOf([{ basicAuth: { users: "file:u" }, pool: "web" }], { secrets: { "file:u": users } });
  const statuses = await Promise.all(Array.from({ length: 12 }, (_, index) => statusOf(router, basic(`kim:${index}`))));
  assert.deepEqual([...new Set(statuses)].sort(), [401, 503]);
  assert.equal(statuses.filter((status) => status === 401).length, 4);
  const same = await Promise.all(Array.from({ length: 12 }, () => statusOf(router, basic("kim:x"))));
  assert.deepEqual([...new Set(same)], [200], "one pair is hashed once, however many wait for it");
});

test("hashes of passwords are salted, and those that would take all memory are none", async () => {
  const [one, two] = [await hashPassword("a"), await hashPassword("a")];
  assert.notEqual(one, two);
  assert.ok(parsePasswordHash(one));
  assert.equal(parsePasswordHash(one.replace("ln=14", "ln=30")), undefined);
  assert.equal(parsePasswordHash("plain"), undefined);
});

// ── forward auth ─────────────────────────────────────────────────────────────────────────────────────────────────

function forwarding(answer: SubrequestResult, more: object = {}) {
  const questions: Parameters<Subrequest>[] = [];
  const subrequest: Subrequest = (...question) => {
    questions.push(question);
    return Promise.resolve(answer);
  };
  const forwardAuth = { pool: "auth", path: "/check", copyToBackend: ["X-User"], ...more };
  return { questions, router: routerOf([{ forwardAuth, pool: "web" }], { subrequest }) };
}

test("forwardAuth shows the request, and gives the backend what the answer says instead of what the client said", async () => {
  const { questions, router } = forwarding({
    status: 204,
    fields: ["x-user", "kim", "x-other", "1"],
    body: new Uint8Array(),
  });
  const fields = { authorization: "t", "x-user": "root", "x-secret": "1", "x-forwarded-uri": "/fake" };
  const request = ask({ method: "POST", target: "/a?b", fields });
  assert.equal(await guarded((await routeOf(router, request))!, request), undefined);
  assert.deepEqual(
    request.head.fields.filter((_, index) => request.head.fields[index & ~1] === "x-user"),
    ["x-user", "kim"],
  );
  assert.equal(fieldOf(request.head.fields, "x-other"), undefined);
  const [pool, question, options] = questions[0]!;
  assert.equal(pool.spec.name, "auth");
  assert.deepEqual(
    [question.method, question.target, question.authority, options.timeoutMs],
    ["GET", "/check", "www.example", 5_000],
  );
  for (const [name, value] of [
    ["authorization", "t"],
    ["x-forwarded-method", "POST"],
    ["x-forwarded-uri", "/a?b"],
    ["x-forwarded-host", "www.example"],
    ["x-forwarded-for", "192.0.2.1"],
    ["x-secret", undefined],
    ["x-user", undefined],
  ] as const)
    assert.equal(fieldOf(question.fields, name), value, name);
});

test("forwardAuth: another answer goes to the client, silence is 503, and a client's fields are gone in any case", async () => {
  const body = Buffer.from("no");
  const refused = forwarding({ status: 302, fields: ["location", "/login"], body });
  const request = ask({ fields: { "x-user": "root" } });
  const reply = await guarded((await routeOf(refused.router, request))!, request);
  assert.deepEqual(reply, { status: 302, fields: ["location", "/login"], body });
  assert.equal(fieldOf(request.head.fields, "x-user"), undefined);
  assert.equal(await statusOf(forwarding({ fault: "timeout" }).router), 503);
  const empty = forwarding({ status: 200, fields: [], body });
  const silent = ask({ fields: { "x-user": "root" } });
  assert.equal(await guarded((await routeOf(empty.router, silent))!, silent), undefined);
  assert.equal(fieldOf(silent.head.fields, "x-user"), undefined);
});

test("forwardAuth does not let a client say what we say of it", async () => {
  const more = { copyFromRequest: ["x-forwarded-uri", "x-forwarded-for", "cookie"] };
  const { questions, router } = forwarding({ status: 200, fields: [], body: new Uint8Array() }, more);
  await statusOf(router, { fields: { "x-forwarded-uri": "/fake", "x-forwarded-for": "10.0.0.1" } });
  const { fields } = questions[0]![1];
  assert.equal(fields.filter((text) => text === "x-forwarded-uri").length, 1);
  assert.equal(fieldOf(fields, "x-forwarded-for"), "192.0.2.1");
});

test("R44: guards are asked for each request, in the order of the settings", async () => {
  const router = routerOf([
    {
      access: [{ network: "10.0.0.0/8", action: "deny" }],
      rateLimit: { rate: 0.001 },
      pool: "web",
    },
  ]);
  assert.equal(await statusOf(router, { source: "10.0.0.1" }), 403);
  assert.equal(await statusOf(router), 200);
  assert.equal(await statusOf(router), 429);
});
