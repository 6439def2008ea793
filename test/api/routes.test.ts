/** Every route through inject: who may, what it answers, what it refuses, and that OpenAPI says the same. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import type { InjectOptions } from "fastify";
import type { z } from "zod";
import type { Route } from "#api/route.ts";
import type { PushRequest } from "#api/views.ts";
import { UNTIL_CLEARED_MS } from "#state/snapshot.ts";
import { bearer, createWorld, TOKENS } from "./fake-world.ts";

const RANK = { public: 0, read: 1, operate: 2, admin: 3 } as const;
/** A request that each route accepts. */
const SAMPLES: Record<string, { url?: string; body?: object }> = {
  "GET /regions/:id": { url: "/regions/eu-west" },
  "GET /services/:name": { url: "/services/www" },
  "GET /services/:name/classes": { url: "/services/www/classes?top=5" },
  "GET /explain": { url: "/explain?name=www.demo.example&from=198.51.100.0/24" },
  "POST /overrides": { body: { target: "eu-west", verb: "down", reason: "test" } },
  "DELETE /overrides/:id": { url: "/overrides/o1" },
  "POST /regions/:id/failback": { url: "/regions/eu-west/failback" },
  "PUT /config": { body: { dns: { workers: 2 } } },
  "GET /config/diff": { url: "/config/diff?from=disk" },
  "POST /config/rollback": { body: { reason: "test" } },
  "POST /config/resolve": { body: { take: "1.5.ns1" } },
  "PUT /latency": { body: { entries: [{ network: "198.51.100.0/24", rttMs: { "eu-west": 12 } }] } },
  "POST /anycast/withdraw": { body: { reason: "test" } },
  "POST /regions/:id/evacuate": { url: "/regions/eu-west/evacuate", body: { reason: "test" } },
  "POST /regions/:id/resume": { url: "/regions/eu-west/resume", body: { force: false } },
  "GET /evacuations/:id": { url: "/evacuations/eu-west" },
  "POST /drain": { body: { reason: "test" } },
  "POST /geo/reload": { body: { force: true } },
  "POST /probe": { body: { address: "192.0.2.1", name: "demo.example" } },
  "POST /notify/test": { body: {} },
  "POST /records": { body: { copies: [], signals: [], kinds: [], digest: {}, sums: {} } },
  "POST /reports": { body: { report: "rhumb1 …" } },
  "POST /demo/:region/kill": { url: "/demo/eu-west/kill" },
  "POST /demo/:region/heal": { url: "/demo/eu-west/heal" },
  "POST /backends": { body: { address: "10.0.0.2", port: 80 } },
  "GET /backends/:id": { url: "/backends/backend-a1b2c3" },
  "PATCH /backends/:id": { url: "/backends/backend-a1b2c3", body: { weight: 2 } },
  "DELETE /backends/:id": { url: "/backends/backend-a1b2c3" },
  "GET /backends/:id/health": { url: "/backends/backend-a1b2c3/health" },
  "PUT /backends/:id/state": { url: "/backends/backend-a1b2c3/state", body: { state: "drain" } },
  "PUT /config/algorithm": { body: { algorithm: "maglev" } },
  "GET /pools/:name": { url: "/pools/web" },
  "PUT /pools/:name": { url: "/pools/web", body: { algorithm: "maglev" } },
  "DELETE /pools/:name": { url: "/pools/web" },
  "POST /cache/purge": { body: { tag: "news" } },
  "POST /session": { body: { token: TOKENS.read } },
};

function requestFor(route: Route, headers: Record<string, string>): InjectOptions {
  const sample = SAMPLES[`${route.method} ${route.url}`] ?? {};
  const accept = route.url === "/events" ? { accept: "application/json" } : {};
  return {
    method: route.method,
    url: sample.url ?? route.url,
    headers: { ...headers, ...accept },
    ...(sample.body ? { payload: sample.body } : {}),
  };
}

