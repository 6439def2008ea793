/** HTTP listeners from text to snapshot: defaults, short forms, what defaults of a listener mean, secrets, order. */
import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { diffBalancer } from "#config/diff-balancer.ts";
import type { HttpSpec } from "#state/http.ts";
import { compileFolder, poolOf, snapshotOf, writeBalancer } from "./load-balancer.ts";
import { loadFrom } from "./load-good.ts";

const POOLS = `pools:
  web: { backends: ["10.0.0.1:80"] }
  api: { backends: ["10.0.0.2:80"] }
  canary: { backends: ["10.0.0.3:80"] }`;
const listening = (more: string, pools = POOLS): string =>
  `region: here\nlisteners:\n  in:\n    listen: "127.0.0.1:80"\n    protocol: http\n${more.replace(/^/gm, "    ")}\n${pools}`;
function httpOf(t: TestContext, more: string, files: Readonly<Record<string, string>> = {}): HttpSpec {
  const { http } = snapshotOf(compileFolder(writeBalancer(t, listening(more), files))).balancer.listeners[0]!;
  assert.ok(http);
  return http;
}

test("an HTTP listener with a pool alone has the standard limits, and one rule", (t) => {
  const { rules, ...http } = httpOf(t, "pool: web");
  assert.deepEqual(http, {
    limits: { lineOctets: 16_384, headOctets: 32_768, fields: 100, pipelined: 32, requestsPerConnection: 0 },
    timeouts: {
      headMs: 10_000,
      bodyMs: 60_000,
      keepAliveMs: 75_000,
      sendMs: 60_000,
      minBodyRate: 0,
      tunnelMs: 3_600_000,
      lingerMs: 5_000,
    },
    http2: {
      isEnabled: false,
      maxStreams: 100,
      headerListOctets: 32_768,
      resetsPerSecond: 33,
      settingsPerConnection: 32,
      outstandingPings: 10,
      windowOctets: 262_144,
    },
    trusted: [],
    forwarded: {
      hops: 1,
      xForwardedFor: true,
      xForwarded: true,
      xRealIp: true,
      forwarded: false,
      requestId: true,
      via: undefined,
    },
    hosts: [],
    accessLog: undefined,
    tracing: undefined,
    maxRequests: 0,
  });
  const [rule, ...others] = rules;
  assert.deepEqual(others, []);
  assert.equal(rule?.name, "default");
  assert.deepEqual(rule.action, { kind: "pool", pool: 0 });
  assert.deepEqual(rule.timeouts, { totalMs: 60_000, tryMs: 0, idleMs: 60_000 });
  assert.deepEqual(rule.retry, {
    on: ["connect-failure", "reset"],
    isNonIdempotentToo: false,
    bufferOctets: 65_536,
    hedgeMs: 0,
  });
  assert.deepEqual(
    [rule.compression, rule.cache, rule.mirror, rule.rewrite, rule.maxBodyOctets],
    [undefined, undefined, undefined, undefined, Number.MAX_SAFE_INTEGER],
  );
});

test("other protocols have no HTTP part", (t) => {
  const tcp = listening("pool: web").replace("protocol: http", "protocol: tcp");
  assert.equal(snapshotOf(compileFolder(writeBalancer(t, tcp))).balancer.listeners[0]?.http, undefined);
});

