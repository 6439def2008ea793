/**
 * The page of a report in a real browser, from a file: headless Chromium. What the browser complains about on its console, a
 * breach of the page's own policy among it, is a failure, and so is any request.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, type TestContext, test } from "node:test";
import { pathToFileURL } from "node:url";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import type { DrillReport } from "#drill/report/shape.ts";
import { writeReport } from "#drill/report/write-report.ts";
import { findTool, without } from "../../system/tools.ts";
import { contrastsOf } from "./contrast.ts";
import { sampleReport } from "./sample-report.ts";

const ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"];
let browser: Browser | undefined;
after(() => browser?.close());
const options = { skip: without("chromium"), timeout: 120_000 };

type Opened = { readonly page: Page; readonly complaints: string[]; readonly requests: string[]; readonly url: string };

async function open(context: TestContext, report: DrillReport, how: BrowserContextOptions = {}): Promise<Opened> {
  const folder = mkdtempSync(join(tmpdir(), "rhumb-page-"));
  context.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));
  browser ??= await chromium.launch({ executablePath: findTool("chromium")!, headless: true, args: ARGUMENTS });
  const page = await browser.newPage({ viewport: { width: 1_320, height: 900 }, ...how });
  context.after(() => page.close());
  page.setDefaultTimeout(30_000);
  const complaints: string[] = [];
  page.on("console", (message) => complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  const requests: string[] = [];
  page.on("request", (request) => requests.push(request.url()));
  const url = pathToFileURL(writeReport(report, folder).html).href;
  await page.goto(url);
  // uPlot draws in a microtask and once more when its size is known: two frames later all is there.
  await page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))");
  return { page, complaints, requests, url };
}

/** In the page: how many pixels of each series' colour are in its plot. `charts` and `colour` are the page's own. */
const PIXELS = `charts.map(({ spec, plot }) => {
  const { left, top, width, height } = plot.bbox;
  const pixels = plot.ctx.getImageData(left, top, width, height).data;
  return {
    id: spec.id,
    series: spec.series.map(({ label, paint }) => {
      const wanted = colour(paint.colour).match(/[\\d.]+/g).map(Number);
      let count = 0;
      for (let at = 0; at < pixels.length; at += 4) {
        if (pixels[at + 3] < 128) continue;
        const far = [0, 1, 2].reduce((sum, of) => sum + Math.abs(pixels[at + of] - wanted[of]), 0);
        if (far < 60) count++;
      }
      return { label, count };
    }),
  };
})`;
/** Seconds at each plot's cursor; null: it has none. */
const CURSORS = `charts.map(({ plot }) => plot.cursor.left < 0 ? null : plot.posToVal(plot.cursor.left, "x"))`;

for (const { name, report, plots } of [
  { name: "of an outage with BGP", report: sampleReport(), plots: 20 },
  { name: "of one continent without BGP", report: sampleReport({ continents: ["EU"], hasBgp: false }), plots: 7 },
  { name: "that was aborted", report: sampleReport({ outcome: "aborted" }), plots: 19 },
  { name: "that never began", report: sampleReport({ outcome: "broken" }), plots: 0 },
] as const)
  for (const colorScheme of ["light", "dark"] as const)
    test(
      `the page ${name} draws all of its plots, asks for nothing, and can be read (${colorScheme})`,
      options,
      async (context) => {
        const { page, complaints, requests, url } = await open(context, report, { colorScheme });
        const drawn = await page.evaluate<{ id: string; series: { label: string; count: number }[] }[]>(PIXELS);
        assert.equal(drawn.length, plots);
        for (const { id, series } of drawn)
          for (const { label, count } of series) assert.ok(count >= 3, `${id}: ${count} pixels of ${label}`);
        const contrasts = await page.evaluate(contrastsOf);
        assert.ok(contrasts.length > 20);
        for (const { text, ratio } of contrasts) assert.ok(ratio >= 4.5, `${ratio.toFixed(2)}: ${text}`);
        assert.deepEqual(complaints, []);
        assert.deepEqual(requests, [url], "the page itself, and nothing else");
      },
    );

test("one cursor runs through all plots and bands, by mouse and by key", options, async (context) => {
  const { page, complaints } = await open(context, sampleReport());
  const over = page.locator('[data-plot="overview"] .u-over');
  const box = (await over.boundingBox())!;
  await page.mouse.move(box.x + box.width * 0.3, box.y + 40);
  await page.locator('[data-plot="requests-EU"] .key b', { hasText: /\d/ }).first().waitFor();
  const cursors = await page.evaluate<number[]>(CURSORS);
  assert.equal(cursors.length, 20);
  for (const at of cursors) assert.ok(Math.abs(at - 30) < 0.5, `${at} s`);
  const lines = await page
    .locator(".band-area .cursor")
    .evaluateAll((all) => all.map((line) => line.getAttribute("x1")));
  assert.equal(lines.length, 2);
  for (const x of lines) assert.ok(Math.abs(Number.parseFloat(x!) - 30) < 0.5, String(x));
  assert.equal(await page.locator(".key b", { hasText: /^$/ }).count(), 0, "each plot tells its values");

  const routes = page.locator("#routes .band-area");
  const { width } = (await routes.boundingBox())!;
  await routes.hover({ position: { x: width * 0.7, y: 10 } });
  for (const at of await page.evaluate<number[]>(CURSORS)) assert.ok(Math.abs(at - 70) < 0.5, `${at} s`);
  await page.mouse.move(2, 2);
  assert.deepEqual(new Set(await page.evaluate<null[]>(CURSORS)), new Set([null]));

  const slider = page.locator('[data-plot="requests-EU"] .canvas');
  await slider.focus();
  await page.keyboard.press("Home");
  for (const key of ["PageUp", "PageUp", "ArrowRight", "ArrowRight", "ArrowLeft"]) await page.keyboard.press(key);
  assert.equal(await slider.getAttribute("aria-valuenow"), "21");
  assert.match(
    (await slider.getAttribute("aria-valuetext"))!,
    /^0:21: us-east \d+, eu-west 0, us-east after a retry \d+/,
  );
  for (const at of await page.evaluate<number[]>(CURSORS)) assert.ok(Math.abs(at - 21) < 0.1, `${at} s`);
  assert.deepEqual(complaints, []);
});