test("every route answers each role as its table row says", async () => {
  const { api, commands } = createWorld();
  for (const route of api.routes) {
    await commands.setOverride(
      { target: "x", verb: "up", reason: "r", owner: "o", untilMs: 1, weightPercent: 0, force: false },
      {} as never,
    );
    for (const role of ["none", "read", "operate", "admin"] as const) {
      const label = `${role} on ${route.method} ${route.url}`;
      const response = await api.inject(requestFor(route, role === "none" ? {} : bearer(role)));
      if (role === "none" && route.role !== "public") {
        assert.equal(response.statusCode, 401, label);
        assert.match(String(response.headers["www-authenticate"]), /^Bearer/, label);
      } else if (role !== "none" && RANK[role] < RANK[route.role]) assert.equal(response.statusCode, 403, label);
      else {
        const isSession = role !== "none" && route.url === "/overrides/:id";
        if (isSession && response.statusCode === 404) continue; // cleared by the role before
        assert.equal(response.statusCode, route.status, `${label}: ${response.body}`);
      }
      if (response.statusCode >= 400) {
        assert.match(String(response.headers["content-type"]), /^application\/problem\+json/, label);
        const problem = response.json();
        assert.equal(problem.status, response.statusCode);
        assert.ok(problem.code && problem.fix && problem.title && problem.type && problem.instance, label);
      }
    }
  }
});

test("without a token only the probes and the dashboard's login answer (ruling 20)", () => {
  const { api } = createWorld();
  const open = api.routes.filter(({ role }) => role === "public").map(({ method, url }) => `${method} ${url}`);
  assert.deepEqual(open.sort(), ["GET /", "GET /healthz", "GET /readyz", "POST /session"]);
});

test("what a route answers has the shape that it declares", async () => {
  const { api, commands } = createWorld();
  await commands.setOverride(
    { target: "x", verb: "up", reason: "r", owner: "o", untilMs: 1, weightPercent: 0, force: false },
    {} as never,
  );
  for (const route of api.routes) {
    if (!route.response || typeof route.response === "string") continue;
    const response = await api.inject(requestFor(route, bearer("admin")));
    const result = (route.response as z.ZodType).safeParse(response.json());
    assert.ok(result.success, `${route.method} ${route.url}: ${result.error?.message}`);
  }
});

test("docs/openapi.json is what the server serves (RHUMB_WRITE_DOCS=1 writes it)", async () => {
  const { api } = createWorld();
  const served = (await api.inject({ url: "/openapi.json", headers: bearer("read") })).json();
  const file = join(import.meta.dirname, "../../docs/openapi.json");
  if (process.env["RHUMB_WRITE_DOCS"] === "1") writeFileSync(file, `${JSON.stringify(served, null, 2)}\n`);
  assert.deepEqual(JSON.parse(readFileSync(file, "utf8")), served);
});

test("/openapi.json describes every route, and every reference in it leads somewhere", async () => {
  const { api } = createWorld();
  const response = await api.inject({ url: "/openapi.json", headers: bearer("read") });
  const document = response.json();
  assert.equal(document.openapi, "3.1.0");
  const missing = api.routes.filter(
    ({ method, url }) => !document.paths[url.replace(/:([A-Za-z]+)/g, "{$1}")]?.[method.toLowerCase()]?.responses,
  );
  assert.deepEqual(
    missing.map(({ url }) => url),
    [],
  );
  const described = Object.values(document.paths as Record<string, object>).flatMap((path) => Object.keys(path));
  assert.equal(described.length, api.routes.length);
  const references = [...response.body.matchAll(/"\$ref":"([^"]+)"/g)].map((match) => match[1]!);
  assert.ok(references.length > 10);
  for (const reference of references) {
    const name = /^#\/components\/schemas\/(\w+)$/.exec(reference)?.[1];
    assert.ok(name && document.components.schemas[name], reference);
  }
  const operations = Object.values(
    document.paths as Record<
      string,
      Record<string, { operationId: string; parameters?: { name: string; in: string }[] }>
    >,
  ).flatMap((path) => Object.values(path));
  assert.equal(new Set(operations.map(({ operationId }) => operationId)).size, operations.length);
  for (const [path, methods] of Object.entries(
    document.paths as Record<string, Record<string, { parameters?: { name: string; in: string }[] }>>,
  )) {
    for (const operation of Object.values(methods)) {
      const named = (operation.parameters ?? [])
        .filter((parameter) => parameter.in === "path")
        .map(({ name }) => `{${name}}`);
      assert.deepEqual(named, path.match(/\{\w+\}/g) ?? [], path);
    }
  }
});

