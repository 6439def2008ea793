/** The page as text: it needs nothing else, and takes nobody's words for its own. The browser's view: `page.test.ts`. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import test from "node:test";
import fc from "fast-check";
import { renderPage } from "#drill/report/render-page.ts";
import type { DrillReport } from "#drill/report/shape.ts";
import { sampleReport } from "./sample-report.ts";

/** Every word of others in a report is this one. */
function withWords(words: string): DrillReport {
  const report = sampleReport({ seconds: 30 });
  const [event] = report.events;
  return {
    ...report,
    says: words,
    drill: { ...report.drill, name: words, file: words, shows: words },
    machine: { ...report.machine, cpu: words, kernel: words, node: words, rhumb: words },
    regions: [words, "eu-west"],
    seconds: report.seconds.map((second) => ({ ...second, dns: { ...second.dns, answers: { [words]: 3 } } })),
    steps: report.steps.map((step) => ({ ...step, action: words, target: words, says: words })),
    routes: report.routes.map((route) => ({ ...route, router: words, region: words, path: words })),
    answers: report.answers.map((answer) => ({ ...answer, node: words, regions: [words] })),
    events: [{ ...event!, node: words, kind: words, severity: words, subject: words, says: words }],
    measures: report.measures.map((result) => ({ ...result, samples: [{ of: words, value: 1 }] })),
    guards: [{ guard: words, limit: words, worst: words, isBroken: true }],
    leftOver: [words],
  };
}

const count = (text: string, pattern: RegExp): number => [...text.matchAll(pattern)].length;
const tagsOf = (page: string): string[] =>
  [...page.matchAll(/<\/?[a-z!][^>]*>/gi)].map(([tag]) => tag.split(/[\s>]/)[0]!);

for (const words of [
  "</script><img src=x onerror=alert(1)>",
  '"><svg onload=alert(1)>',
  "<!--<script>",
  "' onmouseover='alert(1)",
  "$& $` $1",
  "constructor",
])
  test(`renderPage() keeps ${words} as text wherever it stands`, () => {
    const page = renderPage(withWords(words));
    const harmless = renderPage(withWords("x".repeat(words.length)));
    assert.deepEqual(
      tagsOf(page.replace(/<script>[\s\S]*?<\/script>/g, "")),
      tagsOf(harmless.replace(/<script>[\s\S]*?<\/script>/g, "")),
    );
  });

test("renderPage() has the same elements whatever words are in the report", () => {
  const expected = tagsOf(renderPage(withWords("plain")));
  fc.assert(
    fc.property(fc.string({ unit: "binary", minLength: 1, maxLength: 40 }), (words) => {
      // `eu-west` and the empty name are regions of their own in the sample: other rows, not other words.
      fc.pre(words.trim() !== "" && words !== "eu-west");
      assert.deepEqual(tagsOf(renderPage(withWords(words))), expected);
    }),
    { numRuns: 40 },
  );
});

test("renderPage() names nothing outside of itself, and its policy lets in its own scripts and style alone", () => {
  const page = renderPage(sampleReport());
  assert.doesNotMatch(page, /\b(?:src|href|action|poster)=|@import|url\(/i);
  const policy = /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(page)![1]!.replaceAll("&#39;", "'");
  assert.match(policy, /^default-src 'none'; /);
  assert.doesNotMatch(policy, /unsafe|https?:|data:|\*/);
  const hashOf = (text: string): string => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
  const scripts = [...page.matchAll(/<script>([\s\S]*?)<\/script>/g)].map(([, text]) => text!);
  const styles = [...page.matchAll(/<style>([\s\S]*?)<\/style>/g)].map(([, text]) => text!);
  assert.equal(scripts.length, 2);
  assert.equal(styles.length, 1);
  for (const text of [...scripts, ...styles]) assert.ok(policy.includes(hashOf(text)));
  assert.doesNotMatch(page, /\sstyle="|\son[a-z]+="/, "the policy would forbid them");
});

test("renderPage() stays below 2 MB for three minutes with all that there can be", () => {
  const report = sampleReport({ seconds: 180 });
  const events = Array.from({ length: 3_000 }, (_, index) => ({ ...report.events[index % report.events.length]! }));
  const page = renderPage({ ...report, events });
  assert.ok(Buffer.byteLength(page) < 2_000_000, `${Buffer.byteLength(page)} octets`);
  assert.match(page, /1 000 later events stand in report\.json alone/);
});

for (const { outcome, word, tone } of [
  { outcome: "passed", word: "Passed", tone: "good" },
  { outcome: "failed", word: "Failed", tone: "bad" },
  { outcome: "aborted", word: "Aborted", tone: "warn" },
  { outcome: "broken", word: "No verdict", tone: "warn" },
] as const)
  test(`renderPage() says in a word and a sentence that a drill ${outcome}`, () => {
    const report = sampleReport({ outcome });
    const page = renderPage(report).replaceAll("\u00a0", " ");
    assert.match(page, new RegExp(`<div class="verdict ${tone}"><p class="word">.*${word}</p>`));
    assert.ok(page.includes(`<p class="says">${report.says}</p>`));
    assert.ok(page.includes(`<title>${word}: region outage</title>`));
    assert.equal(page.includes("No load ran"), outcome === "broken");
  });

test("renderPage() puts what was missed among the first numbers, with what was allowed", () => {
  const report = sampleReport({ outcome: "failed" });
  const measures = report.measures.map((result) =>
    result.measure === "lostQueries" ? { ...result, most: 0.02, p99: 0.02, isMet: false } : result,
  );
  const page = renderPage({ ...report, measures });
  const tiles = /<ul class="tiles">([\s\S]*?)<\/ul>/.exec(page)![1]!;
  assert.equal(count(tiles, /<li class="tile bad">/g), 2);
  assert.match(tiles, /Changed answer<\/h3><p class="value">9\.28 s<.*?<b>missed<\/b> <span>p99 ≤ 7\.00 s/);
  assert.match(tiles, /Lost queries<\/h3><p class="value">2\.0 %<.*?<b>missed/);
  assert.match(tiles, /Service level<\/h3><p class="value">99\.79 %<.*?≥ 97\.0 %/);
});

test("renderPage() says when the machine was too busy for the load", () => {
  const report = sampleReport();
  assert.doesNotMatch(renderPage(report), /in doubt/);
  const seconds = report.seconds.map((second, index) => (index < 6 ? { ...second, late: 2 } : second));
  assert.match(renderPage({ ...report, seconds }), /12 requests could not be started in time in 2 seconds/);
});
