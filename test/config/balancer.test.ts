/** The balancer section: defaults, checks of backends, names, ids, rows, certificates, Redis. */
import assert from "node:assert/strict";
import { copyFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { formatProblem } from "#base/problem.ts";
import { compile } from "#config/compile.ts";
import { redisOfUrl } from "#config/compile-cluster.ts";
import { backendIds } from "#config/compile-pool.ts";
import { loadConfig } from "#config/load.ts";
import { createTargetRegistry } from "#config/targets.ts";
import { makeCertificate } from "../health/probes/bed.ts";
import { OUTLIER_DEFAULTS, UPSTREAM_DEFAULTS } from "../pool/specs.ts";
import { compileFolder, type Names, poolOf, problemsOf, snapshotOf, writeBalancer } from "./load-balancer.ts";
import { loadFrom, NOW_MS, SECRETS, testContext } from "./load-good.ts";

const listening = (pools: string): string =>
  `region: here\nlisteners: { in: { listen: "127.0.0.1:80", protocol: tcp, pool: web } }\npools:\n${pools.replace(/^/gm, "  ")}`;

test("a pool of one line has the defaults of the specification", (t) => {
  const snapshot = snapshotOf(compileFolder(writeBalancer(t, listening('web: { backends: ["10.0.0.1:80"] }'))));
  const { listeners, pools, ...balancer } = snapshot.balancer;
  assert.deepEqual(balancer, {
    region: "here",
    zone: undefined,
    workers: 2,
    engine: "auto",
    capacityRps: undefined,
    drainMs: 30_000,
    redis: undefined,
    nft: { table: "rhumb", device: undefined, masquerade: false },
  });
  assert.deepEqual(listeners[0], {
    name: "in",
    listen: { address: "127.0.0.1", port: 80 },
    protocol: "tcp",
    pool: 0,
    sni: [],
    certificates: [],
    alpn: [],
    proxyProtocol: undefined,
    access: [],
    limits: { maxConnections: 20_000, acceptPerSecond: 0, clientConnections: 0, clientPerSecond: 0, clientBurst: 0 },
    timeouts: { preambleMs: 5_000, handshakeMs: 10_000, idleMs: 350_000, lifetimeMs: 0, halfCloseMs: 30_000 },
    udp: { idleMs: 30_000, responses: 0, maxSessions: 65_536 },
    tls: undefined,
    http: undefined,
    backlog: 4_096,
  });
  const { backends, outlier, hash, ...pool } = pools[0]!;
  assert.equal(typeof hash, "number");
  assert.deepEqual(pool, {
    name: "web",
    mode: "proxy",
    algorithm: "p2c",
    balanceFactorPercent: 0,
    hashBits: { v4: 32, v6: 64 },
    check: "pool/web",
    connectTimeoutMs: 5_000,
    queue: { max: 1_024, timeoutMs: 5_000 },
    retry: { attempts: 2, budgetPercent: 20, minPerSecond: 10, windowMs: 10_000 },
    breaker: { failures: 5, baseMs: 5_000, maxMs: 300_000 },
    slowStart: { windowMs: 0, aggression: 1, minPercent: 10 },
    panicPercent: 0,
    isFailOpen: true,
    minHealthy: 1,
    sticky: undefined,
    drainMs: 30_000,
    closesOnDown: false,
    proxyProtocol: undefined,
    prefersLocalZone: false,
    hashOn: ["address"],
    upstream: UPSTREAM_DEFAULTS,
  });
  assert.deepEqual(outlier, OUTLIER_DEFAULTS);
  const { id, target, ...backend } = backends[0]!;
  assert.match(id, /^backend-[0-9a-f]{6}$/);
  assert.deepEqual(backend, {
    key: "10.0.0.1:80",
    host: "10.0.0.1",
    address: "10.0.0.1",
    port: 80,
    weight: 1,
    maxConnections: 0,
    priority: 0,
    zone: undefined,
    isEnabled: true,
    mac: undefined,
    healthPath: undefined,
    origin: "file",
  });
  assert.deepEqual(snapshot.health.targets, [
    {
      index: target,
      id: "backend/web/10.0.0.1:80",
      kind: "address",
      address: "10.0.0.1",
      check: "pool/web@80",
      isBackend: true,
    },
  ]);
  const [check] = snapshot.health.checks;
  assert.ok(check?.kind === "tcp");
  assert.deepEqual(
    [check.name, check.port, check.intervalMs, check.timeoutMs, check.thresholds],
    ["pool/web@80", 80, 5_000, 3_000, { down: 3, up: 2, ok: 1 }],
  );
});

const CHECK_FILES = {
  "health/page.yaml": "kind: http\npath: /health\n",
  "health/own.yaml": "kind: tcp\nport: 7\n",
  "health/secure.yaml": "kind: https\n",
};
for (const { name, pool, expected } of [
  {
    name: "at the backend's port where it gives none",
    pool: 'check: page, backends: ["10.0.0.1:81"]',
    expected: "page@81 http 81 /health",
  },
  {
    name: "at its own port where it gives one",
    pool: 'check: own, backends: ["10.0.0.1:81"]',
    expected: "own@7 tcp 7",
  },
  {
    name: "that stands in the pool",
    pool: 'check: { kind: tls, port: 9 }, backends: ["10.0.0.1:81"]',
    expected: "pool/web@9 tls 9",
  },
  {
    name: "at the path of the backend",
    pool: 'check: page, backends: [{ address: "10.0.0.1:81", healthPath: /x }]',
    expected: "page@81/x http 81 /x",
  },
  {
    name: "of https at the path of the backend, still over TLS",
    pool: 'check: secure, backends: [{ address: "10.0.0.1:81", healthPath: /x }]',
    expected: "secure@81/x https 81 /x",
  },
  {
    name: "of another kind with a path as an HTTP check",
    pool: 'check: own, backends: [{ address: "10.0.0.1:81", healthPath: /x }]',
    expected: "own@7/x http 7 /x",
  },
  {
    name: "with a path alone as an HTTP check",
    pool: 'backends: [{ address: "10.0.0.1:81", healthPath: /x }]',
    expected: "pool/web@81/x http 81 /x",
  },
  { name: "not at all", pool: 'check: none, backends: ["10.0.0.1:81"]', expected: undefined },
]) {
  test(`a backend is checked ${name}`, (t) => {
    const snapshot = snapshotOf(compileFolder(writeBalancer(t, listening(`web: { ${pool} }`), CHECK_FILES)));
    const [target] = snapshot.health.targets;
    assert.ok(target?.kind === "address");
    const check = snapshot.health.checks.find((one) => one.name === target.check);
    const port = check && "port" in check ? check.port : "";
    const path = check && "path" in check ? ` ${check.path}` : "";
    assert.equal(check && `${check.name} ${check.kind} ${port}${path}`, expected);
  });
}

test("the timing of a check stays when a backend's path makes it an HTTP check", (t) => {
  const pool =
    'web: { check: { kind: tcp, interval: 7s, timeout: 4s }, backends: [{ address: "10.0.0.1:81", healthPath: /x }] }';
  const [check] = snapshotOf(compileFolder(writeBalancer(t, listening(pool)))).health.checks;
  assert.deepEqual([check?.intervalMs, check?.timeoutMs, check?.thresholds.up], [7_000, 4_000, 2]);
});

test("a script is told the port of the backend", (t) => {
  const files = { "health/mail.yaml": "kind: script\nfile: mail.sh\nargs: ['{address}', '{port}']\n" };
  const pools = 'web: { check: mail, backends: ["10.0.0.1:25", "10.0.0.1:26"] }';
  const folder = writeBalancer(t, listening(pools), files);
  copyFileSync(join(import.meta.dirname, "good/health/app.sh"), join(folder, "health/mail.sh"));
  const { health } = snapshotOf(compileFolder(folder));
  const scripts = health.checks.filter((check) => check.kind === "script" && check.name.includes("@"));
  assert.deepEqual(
    scripts.map((check) => [check.name, check.kind === "script" && check.args]),
    [
      ["mail@25", ["{address}", "25"]],
      ["mail@26", ["{address}", "26"]],
    ],
  );
});

test("a pool that is reached over UDP alone is not asked for TCP connections", (t) => {
  const udp =
    'region: here\nlisteners: { in: { listen: "127.0.0.1:53", protocol: udp, pool: web } }\npools:\n  web: { backends: ["10.0.0.1:53"] }';
  const result = compileFolder(writeBalancer(t, udp));
  assert.deepEqual(snapshotOf(result).health.checks, []);
  assert.equal(poolOf(snapshotOf(result), "web").check, undefined);
  assert.match(problemsOf(result).join("\n"), /over UDP alone and has no check/);
  const both = udp.replace("} }\n", '}, t: { listen: "127.0.0.1:53", protocol: tcp, pool: web } }\n');
  assert.equal(poolOf(snapshotOf(compileFolder(writeBalancer(t, both))), "web").check, "pool/web");
});

test("a region's check without a port has the standard one of its kind, and is refused where there is none", (t) => {
  const regions = "here: { at: [0, 0], v4: [192.0.2.1], check: CHECK }\n";
  const compileWith = (check: string) =>
    compileFolder(
      writeBalancer(t, listening("web: { check: own, backends: ['10.0.0.1:80'] }"), {
        ...CHECK_FILES,
        "health/open.yaml": "kind: tcp\n",
        "geo-data/regions.yaml": regions.replace("CHECK", check),
      }),
    );
  const { health } = snapshotOf(compileWith("secure"));
  const secure = health.checks.find(({ name }) => name === "secure");
  assert.ok(secure?.kind === "https");
  assert.equal(secure.port, 443);
  assert.match(
    problemsOf(compileWith("open")).join("\n"),
    /open\.yaml:1:7 kind: Region "here" uses this check, which says no port/,
  );
});

// ── names ────────────────────────────────────────────────────────────────────────────────────────────────────────

const at = (address: string, more: object = {}) => ({ address, ...more });
for (const { name, backends, names, expected, says } of [
  {
    name: "a host name is one backend for each of its addresses",
    backends: '[{ address: "Web.Internal:80", weight: 3 }]',
    names: { "web.internal": [at("10.0.0.1"), at("2001:db8::1")] },
    expected: ["10.0.0.1:80 web.internal weight 3 tier 0", "[2001:db8::1]:80 web.internal weight 3 tier 0"],
  },
  {
    name: "what is written out comes before what the DNS says of the same address",
    backends: '["web.internal:80", { address: "10.0.0.1:80", weight: 7 }, "www.internal:80"]',
    names: { "web.internal": [at("10.0.0.1"), at("10.0.0.2")], "www.internal": [at("10.0.0.2"), at("10.0.0.3")] },
    expected: [
      "10.0.0.2:80 web.internal weight 1 tier 0",
      "10.0.0.1:80 10.0.0.1 weight 7 tier 0",
      "10.0.0.3:80 www.internal weight 1 tier 0",
    ],
  },
  {
    name: "SRV records bring ports, weights and tiers",
    backends: "[{ srv: _http._tcp.web.internal, priority: 1 }]",
    names: {
      "_http._tcp.web.internal": [
        at("10.0.0.1", { port: 81, weight: 5, priority: 10 }),
        at("10.0.0.2", { port: 82, weight: 0, priority: 10 }),
        at("10.0.0.3", { port: 83, weight: 20, priority: 50 }),
      ],
    },
    expected: [
      "10.0.0.1:81 _http._tcp.web.internal weight 5 tier 1",
      "10.0.0.2:82 _http._tcp.web.internal weight 1 tier 1",
      "10.0.0.3:83 _http._tcp.web.internal weight 20 tier 2",
    ],
  },
  {
    name: "SRV weights beyond ours are scaled down together",
    backends: "[{ srv: _http._tcp.web.internal }]",
    names: {
      "_http._tcp.web.internal": [
        at("10.0.0.1", { port: 1, weight: 60_000 }),
        at("10.0.0.2", { port: 1, weight: 30_000 }),
      ],
    },
    expected: [
      "10.0.0.1:1 _http._tcp.web.internal weight 1000 tier 0",
      "10.0.0.2:1 _http._tcp.web.internal weight 500 tier 0",
    ],
  },
  {
    name: "an entry with the weight 0 takes its SRV records out",
    backends: "[{ srv: _http._tcp.web.internal, weight: 0 }]",
    names: { "_http._tcp.web.internal": [at("10.0.0.1", { port: 1, weight: 5 })] },
    expected: ["10.0.0.1:1 _http._tcp.web.internal weight 0 tier 0"],
  },
  {
    name: "a name without an answer is a warning",
    backends: '["web.internal:80", "10.0.0.1:80"]',
    names: {},
    expected: ["10.0.0.1:80 10.0.0.1 weight 1 tier 0"],
    says: /backends\[0\]: warning: There are no addresses of web\.internal yet/,
  },
] as readonly { name: string; backends: string; names: Names; expected: string[]; says?: RegExp }[]) {
  test(name, (t) => {
    const result = compileFolder(writeBalancer(t, listening(`web: { backends: ${backends} }`)), { names });
    const { backends: compiled } = poolOf(snapshotOf(result), "web");
    assert.deepEqual(
      compiled.map((one) => `${one.key} ${one.host} weight ${one.weight} tier ${one.priority}`),
      expected,
    );
    assert.match(problemsOf(result).join("\n"), says ?? /^(?!.*no addresses)/s);
    assert.ok("names" in result);
    assert.equal(result.names.length, backends.match(/web\.internal|www\.internal/gi)?.length);
  });
}

// ── ids and rows ─────────────────────────────────────────────────────────────────────────────────────────────────

test("ids of backends do not depend on what else there is, nor on its order, and grow where two would be the same", () => {
  const targets = Array.from({ length: 20_000 }, (_, index) => `backend/web/10.0.${index >> 8}.${index & 255}:80`);
  const ids = backendIds(targets);
  assert.equal(new Set(ids.values()).size, targets.length);
  const lengths = new Set([...ids.values()].map((id) => id.length - "backend-".length));
  assert.deepEqual([...lengths].sort(), [6, 8]);
  assert.deepEqual(new Map(backendIds(targets.toReversed())), ids);
  const [alone] = backendIds(["backend/web/10.0.0.1:80"]).values();
  assert.equal(alone, ids.get("backend/web/10.0.0.1:80"));
});

test("a backend keeps its row and its id when others come and go", (t) => {
  const context = testContext();
  const rowsWith = (backends: string) => {
    const result = compileFolder(writeBalancer(t, listening(`web: { backends: [${backends}] }`)), context);
    if ("commitTargets" in result) result.commitTargets();
    return new Map(poolOf(snapshotOf(result), "web").backends.map(({ key, id, target }) => [key, `${id} ${target}`]));
  };
  const before = rowsWith('"10.0.0.1:80", "10.0.0.2:80"');
  const after = rowsWith('"10.0.0.3:80", "10.0.0.2:80"');
  assert.equal(after.get("10.0.0.2:80"), before.get("10.0.0.2:80"));
  assert.equal(new Set([...before.values(), ...after.values()].map((one) => one.split(" ")[1])).size, 3);
});

test("backends that do not fit the health table are an error", (t) => {
  const folder = writeBalancer(t, listening('web: { backends: ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"] }'));
  const result = compileFolder(folder, { targets: createTargetRegistry(2) });
  assert.match(problemsOf(result).join("\n"), /No room for all backends of "web": the health table has 2 rows/);
});

// ── certificates and Redis ───────────────────────────────────────────────────────────────────────────────────────

const tlsListener = (cert: string, key: string): string =>
  listening('web: { backends: ["10.0.0.1:80"] }').replace(
    "protocol: tcp",
    `protocol: tls, certificates: [{ cert: ${cert}, key: "${key}" }]`,
  );

test("certificates of listeners are read, watched, and judged", (t) => {
  const good = makeCertificate(t, 30);
  const ended = makeCertificate(t, -1);
  const files = {
    "tls/cert.pem": good.cert,
    "tls/key.pem": good.key,
    "tls/other.pem": ended.key,
    "tls/ended.pem": ended.cert,
    "tls/empty.pem": "",
  };
  const nowMs = Date.now();
  const resultOf = (cert: string, key: string) =>
    compileFolder(writeBalancer(t, tlsListener(cert, key), files), { nowMs });
  const { certificates } = snapshotOf(resultOf("tls/cert.pem", "file:tls/key.pem")).balancer.listeners[0]!;
  assert.match(certificates[0]!.certFile, /^\/.*tls\/cert\.pem$/);
  assert.match(certificates[0]!.keyFile, /^\/.*tls\/key\.pem$/);
  for (const [cert, key, says] of [
    ["tls/gone.pem", "tls/key.pem", /certificates\[0\]\.cert: There is no file .*gone\.pem/],
    ["tls/empty.pem", "tls/key.pem", /certificates\[0\]\.cert: .*empty\.pem holds no certificate that can be used/],
    ["tls/cert.pem", "tls/empty.pem", /certificates\[0\]\.key: .*empty\.pem holds no private key that can be used/],
    ["tls/cert.pem", "tls/other.pem", /certificates\[0\]\.key: .*other\.pem is not the key of the certificate/],
    ["tls/ended.pem", "tls/other.pem", /certificates\[0\]\.cert: warning: The certificate ended on/],
  ] as const)
    assert.match(problemsOf(resultOf(cert, key)).join("\n"), says);

  const folder = writeBalancer(t, tlsListener("tls/cert.pem", "tls/key.pem"), files);
  const before = loadFrom(folder);
  assert.ok(before.watched.files.includes(join(folder, "tls/cert.pem")));
  assert.ok(before.secretFiles.includes(join(folder, "tls/key.pem")), "a backup leaves keys out");
  copyFileSync(join(folder, "tls/ended.pem"), join(folder, "tls/cert.pem"));
  assert.notEqual(loadFrom(folder).digest, before.digest);
});

for (const { redis, secret, expected } of [
  { redis: "redis://127.0.0.1:6379", expected: [] },
  { redis: "redis://localhost", expected: [] },
  { redis: "redis://[::1]:6379", expected: [] },
  { redis: "rediss://rhumb@redis.internal:6380", expected: [] },
  { redis: "env:REDIS", secret: "rediss://rhumb:secret@10.0.0.1", expected: [] },
  { redis: "redis://rhumb@10.0.0.1", expected: ["Redis at 10.0.0.1 would be reached without TLS"] },
  { redis: "rediss://10.0.0.1", expected: ["Redis at 10.0.0.1 would be used without a user"] },
  { redis: "rediss://rhumb:secret@10.0.0.1", expected: ["The URL holds a password"] },
  { redis: "http://127.0.0.1", expected: ["Must be a redis:// or rediss:// URL with a host, or a reference to one"] },
  { redis: "redis://", expected: ["Must be a redis:// or rediss:// URL with a host, or a reference to one"] },
  {
    redis: "env:REDIS",
    secret: "127.0.0.1:6379",
    expected: ["The secret is not a redis:// or rediss:// URL with a host"],
  },
  { redis: "env:REDIS", expected: ["Cannot resolve the secret: the environment variable REDIS is not set"] },
]) {
  test(`cluster.redis ${redis}${secret === undefined ? "" : ` (${secret})`}: ${expected[0] ?? "good"}`, (t) => {
    const section = `${listening('web: { sticky: { store: redis }, backends: ["10.0.0.1:80"] }')}`;
    const folder = writeBalancer(t, `${section}\n`);
    const text = `${loadFrom(folder).root.text}cluster: { redis: "${redis}" }\n`;
    const files = loadConfig(join(writeBalancer(t, "", { "rhumb.yaml": text }), "rhumb.yaml"), {
      env: { ...SECRETS, ...(secret === undefined ? {} : { REDIS: secret }) },
    });
    const result = compile(files, { ...testContext(), generation: { epoch: 1, sequence: 1 }, nowMs: NOW_MS });
    const says = ("problems" in result ? result.problems : result.warnings).map((problem) => problem.says);
    assert.deepEqual(says, expected);
    if ("snapshot" in result) assert.deepEqual(result.snapshot.balancer?.redis, redisOfUrl(secret ?? redis));
    assert.ok(!says.join().includes("secret@"), "a password is not repeated");
  });
}

// ── examples ─────────────────────────────────────────────────────────────────────────────────────────────────────

const examples = join(import.meta.dirname, "../../docs/examples");
for (const name of readdirSync(examples)) {
  test(`docs/examples/${name} is good, without a warning`, () => {
    const files = loadConfig(join(examples, name, "rhumb.yaml"), { env: {} });
    const result = compile(files, { ...testContext(), generation: { epoch: 1, sequence: 1 }, nowMs: NOW_MS });
    assert.deepEqual(("problems" in result ? result.problems : result.warnings).map(formatProblem), []);
    assert.ok("snapshot" in result && result.snapshot.balancer);
  });
}
