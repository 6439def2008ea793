/**
 * No request lost: wrk and h2load go on while rules, backends and certificates change every second, and while the program is
 * replaced.
 */
import assert from "node:assert/strict";
import { copyFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { until } from "./balancer-bed.ts";
import { ask, HOST, keptAlive, startHttpBackend, startSite, steadyRequests } from "./http-site.ts";
import { run } from "./running.ts";
import { without } from "./tools.ts";

const skip = without("wrk", "h2load");
const SECONDS = 12;

/** What wrk says of failures; nothing where there were none. */
async function wrk(url: string): Promise<string[]> {
  const { out, err } = await run("wrk", ["-t", "1", "-c", "16", "-d", `${SECONDS}s`, "-H", `Host: ${HOST}`, url]);
  assert.match(out, /[1-9]\d* requests in/, out + err);
  return out.split("\n").filter((line) => /Socket errors|Non-2xx/.test(line));
}
async function h2load(url: string): Promise<string[]> {
  const { out, err } = await run("h2load", ["-D", String(SECONDS), "-c", "4", "-m", "10", "-t", "1", url]);
  assert.match(out, /[1-9]\d* succeeded/, out + err);
  return /0 failed, 0 errored, 0 timeout/.test(out) && /0 3xx, 0 4xx, 0 5xx/.test(out) ? [] : [out];
}

test("wrk and h2load lose nothing over a reload every second", { skip, timeout: 120_000 }, async (t) => {
  const backends = await Promise.all(["a", "b", "c"].map((name) => startHttpBackend(t, name)));
  const [a, b, c] = backends.map(({ port }) => port) as [number, number, number];
  const part = (change: number) => ({
    ports: change % 2 === 0 ? [a, b, c] : [a, change % 4 === 1 ? b : c],
    pool: `algorithm: ${["p2c", "round_robin", "least_connections"][change % 3]}`,
    listener: `rules: [{ name: old-${change}, match: { path: /old/${change} }, respond: { status: 404 } }, { match: { path: / }, response: { set: { X-Change: "${change}" } }, pool: web }]`,
  });
  const site = await startSite(t, part(0));
  const certificates = [0, 1].map(() => site.authority.issue({ names: [HOST], addresses: ["127.0.0.1"] }));
  let isOver = false;
  let change = 0;
  const changing = (async () => {
    while (!isOver) {
      const next = certificates[change % 2]!;
      for (const kind of ["keyFile", "certFile"] as const) {
        copyFileSync(next[kind], `${site.issued[kind]}.new`);
        renameSync(`${site.issued[kind]}.new`, site.issued[kind]);
      }
      writeFileSync(join(site.bed.folder, "rhumb.yaml"), site.config(part(++change)));
      process.kill(site.bed.pid(), "SIGHUP");
      await until(
        () => ask(site, true, "/"),
        ({ headers }) => headers["x-change"] === String(change),
        t,
      );
      await new Promise((resolve) => setTimeout(resolve, 1_000));
    }
  })();
  const faults = await Promise.all([
    wrk(`http://127.0.0.1:${site.port}/`),
    wrk(`https://127.0.0.1:${site.tlsPort}/`),
    h2load(`https://127.0.0.1:${site.tlsPort}/`),
  ]);
  isOver = true;
  await changing;
  assert.deepEqual(faults.flat(), []);
  assert.ok(change >= 3, `${change} changes`);
});

test("clients that keep connections lose nothing while the program is replaced", {
  skip,
  timeout: 120_000,
}, async (t) => {
  const backend = await startHttpBackend(t, "a");
  const site = await startSite(t, { ports: [backend.port], balancer: "drain: 10s" });
  const clients = [false, true].map((isTls) => {
    const agent = keptAlive(isTls, 8);
    t.after(() => agent.destroy());
    return steadyRequests(site, isTls, agent, 50);
  });
  const loads = [wrk(`http://127.0.0.1:${site.port}/`), wrk(`https://127.0.0.1:${site.tlsPort}/`)];
  const before = site.bed.pid();
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  const { ended } = await site.bed.replace();
  assert.notEqual(site.bed.pid(), before);
  const faults = (await Promise.all(loads)).flat();
  for (const client of clients) {
    const { served, faults: own } = await client.stop();
    assert.ok(served > 0);
    faults.push(...own);
  }
  assert.deepEqual(faults.slice(0, 5), []);
  await ended;
});
