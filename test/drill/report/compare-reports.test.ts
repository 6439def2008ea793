/** Runs of one drill beside each other. */
import assert from "node:assert/strict";
import test from "node:test";
import { compareReports } from "#drill/report/compare-reports.ts";
import type { DrillReport } from "#drill/report/shape.ts";
import { sampleReport } from "./sample-report.ts";

const later = (report: DrillReport, hours: number): DrillReport => ({
  ...report,
  startedAtMs: report.startedAtMs + hours * 3_600_000,
});
const first = sampleReport();
const last = later(sampleReport({ outcome: "failed" }), 2);

test("compareReports() shows the earlier run first, however they are given, and what changed", () => {
  for (const reports of [
    [first, last],
    [last, first],
  ]) {
    const text = compareReports(reports)!;
    assert.match(text, /^region outage, stage local: 1 of 2 runs passed\n/);
    assert.match(text, /^ {2}Changed answer +4\.38 s +9\.28 s +\+4\.90 s$/m);
    assert.match(text, /^ {2}DNS drain +18\.4 s +18\.4 s +same$/m);
  }
});

test("compareReports() shows median, least and most of three runs, and differences of shares in points", () => {
  const lost = (share: number, hours: number): DrillReport =>
    later(
      {
        ...first,
        measures: first.measures.map((result) =>
          result.measure === "lostRequests" ? { ...result, p99: share, most: share } : result,
        ),
      },
      hours,
    );
  const text = compareReports([lost(0.03, 0), lost(0.001, 1), lost(0.01, 2)])!;
  assert.match(text, /^ +first +last +change +median +least +most$/m);
  assert.match(text, /^ {2}Lost requests +3\.0 % +1\.0 % +-2\.0 points +1\.0 % +0\.10 % +3\.0 %$/m);
  for (const line of text.split("\n")) assert.ok(line.length <= 100, line);
});

test("compareReports() shows what only some runs have measured", () => {
  const text = compareReports([sampleReport({ hasBgp: false }), later(first, 1)])!;
  assert.match(text, /^ {2}BGP convergence +- +212 ms +-$/m);
});

test("compareReports() compares nothing that is not one drill on one stage", () => {
  assert.equal(compareReports([first]), undefined);
  assert.equal(compareReports([first, { ...first, drill: { ...first.drill, stage: "compose" } }]), undefined);
  assert.equal(compareReports([first, { ...first, drill: { ...first.drill, name: "other" } }]), undefined);
});
