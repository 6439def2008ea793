/** A balancer changed through its API: the published contract, what it keeps over reloads and restarts, and who wins. */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import test, { type TestContext } from "node:test";
import { rhumb } from "../cli/rhumb.ts";
import {
  allHealthy,
  answers,
  type BedBackend as Backend,
  type BalancerBed,
  type BedConfig,
  CHECK,
  configHead,
  type LineBackend,
  backendsOf as list,
  openClient,
  startBackend,
  startBalancer,
  TOKEN,
  until,
  withPort,
} from "./balancer-bed.ts";

const TIMEOUT = { timeout: 120_000 };

const configOf =
  (backends: readonly LineBackend[], { settings = "", pools = "" } = {}): BedConfig =>
  ({ port, apiPort }) =>
    `${configHead(apiPort)}balancer:
  region: here
  workers: 2
  listeners:
    web: { listen: "127.0.0.1:${port}", protocol: tcp, pool: web }
  pools:
    web:
      algorithm: round_robin
      drain: 30s
      check: ${CHECK}
      ${settings}
      backends: [${backends.map(({ port: at }) => `"127.0.0.1:${at}"`).join(", ")}]
${pools}`;

type Health = {
  status: string;
  total_requests: number;
  active_connections: number;
  failures: { current: number; total: number; checks_in_a_row: number };
  last_check: { passed: boolean; code: string } | null;
};
type Fault = { status: number; code: string; detail: string };

const named = async (t: TestContext, ...names: readonly string[]): Promise<LineBackend[]> =>
  Promise.all(names.map((name) => startBackend(t, name)));

test(
  "a backend is added unknown, serves after its first check, and goes with a word about its connections",
  TIMEOUT,
  async (t) => {
    const [a, b] = (await named(t, "a", "b")) as [LineBackend, LineBackend];
    const bed = await startBalancer(t, configOf([a]));
    await allHealthy(bed, t);
    const response = await bed.api("POST", "/backends", { address: "127.0.0.1", port: b.port });
    assert.equal(response.status, 201);
    const added = (await response.json()) as Backend;
    assert.match(added.backend_id, /^backend-[0-9a-f]{6}$/);
    assert.equal(response.headers.get("location"), `/backends/${added.backend_id}`);
    assert.match(response.headers.get("etag") ?? "", /^"\d+\.\d+"$/);
    assert.deepEqual([added.status, added.weight, added.max_connections, added.origin], ["unknown", 1, 0, "api"]);

    const again = await bed.api("POST", "/backends", { address: "127.0.0.1", port: b.port });
    assert.deepEqual([again.status, ((await again.json()) as Fault).code], [409, "RHUMB_BALANCER_BACKEND_EXISTS"]);
    await allHealthy(bed, t);
    // Each of the two workers takes turns by itself, exact to one.
    const { a: ofTheFirst = 0, b: ofTheSecond = 0 } = await answers(bed, 8);
    assert.equal(ofTheFirst + ofTheSecond, 8);
    assert.ok(Math.abs(ofTheFirst - ofTheSecond) <= 2, `${ofTheFirst} and ${ofTheSecond}`);

    const clients = await Promise.all(Array.from({ length: 6 }, () => openClient(bed.port)));
    const first = await Promise.all(clients.map((client) => client.ask("1")));
    const ofB = first.filter((line) => line.startsWith("b ")).length;
    // Clients that have left may still be on their way out.
    const health = await until(
      () => bed.json<Health>("GET", `/backends/${added.backend_id}/health`),
      ({ active_connections }) => active_connections === ofB,
      t,
    );
    assert.equal(health.total_requests, ofTheSecond + ofB);
    const removed = await bed.api("DELETE", `/backends/${added.backend_id}`);
    assert.equal(removed.status, 200);
    assert.deepEqual(await removed.json(), { backend_id: added.backend_id, drained_connections: ofB });
    assert.deepEqual(await answers(bed, 4), { a: 4 });
    assert.deepEqual(
      await Promise.all(clients.map((client) => client.ask("2"))),
      first.map((line) => `${line[0]} 2`),
    );
    for (const client of clients) client.close();
    for (const [method, path] of [
      ["DELETE", ""],
      ["GET", ""],
      ["GET", "/health"],
      ["PATCH", ""],
    ] as const) {
      const gone = await bed.api(method, `/backends/${added.backend_id}${path}`, method === "PATCH" ? {} : undefined);
      assert.equal(gone.status, 404, `${method} ${path}`);
    }
  },
);

