/**
 * What an operator sees of HTTP: real requests through a real balancer, and then metrics, the access log, spans at an OTLP
 * collector, and `rhumb top`.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { hashPassword } from "#base/password.ts";
import { rhumb } from "../cli/rhumb.ts";
import { type BalancerBed, configHead, startBalancer, TOKEN, until } from "./balancer-bed.ts";
import { folderWith } from "./tools.ts";

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

async function serve(t: TestContext, handle: Handler): Promise<number> {
  const server = createServer({ keepAliveTimeout: 60_000 }, handle).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}

type Asked = { readonly method?: string; readonly headers?: Record<string, string>; readonly agent?: Agent };
function ask(bed: BalancerBed, path: string, options: Asked = {}): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  request({ host: "127.0.0.1", port: bed.port, path, ...options })
    .on("error", reject)
    .on("response", (response) => response.resume().on("end", () => resolve(response.statusCode!)))
    .end();
  return promise;
}
/** How often each status came, of so many requests one after the other. */
async function askTimes(
  bed: BalancerBed,
  times: number,
  path: string,
  options?: Asked,
): Promise<Record<number, number>> {
  const statuses: Record<number, number> = {};
  for (let index = 0; index < times; index++) {
    const status = await ask(bed, path, options);
    statuses[status] = (statuses[status] ?? 0) + 1;
  }
  return statuses;
}

/** Of the sample with this name and, among others, these labels. */
type Samples = (name: string, ...labels: readonly string[]) => number | undefined;
async function scrape(bed: BalancerBed): Promise<Samples> {
  const lines = (await (await bed.api("GET", "/metrics")).text()).split("\n");
  return (name, ...labels) => {
    const line = lines.find((one) => one.startsWith(`${name}{`) && labels.every((label) => one.includes(label)));
    return line === undefined ? undefined : Number(line.split(" ").at(-1));
  };
}
const label = (name: string, value: string): string => `${name}="${value}"`;
const at = (pool: string, port: number): [string, string] => [
  label("pool", pool),
  label("backend", `127.0.0.1:${port}`),
];

