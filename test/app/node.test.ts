/** A whole node in this process: what the parts make of each other. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { type RhumbNode, startNode } from "#app/node.ts";
import { silentLog } from "#base/log.ts";
import type { RhumbEvent } from "#state/events.ts";

const TOKEN = "token-of-the-node-test";
const FILES = {
  "rhumb.yaml": `version: 1
node: ns1
dns: { listen: ["127.0.0.1:0"], workers: 1 }
control: { listen: "127.0.0.1:0", tokens: { ops: { token: "file:run/token", role: admin } } }
zones: zones/
geo: { regions: geo-data/regions.yaml }
`,
  "run/token": `${TOKEN}\n`,
  "geo-data/regions.yaml": `east: { at: [40, -75], continent: NA, country: US, v4: [192.0.2.1] }
west: { at: [37, -122], continent: NA, country: US, v4: [192.0.2.2] }
`,
  "zones/services.yaml": "www: { regions: [east, west], steer: failover, ttl: { max: 30s } }\n",
  "zones/example.com.zone": `@ 3600 SOA ns1 host 1 7200 900 1209600 300
@ 3600 NS ns1
ns1 3600 A 192.0.2.53
www 30 STEER www
`,
};

function makeFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "rhumb-node-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  for (const [file, text] of Object.entries(FILES)) {
    mkdirSync(join(folder, file, ".."), { recursive: true });
    writeFileSync(join(folder, file), text, { mode: 0o600 });
  }
  return folder;
}

type Running = {
  readonly node: RhumbNode;
  readonly events: RhumbEvent[];
  call(method: string, path: string, body?: object): Promise<{ status: number; body: unknown }>;
};
async function run(folder: string): Promise<Running> {
  const events: RhumbEvent[] = [];
  const node = await startNode({
    config: join(folder, "rhumb.yaml"),
    version: "0.0.0",
    log: silentLog,
    stateFolder: join(folder, "state"),
    onEvent: (event) => events.push(event),
  });
  return {
    node,
    events,
    async call(method, path, body) {
      const response = await fetch(`${node.apiUrl}${path}`, {
        method,
        headers: {
          authorization: `Bearer ${TOKEN}`,
          ...(body === undefined ? {} : { "content-type": "application/json" }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      return { status: response.status, body: text.startsWith("{") || text.startsWith("[") ? JSON.parse(text) : text };
    },
  };
}

test("a node keeps overrides, measured latency and the overlay over a restart", async (t) => {
  const folder = makeFolder(t);
  const first = await run(folder);
  const put = await first.call("PUT", "/latency", {
    entries: [{ network: "198.51.100.0/24", rttMs: { east: 12.5, west: 40 } }],
  });
  assert.equal(put.status, 200);
  const set = { target: "east", verb: "down", reason: "kernel upgrade", forMs: 3_600_000 };
  assert.equal((await first.call("POST", "/overrides", set)).status, 201);
  const overlay = { services: { www: { ttl: { max: "60s" } } } };
  assert.equal((await first.call("PUT", "/config", overlay)).status, 200);
  await first.node.close();

  const second = await run(folder);
  t.after(() => second.node.close());
  const see = async (path: string, expected: object): Promise<void> =>
    assert.partialDeepStrictEqual((await second.call("GET", path)).body, expected);
  await see("/latency", { entries: [{ network: "198.51.100.0/24", rttMs: { east: 12.5, west: 40 } }] });
  await see("/services/www", { origin: "api", ttl: { maxSeconds: 60 } });
  await see("/regions/east", { origin: "file" });
  await see("/explain?name=www.example.com&from=198.51.100.7&at=2027-01-01T00:00:00Z", {
    rcode: "NOERROR",
    says: "west",
    atMs: 1_798_761_600_000,
    regions: [{ id: "east", says: "overridden down", override: { owner: "ops", reason: "kernel upgrade" } }],
  });
});

test("a refused overlay is its sender's matter: 422 with the problem, no alarm, and the last reload stays good", async (t) => {
  const running = await run(makeFolder(t));
  t.after(() => running.node.close());
  const refused = await running.call("PUT", "/config", { services: { www: { regions: ["mars"] } } });
  assert.equal(refused.status, 422);
  assert.match(JSON.stringify(refused.body), /There is no region/);
  const status = (await running.call("GET", "/status")).body;
  assert.partialDeepStrictEqual(status, { config: { lastReload: { isOk: true } } });
  assert.deepEqual((status as { alarms: unknown }).alarms, []);
  const metrics = String((await running.call("GET", "/metrics")).body);
  assert.match(metrics, /^rhumb_config_last_reload_ok 1$/m);
  assert.match(metrics, /^rhumb_health_monitors 0$/m);
});

test("bad questions and bad measurements are 400, each with what is wrong", async (t) => {
  const running = await run(makeFolder(t));
  t.after(() => running.node.close());
  for (const [method, path, body, says] of [
    ["GET", "/explain?name=www.example.com&from=nowhere", undefined, /nowhere/],
    ["PUT", "/latency", { entries: [{ network: "198.51.100.0/24", rttMs: { mars: 1 } }] }, /mars/],
    ["POST", "/overrides", { target: "east", verb: "down", reason: "x", untilMs: 9e15 }, /within a year/],
  ] as const) {
    const answer = await running.call(method, path, body);
    assert.equal(answer.status, 400, path);
    assert.match(JSON.stringify(answer.body), says);
  }
  const unknown = await running.call("POST", "/overrides", { target: "mars", verb: "down", reason: "x" });
  assert.equal(unknown.status, 409);
  assert.match(JSON.stringify(unknown.body), /No target matches/);
});

test("a node that is drained by hand says that it is not ready, serves on, and is ready again after a restart", async (t) => {
  const folder = makeFolder(t);
  const first = await run(folder);
  const ready = { status: 200, body: { isReady: true, reasons: [] } };
  const drained = { status: 503, body: { isReady: false, reasons: ["An operator drains the node"] } };
  const openDrains = async (node: Running) => {
    const { alarms } = (await node.call("GET", "/status")).body as { alarms: { kind: string; says: string }[] };
    return alarms.filter(({ kind }) => kind === "node.drain").map(({ says }) => says);
  };
  assert.deepEqual(await first.call("GET", "/readyz"), ready);
  const started = (await first.call("POST", "/drain", { reason: "fan swap" })).body as { sinceMs: number };
  assert.deepEqual(await first.call("GET", "/readyz"), drained);
  assert.match((await openDrains(first))[0]!, /^ops drains this node: fan swap\./);
  const { workers } = (await first.call("GET", "/status")).body as { workers: { state: string }[] };
  assert.deepEqual([...new Set(workers.map(({ state }) => state))], ["serving"]);
  assert.deepEqual((await first.call("POST", "/drain", {})).body, {
    ...{ isDraining: true, owner: "ops", reason: null },
    sinceMs: started.sinceMs,
  });
  await first.call("DELETE", "/drain");
  assert.deepEqual(await first.call("GET", "/readyz"), ready);
  assert.deepEqual(await openDrains(first), []);
  await first.call("DELETE", "/drain");
  const severities = first.events.filter(({ kind }) => kind === "node.drain").map(({ severity }) => severity);
  assert.deepEqual(severities, ["warning", "warning", "resolved"]);
  await first.call("POST", "/drain", {});
  await first.node.close();
  const second = await run(folder);
  assert.deepEqual(await second.call("GET", "/readyz"), ready);
  await second.node.close();
});