test("failures are counted when a backend refuses", TIMEOUT, async (t) => {
  const [a, b] = (await named(t, "a", "b")) as [LineBackend, LineBackend];
  const health = await startBackend(t, "health");
  // The check asks somebody who is well, so that the traffic meets who is not.
  const config: BedConfig = (facts) =>
    configOf([a, b], { settings: "outlier: { enabled: false }" })(facts).replace(
      "kind: tcp,",
      `kind: tcp, port: ${health.port},`,
    );
  const bed = await startBalancer(t, config);
  const { backend_id } = withPort(await allHealthy(bed, t), a);
  await a.kill();
  assert.deepEqual(await answers(bed, 4), { b: 4 });
  const view = await bed.json<Health>("GET", `/backends/${backend_id}/health`);
  assert.equal(view.status, "healthy");
  assert.ok(view.failures.current >= 1 && view.failures.total === view.failures.current, JSON.stringify(view.failures));
  await a.revive();
  await until(
    () => answers(bed, 4),
    (counts) => (counts["a"] ?? 0) > 0,
    t,
  );
  const after = await bed.json<Health>("GET", `/backends/${backend_id}/health`);
  assert.equal(after.failures.current, 0);
  assert.ok(after.failures.total >= view.failures.total);
});

test("what cannot be is refused, and changes nothing", TIMEOUT, async (t) => {
  const [a] = (await named(t, "a")) as [LineBackend];
  const bed = await startBalancer(t, configOf([a], { pools: '    other: { backends: ["127.0.0.1:9"] }\n' }));
  await until(
    () => list(bed),
    (all) => withPort(all, a).status === "healthy",
    t,
  );
  const { backend_id } = withPort(await list(bed), a);
  const before = await bed.api("GET", "/pools");
  const refused: readonly (readonly [method: string, path: string, body: unknown, status?: number])[] = [
    ["POST", "/backends", {}],
    ["POST", "/backends", { address: "10.0.0.300", port: 80, pool: "web" }],
    ["POST", "/backends", { address: "not a name", port: 80, pool: "web" }],
    ["POST", "/backends", { address: "10.0.0.1", port: 0, pool: "web" }],
    ["POST", "/backends", { address: "10.0.0.1", port: 65_536, pool: "web" }],
    ["POST", "/backends", { address: "10.0.0.1", port: "80", pool: "web" }],
    ["POST", "/backends", { address: "10.0.0.1", port: 80, weight: -1, pool: "web" }],
    ["POST", "/backends", { address: "10.0.0.1", port: 80, health_check_path: "health", pool: "web" }],
    ["POST", "/backends", { address: "10.0.0.1", port: 80, unknown: 1, pool: "web" }],
    ["POST", "/backends", { address: "10.0.0.1", port: 80 }], // which of the two pools?
    ["POST", "/backends", { address: "10.0.0.1", port: 80, pool: "nowhere" }],
    ["POST", "/backends", { address: "127.0.0.1", port: a.port, pool: "web" }, 409],
    ["POST", "/backends", [1]],
    ["PATCH", `/backends/${backend_id}`, { weight: 1_001 }],
    ["PATCH", `/backends/${backend_id}`, { port: 1 }],
    ["PUT", `/backends/${backend_id}/state`, { state: "off" }],
    ["PUT", `/backends/${backend_id}/state`, { state: "drain", weight_percent: 101 }],
    ["DELETE", "/backends/backend-000000", undefined, 404],
    ["PUT", "/backends/backend-000000/state", { state: "maint" }, 404],
    ["PUT", "/config/algorithm", { algorithm: "fastest", pool: "web" }],
    ["PUT", "/config/algorithm", { pool: "web" }],
    ["PUT", "/config/algorithm", { algorithm: "random", sticky_ttl_seconds: 0, pool: "web" }],
    ["PUT", "/config/algorithm", { algorithm: "random", sticky_ttl_seconds: "1h", pool: "web" }],
    ["PUT", "/config/algorithm", { algorithm: "random", pool: "nowhere" }],
    ["PUT", "/pools/web", { algorithm: "fastest" }, 422],
    ["PUT", "/pools/web", { colour: "blue" }, 422],
    ["PUT", "/pools/web", { backends: ["10.0.0.1:80", "10.0.0.1:80"] }, 422],
    ["PUT", "/pools/not a name", { backends: [] }, 422],
    ["PUT", "/pools/web", "text"],
    ["DELETE", "/pools/nowhere", undefined, 404],
  ];
  for (const [method, path, body, status = 400] of refused) {
    const response = await bed.api(method, encodeURI(path), body);
    const fault = (await response.json()) as Fault;
    assert.equal(response.status, status, `${method} ${path} ${JSON.stringify(body)}: ${JSON.stringify(fault)}`);
    assert.ok(fault.code.startsWith("RHUMB_"), JSON.stringify(fault));
  }
  const broken = await fetch(`${apiOf(bed)}/backends`, {
    method: "POST",
    headers: { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" },
    body: '{"address":',
  });
  assert.equal(broken.status, 400);
  const nobody = await fetch(`${apiOf(bed)}/backends`, { method: "POST", body: "{}" });
  assert.equal(nobody.status, 401);
  const after = await bed.api("GET", "/pools");
  assert.equal(after.headers.get("etag"), before.headers.get("etag"));
  assert.deepEqual(await after.json(), await before.json());
});

/** Where the API of a bed listens, as its configuration says. */
function apiOf({ folder }: BalancerBed): string {
  return `http://${/control: \{ listen: "([^"]+)"/.exec(readFileSync(join(folder, "rhumb.yaml"), "utf8"))![1]}`;
}

test(
  "another algorithm holds for new connections at once, and those that live stay where they are",
  TIMEOUT,
  async (t) => {
    const backends = await named(t, "a", "b", "c");
    const bed = await startBalancer(t, configOf(backends));
    await allHealthy(bed, t);
    const clients = [];
    for (let count = 0; count < 6; count++) clients.push(await openClient(bed.port));
    const first = await Promise.all(clients.map((client) => client.ask("1")));
    for (const algorithm of ["ip_hash", "random", "weighted_round_robin", "least_connections", "ip_hash"]) {
      const pool = await bed.json<{ algorithm: string; origin: string }>("PUT", "/config/algorithm", { algorithm });
      assert.deepEqual([pool.algorithm, pool.origin], [algorithm, "api"]);
    }
    const counts = await answers(bed, 9);
    assert.equal(Object.keys(counts).length, 1, `all are one client: ${JSON.stringify(counts)}`);
    const second = await Promise.all(clients.map((client) => client.ask("2")));
    assert.deepEqual(
      second,
      first.map((line) => `${line[0]} 2`),
    );
    const sticky = await bed.json("PUT", "/config/algorithm", {
      algorithm: "round_robin",
      sticky_sessions: true,
      sticky_ttl_seconds: 60,
    });
    assert.deepEqual([sticky["sticky_sessions"], sticky["sticky_ttl"]], [true, 60]);
    assert.equal(Object.keys(await answers(bed, 9)).length, 1);
    const loose = await bed.json("PUT", "/config/algorithm", { algorithm: "round_robin" });
    assert.deepEqual([loose["sticky_sessions"], loose["sticky_ttl"]], [false, null]);
    assert.equal(Object.keys(await answers(bed, 12)).length, 3);
    for (const client of clients) client.close();
  },
);

test("what the API changed is there after a reload and after a restart", TIMEOUT, async (t) => {
  const [a, b, c, d] = (await named(t, "a", "b", "c", "d")) as [LineBackend, LineBackend, LineBackend, LineBackend];
  const config = configOf([a, b, c]);
  let facts: Parameters<BedConfig>[0] | undefined;
  const bed = await startBalancer(t, (given) => {
    facts = given;
    return config(given);
  });
  const start = await allHealthy(bed, t);
  const idOf = (backend: LineBackend) => withPort(start, backend).backend_id;
  const added = await bed.json<Backend>("POST", "/backends", {
    address: "127.0.0.1",
    port: d.port,
    weight: 3,
    max_connections: 7,
    zone: "z1",
  });
  await bed.json("PATCH", `/backends/${idOf(a)}`, { weight: 5 });
  await bed.json("DELETE", `/backends/${idOf(b)}`);
  await bed.json("PUT", "/config/algorithm", { algorithm: "weighted_round_robin" });
  await bed.json("PUT", `/backends/${idOf(c)}/state`, { state: "maint", reason: "disk" });
  await bed.json("PUT", `/backends/${added.backend_id}/state`, { state: "drain", weight_percent: 50 });

  const essence = async () => {
    const all = await until(
      () => list(bed),
      (backends) => backends.every(({ status }) => status !== "unknown"),
      t,
    );
    const [pool] = await bed.json<{ algorithm: string; origin: string }[]>("GET", "/pools");
    return {
      algorithm: pool!.algorithm,
      backends: all.map(({ updated_at: _, cause: __, ...rest }) => rest),
    };
  };
  const before = await essence();
  assert.deepEqual(
    before.backends.map(({ port, weight, effective_weight, status, origin }) => [
      port,
      weight,
      effective_weight,
      status,
      origin,
    ]),
    [
      [a.port, 5, 5, "healthy", "api"],
      [c.port, 1, 1, "maintenance", "file"],
      [d.port, 3, 1.5, "healthy", "api"],
    ],
  );
  await bed.reload(config(facts!).replace("drain: 30s", "drain: 31s"));
  assert.deepEqual(await essence(), before);
  await bed.restart();
  assert.deepEqual(await essence(), before);
  const { updated_at } = withPort(await list(bed), d);
  await bed.replace();
  assert.deepEqual(await essence(), before);
  assert.equal(withPort(await list(bed), d).updated_at, updated_at);

  await bed.json("PUT", `/backends/${idOf(c)}/state`, { state: "ready" });
  await bed.json("PUT", `/backends/${added.backend_id}/state`, { state: "ready" });
  await until(
    () => list(bed),
    (all) => all.every(({ status, weight, effective_weight }) => status === "healthy" && weight === effective_weight),
    t,
  );
  await bed.json("DELETE", "/pools/web");
  const file = await allHealthy(bed, t);
  assert.deepEqual(
    file.map(({ port, origin, weight }) => [port, origin, weight]),
    [a, b, c].map(({ port }) => [port, "file", 1]),
  );
  assert.equal(withPort(file, a).created_at, withPort(start, a).created_at);
});

test("of two changes that rest on the same state one wins; without a condition none is lost", TIMEOUT, async (t) => {
  const [a] = (await named(t, "a")) as [LineBackend];
  const bed = await startBalancer(t, configOf([a]));
  await allHealthy(bed, t);
  const etag = (await bed.api("GET", "/backends")).headers.get("etag")!;
  const add = (port: number, headers: Record<string, string> = {}) =>
    bed.api("POST", "/backends", { address: "127.0.0.2", port }, headers);
  const raced = await Promise.all([add(1, { "if-match": etag }), add(2, { "if-match": etag })]);
  assert.deepEqual(raced.map(({ status }) => status).sort(), [201, 412]);
  const loser = raced.find(({ status }) => status === 412)!;
  assert.equal(((await loser.json()) as Fault).code, "RHUMB_API_CHANGED");
  assert.equal((await add(3, { "if-match": "W/oops" })).status, 400);

  const ports = Array.from({ length: 8 }, (_, index) => 10 + index);
  const free = await Promise.all(ports.map((port) => add(port)));
  assert.deepEqual(
    free.map(({ status }) => status),
    ports.map(() => 201),
  );
  const same = await Promise.all([add(50), add(50), add(50)]);
  assert.deepEqual(same.map(({ status }) => status).sort(), [201, 409, 409]);
  const { backend_id } = withPort(await list(bed), a);
  const mixed = await Promise.all([
    bed.api("PATCH", `/backends/${backend_id}`, { weight: 9 }),
    bed.api("PATCH", `/backends/${backend_id}`, { max_connections: 99 }),
    bed.api("PUT", "/config/algorithm", { algorithm: "least_connections" }),
    add(60),
  ]);
  assert.deepEqual(
    mixed.map(({ status }) => status),
    [200, 200, 200, 201],
  );
  const all = await list(bed);
  const changed = withPort(all, a);
  assert.deepEqual([changed.weight, changed.max_connections], [9, 99]);
  assert.deepEqual(
    all.map(({ port }) => port).filter((port) => port >= 10 && port <= 60),
    [...ports, 50, 60],
  );
});

test("pools come and go; weights move the shares of those that serve", TIMEOUT, async (t) => {
  const [a, b] = (await named(t, "a", "b")) as [LineBackend, LineBackend];
  const bed = await startBalancer(t, configOf([a, b]));
  const all = await allHealthy(bed, t);
  await bed.json("PUT", "/config/algorithm", { algorithm: "weighted_round_robin" });
  const stays = await openClient(bed.port);
  const [home] = (await stays.ask("1")).split(" ");
  for (const [weight, expected] of [
    [3, { a: 18, b: 6 }],
    [1, { a: 12, b: 12 }],
    [0, { b: 24 }],
  ] as const) {
    await bed.json("PATCH", `/backends/${withPort(all, a).backend_id}`, { weight });
    const counts = await answers(bed, 24);
    // Each of the two workers takes its turns by itself: as many as that may be off.
    for (const name of ["a", "b"] as const) {
      const wanted = (expected as Record<string, number>)[name] ?? 0;
      assert.ok(
        Math.abs((counts[name] ?? 0) - wanted) <= (weight === 0 ? 0 : 3),
        `${weight}: ${JSON.stringify(counts)}`,
      );
    }
  }
  assert.equal(await stays.ask("2"), `${home} 2`);
  stays.close();

  const created = await bed.json("PUT", "/pools/spare", { algorithm: "random", backends: [`127.0.0.1:${b.port}`] });
  assert.deepEqual([created["name"], created["origin"], created["algorithm"]], ["spare", "api", "random"]);
  const spare = await bed.json<Backend>("POST", "/backends", { address: "127.0.0.1", port: a.port, pool: "spare" });
  assert.deepEqual(
    (await bed.json<Backend[]>("GET", "/backends?pool=spare")).map(({ port }) => port),
    [b.port, a.port],
  );
  assert.equal((await bed.api("POST", "/backends", { address: "127.0.0.3", port: 1 })).status, 400);
  await bed.json("DELETE", `/backends/${spare.backend_id}`);
  assert.deepEqual(
    (await bed.json<Backend[]>("GET", "/backends?pool=spare")).map(({ port }) => port),
    [b.port],
  );
  assert.deepEqual(await bed.json("DELETE", "/pools/spare"), { name: "spare", says: "spare is gone" });
  assert.equal((await bed.api("GET", "/pools/spare")).status, 404);
  assert.equal((await bed.api("PUT", "/pools/web", { drain: "5s", algorithm: null })).status, 200);
  const web = await bed.json("GET", "/pools/web");
  assert.deepEqual([web["drain_seconds"], web["algorithm"]], [5, "p2c"]);
});

test(
  "an overlay that does not fit the files any more refuses a reload, and a start goes without it",
  TIMEOUT,
  async (t) => {
    const [a, b] = (await named(t, "a", "b")) as [LineBackend, LineBackend];
    const bed = await startBalancer(t, configOf([a]));
    await allHealthy(bed, t);
    const check = join(bed.folder, "health/probe.yaml");
    mkdirSync(dirname(check));
    writeFileSync(check, "kind: tcp\n");
    await bed.json("PUT", "/pools/web", { check: "probe" });
    await bed.json("POST", "/backends", { address: "127.0.0.1", port: b.port });
    const served = async () => ({
      check: (await bed.json("GET", "/pools/web"))["health_check"],
      ports: (await list(bed)).map(({ port }) => port),
    });
    const both = { check: "probe", ports: [a.port, b.port] };
    assert.deepEqual(await served(), both);

    rmSync(check);
    assert.equal((await bed.api("POST", "/config/reload", {})).status, 422);
    assert.deepEqual(await served(), both);
    await bed.restart();
    const without = await served();
    assert.deepEqual(without.ports, [a.port]);
    assert.match(bed.out(), /was left out/);
    assert.equal(Object.keys(await answers(bed, 2)).length, 1);

    writeFileSync(check, "kind: tcp\n");
    await bed.json("POST", "/config/reload", {});
    assert.deepEqual(await served(), both);
  },
);

test("rhumb backend … does what the API does", TIMEOUT, async (t) => {
  const [a, b] = (await named(t, "a", "b")) as [LineBackend, LineBackend];
  const bed = await startBalancer(t, configOf([a]));
  await allHealthy(bed, t);
  const run = async (words: readonly string[], code = 0) => {
    const env = { RHUMB_API: apiOf(bed), RHUMB_TOKEN: TOKEN };
    const outcome = await rhumb(["backend", ...words], { env });
    assert.equal(outcome.code, code, `${words.join(" ")}: ${outcome.out}${outcome.err}`);
    return outcome.out;
  };
  const nameOf = ({ port }: LineBackend) => `127.0.0.1:${port}`;
  await run(["add", nameOf(b), "--weight", "2"]);
  await allHealthy(bed, t);
  const shown = JSON.parse(await run(["list", "--json"])) as Backend[];
  assert.deepEqual(
    shown.map(({ port, weight, origin }) => [port, weight, origin]),
    [
      [a.port, 1, "file"],
      [b.port, 2, "api"],
    ],
  );
  await run(["drain", nameOf(b)]);
  assert.equal(withPort(await list(bed), b).status, "draining");
  await run(["maint", nameOf(b)]);
  assert.equal(withPort(await list(bed), b).status, "maintenance");
  assert.match(await run(["show", nameOf(b)]), /maintenance/);
  await run(["ready", nameOf(b)]);
  await allHealthy(bed, t);
  await run(["weight", nameOf(b), "9"]);
  assert.equal(withPort(await list(bed), b).weight, 9);
  await run(["remove", nameOf(b)]);
  assert.equal((await list(bed)).length, 1);
  await run(["show", nameOf(b)], 2);
});

test("/metrics counts what went through", TIMEOUT, async (t) => {
  const [a] = (await named(t, "a")) as [LineBackend];
  const bed = await startBalancer(t, configOf([a]));
  await allHealthy(bed, t);
  await answers(bed, 5);
  const client = await openClient(bed.port);
  await client.ask("x");
  const wanted = [
    /^rhumb_listener_accepted_total\{listener="web"\} 6$/m,
    /^rhumb_listener_connections\{listener="web"\} 1$/m,
    /^rhumb_backend_up\{pool="web",backend="[^"]+"\} 1$/m,
    /^rhumb_backend_connections_total\{pool="web",backend="[^"]+"\} 6$/m,
    /^rhumb_backend_active_connections\{pool="web",backend="[^"]+"\} 1$/m,
    /^rhumb_pool_backends\{pool="web",state="active"\} 1$/m,
    /^rhumb_pool_queue_depth\{pool="web"\} 0$/m,
  ];
  // Connections that have ended are told of a moment later.
  const text = await until(
    async () => (await bed.api("GET", "/metrics")).text(),
    (metrics) => /^rhumb_listener_connections\{listener="web"\} 1$/m.test(metrics),
    t,
  );
  for (const pattern of wanted) assert.match(text, pattern);
  client.close();
});