test("each backend's requests, errors, latencies, connections, queue, retries and ejections are metrics", async (t) => {
  let isHeld = true;
  const held: (() => void)[] = [];
  const good = await serve(t, (_, response) => response.end("good"));
  const flaky = await serve(t, (_, response) => response.writeHead(503).end());
  const bad = await serve(t, (_, response) => response.writeHead(500).end());
  const slow = await serve(t, (_, response) => {
    if (isHeld) held.push(() => response.end("late"));
    else response.end("soon");
  });
  const bed = await startBalancer(
    t,
    ({ port, apiPort }) => `${configHead(apiPort)}balancer:
  region: here
  workers: 1
  listeners:
    web:
      listen: "127.0.0.1:${port}"
      protocol: http
      pool: web
      rules:
        - { match: { path: /flaky }, pool: mixed, retry: { on: ["503"] } }
        - { match: { path: /bad }, pool: bad }
        - { match: { path: /slow }, pool: slow }
  pools:
    web: { backends: ["127.0.0.1:${good}"] }
    mixed: { algorithm: round_robin, backends: ["127.0.0.1:${flaky}", "127.0.0.1:${good}"], outlier: { enabled: false } }
    bad: { backends: ["127.0.0.1:${bad}"] }
    slow: { backends: [{ address: "127.0.0.1:${slow}", maxConnections: 1 }] }
`,
  );
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  assert.deepEqual(await askTimes(bed, 40, "/", { agent }), { 200: 40 });
  assert.deepEqual(await askTimes(bed, 4, "/flaky", { agent }), { 200: 4 });
  assert.deepEqual(await askTimes(bed, 5, "/bad", { agent }), { 500: 5 });
  const waiting = [ask(bed, "/slow"), ask(bed, "/slow")];
  const samples = await until(
    () => scrape(bed),
    (now) =>
      now("rhumb_pool_queue_depth", label("pool", "slow")) === 1 && now("rhumb_backend_state", ...at("bad", bad)) === 6,
    t,
  );

  const web = at("web", good);
  assert.equal(samples("rhumb_backend_requests_total", ...web), 40);
  assert.equal(samples("rhumb_backend_responses_total", ...web, label("class", "2xx")), 40);
  assert.equal(samples("rhumb_backend_request_duration_seconds_count", ...web), 40);
  assert.equal(
    samples("rhumb_backend_connections_total", ...web),
    1,
    "one connection serves one request after the other",
  );
  const retried = samples("rhumb_backend_gateway_failures_total", ...at("mixed", flaky))!;
  assert.ok(retried >= 2, "of four requests in turn at least two began at the one that fails");
  assert.equal(samples("rhumb_backend_responses_total", ...at("mixed", flaky), label("class", "5xx")), retried);
  assert.equal(samples("rhumb_backend_retries_total", ...at("mixed", flaky)), retried);
  assert.equal(samples("rhumb_http_tries_total", label("kind", "retry")), retried);
  assert.equal(samples("rhumb_backend_retried_requests_total", ...at("mixed", good)), retried);
  assert.equal(samples("rhumb_backend_responses_total", ...at("bad", bad), label("class", "5xx")), 5);
  assert.equal(samples("rhumb_backend_up", ...at("bad", bad)), 0, "five 5xx in a row eject");
  assert.equal(samples("rhumb_pool_backends", label("pool", "bad"), label("state", "ejected")), 1);
  assert.equal(samples("rhumb_backend_active_connections", ...at("slow", slow)), 1);
  assert.equal(samples("rhumb_http_requests_active", label("listener", "web")), 2);
  assert.equal(samples("rhumb_http_responses_total", label("class", "2xx")), 44);
  assert.equal(samples("rhumb_http_responses_total", label("class", "5xx")), 5);

  isHeld = false;
  for (const release of held) release();
  assert.deepEqual(await Promise.all(waiting), [200, 200]);
  const after = await until(
    () => scrape(bed),
    (now) => now("rhumb_backend_request_quantile_seconds", ...web, label("quantile", "0.99")) !== undefined,
    t,
  );
  const quantiles = ["0.5", "0.95", "0.99"].map(
    (quantile) => after("rhumb_backend_request_quantile_seconds", ...web, label("quantile", quantile))!,
  );
  assert.ok(
    quantiles.every((value, index) => value > 0 && value >= (quantiles[index - 1] ?? 0)),
    String(quantiles),
  );
  assert.equal(after("rhumb_http_requests_active", label("listener", "web")), 0);
  assert.equal(after("rhumb_pool_queue_depth", label("pool", "slow")), 0);

  const env = {
    RHUMB_API: `http://127.0.0.1:${/127\.0\.0\.1:(\d+)", tokens/.exec(readFileSync(join(bed.folder, "rhumb.yaml"), "utf8"))![1]}`,
    RHUMB_TOKEN: TOKEN,
  };
  const top = await rhumb(["top", "--once", "--interval", "200ms"], { env });
  assert.equal(top.code, 0, top.err);
  assert.match(top.out, /^web +http 127\.0\.0\.1:\d+ /m);
  assert.match(top.out, new RegExp(`^web +127\\.0\\.0\\.1:${good} +healthy .* [0-9.]+ +[0-9.]+ +[0-9.]+ +0$`, "m"));
  assert.match(top.out, new RegExp(`^bad +127\\.0\\.0\\.1:${bad} +ejected `, "m"));
});

