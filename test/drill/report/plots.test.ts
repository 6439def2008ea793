/** What the plots show, against the report that they are made from. */
import assert from "node:assert/strict";
import test from "node:test";
import { bandPlots } from "#drill/report/bands.ts";
import { LOST_PAINT, NOBODY_PAINT, regionPaint } from "#drill/report/palette.ts";
import { drainPlot, overviewPlot, type Plot, plotRows } from "#drill/report/plots.ts";
import type { DrillReport } from "#drill/report/shape.ts";
import { clockText, stepLabel, timelineOf } from "#drill/report/timeline.ts";
import { sampleReport } from "./sample-report.ts";

const rowOf = (report: DrillReport, id: string): readonly Plot[] =>
  plotRows(report, timelineOf(report)).find(({ plots }) => plots[0]!.id.startsWith(`${id}-`))?.plots ?? [];
const totalAt = (plot: Plot, index: number): number =>
  plot.series.reduce((sum, { values }) => sum + (values[index] ?? 0), 0);

test("plotRows() shows each request of each second once, whatever became of it", () => {
  const report = sampleReport();
  const plots = rowOf(report, "requests");
  assert.deepEqual(
    plots.map(({ title }) => title),
    ["North America", "Europe", "Asia"],
  );
  for (const second of report.seconds) {
    const plot = plots[report.continents.indexOf(second.continent)]!;
    const expected = Object.values(second.http).reduce((sum, { ok, retried, lost }) => sum + ok + retried + lost, 0);
    assert.equal(totalAt(plot, (second.atMs - report.startedAtMs) / 1000), expected);
  }
});

test("overviewPlot() adds all places up, and what was lost with them", () => {
  const report = sampleReport();
  const plot = overviewPlot(report, timelineOf(report))!;
  const total = plot.x.slice(0, -1).reduce((sum, _, index) => sum + totalAt(plot, index), 0);
  assert.equal(total, report.slo.requests);
  const lost = plot.series.find(({ label }) => label === "lost")!;
  assert.equal(
    lost.values.slice(0, -1).reduce((sum: number, value) => sum + (value ?? 0), 0),
    report.slo.lost,
  );
});

test("plots that stand beside each other have the same axes, and room for the highest of them", () => {
  const report = sampleReport();
  for (const { plots } of plotRows(report, timelineOf(report)))
    for (const plot of plots) {
      assert.equal(plot.most, plots[0]!.most);
      assert.deepEqual(plot.x, plots[0]!.x);
      for (const { values } of plot.series) {
        assert.equal(values.length, plot.x.length);
        for (const value of values) assert.ok(value === null || value <= plot.most);
      }
    }
});

test("a second that nothing is known of is a gap, not zero", () => {
  const report = sampleReport();
  const seconds = report.seconds.filter(({ atMs }) => atMs !== report.startedAtMs + 30_000);
  for (const plot of [
    ...rowOf({ ...report, seconds }, "requests"),
    overviewPlot({ ...report, seconds }, timelineOf(report))!,
  ])
    for (const { values } of plot.series) assert.deepEqual([values[29] === null, values[30]], [false, null]);
});

test("a second without requests has no latency and no age of answers", () => {
  const report = sampleReport({ seconds: 10 });
  const seconds = report.seconds.map((second) => ({ ...second, http: {} }));
  assert.deepEqual(rowOf({ ...report, seconds }, "latency"), []);
  assert.deepEqual(rowOf({ ...report, seconds }, "age"), []);
  assert.equal(rowOf({ ...report, seconds }, "lookup").length, 3);
});

test("without BGP there is neither a plot of anycast nor one of routes", () => {
  const report = sampleReport({ hasBgp: false });
  assert.deepEqual(rowOf(report, "anycast"), []);
  assert.deepEqual(
    bandPlots(report, timelineOf(report)).map(({ id }) => id),
    ["fresh"],
  );
});

test("a run that never began has no plots at all", () => {
  const report = sampleReport({ outcome: "broken" });
  const timeline = timelineOf(report);
  assert.deepEqual(plotRows(report, timeline), []);
  assert.deepEqual(bandPlots(report, timeline), []);
  assert.equal(overviewPlot(report, timeline), undefined);
  assert.equal(drainPlot(report, timeline), undefined);
});

