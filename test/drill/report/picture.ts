/**
 * Makes the picture of a report that the README shows: its head, down to the first plot, as a PNG.
 *
 *     node test/drill/report/picture.ts run/drills/region-outage-…/report.json docs/drill.png
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";
import { readReport, writeReport } from "#drill/report/write-report.ts";
import { findTool } from "../../system/tools.ts";

const [, , file, picture] = process.argv;
const executablePath = findTool("chromium");
if (file === undefined || picture === undefined || executablePath === undefined)
  throw new Error("Give a report.json and the name of the picture; Chromium must be installed");

const WIDTH = 1_240;
const folder = mkdtempSync(join(tmpdir(), "rhumb-picture-"));
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
try {
  const page = await browser.newPage({ viewport: { width: WIDTH, height: 900 }, colorScheme: "light" });
  await page.goto(pathToFileURL(writeReport(readReport(file), folder).html).href);
  await page.evaluate("document.querySelector('.tools').style.display = 'none'");
  await page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))");
  const overview = (await page.locator('[data-plot="overview"]').boundingBox())!;
  const clip = { x: 0, y: 0, width: WIDTH, height: Math.ceil(overview.y + overview.height + 12) };
  await page.screenshot({ path: picture, fullPage: true, clip });
} finally {
  await browser.close();
  rmSync(folder, { recursive: true, force: true });
}