test("what guards refuse and what the cache does is counted, seen and purged", async (t) => {
  let fetched = 0;
  const backend = await serve(t, (_, response) => {
    fetched++;
    response.writeHead(200, { "cache-control": "public, max-age=600", "surrogate-key": "front" }).end("page");
  });
  const folder = folderWith(t, { "users.txt": `kim:${await hashPassword("open")}\n` });
  const bed = await startBalancer(
    t,
    ({ port, apiPort }) => `${configHead(apiPort)}balancer:
  region: here
  workers: 1
  listeners:
    web:
      listen: "127.0.0.1:${port}"
      protocol: http
      rules:
        - { name: pages, match: { path: /page }, pool: web, cache: { store: pages } }
        - { match: { path: /rate }, pool: web, rateLimit: { rate: 0.01, burst: 2 } }
        - { match: { path: /waf }, pool: web, waf: { methods: [GET] } }
        - { match: { path: /dry }, pool: web, waf: { methods: [GET], enforced: false } }
        - { match: { path: /access }, pool: web, access: [{ network: 127.0.0.0/8, action: deny }] }
        - { match: { path: /auth }, pool: web, basicAuth: { realm: staff, users: "file:${folder}/users.txt" } }
  pools:
    web: { backends: ["127.0.0.1:${backend}"] }
`,
  );
  assert.deepEqual(await askTimes(bed, 5, "/page"), { 200: 5 });
  assert.equal(fetched, 1);
  assert.deepEqual(await askTimes(bed, 5, "/rate"), { 200: 2, 429: 3 });
  assert.deepEqual(await askTimes(bed, 2, "/waf", { method: "PUT" }), { 403: 2 });
  assert.deepEqual(await askTimes(bed, 3, "/dry", { method: "PUT" }), { 200: 3 });
  assert.deepEqual(await askTimes(bed, 4, "/access"), { 403: 4 });
  assert.deepEqual(await askTimes(bed, 2, "/auth"), { 401: 2 });
  assert.equal(await ask(bed, "/auth", { headers: { authorization: `Basic ${btoa("kim:open")}` } }), 200);

  const samples = await scrape(bed);
  for (const [reason, count] of Object.entries({ rate: 3, waf: 2, access: 4, auth: 2 }))
    assert.equal(samples("rhumb_http_refused_total", label("reason", reason)), count, reason);
  assert.equal(samples("rhumb_http_waf_found_total", label("listener", "web")), 5);
  const store = label("store", "pages");
  assert.equal(samples("rhumb_cache_requests_total", store, label("result", "hit")), 4);
  assert.equal(samples("rhumb_cache_requests_total", store, label("result", "miss")), 1);
  assert.equal(samples("rhumb_cache_objects", store), 1);
  assert.equal(samples("rhumb_cache_responses_total", store, label("what", "stored")), 1);
  assert.equal(samples("rhumb_http_cache_total", label("result", "hit")), 4);

  const [cache] = await bed.json<{ hits: number; misses: number; objects: number }[]>("GET", "/cache");
  assert.deepEqual([cache?.hits, cache?.misses, cache?.objects], [4, 1, 1]);
  for (const what of [
    { tag: "front" },
    { url: `http://127.0.0.1:${bed.port}/page` },
    { store: "pages" },
    { all: true },
  ]) {
    assert.equal((await bed.json("POST", "/cache/purge", what))["purged"], 1, JSON.stringify(what));
    assert.equal(await ask(bed, "/page"), 200);
  }
  assert.equal(fetched, 5 + 2 + 3 + 1, "each purge made one request go to the backend");
  assert.equal((await bed.json("POST", "/cache/purge", { prefix: "http://other/" }))["purged"], 0);

  const rules = await bed.json<{ name: string; guards: string[] }[]>("GET", "/rules");
  assert.deepEqual(
    rules.map(({ guards }) => guards.join()),
    ["", "rate-limit", "waf", "waf", "access", "basic-auth"],
  );
  assert.ok(!JSON.stringify(rules).includes("scrypt"));
});

/** What of an OTLP export this test reads. */
type Exported = {
  resourceSpans: {
    resource: { attributes: { key: string; value: { stringValue?: string } }[] };
    scopeSpans: { spans: { traceId: string; spanId: string; parentSpanId?: string; name: string }[] }[];
  }[];
};
type Line = { target: string; status: number; trace_id?: string; backend?: string; rule: string; client: string };

