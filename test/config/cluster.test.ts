/** `cluster:` of rhumb.yaml: the forms of Redis, the nodes, and what is refused. */
import assert from "node:assert/strict";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { compile } from "#config/compile.ts";
import { loadConfig } from "#config/load.ts";
import type { RedisSpec } from "#state/cluster.ts";
import { folderWith } from "../system/tools.ts";
import { NOW_MS, testContext } from "./load-good.ts";

const KEYS = ["A", "B", "C"].map((letter) => `ed25519:${letter.repeat(43)}=`);
const TWO = `nodes: { ns1: { key: "${KEYS[0]}" }, ns2: { key: "${KEYS[1]}" } }`;

function compileWith(context: TestContext, cluster: string, more = "") {
  const folder = folderWith(context, {
    "rhumb.yaml": `version: 1\nnode: ns1\ncontrol: { listen: "unix:run/api.sock"${more} }\ncluster: { ${cluster} }\n`,
    "ca.pem": "authority",
    peer: "a token of sixteen characters",
  });
  const files = loadConfig(join(folder, "rhumb.yaml"), { env: { PASSWORD: "s3cret" } });
  const result = compile(files, { ...testContext(), generation: { epoch: 1, sequence: 1 }, nowMs: NOW_MS });
  const says = ("problems" in result ? result.problems : result.warnings).map((problem) => problem.says);
  return { folder, says, cluster: "snapshot" in result ? result.snapshot.cluster : undefined };
}

const SINGLE: RedisSpec = {
  mode: "single",
  hosts: [{ host: "127.0.0.1", port: 6_379 }],
  name: undefined,
  user: undefined,
  password: undefined,
  sentinelUser: undefined,
  sentinelPassword: undefined,
  database: 0,
  tls: undefined,
};
const TLS = { caFile: undefined, certFile: undefined, keyFile: undefined, serverName: undefined };

for (const [redis, expected] of [
  ['"redis://127.0.0.1"', SINGLE],
  ['"redis://rhumb@[::1]:6380/3"', { ...SINGLE, hosts: [{ host: "::1", port: 6_380 }], user: "rhumb", database: 3 }],
  ['"rediss://rhumb@r.example"', { ...SINGLE, hosts: [{ host: "r.example", port: 6_379 }], user: "rhumb", tls: TLS }],
  ['{ server: "localhost:6379" }', { ...SINGLE, hosts: [{ host: "localhost", port: 6_379 }] }],
  [
    '{ sentinels: ["10.0.0.1:26379", "[2001:db8::1]:26379"], name: shared, user: rhumb, password: env:PASSWORD, sentinelUser: watch, sentinelPassword: env:PASSWORD, tls: true }',
    {
      ...SINGLE,
      mode: "sentinel",
      hosts: [
        { host: "10.0.0.1", port: 26_379 },
        { host: "2001:db8::1", port: 26_379 },
      ],
      name: "shared",
      user: "rhumb",
      password: "s3cret",
      sentinelUser: "watch",
      sentinelPassword: "s3cret",
      tls: TLS,
    },
  ],
  [
    '{ nodes: ["r1.example:6379"], user: rhumb, password: env:PASSWORD, tls: { ca: ca.pem, serverName: redis.example } }',
    {
      ...SINGLE,
      mode: "cluster",
      hosts: [{ host: "r1.example", port: 6_379 }],
      user: "rhumb",
      password: "s3cret",
      tls: { ...TLS, caFile: "ca.pem", serverName: "redis.example" },
    },
  ],
] as const) {
  test(`redis: ${redis}`, (context) => {
    const { folder, says, cluster } = compileWith(context, `redis: ${redis}, ${TWO}`);
    assert.deepEqual(says, []);
    const inFolder = expected.tls?.caFile
      ? { ...expected, tls: { ...expected.tls, caFile: join(folder, expected.tls.caFile) } }
      : expected;
    assert.deepEqual(cluster?.redis, inFolder);
  });
}

for (const [redis, expected] of [
  ["{ user: rhumb }", "Nothing says where Redis is"],
  ['{ server: "localhost:1", nodes: ["localhost:2"] }', "server and nodes say in different ways where Redis is"],
  ['{ sentinels: ["localhost:1"] }', "`sentinels` and `name` go together"],
  ['{ nodes: ["localhost:1"], database: 2 }', "A Redis Cluster has database 0 alone"],
  ['{ server: "localhost" }', 'Must be host:port; is "localhost"'],
  ['{ server: "localhost:99999" }', 'Must be host:port; is "localhost:99999"'],
  ['{ server: "localhost:1", password: hunter2 }', "Must be a reference to a secret, not the secret itself"],
  ['{ server: "localhost:1", tls: { ca: none.pem } }', "There is no file none.pem"],
  ['{ server: "r.example:1", user: rhumb }', "Redis at r.example would be reached without TLS"],
  ['{ server: "r.example:1", tls: true }', "Redis at r.example would be used without a user"],
  [
    '{ server: "localhost:1", password: env:NOTHING }',
    "Cannot resolve the secret: the environment variable NOTHING is not set",
  ],
] as const) {
  test(`redis: ${redis} is refused`, (context) => {
    const { says } = compileWith(context, `redis: ${redis}, ${TWO}`);
    assert.deepEqual(
      says.map((one) => one.replace(/\/tmp\S*\//, "")),
      [expected],
    );
  });
}

test("a Redis that nobody uses is told", (context) => {
  const { says } = compileWith(context, 'redis: "redis://127.0.0.1"');
  assert.match(says.join(), /^Nothing uses Redis/);
});

test("nodes without Redis reach each other by control.peers of the same names", (context) => {
  const peers =
    ', peers: { ns2: { url: "https://ns2.example:8053", token: "file:peer" }, other: { url: "https://o.example", token: "file:peer" } }';
  const { says, cluster } = compileWith(context, TWO, peers);
  assert.deepEqual(says, []);
  assert.deepEqual(
    cluster?.peers.map(({ name, url }) => [name, url]),
    [["ns2", "https://ns2.example:8053"]],
  );
  assert.deepEqual(cluster?.nodes, [
    { name: "ns1", key: KEYS[0] },
    { name: "ns2", key: KEYS[1] },
  ]);
});

for (const [nodes, expected] of [
  [TWO, "Without Redis, nothing says how to reach ns2"],
  [
    `nodes: { ns2: { key: "${KEYS[1]}" } }, redis: "redis://localhost"`,
    "This node, ns1, is not among them: the others would refuse what it shares",
  ],
  [
    `nodes: { ns1: { key: "${KEYS[0]}" }, ns2: { key: "${KEYS[0]}" } }, redis: "redis://localhost"`,
    "The key is the same as that of ns1: either could write in the other's name",
  ],
  ['nodes: { ns1: { key: "ssh-ed25519 AAAA" } }', 'Must be a node\'s public key; is "ssh-ed25519 AAAA"'],
] as const) {
  test(`${expected}`, (context) => {
    assert.deepEqual(compileWith(context, nodes).says, [expected]);
  });
}
