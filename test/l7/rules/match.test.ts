/** Which rule has a request: a table for each kind of match, the order, and the index against a naive reading. */
import assert from "node:assert/strict";
import test from "node:test";
import { compilePattern } from "#base/pattern.ts";
import { createSeededRng } from "#base/rng.ts";
import { createRouter } from "#l7/rules/create-router.ts";
import type { RuleSpec } from "#state/http.ts";
import { type Asked, ask, envOf, nameOf, routeOf, routerOf, specsOf } from "./bed.ts";

const CASES: readonly { match: unknown; yes: readonly Asked[]; no: readonly Asked[] }[] = [
  { match: {}, yes: [{}, { target: "*", method: "OPTIONS" }], no: [] },
  {
    match: { host: "api.example" },
    yes: [{ host: "api.example" }, { host: "API.Example:8080" }, { host: "api.example." }],
    no: [{ host: "www.example" }, { host: "x.api.example" }, { host: "" }],
  },
  {
    match: { host: ["*.example.com", "b.test"] },
    yes: [{ host: "a.example.com" }, { host: "a.b.example.com:1" }, { host: "b.test" }],
    no: [{ host: "example.com" }, { host: "aexample.com" }, { host: "a.b.test" }],
  },
  {
    match: { path: "/a" },
    yes: [{ target: "/a" }, { target: "/a?b" }, { target: "/%61" }],
    no: [{ target: "/a/" }, { target: "/A" }],
  },
  {
    match: { path: "/api/" },
    yes: [
      { target: "/api" },
      { target: "/api/" },
      { target: "/api/x" },
      { target: "/x/../api/y" },
      { target: "//api//x" },
    ],
    no: [{ target: "/apix" }, { target: "/ap" }, { target: "/x/api/" }, { target: "/api/../x" }],
  },
  { match: { path: { prefix: "/api" } }, yes: [{ target: "/api" }, { target: "/apix" }], no: [{ target: "/ap" }] },
  { match: { path: { segment: "/" } }, yes: [{ target: "/" }, { target: "/x/y" }], no: [] },
  { match: { path: { exact: "/a/" } }, yes: [{ target: "/a/" }], no: [{ target: "/a" }, { target: "/a/b" }] },
  {
    match: { path: ["/a", { regex: "^/v[0-9]+/" }, { regex: "\\.png$" }] },
    yes: [{ target: "/a" }, { target: "/v12/x" }, { target: "/i/a.png" }],
    no: [{ target: "/v/x" }, { target: "/a.pngx" }],
  },
  { match: { method: ["GET", "HEAD"] }, yes: [{}, { method: "HEAD" }], no: [{ method: "POST" }] },
  {
    match: { header: { "X-Canary": "true", accept: { contains: "json" } } },
    yes: [{ fields: { "x-canary": "true", accept: "application/json" } }],
    no: [{ fields: { "x-canary": "true" } }, { fields: { "x-canary": "TRUE", accept: "json" } }, {}],
  },
  {
    match: { header: { "user-agent": { regex: "(?i)bot", not: true } } },
    yes: [{}, { fields: { "user-agent": "curl" } }],
    no: [{ fields: { "user-agent": "GoogleBot" } }],
  },
  {
    match: { header: { "x-a": true, "x-b": false } },
    yes: [{ fields: { "x-a": "" } }],
    no: [{ fields: { "x-a": "1", "x-b": "1" } }, {}],
  },
  {
    match: { cookie: { group: { prefix: "b" } } },
    yes: [{ fields: { cookie: "a=1; group=beta" } }],
    no: [{ fields: { cookie: "group=alpha" } }, { fields: { cookie: "xgroup=beta" } }, {}],
  },
  {
    match: { query: { v: "2", debug: { suffix: "on" } } },
    yes: [{ target: "/?v=2&debug=on" }, { target: "/?debug=%6fn&v=2" }],
    no: [{ target: "/?v=2" }, { target: "/?v=22&debug=on" }],
  },
  {
    match: { source: ["10.0.0.0/8", "2001:db8::/32"] },
    yes: [{ source: "10.1.2.3" }, { source: "::ffff:10.1.2.3" }, { source: "2001:db8::1" }],
    no: [{ source: "192.0.2.1" }, { source: "2001:db9::1" }],
  },
  {
    match: { body: { contains: "needle" } },
    yes: [{ method: "POST", body: "hay needle hay" }],
    no: [{ method: "POST", body: "hay" }, {}, { method: "POST", body: `needle${"x".repeat(65_536)}` }],
  },
  {
    match: { body: { json: { path: "user.plan", value: "gold" } } },
    yes: [
      { method: "POST", body: '{"user":{"plan":"gold"}}' },
      { method: "POST", body: '{"user":{"plan":["free","gold"]}}' },
    ],
    no: [
      { method: "POST", body: '{"user":{"plan":"gold' },
      { method: "POST", body: "[1]" },
      { method: "POST", body: "null" },
    ],
  },
  {
    match: { body: { json: { path: "count", value: 3 } } },
    yes: [{ method: "POST", body: '{"count":3}' }],
    no: [{ method: "POST", body: '{"count":33}' }],
  },
  {
    match: { host: "a.example", path: "/x/", method: "PUT" },
    yes: [{ host: "a.example", target: "/x/1", method: "PUT" }],
    no: [
      { host: "a.example", target: "/x/1" },
      { target: "/x/1", method: "PUT" },
      { host: "a.example", method: "PUT" },
    ],
  },
];
for (const { match, yes, no } of CASES) {
  test(`match ${JSON.stringify(match)}`, async () => {
    const router = routerOf([{ name: "it", match, pool: "web" }]);
    for (const asked of yes) assert.equal(await nameOf(router, asked), "it", JSON.stringify(asked));
    for (const asked of no) assert.equal(await nameOf(router, asked), undefined, JSON.stringify(asked).slice(0, 200));
  });
}