for (const { name, request, status, code, says } of [
  { name: "an unknown route", request: { url: "/nothing" }, status: 404, code: "RHUMB_API_NOT_FOUND", says: /nothing/ },
  {
    name: "a wrong method",
    request: { method: "DELETE", url: "/status" },
    status: 405,
    code: "RHUMB_API_METHOD",
    says: /DELETE/,
  },
  {
    name: "an unknown region",
    request: { url: "/regions/mars" },
    status: 404,
    code: "RHUMB_API_NOT_FOUND",
    says: /mars/,
  },
  {
    name: "an unknown service",
    request: { url: "/services/none" },
    status: 404,
    code: "RHUMB_API_NOT_FOUND",
    says: /none/,
  },
  {
    name: "a later feature",
    request: { method: "POST", url: "/rum" },
    status: 501,
    code: "RHUMB_API_NOT_SUPPORTED",
    says: /not supported yet/,
  },
  {
    name: "an explanation without a name",
    request: { url: "/explain?from=192.0.2.1" },
    status: 400,
    code: "RHUMB_API_INPUT",
    says: /query\.name/,
  },
  {
    name: "an explanation at no time",
    request: { url: "/explain?name=a&from=192.0.2.1&at=noon" },
    status: 400,
    code: "RHUMB_API_INPUT",
    says: /noon/,
  },
  {
    name: "an unknown key",
    request: { method: "POST", url: "/overrides", payload: { target: "x", verb: "up", reason: "r", colour: 1 } },
    status: 400,
    code: "RHUMB_API_INPUT",
    says: /colour/,
  },
  {
    name: "an unknown verb",
    request: { method: "POST", url: "/overrides", payload: { target: "x", verb: "UP", reason: "r" } },
    status: 400,
    code: "RHUMB_API_INPUT",
    says: /verb/,
  },
  {
    name: "an override without reason",
    request: { method: "POST", url: "/overrides", payload: { target: "x", verb: "up", reason: " " } },
    status: 400,
    code: "RHUMB_API_INPUT",
    says: /reason/,
  },
  {
    name: "two ends",
    request: {
      method: "POST",
      url: "/overrides",
      payload: { target: "x", verb: "up", reason: "r", forMs: 1000, untilMs: 2e12 },
    },
    status: 400,
    code: "RHUMB_API_INPUT",
    says: /not both/,
  },
  {
    name: "an end in the past",
    request: { method: "POST", url: "/overrides", payload: { target: "x", verb: "up", reason: "r", untilMs: 5 } },
    status: 400,
    code: "RHUMB_API_INPUT",
    says: /past/,
  },
  {
    name: "what the command refuses",
    request: { method: "POST", url: "/overrides", payload: { target: "region/*", verb: "down", reason: "r" } },
    status: 409,
    code: "RHUMB_HEALTH_OVERRIDE_EMPTIES_SERVICE",
    says: /www/,
  },
  {
    name: "JSON that is none",
    request: { method: "POST", url: "/overrides", payload: "{", headers: { "content-type": "application/json" } },
    status: 400,
    code: "RHUMB_API_INPUT",
    says: /JSON/,
  },
  {
    name: "a form",
    request: {
      method: "POST",
      url: "/overrides",
      payload: "a=b",
      headers: { "content-type": "application/x-www-form-urlencoded" },
    },
    status: 415,
    code: "RHUMB_API_MEDIA_TYPE",
    says: /form/,
  },
  {
    name: "plain text",
    request: { method: "POST", url: "/overrides", payload: "{}", headers: { "content-type": "text/plain" } },
    status: 415,
    code: "RHUMB_API_MEDIA_TYPE",
    says: /plain/,
  },
  {
    name: "a huge body",
    request: { method: "POST", url: "/overrides", payload: { reason: "x".repeat(300_000) } },
    status: 413,
    code: "RHUMB_API_TOO_LARGE",
    says: /large/,
  },
  {
    name: "a bad configuration",
    request: { method: "PUT", url: "/config", payload: { bad: 1 } },
    status: 422,
    code: "RHUMB_CONFIG_INVALID",
    says: /1 error/,
  },
  {
    name: "a probe of a name",
    request: { method: "POST", url: "/probe", payload: { address: "example.com", name: "x" } },
    status: 400,
    code: "RHUMB_API_INPUT",
    says: /example\.com/,
  },
  {
    name: "a probe of another port",
    request: { method: "POST", url: "/probe", payload: { address: "192.0.2.1", port: 22, name: "x" } },
    status: 400,
    code: "RHUMB_API_INPUT",
    says: /22/,
  },
] as { name: string; request: InjectOptions; status: number; code: string; says: RegExp }[]) {
  test(`the API refuses ${name} with ${status} and problem details`, async () => {
    const { api } = createWorld();
    const response = await api.inject({ ...request, headers: { ...bearer("admin"), ...request.headers } });
    const problem = response.json();
    assert.equal(response.statusCode, status, response.body);
    assert.equal(problem.code, code);
    assert.match(problem.title, says);
    assert.match(String(response.headers["content-type"]), /problem\+json/);
  });
}