test("short forms are written out", (t) => {
  const { rules } = httpOf(
    t,
    `rules:
  - { match: { path: [/api/, /, /a, { segment: /b/ }], host: "*.Example.com" }, pool: api }
  - { match: { header: { X-A: "1", x-b: true, x-c: false, x-d: { suffix: z, not: true } } }, split: { web: 95, canary: 5 } }
  - { match: { path: /old }, redirect: "https://new.example:8443/x" }
  - { match: { path: /new }, split: { parts: { web: 1 }, sticky: { cookie: part, ttl: 1m } } }
  - { respond: { body: hello } }`,
  );
  assert.deepEqual(rules[0]?.match.paths, [
    { kind: "segment", value: "/api" },
    { kind: "segment", value: "/" },
    { kind: "exact", value: "/a" },
    { kind: "segment", value: "/b" },
  ]);
  assert.deepEqual(rules[0].match.hosts, ["*.example.com"]);
  assert.deepEqual(rules[1]?.match.headers, [
    { name: "x-a", kind: "exact", value: "1", isNegated: false },
    { name: "x-b", kind: "present", value: "", isNegated: false },
    { name: "x-c", kind: "present", value: "", isNegated: true },
    { name: "x-d", kind: "suffix", value: "z", isNegated: true },
  ]);
  assert.deepEqual(
    rules.slice(1).map(({ action }) => action),
    [
      {
        kind: "split",
        parts: [
          { pool: 0, weight: 95 },
          { pool: 2, weight: 5 },
        ],
        sticky: "none",
      },
      {
        kind: "redirect",
        status: 308,
        to: { scheme: "https", host: "new.example", port: 8443, path: "/x", keepsQuery: true },
      },
      { kind: "split", parts: [{ pool: 0, weight: 1 }], sticky: { cookie: "part", ttlMs: 60_000 } },
      { kind: "respond", status: 200, contentType: "text/plain; charset=utf-8", body: "hello", headers: [] },
    ],
  );
  assert.deepEqual(
    rules.map(({ name }) => name),
    ["rules[0]", "rules[1]", "rules[2]", "rules[3]", "rules[4]"],
  );
});

test("defaults hold for all rules that do not say it themselves, the last one included", (t) => {
  const { rules } = httpOf(
    t,
    `pool: web
http:
  defaults:
    compression: true
    waf: { enforced: false }
    rateLimit: { rate: 5 }
    response: { set: { X-Frame-Options: DENY } }
    timeouts: { total: 5s }
    maxBody: 1MiB
rules:
  - { name: own, match: { path: /a }, pool: api, compression: { algorithms: [gzip] }, waf: false, rateLimit: [{ rate: 0.5 }, { by: { header: x }, rate: 9, burst: 2 }], timeouts: { idle: 1s } }`,
  );
  const [own, last] = rules;
  assert.deepEqual(own?.compression?.algorithms, ["gzip"]);
  assert.equal(own.guards.waf, undefined);
  assert.deepEqual(own.guards.rateLimits, [
    { id: "own#0", by: "address", perSecond: 0.5, burst: 1 },
    { id: "own#1", by: { header: "x" }, perSecond: 9, burst: 2 },
  ]);
  assert.deepEqual(own.timeouts, { totalMs: 60_000, tryMs: 0, idleMs: 1_000 });
  assert.deepEqual(own.responseHeaders, [{ kind: "set", name: "x-frame-options", value: "DENY" }]);
  assert.deepEqual(last?.compression?.algorithms, ["zstd", "br", "gzip"]);
  assert.equal(last.guards.waf?.isEnforced, false);
  assert.deepEqual(last.guards.rateLimits, [{ id: "defaults#0", by: "address", perSecond: 5, burst: 5 }]);
  assert.deepEqual([last.timeouts.totalMs, own.maxBodyOctets, last.maxBodyOctets], [5_000, 1_048_576, 1_048_576]);
});

