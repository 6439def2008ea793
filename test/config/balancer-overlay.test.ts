/** What the API changes of pools: the patch, where problems with it stand, the words for changes, and the export. */
import assert from "node:assert/strict";
import test from "node:test";
import { diffSnapshots } from "#config/diff.ts";
import { exportConfig } from "#config/export.ts";
import { backendKey, type Overlay, withBackend, withPool } from "#config/overlay.ts";
import { compileFiles, compileFolder, poolOf, problemsOf, snapshotOf, writeBalancer } from "./load-balancer.ts";
import { loadFrom } from "./load-good.ts";

const SECTION = `region: here
listeners:
  in: { listen: "127.0.0.1:80", protocol: tcp, pool: web }
  db: { listen: "127.0.0.1:81", protocol: tcp, pool: db }
  tls: { listen: "127.0.0.1:82", protocol: tls-passthrough, sni: { "*": web } }
pools:
  web:
    algorithm: round_robin
    sticky: { ttl: 10m }
    backends:
      - "10.0.0.1:80"
      - { address: "[2001:DB8::1]:80", weight: 3, zone: a }
      - { srv: _http._tcp.web.internal }
  db: { backends: ["10.0.1.1:5432"] }`;
const names = { "_http._tcp.web.internal": [{ address: "10.0.2.1", port: 80 }] };

const shown = (pool: ReturnType<typeof poolOf>) =>
  pool.backends.map((one) => `${one.key} weight ${one.weight}${one.isEnabled ? "" : " in maintenance"} ${one.origin}`);

for (const { name, pools, expected } of [
  {
    name: "changes one setting of a backend and keeps the others",
    pools: { web: { backends: { "[2001:db8::1]:80": { weight: 5 } } } },
    expected: ["10.0.0.1:80 weight 1 file", "[2001:db8::1]:80 weight 5 api", "10.0.2.1:80 weight 1 file"],
  },
  {
    name: "finds a backend however its address is written",
    pools: { web: { backends: { "[2001:0DB8:0::1]:80": { enabled: false } } } },
    expected: [
      "10.0.0.1:80 weight 1 file",
      "[2001:db8::1]:80 weight 3 in maintenance api",
      "10.0.2.1:80 weight 1 file",
    ],
  },
  {
    name: "changes a backend that the file gives as plain text",
    pools: { web: { backends: { "10.0.0.1:80": { weight: 2 } } } },
    expected: ["10.0.0.1:80 weight 2 api", "[2001:db8::1]:80 weight 3 file", "10.0.2.1:80 weight 1 file"],
  },
  {
    name: "adds a backend, and removes others",
    pools: { web: { backends: { "10.0.0.9:80": {}, "10.0.0.1:80": null, "_http._tcp.web.internal": null } } },
    expected: ["[2001:db8::1]:80 weight 3 file", "10.0.0.9:80 weight 1 api"],
  },
  {
    name: "removes what is not there without a word",
    pools: { web: { backends: { "10.9.9.9:80": null } } },
    expected: ["10.0.0.1:80 weight 1 file", "[2001:db8::1]:80 weight 3 file", "10.0.2.1:80 weight 1 file"],
  },
  {
    name: "changes SRV records by their name",
    pools: { web: { backends: { "_http._tcp.web.internal": { enabled: false } } } },
    expected: [
      "10.0.0.1:80 weight 1 file",
      "[2001:db8::1]:80 weight 3 file",
      "10.0.2.1:80 weight 1 in maintenance api",
    ],
  },
  {
    name: "replaces all backends by a list",
    pools: { web: { backends: ["10.0.0.7:80"] } },
    expected: ["10.0.0.7:80 weight 1 api"],
  },
]) {
  test(`the overlay ${name}`, (t) => {
    const folder = writeBalancer(t, SECTION);
    const result = compileFolder(folder, { overlay: { pools } as Overlay, names });
    assert.deepEqual(shown(poolOf(snapshotOf(result), "web")), expected);
  });
}