test("a region that the stage does not name is shown all the same", () => {
  const report = sampleReport({ seconds: 5, continents: ["NA"] });
  const seconds = report.seconds.map((second) => ({
    ...second,
    http: { ...second.http, elsewhere: { ok: 3, retried: 0, lost: 0 } },
  }));
  const [plot] = rowOf({ ...report, seconds }, "requests");
  assert.deepEqual(plot!.series.at(-1), { label: "elsewhere", paint: NOBODY_PAINT, values: [3, 3, 3, 3, 3, 3] });
});

test("regionPaint() tells regions apart by colour, pattern and dash, and none looks like what was lost", () => {
  const regions = ["a", "b", "c", "d", "e", "f"];
  const paints = regions.map((region) => regionPaint(regions, region));
  for (const key of ["colour", "pattern", "dash"] as const)
    assert.equal(new Set([...paints, LOST_PAINT].map((paint) => String(paint[key]))).size, key === "dash" ? 6 : 7);
});

test("drainPlot() begins at the fault that moved clients, not at one before it", () => {
  const report = sampleReport();
  const [kill] = report.steps;
  const early = { ...kill!, atMs: kill!.atMs - 9_000, action: "kill-redis", target: "redis", says: "Redis is gone" };
  const measures = report.measures.map((result) =>
    result.measure === "dnsDrain" ? { ...result, samples: [{ of: "kill region/eu-west", value: 18_400 }] } : result,
  );
  const changed = { ...report, steps: [early, ...report.steps], measures };
  const plot = drainPlot(changed, timelineOf(changed))!;
  assert.equal(plot.x[1], 20);
  assert.equal(plot.series[0]!.values[1], 1);
});

test("bandPlots() holds each route from its change to the next one, and the last to the end", () => {
  const report = sampleReport();
  const routes = bandPlots(report, timelineOf(report)).find(({ id }) => id === "routes")!;
  const row = routes.rows.find(({ label }) => label === "router-eu")!;
  assert.deepEqual(
    row.bands.map(({ from, to, label }) => [from, to, label]),
    [
      [0, 20.2, "eu-west"],
      [20.2, 63.1, "us-east"],
      [63.1, 100, "eu-west"],
    ],
  );
});

test("bandPlots() joins what did not change, and names what is gone", () => {
  const report = sampleReport();
  const at = (second: number, region: string | null) => ({
    atMs: report.startedAtMs + second * 1000,
    router: "r",
    region,
    path: "",
  });
  const routes = [at(40, null), at(0, "us-east"), at(10, "us-east")];
  const [, plot] = bandPlots({ ...report, routes }, timelineOf(report));
  assert.deepEqual(
    plot!.rows[0]!.bands.map(({ from, to, label }) => [from, to, label]),
    [
      [0, 40, "us-east"],
      [40, 100, "no route"],
    ],
  );
});

test("timelineOf() starts at the first second of load, and reaches to the last step's end", () => {
  const report = sampleReport({ seconds: 50 });
  const seconds = report.seconds.map((second) => ({ ...second, atMs: second.atMs + 7_000 }));
  const steps = report.steps.map((step) => ({ ...step, doneAtMs: report.startedAtMs + 70_200 }));
  const timeline = timelineOf({ ...report, seconds, steps });
  assert.equal(timeline.zeroMs, report.startedAtMs + 7_000);
  assert.equal(timeline.length, 64);
  assert.deepEqual(
    timeline.marks.map(({ at, label, kind }) => [at, label, kind]),
    [
      [13, "kill eu-west", "fault"],
      [43, "heal eu-west", "heal"],
    ],
  );
});

for (const [action, target, label] of [
  ["kill", "region/eu-west", "kill eu-west"],
  ["kill", "backend/eu-west/1", "kill backend/eu-west/1"],
  ["kill-exabgp", "exabgp/eu-west", "kill-exabgp eu-west"],
  ["kill-redis", "redis", "kill-redis"],
  ["sick-vantage", "vantage/ns2", "sick-vantage ns2"],
  ["upgrade", "nodes", "upgrade nodes"],
] as const)
  test(`stepLabel() calls ${action} of ${target} "${label}"`, () => {
    const [step] = sampleReport().steps;
    assert.equal(stepLabel({ ...step!, action, target }), label);
  });

test("clockText() counts minutes", () => {
  assert.deepEqual([-1, 0, 7.9, 65, 600].map(clockText), ["0:00", "0:00", "0:07", "1:05", "10:00"]);
});