test("secrets of rules and cookies come from where they are referred to, and are never shown", (t) => {
  const files = { "jwt.txt": `${"k".repeat(32)}\n`, "cookie.txt": `${"c".repeat(24)}\n` };
  const more = 'rules: [{ pool: web, jwt: { algorithms: [HS256], keys: "file:jwt.txt" } }]';
  const pools =
    'pools:\n  web: { backends: ["10.0.0.1:80"], sticky: { by: cookie, ttl: 10m, cookie: { name: back, keys: { k2: "file:cookie.txt" } } } }';
  const folder = writeBalancer(t, listening(more, pools), files);
  const result = compileFolder(folder);
  const { balancer } = snapshotOf(result);
  assert.equal(balancer.listeners[0]?.http?.rules[0]?.guards.jwt?.keys, "k".repeat(32));
  const { sticky } = poolOf(snapshotOf(result), "web");
  assert.deepEqual(sticky?.cookie, {
    name: "back",
    keys: [{ id: "k2", secret: "c".repeat(24) }],
    isSecure: "auto",
    sameSite: "Lax",
    path: "/",
    domain: undefined,
  });
  assert.ok("document" in result);
  assert.doesNotMatch(JSON.stringify(result.document), /kkkk|cccc/);
  const loaded = loadFrom(folder);
  assert.equal(loaded.secretFiles.filter((file) => /(jwt|cookie)\.txt$/.test(file)).length, 2);
  assert.equal(loaded.watched.files.filter((file) => /(jwt|cookie)\.txt$/.test(file)).length, 2);
});

test("each pool has a sticky cookie of its own name, where it is not given one", (t) => {
  const sticky = 'sticky: { by: cookie, cookie: { keys: { k1: "file:cookie.txt" } } }';
  const pools = `pools:\n  web: { backends: ["10.0.0.1:80"], ${sticky} }\n  api.v1: { backends: ["10.0.0.2:80"], ${sticky} }`;
  const folder = writeBalancer(t, listening("rules: [{ match: { path: /a }, pool: api.v1 }]\npool: web", pools), {
    "cookie.txt": "c".repeat(24),
  });
  const snapshot = snapshotOf(compileFolder(folder));
  assert.equal(poolOf(snapshot, "web").sticky?.cookie?.name, "rhumb-web");
  assert.equal(poolOf(snapshot, "api.v1").sticky?.cookie?.name, "rhumb-api.v1");
});

test("pools say how their backends are spoken to, and what is hashed", (t) => {
  const pools = `pools:
  web:
    backends: ["10.0.0.1:443"]
    hash: { on: [{ header: X-User }, { cookie: id }, address] }
    upstream: { protocol: http2, tls: { ca: ca.pem, serverName: in.example }, host: in.example, maxIdle: 8, idle: 1s, trailers: true }`;
  const folder = writeBalancer(t, listening("pool: web", pools), { "ca.pem": "-" });
  const pool = poolOf(snapshotOf(compileFolder(folder)), "web");
  assert.deepEqual(pool.hashOn, [{ header: "x-user" }, { cookie: "id" }, "address"]);
  const { tls, ...upstream } = pool.upstream;
  assert.match(tls?.caFile ?? "", /^\/.*ca\.pem$/);
  assert.deepEqual([tls?.isVerified, tls?.serverName], [true, "in.example"]);
  assert.deepEqual(upstream, {
    protocol: "http2",
    maxIdle: 8,
    idleMs: 1_000,
    maxRequests: 0,
    maxStreams: 100,
    host: "in.example",
    keepsUnderscores: false,
    passesTrailers: true,
  });
  const plain = poolOf(snapshotOf(compileFolder(writeBalancer(t, listening("pool: web")))), "web");
  assert.deepEqual([plain.hashOn, plain.upstream.maxIdle, plain.upstream.idleMs], [["address"], 256, 4_000]);
});

test("a pool that rules alone lead to is led to, and another pool's number changes no rule", (t) => {
  const more = "rules: [{ match: { path: /a }, pool: api }, { split: { canary: 1 }, mirror: { pool: web } }]";
  const result = compileFolder(writeBalancer(t, listening(more)));
  assert.ok("warnings" in result);
  assert.deepEqual(result.warnings, []);
  const moved = listening(more, POOLS.replace("pools:\n", 'pools:\n  first: { backends: ["10.0.0.9:80"] }\n'));
  const after = snapshotOf(compileFolder(writeBalancer(t, moved))).balancer;
  const lines = diffBalancer(snapshotOf(result).balancer, after);
  assert.deepEqual(
    lines.filter((line) => line.startsWith("listener")),
    [],
  );
});
