/** The dashboard of a balancer in headless Chromium: traffic of listeners and backends, rules, certificates. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, get } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { chromium } from "playwright-core";
import { createAuthority } from "../tls/authority.ts";
import { configHead, startBalancer, TOKEN } from "./balancer-bed.ts";
import { findTool, freePort, without } from "./tools.ts";

test("requests, errors, latencies, rules and ends of certificates are on the page, and follow what happens", {
  skip: without("chromium"),
  timeout: 120_000,
}, async (t) => {
  const server = createServer(({ url }, response) => response.writeHead(url === "/bad" ? 500 : 200).end());
  await once(server.listen(0, "127.0.0.1"), "listening");
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const backend = (server.address() as AddressInfo).port;
  const { certFile, keyFile } = createAuthority(t, "Paper CA").issue({ names: ["www.example.net"] });
  const tlsPort = await freePort();
  let url = "";
  const bed = await startBalancer(t, ({ port, apiPort }) => {
    url = `http://127.0.0.1:${apiPort}`;
    return `${configHead(apiPort)}balancer:
  region: here
  workers: 1
  listeners:
    plain: { listen: "127.0.0.1:${port}", protocol: http, pool: web, rules: [{ name: old, match: { path: /old }, redirect: /new, waf: true }] }
    safe: { listen: "127.0.0.1:${tlsPort}", protocol: https, pool: web, certificates: [{ cert: "${certFile}", key: "${keyFile}" }] }
  pools:
    web: { backends: ["127.0.0.1:${backend}"], outlier: { enabled: false } }
`;
  });
  const profile = mkdtempSync(join(tmpdir(), "rhumb-chromium-"));
  t.after(() => rmSync(profile, { recursive: true, force: true, maxRetries: 3 }));
  const browser = await chromium.launchPersistentContext(profile, {
    executablePath: findTool("chromium")!,
    headless: true,
    args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"],
  });
  t.after(() => browser.close());
  const page = browser.pages()[0] ?? (await browser.newPage());
  page.setDefaultTimeout(30_000);
  const faults: string[] = [];
  page.on("pageerror", (error) => faults.push(String(error)));

  await page.goto(`${url}/`);
  await page.fill("#token", TOKEN);
  await page.click("#login-button");
  await page.locator("#listener-plain").waitFor();
  await page
    .locator("#rules tbody tr", { hasText: "1. old" })
    .filter({ hasText: "/new" })
    .filter({ hasText: "waf" })
    .waitFor();
  const certificate = page.locator("#certificates tbody tr", { hasText: "www.example.net" });
  assert.match((await certificate.textContent()) ?? "", /safe.*Paper CA.*in \d+ d/);

  // So many a second that each reading sees some.
  const asking = setInterval(() => {
    for (const path of ["/", "/bad"])
      get({ host: "127.0.0.1", port: bed.port, path }, (response) => response.resume()).on("error", () => {});
  }, 20);
  t.after(() => clearInterval(asking));
  const rate = /^[1-9]\d*\.\d$/;
  for (const cell of [
    page.locator("#listener-plain td").nth(3),
    page.locator("#listener-plain td").nth(4),
    page.locator("#backends tbody tr td").nth(4),
    page.locator("#backends tbody tr td").nth(5),
  ])
    await cell.filter({ hasText: rate }).waitFor();
  await page.locator("#backends tbody tr td").nth(7).filter({ hasText: / ms$/ }).waitFor();
  assert.deepEqual(faults, []);
});