test("a refused configuration carries all of its problems", async () => {
  const { api } = createWorld();
  const response = await api.inject({
    method: "PUT",
    url: "/config?dryRun=true",
    headers: bearer("admin"),
    payload: { bad: 1 },
  });
  assert.equal(response.json().problems[0].path, "bad");
});

test("PUT /config hands the overlay on as it came, and dryRun with it", async () => {
  const { api, calls } = createWorld();
  await api.inject({
    method: "PUT",
    url: "/config?dryRun=true",
    headers: bearer("admin"),
    payload: { dns: { workers: 2 } },
  });
  const { overlay, files, isDryRun } = calls[0]!.input as PushRequest;
  assert.deepEqual([overlay, files, isDryRun], [{ dns: { workers: 2 } }, undefined, true]);
});

test("PUT /config of files takes them with reason and version, and nothing else; the diff goes into the audit log", async () => {
  const { api, calls } = createWorld();
  const put = (payload: object) => api.inject({ method: "PUT", url: "/config", headers: bearer("admin"), payload });
  const files = { "zones/services.yaml": "www: {}\n", "zones/old.zone": null };
  const response = await put({ files, partial: true, reason: "move", breakGlass: "old goes", basedOn: "1.5.ns1" });
  assert.equal(response.statusCode, 200, response.body);
  const expected = { files, overlay: undefined, partial: true, reason: "move", isDryRun: false };
  assert.deepEqual(calls[0]!.input, { ...expected, breakGlass: "old goes", basedOn: "1.5.ns1" });
  for (const payload of [{ files: { "zones/a.zone": 7 } }, { files: {}, services: {} }, { files: {}, breakGlass: "" }])
    assert.equal((await put(payload)).statusCode, 400);
  const [last] = (await api.inject({ url: "/audit", headers: bearer("admin") })).json().slice(-1);
  assert.equal(last.subject, "zones/services.yaml, zones/old.zone; glass broken: old goes");
  assert.match(last.diff, /^\+a: 2$/m);
});

test("POST /overrides with untilMs null asks for no end", async () => {
  const { api, calls } = createWorld();
  const payload = { target: "backend/web/*", verb: "drain", reason: "r", untilMs: null };
  await api.inject({ method: "POST", url: "/overrides", headers: bearer("operate"), payload });
  assert.equal((calls[0]!.input as { untilMs: number }).untilMs, UNTIL_CLEARED_MS);
});

test("POST /overrides fills in owner and end: the token's name, four hours", async () => {
  const { api, calls, clock } = createWorld();
  await api.inject({
    method: "POST",
    url: "/overrides",
    headers: bearer("operate"),
    payload: { target: "eu-west", verb: "down", reason: "r" },
  });
  const { input, actor } = calls[0]!;
  assert.deepEqual(input, {
    target: "eu-west",
    verb: "down",
    reason: "r",
    owner: "olga",
    untilMs: clock.nowMs() + 14_400_000,
    weightPercent: 0,
    force: false,
  });
  assert.equal(actor?.name, "olga");
});

test("GET /explain reads both forms of time", async () => {
  const { api, calls } = createWorld();
  for (const at of ["2027-01-01T00:00:00Z", "1798761600000"]) {
    await api.inject({ url: `/explain?name=a&from=192.0.2.1&type=aaaa&at=${at}`, headers: bearer("read") });
  }
  assert.deepEqual(
    calls.map(({ input }) => (input as { atMs: number }).atMs),
    [1_798_761_600_000, 1_798_761_600_000],
  );
  assert.equal((calls[0]!.input as { type: string }).type, "AAAA");
});

test("/readyz answers 503 and why while not ready", async () => {
  const { api } = createWorld({ isReady: false });
  const response = await api.inject({ url: "/readyz" });
  assert.equal(response.statusCode, 503);
  assert.deepEqual(response.json().reasons, ["no zone is loaded"]);
  const asked = await createWorld().api.inject({ url: "/readyz?pools=web,empty" });
  assert.deepEqual([asked.statusCode, asked.json().reasons], [503, ["web empty"]]);
});

