/** The published contract of backends and algorithm, route by route: statuses, defaults, and what is refused. */
import assert from "node:assert/strict";
import test from "node:test";
import type { InjectOptions } from "fastify";
import { type Call, createFakeBalancer } from "./fake-balancer.ts";
import { bearer, createWorld } from "./fake-world.ts";

const worldOf = (pools?: readonly string[]) => {
  const calls: Call[] = [];
  const world = createWorld({ balancer: createFakeBalancer(calls, pools) });
  const ask = (request: InjectOptions) => world.api.inject({ headers: bearer("admin"), ...request });
  return { ...world, calls, ask };
};
const post = (payload: object): InjectOptions => ({ method: "POST", url: "/backends", payload });
const algorithm = (payload: object): InjectOptions => ({ method: "PUT", url: "/config/algorithm", payload });

test("POST /backends answers 201 with status unknown, a location, and fills in the defaults", async () => {
  const { ask, calls } = worldOf();
  const response = await ask(post({ address: "10.0.0.2", port: 80 }));
  assert.equal(response.statusCode, 201);
  assert.equal(response.json().status, "unknown");
  assert.match(response.json().backend_id, /^backend-[0-9a-f]{6}$/);
  assert.equal(response.headers.location, "/backends/backend-d4e5f6");
  assert.equal(response.headers.etag, '"1.3"');
  assert.deepEqual(calls[0]?.input, {
    address: "10.0.0.2",
    port: 80,
    weight: 1,
    max_connections: 0,
    backup: false,
    enabled: true,
    pool: "web",
  });
});

for (const { name, request, status, says, pools } of [
  { name: "an address that is none", request: post({ address: "10.0.0.300", port: 80 }), status: 400, says: /address/ },
  { name: "a host name with a blank", request: post({ address: "a b", port: 80 }), status: 400, says: /address/ },
  { name: "port 0", request: post({ address: "10.0.0.2", port: 0 }), status: 400, says: /port/ },
  { name: "port 65536", request: post({ address: "10.0.0.2", port: 65_536 }), status: 400, says: /port/ },
  { name: "a port as text", request: post({ address: "10.0.0.2", port: "80" }), status: 400, says: /port/ },
  { name: "no address", request: post({ port: 80 }), status: 400, says: /address/ },
  { name: "an unknown key", request: post({ address: "10.0.0.2", port: 80, wait: 1 }), status: 400, says: /wait/ },
  { name: "the same again", request: post({ address: "10.0.0.1", port: 8080 }), status: 409, says: /already/ },
  {
    name: "no pool of several",
    request: post({ address: "10.0.0.2", port: 80 }),
    status: 400,
    says: /web, db/,
    pools: ["web", "db"],
  },
  {
    name: "a pool that is none",
    request: post({ address: "10.0.0.2", port: 80, pool: "x" }),
    status: 400,
    says: /no pool x/,
  },
  {
    name: "no such backend to remove",
    request: { method: "DELETE", url: "/backends/backend-000000" } as const,
    status: 404,
    says: /backend-000000/,
  },
  {
    name: "no such backend's health",
    request: { url: "/backends/backend-000000/health" },
    status: 404,
    says: /backend-000000/,
  },
  { name: "an unknown algorithm", request: algorithm({ algorithm: "best" }), status: 400, says: /algorithm/ },
  {
    name: "a TTL of nothing",
    request: algorithm({ algorithm: "random", sticky_sessions: true, sticky_ttl_seconds: 0 }),
    status: 400,
    says: /sticky_ttl_seconds/,
  },
  {
    name: "a TTL with a fraction",
    request: algorithm({ algorithm: "random", sticky_ttl_seconds: 1.5 }),
    status: 400,
    says: /sticky_ttl_seconds/,
  },
  {
    name: "an If-Match without quotes",
    request: { method: "DELETE", url: "/backends/backend-a1b2c3", headers: { "if-match": "1.3" } } as const,
    status: 400,
    says: /If-Match/,
  },
  {
    name: "an If-Match of before",
    request: { method: "DELETE", url: "/backends/backend-a1b2c3", headers: { "if-match": '"1.2"' } } as const,
    status: 412,
    says: /has changed/,
  },
]) {
  test(`${name} is refused with ${status}`, async () => {
    const { api } = worldOf(pools);
    const headers = { ...bearer("admin"), ...(request.headers as Record<string, string> | undefined) };
    const response = await api.inject({ ...request, headers });
    assert.equal(response.statusCode, status, response.body);
    assert.match(response.json().title, says);
  });
}

test("DELETE answers 200 with the connections in progress", async () => {
  const { ask } = worldOf();
  const response = await ask({ method: "DELETE", url: "/backends/backend-a1b2c3" });
  assert.equal(response.statusCode, 200);
  assert.deepEqual(response.json(), { backend_id: "backend-a1b2c3", drained_connections: 3 });
});

test("an If-Match that still holds is handed on, and `*` asks for nothing", async () => {
  for (const [tag, version] of [
    ['"1.3"', "1.3"],
    ["*", undefined],
  ] as const) {
    const { api, calls } = worldOf();
    const headers = { ...bearer("admin"), "if-match": tag };
    const request = { method: "PATCH", url: "/backends/backend-a1b2c3", payload: { weight: 5 }, headers } as const;
    assert.equal((await api.inject(request)).statusCode, 200);
    assert.equal(calls[0]?.version, version);
  }
});

test("PUT /config/algorithm takes the five names of the contract and all others, sticky off and 3600 s by default", async () => {
  const names = ["round_robin", "weighted_round_robin", "least_connections", "ip_hash", "random", "maglev"];
  for (const name of names) {
    const { ask, calls } = worldOf();
    const response = await ask(algorithm({ algorithm: name }));
    assert.equal(response.statusCode, 200);
    assert.equal(response.json().algorithm, name);
    const input = { algorithm: name, sticky_sessions: false, sticky_ttl_seconds: 3_600, pool: "web" };
    assert.deepEqual(calls[0]?.input, input);
  }
});

test("a node without the role says so", async () => {
  const { api } = createWorld({ balancer: undefined });
  const response = await api.inject({ url: "/backends", headers: bearer("read") });
  assert.equal(response.statusCode, 404);
  assert.match(response.json().title, /no `balancer:`/);
});
