/**
 * The dashboard in a real browser: headless Chromium against a demo world. What the browser complains about on its
 * console, a breach of the page's own policy among it, is a failure.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { chromium } from "playwright-core";
import { startDemoWorld } from "./running.ts";
import { findTool, without } from "./tools.ts";

const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

test("an operator logs in, sees the regions, takes one out and puts it back", {
  skip: without("chromium"),
  timeout: 120_000,
}, async (context) => {
  const world = await startDemoWorld(context);
  const profile = mkdtempSync(join(tmpdir(), "rhumb-chromium-"));
  context.after(() => rmSync(profile, { recursive: true, force: true, maxRetries: 3 }));
  const browser = await chromium.launchPersistentContext(profile, {
    executablePath: findTool("chromium")!,
    headless: true,
    args: ARGUMENTS,
    viewport: { width: 1_280, height: 900 },
  });
  context.after(() => browser.close());
  const page = browser.pages()[0] ?? (await browser.newPage());
  page.setDefaultTimeout(30_000);
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  const requests: string[] = [];
  page.on("request", (request) => requests.push(request.url()));

  await page.goto(`${world.apiUrl}/`);
  await page.locator("#login-form").waitFor();
  assert.equal(await page.locator("#board").isVisible(), false);
  await page.fill("#token", "not-the-token-of-this-world");
  await page.click("#login-button");
  await page.locator("#login-error").filter({ hasText: /./ }).waitFor();
  assert.equal(await page.locator("#board").isVisible(), false);
  // The browser itself reports each 401: of the first look for a session, and of the wrong token.
  assert.deepEqual(
    complaints.filter((text) => !/status of 401/.test(text)),
    [],
  );
  complaints.length = 0;

  await page.fill("#token", world.token);
  await page.click("#login-button");
  for (const region of ["us-east", "eu-west", "ap-south"])
    await page.locator(`#region-${region} .state`, { hasText: /^up$/ }).waitFor();
  assert.match((await page.locator("#summary").textContent()) ?? "", /3 of 3 regions up/);
  assert.match((await page.locator("#service-www").textContent()) ?? "", /healthy → geo → nearest → first/);
  await page.locator("#connection", { hasText: "live" }).waitFor();

  await page.fill("#override-target", "region/eu-west");
  await page.fill("#override-reason", "<b>fire drill</b>");
  await page.click("#override-set");
  await page.locator("#region-eu-west .state", { hasText: /^down$/ }).waitFor();
  const override = page.locator("#overrides tbody tr", { hasText: "<b>fire drill</b>" });
  await override.waitFor();
  assert.match((await override.textContent()) ?? "", /region\/eu-west.*down.*ops/);
  await page.locator("#events li", { hasText: "region/eu-west" }).first().waitFor();
  const overrides = (await world.api("GET", "/overrides")).json<{ id: string }[]>();
  assert.equal(overrides.length, 1);
  const screenshot = process.env["RHUMB_TEST_SCREENSHOT"];
  if (screenshot) await page.screenshot({ path: screenshot, fullPage: true });

  await override.locator("button").click();
  await page.locator("#region-eu-west .state", { hasText: /^up$/ }).waitFor();
  await override.waitFor({ state: "detached" });

  // Live: what somebody else does shows without a reload of the page.
  const elsewhere = { target: "region/ap-south", verb: "drain", reason: "from elsewhere", forMs: 600_000 };
  assert.equal((await world.api("POST", "/overrides", elsewhere)).status, 201);
  await page.locator("#region-ap-south .state", { hasText: /^drain$/ }).waitFor();

  assert.equal(await page.evaluate("document.cookie"), "", "scripts cannot read the session");
  await page.click("#logout");
  await page.locator("#login-form").waitFor();
  assert.equal(await page.locator("#board").isVisible(), false);
  assert.deepEqual(
    complaints.filter((text) => !/status of 401/.test(text)),
    [],
  );
  assert.deepEqual(
    requests.filter((url) => !url.startsWith(world.apiUrl)),
    [],
    "nothing is asked of anybody else",
  );
});
