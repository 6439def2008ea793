/** `anycast:` of rhumb.yaml: its defaults, and what they find of the node's own roles. */
import assert from "node:assert/strict";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { compile } from "#config/compile.ts";
import { loadConfig } from "#config/load.ts";
import { folderWith } from "../system/tools.ts";
import { NOW_MS, testContext } from "./load-good.ts";

const BALANCER = `balancer:
  region: here
  listeners:
    ntp: { listen: "203.0.113.1:123", protocol: udp, pool: web }
    other: { listen: "192.0.2.9:80", protocol: tcp, pool: web }
    web: { listen: "203.0.113.1:80", protocol: http, pool: web }
  pools: { web: { backends: ["10.0.0.1:80"] } }`;
const DNS = 'dns: { listen: ["203.0.113.1:53"] }';
const ZONE = "@ 60 SOA ns1 host 1 1 1 1 1\n@ 60 NS ns1\nns1 60 A 203.0.113.1\n";

function compileWith(context: TestContext, roles: string, anycast: string) {
  const folder = folderWith(context, {
    "rhumb.yaml": `version: 1\nnode: lb1\ncontrol: { listen: "unix:run/api.sock" }\n${roles}\nanycast: ${anycast}\n`,
    "zones/a.example.zone": ZONE,
    "zones/services.yaml": "{}\n",
    "geo-data/regions.yaml": "{}\n",
  });
  const files = loadConfig(join(folder, "rhumb.yaml"), { env: {} });
  const result = compile(files, { ...testContext(), generation: { epoch: 1, sequence: 1 }, nowMs: NOW_MS });
  const says = ("problems" in result ? result.problems : result.warnings).map((problem) => problem.says);
  return { says, anycast: "snapshot" in result ? result.snapshot.anycast : undefined };
}

const PREFIXES = "prefixes: [{ prefix: 203.0.113.1/32 }]";

test("anycast: fills in its defaults", (t) => {
  const { anycast } = compileWith(t, BALANCER, `{ ${PREFIXES} }`);
  assert.deepEqual(anycast, {
    exabgp: {
      in: "/run/exabgp/exabgp.in",
      out: "/run/exabgp/exabgp.out",
      heartbeatPath: "/run/exabgp/rhumb.heartbeat",
      heartbeatMs: 200,
    },
    prefixes: [
      {
        prefix: "203.0.113.1/32",
        nextHop: "self",
        med: undefined,
        prepend: 0,
        communities: [],
        largeCommunities: [],
        minAdvertisers: 1,
      },
    ],
    selfCheck: {
      kind: "http",
      address: "203.0.113.1",
      port: 80,
      path: "/",
      intervalMs: 500,
      timeoutMs: 1_000,
      downMs: 3_000,
      upMs: 1_000,
    },
    drain: { prepend: 3, waitMs: 5_000 },
    holdDown: { baseMs: 10_000, halfLifeMs: 900_000, capMs: 3_600_000 },
  });
});

for (const { name, roles, anycast, check } of [
  {
    name: "asks the DNS socket for the first zone",
    roles: DNS,
    anycast: `{ ${PREFIXES} }`,
    check: { kind: "dns", address: "203.0.113.1", port: 53, path: "a.example." },
  },
  {
    name: "takes a socket that speaks the kind that is named",
    roles: BALANCER,
    anycast: `{ ${PREFIXES}, selfCheck: { kind: tcp } }`,
    check: { kind: "tcp", address: "192.0.2.9", port: 80, path: "" },
  },
  {
    name: "takes the kind from the socket that is named",
    roles: `${DNS}\n${BALANCER}`,
    anycast: `{ ${PREFIXES}, selfCheck: { listen: "203.0.113.1:80", path: /ready } }`,
    check: { kind: "http", address: "203.0.113.1", port: 80, path: "/ready" },
  },
  {
    name: "asks a socket that listens everywhere where it is nearest",
    roles: 'dns: { listen: ["[::]:53"] }',
    anycast: `{ ${PREFIXES} }`,
    check: { kind: "dns", address: "::1", port: 53, path: "a.example." },
  },
])
  test(`anycast.selfCheck ${name}`, (t) => {
    const { says, anycast: spec } = compileWith(t, roles, anycast);
    assert.ok(spec, says.join("\n"));
    const { kind, address, port, path } = spec.selfCheck;
    assert.deepEqual({ kind, address, port, path }, check);
  });

test("anycast: sends well-known communities as numbers", (t) => {
  const { anycast } = compileWith(
    t,
    BALANCER,
    "{ prefixes: [{ prefix: 203.0.113.1/32, communities: [no-export, '1:2'] }] }",
  );
  assert.deepEqual(anycast?.prefixes[0]?.communities, ["65535:65281", "1:2"]);
});

test("anycast: warns where nobody listens on what is announced", (t) => {
  const { says } = compileWith(t, BALANCER, "{ prefixes: [{ prefix: 198.51.100.1/32 }] }");
  assert.match(says.join("\n"), /No listener of this node is within the prefixes/);
});
