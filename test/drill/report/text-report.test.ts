/** The report for a terminal: what stands in it, how wide it is, and that nobody's words can steer the terminal. */
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import type { DrillReport } from "#drill/report/shape.ts";
import { textReport } from "#drill/report/text-report.ts";
import { sampleReport } from "./sample-report.ts";

const linesOf = (report: DrillReport): string[] => textReport(report).split("\n");

for (const { outcome, first } of [
  { outcome: "passed", first: "PASSED: region outage" },
  { outcome: "failed", first: "FAILED: region outage" },
  { outcome: "aborted", first: "ABORTED: region outage" },
  { outcome: "broken", first: "NO VERDICT: region outage" },
] as const)
  test(`textReport() begins with the verdict of a drill that ${outcome}, and fits 100 columns`, () => {
    const lines = linesOf(sampleReport({ outcome }));
    assert.equal(lines[0], first);
    for (const line of lines) assert.ok(line.length <= 100 && line === line.trimEnd(), JSON.stringify(line));
  });

test("textReport() shows each measure with what was allowed, and what was left over", () => {
  const text = textReport(sampleReport({ outcome: "failed" }));
  assert.match(text, /Changed answer +9\.28 s +p99 +p99 <= 7\.00 s +missed +3/);
  assert.match(text, /Lost requests +0\.21 % +<= 3\.0 % +met/);
  assert.match(textReport(sampleReport({ outcome: "broken" })), /! Not as before the drill: process ns2/);
  assert.match(textReport(sampleReport({ outcome: "aborted" })), /! Guard errorRate broke: 63 %, where 60 %/);
});

test("textReport() shades requests by region, darker where there were more, and marks the steps", () => {
  const lines = linesOf(sampleReport());
  const start = lines.findIndex((line) => line.startsWith("Requests per second"));
  const dead = lines.find((line, index) => index > start && /^\s+eu-west /.test(line))!.slice(39);
  const lost = lines.find((line) => line.includes("lost at eu-west"))!.slice(39);
  assert.match(dead, /^[%@#*]{11,12}=? {20,}[ .:\-=+*]+[#%@]+$/);
  assert.match(lost, /^ {11}\.+$/, "a lost request among thirty is seen");
  assert.ok(lines.some((line) => /^ {50}1 {22,23}2$/.test(line)));
});

test("textReport() is without control characters and within 100 columns whatever events and names say", () => {
  const hostile = fc.string({ unit: "binary", maxLength: 300 });
  fc.assert(
    fc.property(hostile, hostile, hostile, (says, node, name) => {
      const report = sampleReport({ seconds: 30 });
      const [event] = report.events;
      const text = textReport({
        ...report,
        says,
        drill: { ...report.drill, name, file: node },
        regions: [name, "us-east", "eu-west"],
        steps: report.steps.map((step) => ({ ...step, says, target: name })),
        events: [{ ...event!, severity: "alarm", says, node, subject: name }],
        leftOver: [says],
      });
      // biome-ignore lint/suspicious/noControlCharactersInRegex: that there are none is the point
      assert.doesNotMatch(text, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/);
      for (const line of text.split("\n")) assert.ok(line.length <= 100, JSON.stringify(line));
    }),
    { numRuns: 50 },
  );
});
