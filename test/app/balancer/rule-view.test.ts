/** What operators may read of rules and caches, and what must not be in it. */
import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { ruleViews } from "#app/balancer/rule-view.ts";
import { sumCaches } from "#app/balancer/sum-caches.ts";
import type { CacheStats } from "#l7/cache/cache.ts";
import { compileFolder, snapshotOf, writeBalancer } from "../../config/load-balancer.ts";

const KEY = "k".repeat(32);
const FILES = { "jwt.txt": `${KEY}\n`, "users.txt": "kim:$scrypt$ln=14,r=8,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA\n" };
function viewsOf(t: TestContext, rules: string) {
  const config = `region: here
listeners:
  in: { listen: "127.0.0.1:80", protocol: http, pool: web, rules: ${rules} }
pools:
  web: { backends: ["10.0.0.1:80"] }
  next: { backends: ["10.0.0.2:80"] }`;
  const { balancer } = snapshotOf(compileFolder(writeBalancer(t, config, FILES)));
  return balancer.listeners.flatMap((listener) => ruleViews(listener, balancer.pools));
}

for (const { rule, match = [], action, guards = [] } of [
  {
    rule: '{ match: { host: "*.example", path: /api/ }, pool: web }',
    match: ["host *.example", "path /api and below"],
    action: "pool web",
  },
  {
    rule: "{ match: { path: [/a, { prefix: /b }], method: [GET, HEAD] }, pool: web }",
    match: ["path is /a or path begins with /b", "method GET or HEAD"],
    action: "pool web",
  },
  {
    rule: '{ match: { path: { regex: "^/x" }, source: 10.0.0.0/8 }, pool: web }',
    match: ["path like ^/x", "from 10.0.0.0/8"],
    action: "pool web",
  },
  {
    rule: "{ match: { header: { X-Key: hidden, X-Canary: true, X-Bot: false }, cookie: { group: hidden }, query: { q: hidden } }, pool: web }",
    match: ["field x-key by exact", "field x-canary", "no field x-bot", "cookie group by exact", "query q by exact"],
    action: "pool web",
  },
  {
    rule: "{ match: { header: { User-Agent: { contains: hidden, not: true } } }, pool: web }",
    match: ["field user-agent not by contains"],
    action: "pool web",
  },
  {
    rule: '{ match: { claim: { plan: hidden }, jwt: { algorithms: [HS256], keys: "file:jwt.txt" } }, pool: web }',
    match: ["a good token", "claim plan by exact"],
    action: "pool web",
  },
  {
    rule: "{ match: { body: { json: { path: user.plan, value: hidden } } }, pool: web }",
    match: ["body field user.plan by exact"],
    action: "pool web",
  },
  { rule: "{ split: { web: 95, next: 5 } }", action: "split web 95, next 5" },
  { rule: '{ redirect: "https://new.example" }', action: "308 to https://new.example{path}{query}" },
  { rule: "{ redirect: { status: 302, path: /login, query: false } }", action: "302 to {scheme}://{host}/login" },
  { rule: '{ respond: { status: 503, body: "back at noon" } }', action: "reply 503" },
  {
    rule: '{ pool: web, waf: true, rateLimit: { rate: 10 }, basicAuth: { realm: staff, users: "file:users.txt" }, jwt: { algorithms: [HS256], keys: "file:jwt.txt" }, forwardAuth: { pool: next, path: /check }, access: [{ network: 10.0.0.0/8, action: deny }] }',
    action: "pool web",
    guards: ["access", "waf", "rate-limit", "basic-auth", "jwt", "forward-auth"],
  },
]) {
  test(`${rule} is described without what it compares with`, (t) => {
    const views = viewsOf(t, `[${rule}]`);
    assert.deepEqual(views[0]?.match, match);
    assert.equal(views[0]?.action.says, action);
    assert.deepEqual(views[0]?.guards, guards);
    const text = JSON.stringify(views);
    for (const secret of ["hidden", KEY, "scrypt", "kim"]) assert.ok(!text.includes(secret), `${secret} in ${text}`);
  });
}

test("rules are numbered as they are asked, with what else they do", (t) => {
  const views = viewsOf(
    t,
    "[{ match: { path: /b }, priority: 20, pool: web }, { name: first, match: { path: /a }, priority: 10, pool: web, mirror: { pool: next, percent: 10% }, cache: { store: pages }, compression: true }]",
  );
  assert.deepEqual(
    views.map(({ order, name }) => [order, name]),
    [
      [1, "first"],
      [2, "rules[0]"],
      [3, "default"],
    ],
  );
  assert.partialDeepStrictEqual(views[0], { mirror: { pool: "next", percent: 10 }, cache: "pages" });
  assert.ok(views[0]!.compression.includes("gzip"));
});

test("caches of workers are summed by store", () => {
  const zero: CacheStats = {
    store: "a",
    objects: 0,
    octets: 0,
    maxOctets: 10,
    hits: 0,
    stale: 0,
    misses: 0,
    revalidated: 0,
    passed: 0,
    stored: 0,
    evicted: 0,
    purged: 0,
    waited: 0,
  };
  const before = { ...zero, objects: 1, hits: 2 };
  const sums = sumCaches([{ ...zero, store: "b", stale: 4 }, before, { ...zero, objects: 3, misses: 5 }]);
  assert.deepEqual(sums, [
    { ...zero, objects: 4, hits: 2, misses: 5, maxOctets: 20 },
    { ...zero, store: "b", stale: 4 },
  ]);
  assert.equal(before.objects, 1);
});