test("rules are asked by priority, then by how specific they are, then as they stand; those without one come last", () => {
  const rule = (name: string, priority: number | undefined, match: unknown = {}) => ({
    name,
    match,
    pool: "web",
    ...(priority === undefined ? {} : { priority }),
  });
  const specs = specsOf([
    rule("free", undefined, { path: "/api/v1" }),
    rule("late", 9),
    rule("all", 5),
    rule("prefix", 5, { path: { prefix: "/api" } }),
    rule("short", 5, { path: "/api/" }),
    rule("long", 5, { path: "/api/v1/" }),
    rule("exact", 5, { path: "/api" }),
    rule("wild", 5, { host: "*.example" }),
    rule("host", 5, { host: "a.example" }),
    rule("more", 5, { host: "a.example", method: "GET" }),
    rule("first", -1),
  ]);
  assert.equal(specs.map(({ name }) => name).join(" "), "first more host wild exact long short prefix all late free");
});

test("a rule that needs the body holds up those after it alone", async () => {
  const router = routerOf([
    { name: "before", match: { path: "/a" }, pool: "web" },
    { name: "body", match: { body: { contains: "x" } }, pool: "web" },
    { name: "after", pool: "web" },
  ]);
  assert.equal("spec" in router.route(ask({ target: "/a", body: "x" }))!, true);
  assert.deepEqual(router.route(ask({ target: "/b", body: "x" })), { body: 65_536 });
  const late = routerOf([
    { name: "first", match: { method: "GET" }, pool: "web" },
    { name: "body", match: { path: "/a", body: { contains: "x" } }, pool: "web" },
  ]);
  assert.equal("spec" in late.route(ask({ target: "/a", body: "x" }))!, true, "whichever table it lies in");
  assert.equal(await nameOf(router, { target: "/b", body: "x" }), "body");
  assert.equal(await nameOf(router, { target: "/b", body: "y" }), "after");
  assert.equal(await nameOf(router, { target: "/b" }), "after", "without a body nothing is waited for");
});

test("captures are those of the rule that matched", async () => {
  const router = routerOf([
    { match: { path: { regex: "^/u/([a-z]+)/([0-9]+)" }, method: "PUT" }, pool: "web" },
    { name: "it", match: { path: { regex: "^/u/([a-z]+)" } }, pool: "web", request: { set: { "x-a": "$1" } } },
  ]);
  const request = ask({ target: "/u/kim/7" });
  assert.equal((await routeOf(router, request))?.spec.name, "it");
  assert.deepEqual(request.captures, ["/u/kim", "kim"]);
});

// ── the index ────────────────────────────────────────────────────────────────────────────────────────────────────

/** Reads the rules one by one, as the documentation says. */
function naive(specs: readonly RuleSpec[], { host, path, head }: ReturnType<typeof ask>): string | undefined {
  return specs.find(({ match }) => {
    const isHost = match.hosts.some((one) =>
      one.startsWith("*") ? host.endsWith(one.slice(1)) && host.length >= one.length : host === one,
    );
    const isPath = match.paths.some(({ kind, value }) => {
      if (kind === "exact") return path === value;
      if (kind === "prefix") return path.startsWith(value);
      if (kind === "regex") return compilePattern(value).test(path);
      return value === "/" || path === value || path.startsWith(`${value}/`);
    });
    return (
      (match.hosts.length === 0 || isHost) &&
      (match.paths.length === 0 || isPath) &&
      (match.methods.length === 0 || match.methods.includes(head.method))
    );
  })?.name;
}

test("the index finds what a naive reading finds, in rules and requests drawn at random", async () => {
  const rng = createSeededRng(3);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(rng() * list.length)]!;
  const some = <T>(list: readonly T[], most: number): T[] =>
    Array.from({ length: Math.floor(rng() * (most + 1)) }, () => pick(list));
  const hosts = ["a.b", "*.b", "*.a.b", "c.a.b", "b", "*.c"];
  const paths = [
    "/",
    "/a/",
    "/a",
    "/a/b/",
    "/a/b",
    { prefix: "/a" },
    { prefix: "/a/b" },
    { prefix: "/ab" },
    { regex: "^/a/[ab]+$" },
    { regex: "b$" },
    { regex: "^/ab?" },
    { exact: "/b/" },
  ];
  const targets = ["/", "/a", "/a/", "/a/b", "/a/b/", "/a/b/c", "/ab", "/abc", "/b", "/b/", "/x/b", "/a/bb", "/c"];
  let matched = 0;
  for (let round = 0; round < 300; round++) {
    const rules = Array.from({ length: 1 + Math.floor(rng() * 12) }, (_, index) => {
      const [host, path, method] = [some(hosts, 2), some(paths, 3), some(["GET", "PUT"], 1)];
      const match = {
        ...(host.length > 0 && { host }),
        ...(path.length > 0 && { path }),
        ...(method.length > 0 && { method }),
      };
      return { name: `r${index}`, match, pool: "web" };
    });
    const specs = specsOf(rules);
    const router = createRouter(specs, envOf());
    for (let probe = 0; probe < 20; probe++) {
      const request = ask({
        host: pick(["a.b", "b", "c.a.b", "x.c.a.b", "x.c", "c"]),
        target: pick(targets),
        method: pick(["GET", "PUT"]),
      });
      const expected = naive(specs, request);
      const routed = await router.route(request);
      assert.equal(routed && "spec" in routed ? routed.spec.name : undefined, expected, JSON.stringify(rules));
      if (expected) matched += 1;
    }
  }
  assert.ok(matched > 1_000);
});