test("a part of the run is looked at in all plots and bands, and the whole again", options, async (context) => {
  const { page } = await open(context, sampleReport());
  const ranges = (): Promise<number[][]> =>
    page.evaluate("charts.map(({ plot }) => [plot.scales.x.min, plot.scales.x.max])");
  const over = page.locator('[data-plot="drain"] .u-over');
  await over.scrollIntoViewIfNeeded();
  const box = (await over.boundingBox())!;
  const band = page.locator("#routes .band").first();
  assert.equal(await band.getAttribute("width"), "100%");
  await page.mouse.move(box.x + box.width * 0.1, box.y + 30);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.5, box.y + 30, { steps: 4 });
  await page.mouse.up();
  const whole = page.locator("#whole");
  await whole.waitFor();
  for (const [min, max] of await ranges())
    assert.ok(Math.abs(min! - 10) < 0.5 && Math.abs(max! - 50) < 0.5, `${min}–${max}`);
  const moved = page.locator("#routes .band", { has: page.locator("title", { hasText: "0:20 to" }) });
  assert.ok(Math.abs(Number.parseFloat((await moved.getAttribute("x"))!) - 25.5) < 1.5);
  await whole.click();
  for (const range of await ranges()) assert.deepEqual(range, [0, 100]);
  assert.equal(await band.getAttribute("width"), "100%");
  assert.equal(await whole.isVisible(), false);
});

test("events are filtered by severity and by words, and hostile ones stay words", options, async (context) => {
  const report = sampleReport();
  const says = `</script><img src=x onerror="document.title='taken'"> & "more"`;
  const hostile = { ...report.events[0]!, severity: "warning", subject: says, says, node: says, kind: says };
  const { page, complaints } = await open(context, { ...report, says, events: [...report.events, hostile] });
  const rows = page.locator("#events tbody tr:visible");
  assert.equal(await rows.count(), 11);
  const row = page.locator("#events tbody tr", { hasText: "onerror" });
  assert.equal(await row.locator("th").textContent(), says);
  assert.equal(await page.locator(".verdict .says").textContent(), says);
  assert.equal(await page.locator("img").count(), 0);
  assert.equal(await page.title(), "Passed: region outage");

  await page.uncheck('#events input[value="alarm"]');
  await page.uncheck('#events input[value="resolved"]');
  assert.deepEqual(await rows.locator("td .severity").allTextContents(), ["warning", "warning", "info", "info"]);
  await page.locator("#events output", { hasText: "4 shown" }).waitFor();
  await page.fill("#events input[type=search]", "HEARTBEAT");
  assert.match((await rows.allTextContents()).join("\n"), /^[^\n]*the guard heard no heartbeat$/);
  await page.keyboard.press("Enter");
  assert.equal(await rows.count(), 1, "the form leads nowhere");
  assert.deepEqual(complaints, []);
});

test("each plot's data can be read as a table", options, async (context) => {
  const { page } = await open(context, sampleReport());
  const plot = page.locator('[data-plot="answers-EU"]');
  await plot.locator("summary").click();
  assert.equal(await plot.locator("tbody tr").count(), 100);
  assert.deepEqual(await plot.locator("thead th").allTextContents(), ["Time", "us-east", "eu-west"]);
  assert.match((await plot.locator("tbody tr").nth(30).textContent())!, /^0:30\d+0$/);
  const bands = page.locator("#routes");
  await bands.locator("summary").click();
  assert.deepEqual(await bands.locator("tbody tr").nth(2).locator("th, td").allTextContents(), [
    "router-eu",
    "0:20",
    "1:03",
    "us-east",
    "65000 64500",
  ]);
});

test("a phone shows the page without moving it sideways; paper gets it light and whole", options, async (context) => {
  const { page } = await open(context, sampleReport(), { viewport: { width: 390, height: 800 }, colorScheme: "dark" });
  const wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth");
  assert.equal(wide, 0);
  const background = (): Promise<string> =>
    page.evaluate("getComputedStyle(document.querySelector('.plot')).backgroundColor");
  const dark = await background();
  assert.notEqual(dark, "rgb(255, 255, 255)");
  await page.emulateMedia({ media: "print" });
  assert.equal(await background(), "rgb(255, 255, 255)");
  for (const hidden of [".tools", ".filters", ".plot details"])
    assert.equal(await page.locator(hidden).first().isVisible(), false, hidden);
  await page.emulateMedia({ media: "screen" });
  await page.click("#theme");
  assert.equal(await background(), "rgb(255, 255, 255)");
  await page.click("#theme");
  assert.equal(await background(), dark);
});