test("a request is one line of the access log and one span, joined to the trace that it came with; moved logs are followed", async (t) => {
  const spans: Exported["resourceSpans"][number]["scopeSpans"][number]["spans"] = [];
  const services = new Set<string>();
  const collector = await serve(t, (incoming, response) => {
    let body = "";
    incoming.setEncoding("utf8").on("data", (text: string) => {
      body += text;
    });
    incoming.on("end", () => {
      for (const { resource, scopeSpans } of (JSON.parse(body) as Exported).resourceSpans) {
        services.add(resource.attributes.find(({ key }) => key === "service.name")!.value.stringValue!);
        spans.push(...scopeSpans.flatMap((scope) => scope.spans));
      }
      response.writeHead(200, { "content-type": "application/json" }).end("{}");
    });
  });
  const seen: string[] = [];
  const backend = await serve(t, ({ headers }, response) => {
    seen.push(String(headers["traceparent"]));
    response.end("x");
  });
  const config = (status: number, port: number, apiPort: number): string => `${configHead(apiPort)}balancer:
  region: here
  workers: 2
  listeners:
    web:
      listen: "127.0.0.1:${port}"
      protocol: http
      http:
        accessLog: { path: access.log }
        tracing: { endpoint: "http://127.0.0.1:${collector}/v1/traces", service: edge, sample: 100% }
      rules:
        - { name: gone, match: { path: /gone }, respond: { status: ${status} } }
        - { name: main, pool: web }
  pools:
    web: { backends: ["127.0.0.1:${backend}"] }
`;
  const bed = await startBalancer(t, ({ port, apiPort }) => config(410, port, apiPort));
  const log = join(bed.folder, "access.log");
  const linesOf = (file: string): Line[] =>
    existsSync(file)
      ? readFileSync(file, "utf8")
          .split("\n")
          .slice(0, -1)
          .map((line) => JSON.parse(line) as Line)
      : [];

  const trace = "0af7651916cd43dd8448eb211c80319c";
  const parent = "b7ad6b7169203331";
  assert.equal(await ask(bed, "/a?b=c", { headers: { traceparent: `00-${trace}-${parent}-01` } }), 200);
  assert.equal(await ask(bed, "/gone"), 410);
  const lines = await until(
    async () => linesOf(log),
    (all) => all.length === 2,
    t,
  );
  assert.partialDeepStrictEqual(lines[0], {
    target: "/a?b=c",
    status: 200,
    rule: "main",
    client: "127.0.0.1",
    backend: `127.0.0.1:${backend}`,
    trace_id: trace,
  });
  assert.partialDeepStrictEqual(lines[1], { target: "/gone", status: 410, rule: "gone" });

  await until(
    async () => spans,
    (all) => all.length === 2,
    t,
  );
  assert.deepEqual([...services], ["edge"]);
  const joined = spans.find(({ traceId }) => traceId === trace);
  assert.equal(joined?.parentSpanId, parent);
  assert.deepEqual(seen, [`00-${trace}-${joined!.spanId}-01`], "the backend's parent is our span");
  const own = spans.find((span) => span !== joined)!;
  assert.equal(own.traceId, lines[1]!.trace_id);
  assert.ok(!own.parentSpanId);

  renameSync(log, `${log}.1`);
  process.kill(bed.pid(), "SIGHUP");
  let asked = 0;
  await until(
    async () => {
      assert.equal(await ask(bed, `/after/${asked++}`), 200);
      return linesOf(log).length;
    },
    (count) => count > 0,
    t,
  );
  await until(
    async () => [...linesOf(`${log}.1`), ...linesOf(log)].filter(({ target }) => target.startsWith("/after/")),
    (all) => all.length === asked,
    t,
  );
  const text = readFileSync(join(bed.folder, "rhumb.yaml"), "utf8");
  writeFileSync(join(bed.folder, "rhumb.yaml"), text.replace("status: 410", "status: 404"));
  process.kill(bed.pid(), "SIGHUP");
  await until(
    () => ask(bed, "/gone"),
    (status) => status === 404,
    t,
  );
});