test("the overlay changes settings of a pool, takes them away, and adds pools", (t) => {
  const overlay: Overlay = {
    pools: {
      web: { algorithm: "maglev", sticky: null },
      db: null,
      other: { backends: { "10.0.3.1:80": { weight: 2 } } },
    },
  };
  const folder = writeBalancer(t, SECTION.replace(/\n {2}db: \{ listen.*/, ""));
  const { balancer } = snapshotOf(compileFolder(folder, { overlay, names }));
  assert.deepEqual(
    balancer.pools.map((pool) => [pool.name, pool.algorithm, pool.sticky, pool.backends.length]),
    [
      ["web", "maglev", undefined, 3],
      ["other", "p2c", undefined, 1],
    ],
  );
});

for (const { name, pools, expected } of [
  {
    name: "a wrong setting stands at the API's place",
    pools: { web: { algorithm: "maglv" } },
    expected: /^\(api\) pools:1:1 balancer\.pools\.web\.algorithm: Must be one of .*Did you mean `maglev`/m,
  },
  {
    name: "a wrong setting of a backend as well",
    pools: { web: { backends: { "10.0.0.1:80": { weight: -1 } } } },
    expected: /^\(api\) pools:1:1 balancer\.pools\.web\.backends\[0\]\.weight: Must be a whole number/m,
  },
  {
    name: "an address that is none as well",
    pools: { web: { backends: { "10.0.0.1": {} } } },
    expected:
      /^\(api\) pools:1:1 balancer\.pools\.web\.backends\[3\]\.address: Must be address:port; is "10\.0\.0\.1"/m,
  },
  {
    name: "a backend that is none as well",
    pools: { web: { backends: { "10.0.0.9:80": 5 } } },
    expected:
      /^\(api\) pools:1:1 balancer\.pools\.web\.backends\[3\]: Must be address:port, or a map .*is the number 5/m,
  },
  {
    name: "a pool that is none as well",
    pools: { web: 5 },
    expected: /^\(api\) pools:1:1 balancer\.pools\.web: Must be a map; is the number 5/m,
  },
  {
    name: "what the file says keeps its line, also when entries before it are gone",
    pools: { broken: { backends: { "10.0.0.1:80": null } } },
    expected: /rhumb\.yaml:18:41 balancer\.pools\.broken\.backends\[0\]: Must be address:port; is "nonsense"/m,
  },
  {
    name: "a listener whose pool is removed says so at its own line",
    pools: { db: null },
    expected: /rhumb\.yaml:7:\d+ balancer\.listeners\.db\.pool: There is no pool "db"/m,
  },
  {
    name: "a script cannot be named",
    pools: { web: { check: { kind: "script", file: "app.sh" } } },
    expected: /^\(api\) pools:1:1 balancer\.pools\.web\.check\.kind: A script check cannot stand inside of a pool/m,
  },
]) {
  test(`problems with the overlay: ${name}`, (t) => {
    const section = `${SECTION}\n  broken: { backends: ["10.0.0.1:80", nonsense] }`;
    const file = name.startsWith("what the file") ? section : SECTION;
    const result = compileFolder(writeBalancer(t, file), { overlay: { pools } as Overlay, names });
    assert.ok("problems" in result);
    assert.match(problemsOf(result).join("\n"), expected);
  });
}

test("pools cannot be changed where there is no balancer", (t) => {
  const folder = writeBalancer(t, "", {
    "rhumb.yaml": "version: 1\nnode: ns1\ncontrol: { listen: 'unix:run/s' }\n",
  });
  const problems = problemsOf(compileFolder(folder, { overlay: { pools: { web: {} } } }));
  assert.deepEqual(problems, [
    "(api) pools:1:1: This node has no balancer, so that there are no pools to change (Send it to the balancer's own API)",
  ]);
});

const KEY = "10.0.0.7:80";
const replaced: Overlay = { pools: { web: { drain: "9s", backends: [KEY, { address: "10.0.0.8:80", zone: "a" }] } } };
for (const { name, overlay, expected } of [
  {
    name: "adds one",
    overlay: withBackend(replaced, "web", "10.0.0.9:80", { weight: 4 }),
    expected: ["10.0.0.7:80 weight 1 api", "10.0.0.8:80 weight 1 api", "10.0.0.9:80 weight 4 api"],
  },
  {
    name: "changes one",
    overlay: withBackend(replaced, "web", KEY, { weight: 4, zone: null }),
    expected: ["10.0.0.7:80 weight 4 api", "10.0.0.8:80 weight 1 api"],
  },
  {
    name: "removes one that the file has not",
    overlay: withBackend(replaced, "web", KEY, undefined),
    expected: ["10.0.0.8:80 weight 1 api"],
  },
  {
    name: "removes one that the file has as well",
    overlay: withBackend(replaced, "web", KEY, null),
    expected: ["10.0.0.8:80 weight 1 api"],
  },
  {
    name: "changes several by one change of the pool",
    overlay: withPool(replaced, "web", { backends: { [KEY]: { weight: 2 }, "10.0.0.8:80": null, "10.0.0.9:80": {} } }),
    expected: ["10.0.0.7:80 weight 2 api", "10.0.0.9:80 weight 1 api"],
  },
])
  test(`where the overlay replaced all backends by a list, one more change ${name} and keeps the others`, (t) => {
    const pool = poolOf(snapshotOf(compileFolder(writeBalancer(t, SECTION), { overlay, names })), "web");
    assert.deepEqual(shown(pool), expected);
    assert.equal(pool.drainMs, 9_000);
  });

test("a change of a backend adds to what the overlay said of it in another spelling", () => {
  const stored: Overlay = { pools: { web: { backends: { "[2001:DB8::1]:80": { zone: "b" }, [KEY]: {} } } } };
  assert.deepEqual(withBackend(stored, "web", "[2001:db8::1]:80", { weight: 2 }), {
    pools: { web: { backends: { [KEY]: {}, "[2001:db8::1]:80": { zone: "b", weight: 2 } } } },
  });
});

test("keys of backends are canonical where they can be read", () => {
  for (const [text, key] of [
    ["10.0.0.1:80", "10.0.0.1:80"],
    ["[2001:DB8:0:0::1]:80", "[2001:db8::1]:80"],
    ["Web.Internal.:80", "web.internal:80"],
    ["_HTTP._tcp.web.internal", "_http._tcp.web.internal"],
    ["Nonsense", "nonsense"],
  ] as const)
    assert.equal(backendKey(text), key);
});

for (const { name, from, to, expected } of [
  {
    name: "backends",
    from: '- "10.0.0.1:80"',
    to: '- { address: "10.0.0.1:80", weight: 5, enabled: false }\n      - "10.0.0.2:81"',
    expected: [
      "pool web: backend 10.0.0.1:80: weight 1 to 5",
      "pool web: backend 10.0.0.1:80: in maintenance",
      "pool web: backend 10.0.0.2:81 added",
    ],
  },
  {
    name: "other settings of a backend",
    from: "zone: a",
    to: "zone: b, maxConnections: 5",
    expected: ["pool web: backend [2001:db8::1]:80 changed: maxConnections, zone"],
  },
  {
    name: "a backend that goes",
    from: '      - "10.0.0.1:80"\n',
    to: "",
    expected: ["pool web: backend 10.0.0.1:80 removed"],
  },
  {
    name: "the algorithm and other settings of a pool",
    from: "algorithm: round_robin",
    to: "algorithm: maglev\n    drain: 5s",
    expected: ["pool web: algorithm round_robin to maglev", "pool web changed: drainMs"],
  },
  {
    name: "a pool before others, without a word of those",
    from: "pools:\n",
    to: 'pools:\n  a: { check: none, backends: ["10.0.9.1:80"] }\n',
    expected: ["pool a added"],
  },
  {
    name: "listeners",
    from: '  in: { listen: "127.0.0.1:80", protocol: tcp, pool: web }',
    to: '  new: { listen: "127.0.0.1:83", protocol: tcp, pool: web }',
    expected: ["listener new added", "listener in removed"],
  },
  {
    name: "a listener",
    from: "protocol: tcp, pool: db",
    to: "protocol: tcp, pool: web, timeouts: { idle: 1h }",
    expected: ["listener db changed: pool, timeouts"],
  },
  {
    name: "the timing of a check",
    from: 'backends: ["10.0.1.1:5432"]',
    to: 'backends: ["10.0.1.1:5432"], check: { kind: tcp, interval: 9s }',
    expected: ["check pool/db@5432 changed: intervalMs"],
  },
  {
    name: "what takes a restart",
    from: "region: here",
    to: "region: here\nworkers: 7\nengine: net\nnft: { table: other, masquerade: true }",
    expected: [
      "balancer.nft changed",
      "balancer.workers changed: takes effect after a restart",
      "balancer.engine changed: takes effect after a restart",
      "balancer.nft.table changed: takes effect after a restart",
    ],
  },
  { name: "nothing", from: "region: here", to: "region: here # a comment", expected: [] },
]) {
  test(`diffSnapshots() tells of ${name}`, (t) => {
    assert.ok(SECTION.includes(from));
    const before = snapshotOf(compileFolder(writeBalancer(t, SECTION), { names }));
    const after = snapshotOf(compileFolder(writeBalancer(t, SECTION.replace(from, to)), { names }));
    assert.deepEqual(diffSnapshots(before, after), expected);
  });
}

test("what is exported, put back into the file, balances as files and overlay did", (t) => {
  const overlay: Overlay = {
    pools: {
      web: {
        algorithm: "maglev",
        sticky: null,
        backends: { "[2001:db8::1]:80": { weight: 5 }, "10.0.0.1:80": null, "10.0.0.9:80": { backup: true } },
      },
      db: { backends: ["10.0.1.2:5432"] },
      other: { backends: { "10.0.3.1:80": {} } },
    },
  };
  const files = loadFrom(writeBalancer(t, SECTION));
  const before = snapshotOf(compileFiles(files, { overlay, names }));
  const text = exportConfig(files, overlay).split("---\n")[0]!;
  const after = snapshotOf(compileFolder(writeBalancer(t, "", { "rhumb.yaml": text }), { names }));
  assert.deepEqual(diffSnapshots(before, after), []);
  assert.match(text, /# removed by the API: sticky of pool web, backend web\/10\.0\.0\.1:80\n/);
  const marked = [...text.matchAll(/# origin: api\n\s*(.*)/g)].map((match) => match[1]);
  assert.deepEqual(marked, [
    "algorithm: maglev",
    '- address: "[2001:DB8::1]:80"',
    "- address: 10.0.0.9:80",
    "backends:",
    "other:",
  ]);
});
