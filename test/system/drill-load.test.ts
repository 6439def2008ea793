/**
 * The clients of a drill at the real thing: a balancer that is replaced under them, name servers that change their mind and
 * are started again.
 */
import assert from "node:assert/strict";
import test from "node:test";
import { answerTo, EU, reply, specOf, startNameServer, startWeb, US, WEB_PORT } from "../drill/load/bed.ts";
import { runningLoad, secondsOf } from "../drill/load/running-load.ts";
import { configHead, startBalancer } from "./balancer-bed.ts";
import { apiClient, startRhumb } from "./running.ts";
import { folderWith, freePort } from "./tools.ts";

const RPS = 50;
const base = specOf();

for (const engine of ["epoll", "net"] as const)
  test(`clients lose no request while the process of a balancer is replaced twice (${engine})`, async (t) => {
    const backends = await Promise.all([0, 1].map(() => startWeb(t, (socket) => reply(socket, "eu-west"))));
    const balancer = await startBalancer(
      t,
      ({ port, apiPort }) => `${configHead(apiPort)}balancer:
  region: eu-west
  workers: 2
  engine: ${engine}
  drain: 10s
  listeners: { web: { listen: "127.0.0.1:${port}", protocol: http, pool: web } }
  pools: { web: { check: { kind: tcp, interval: 1s, timeout: 900ms }, backends: [${backends.map(({ port }) => `"127.0.0.1:${port}"`).join(", ")}] } }
`,
    );
    const names = await startNameServer(t, (query, send) => send(answerTo(query, { addresses: [EU], ttlSeconds: 5 })));
    const load = runningLoad(t, {
      ...base,
      place: {
        ...base.place,
        resolvers: [names],
        ways: { [`${EU}:${WEB_PORT}`]: { address: "127.0.0.1", port: balancer.port } },
      },
      dns: { ...base.dns, clients: 40 },
      http: { ...base.http, rps: RPS },
    });
    await load.until(({ kind }) => kind === "ready");
    for (let replacement = 0; replacement < 2; replacement++) {
      const { ended } = await balancer.replace();
      await ended;
    }
    const seconds = secondsOf(await load.end());
    const of = (outcome: "ok" | "retried" | "lost"): number =>
      seconds.reduce((sum, { http }) => sum + (http["eu-west"]?.[outcome] ?? 0), 0);
    t.diagnostic(`${of("ok")} at once, ${of("retried")} after another try, ${of("lost")} lost`);
    assert.equal(of("lost"), 0);
    assert.ok(of("ok") > RPS);
  });

const TOKEN = "token-of-the-drill-load-0001";
const files = (dns: number, api: number): Record<string, string> => ({
  token: TOKEN,
  "rhumb.yaml": `version: 1
node: ns1
control: { listen: "127.0.0.1:${api}", tokens: { ops: { token: "file:token", role: admin } } }
cluster: { state: state/ }
dns: { listen: ["127.0.0.1:${dns}"], workers: 1 }
zones: zones/
geo: { regions: regions.yaml }
`,
  "regions.yaml": `us-east: { at: [39, -77], v4: [${US}], v6: [] }
eu-west: { at: [53, -6], v4: [${EU}], v6: [] }
`,
  "zones/services.yaml": `www: { regions: [us-east, eu-west], steer: failover, ttl: { min: 1s, max: 2s } }
`,
  "zones/test.example.zone": `$ORIGIN test.example.
@ 60 SOA ns hostmaster 1 3600 600 86400 60
@ 60 NS ns
ns 60 A 192.0.2.53
www 2 STEER www
`,
});

test("clients lose no query while one of two name servers is started again, and the watch sees each change", async (t) => {
  const nodes = await Promise.all(
    [0, 1].map(async () => {
      const port = await freePort();
      const api = await freePort();
      const folder = folderWith(t, files(port, api));
      const start = async () => {
        const process = startRhumb(t, ["start", "-c", "rhumb.yaml"], folder);
        await process.printed(/serves DNS on/);
        return process;
      };
      return { at: { address: "127.0.0.1", port }, api: apiClient(`http://127.0.0.1:${api}`, TOKEN), start };
    }),
  );
  const [first] = await Promise.all(nodes.map(({ start }) => start()));
  const load = runningLoad(t, {
    ...base,
    place: { ...base.place, resolvers: nodes.map(({ at }) => at) },
    dns: { clients: 50, qps: 100, stretchTtl: 0 },
    watch: nodes.map(({ at }, index) => ({ node: `ns${index + 1}`, at })),
  });
  await load.until(({ kind }) => kind === "ready");
  const drained = await nodes[1]!.api("POST", "/overrides", {
    target: "region/us-east",
    verb: "drain",
    reason: "a drill",
  });
  assert.equal(drained.status, 201, drained.text);
  await load.until((line) => line.kind === "answer" && line.node === "ns2" && line.regions[0] === "eu-west");
  first!.signal("SIGTERM");
  await first!.ended;
  await load.until((line) => line.kind === "silent" && line.node === "ns1");
  const count = load.lines.length;
  await nodes[0]!.start();
  await load.until((line) => line.kind === "answer" && line.node === "ns1" && load.lines.indexOf(line) >= count);
  const seconds = secondsOf(await load.end());
  const queries = seconds.reduce((sum, { dns }) => sum + dns.queries, 0);
  const answered = seconds.reduce((sum, { dns }) => sum + Object.values(dns.answers).reduce((a, b) => a + b, 0), 0);
  t.diagnostic(`${answered} of ${queries} queries answered`);
  assert.equal(answered, queries);
  assert.ok(seconds.every(({ dns }) => dns.answers[""] === undefined));
});
