/** A drill as people run it: `rhumb drill run drills/region-outage.yaml --stage local`, whole, with nothing but Node. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { readReport } from "#drill/report/write-report.ts";
import { projectFolder, startRhumb } from "./running.ts";
import { folderWith } from "./tools.ts";

/** What a runner has started, whoever is its parent by now: it inherits the runner's environment. */
const MARK = "RHUMB_TEST_FOLDER";
const markWith = (folder: string) => ({ [MARK]: folder });
const processesOf = (folder: string): string[] =>
  readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry) && Number(entry) !== process.pid)
    .flatMap((pid) => {
      try {
        if (!readFileSync(`/proc/${pid}/environ`, "utf8").includes(`${MARK}=${folder}`)) return [];
        return [`${pid}: ${readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ")}`];
      } catch {
        return []; // it has ended meanwhile
      }
    });

test("rhumb drill run: a region's outage on loopback, from the files to the report", {
  timeout: 240_000,
}, async (context) => {
  const folder = folderWith(context, {});
  const drill = join(projectFolder, "drills/region-outage.yaml");
  const rhumb = startRhumb(
    context,
    ["drill", "run", drill, "--stage", "local", "--out", folder],
    folder,
    markWith(folder),
  );
  const code = await rhumb.ended;
  const runs = readdirSync(folder).filter((name) => name.startsWith("region-outage-"));
  assert.equal(runs.length, 1, `${rhumb.out()}${rhumb.err()}`);
  const report = readReport(join(folder, runs[0]!, "report.json"));
  assert.equal(report.outcome, "passed", `${report.says}\n${JSON.stringify(report.measures, null, 1)}`);
  assert.equal(code, 0);

  // Three nodes, each of which moved its answers for Europe, and no other continent's.
  const changed = report.measures.find(({ measure }) => measure === "changedAnswer")!;
  assert.deepEqual(
    changed.samples.map(({ of }) => of).sort(),
    ["ns1", "ns2", "ns3"].map((node) => `kill region/eu-west at ${node} for EU`),
  );
  // Every continent was there in every second, and what was due in it came to one end.
  for (const continent of report.continents)
    assert.equal(report.seconds.filter((second) => second.continent === continent).length, 60);
  const { requests, ok, lost } = report.slo;
  assert.equal(ok + lost, requests);
  assert.ok(requests > 60 * 60 * 0.8 && requests < 60 * 60 * 1.2, `${requests} requests of 3600`);
  // It was seen from outside: Europe's requests went to eu-west, then nowhere near it.
  const visits = (from: number, until: number): number =>
    report.seconds
      .filter(({ atMs }) => atMs >= report.startedAtMs + from * 1_000 && atMs < report.startedAtMs + until * 1_000)
      .reduce((sum, { http }) => sum + (http["eu-west"]?.ok ?? 0), 0);
  assert.ok(visits(0, 5) > 50, "clients were at eu-west before");
  assert.equal(visits(6, 20), 0, "a region that is dead answers nobody");
  assert.ok(report.events.some(({ kind, subject }) => kind === "health.transition" && subject === "region/eu-west"));
  assert.deepEqual(report.leftOver, []);
  assert.deepEqual(processesOf(folder), [], "nothing that the stage started is left");
  assert.match(readFileSync(join(folder, runs[0]!, "report.html"), "utf8"), /region outage/);
});

test("rhumb drill run heals and ends in order on SIGINT, and leaves no process behind", {
  timeout: 180_000,
}, async (context) => {
  const folder = folderWith(context, {});
  const drill = join(projectFolder, "drills/node-loss.yaml");
  const rhumb = startRhumb(context, ["drill", "run", drill, "--out", folder], folder, markWith(folder));
  await rhumb.printed(/lose-node node\/ns2/);
  rhumb.signal("SIGINT");
  assert.equal(await rhumb.ended, 1);
  assert.match(rhumb.out(), /somebody stopped it/);
  assert.deepEqual(processesOf(folder), []);
});

test("a stage ends with its runner, even when that is killed", { timeout: 120_000 }, async (context) => {
  const folder = folderWith(context, {});
  const rhumb = startRhumb(context, ["drill", "stage", "--out", folder], folder, markWith(folder));
  await rhumb.printed(/It stands until/);
  assert.ok(processesOf(folder).length > 10, "nodes, regions, backends, relays, and their keeper");
  rhumb.signal("SIGKILL");
  await rhumb.ended;
  while (processesOf(folder).length > 0) await new Promise((resolve) => setTimeout(resolve, 100));
});