test("records are exchanged without a line in the audit log, at a rate, and within a size", async () => {
  const { api, calls, audit } = createWorld();
  const headers = bearer("operate");
  const body = { copies: ["0 rhumb1 …"], signals: [], kinds: ["override"], digest: { "override x": "1.1" }, sums: {} };
  const exchange = (payload: object) => api.inject({ method: "POST", url: "/records", headers, payload });
  const answer = await exchange(body);
  assert.deepEqual(answer.json(), { copies: [], want: ["override x"], unequal: [] });
  assert.deepEqual(
    calls.map(({ input }) => input),
    [body],
  );
  assert.equal((await exchange({ ...body, kinds: ["gossip"] })).statusCode, 400);
  assert.equal((await exchange({ ...body, more: 1 })).statusCode, 400);
  const report = (line: string) => api.inject({ method: "POST", url: "/reports", headers, payload: { report: line } });
  assert.equal((await report("rhumb1 …")).statusCode, 202);
  assert.match((await report("rubbish")).json().detail, /refused as damaged/);
  assert.equal((await report("x".repeat(300_000))).statusCode, 413);
  assert.deepEqual(audit.list(), []);
  let status = 200;
  for (let count = 0; status === 200 && count < 200; count++) status = (await exchange(body)).statusCode;
  assert.equal(status, 429);
});

test("a drain says who asked and why, and stands in the audit log", async () => {
  const { api, calls, audit } = createWorld();
  const headers = bearer("operate");
  const started = await api.inject({ method: "POST", url: "/drain", headers, payload: { reason: "kernel upgrade" } });
  assert.deepEqual([started.statusCode, started.json().owner, started.json().reason], [200, "olga", "kernel upgrade"]);
  assert.equal((await api.inject({ method: "POST", url: "/drain", headers, payload: {} })).json().reason, null);
  assert.equal((await api.inject({ method: "DELETE", url: "/drain", headers })).json().isDraining, false);
  assert.deepEqual(
    calls.map(({ command, input }) => [command, input]),
    [
      ["startDrain", "kernel upgrade"],
      ["startDrain", undefined],
      ["stopDrain", undefined],
    ],
  );
  assert.deepEqual(
    audit.list().map(({ name, subject }) => [name, subject]),
    [
      ["olga", "node"],
      ["olga", "node"],
      ["olga", "kernel upgrade"],
    ],
  );
});

test("/demo is not there outside the demo", async () => {
  const { api } = createWorld({ isDemo: false });
  const response = await api.inject({ method: "POST", url: "/demo/eu-west/kill", headers: bearer("admin") });
  assert.equal(response.statusCode, 404);
});

test("POST /probe is limited per token", async () => {
  const { api, clock } = createWorld();
  const probe = () =>
    api.inject({
      method: "POST",
      url: "/probe",
      headers: bearer("operate"),
      payload: { address: "192.0.2.1", name: "demo.example" },
    });
  let accepted = 0;
  while ((await probe()).statusCode === 200) assert.ok(++accepted <= 30);
  assert.equal(accepted, 30);
  assert.ok(Number((await probe()).headers["retry-after"]) >= 1);
  clock.advance(2_000);
  assert.equal((await probe()).statusCode, 200);
});

test("a fault inside a view answers 500 without its text, and the log gets it", async () => {
  const logged: unknown[] = [];
  const log = { debug() {}, info() {}, warn() {}, error: (fields: unknown) => void logged.push(fields) };
  const world = createWorld({ log });
  world.views.services = () => {
    throw new Error("secret detail");
  };
  const response = await world.api.inject({ url: "/services", headers: bearer("read") });
  assert.equal(response.statusCode, 500);
  assert.equal(response.json().code, "RHUMB_API_FAULT");
  assert.doesNotMatch(response.body, /secret detail/);
  assert.equal(logged.length, 1);
});

test("the audit log names who, what and the outcome, newest first, and never a token", async () => {
  const { api, clock } = createWorld();
  await api.inject({
    method: "POST",
    url: "/overrides",
    headers: bearer("operate"),
    payload: { target: "eu-west", verb: "down", reason: "r" },
  });
  await api.inject({ method: "PUT", url: "/config", headers: bearer("read"), payload: {} });
  await api.inject({ method: "PUT", url: "/config", headers: { authorization: "Bearer wrong" }, payload: {} });
  await api.inject({ method: "POST", url: "/session", payload: { token: TOKENS.read } });
  const response = await api.inject({ url: "/audit", headers: bearer("admin") });
  assert.deepEqual(
    response
      .json()
      .map(({ name, action, subject, status }: Record<string, unknown>) => [name, action, subject, status]),
    [
      ["rita", "POST /session", "login", 201],
      ["?", "PUT /config", "", 401],
      ["rita", "PUT /config", "", 403],
      ["olga", "POST /overrides", "down eu-west", 201],
    ],
  );
  assert.equal(response.json()[0].atMs, clock.nowMs());
  for (const token of Object.values(TOKENS)) assert.ok(!response.body.includes(token));
});
