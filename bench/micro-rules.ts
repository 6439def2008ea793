/**
 * Rules alone, in process: time to find the rule that has a request, among 10 and among 1,000, by kind of path; and what
 * patterns cost. ns per request, and octets of heap per request.
 *
 * Usage: node --expose-gc bench/micro-rules.ts [--quick]
 */
import { compilePattern } from "#base/pattern.ts";
import { createRouter } from "#l7/rules/create-router.ts";
import { ask, envOf, specsOf } from "../test/l7/rules/bed.ts";

const rounds = process.argv.includes("--quick") ? 50_000 : 1_000_000;

function measure(name: string, once: (round: number) => unknown): void {
  for (let round = 0; round < rounds / 5; round++) once(round);
  globalThis.gc?.();
  const before = process.memoryUsage().heapUsed;
  const began = process.hrtime.bigint();
  let kept: unknown;
  for (let round = 0; round < rounds; round++) kept = once(round) ?? kept;
  const ns = Number(process.hrtime.bigint() - began) / rounds;
  const octets = (process.memoryUsage().heapUsed - before) / rounds;
  process.stdout.write(`${name.padEnd(44)} ${ns.toFixed(0).padStart(8)} ns ${octets.toFixed(0).padStart(6)} octets\n`);
  if (kept === Symbol.iterator) throw new Error("never: keeps the loop from being dropped");
}

const KINDS: Record<string, (index: number) => unknown> = {
  segment: (index) => `/service-${index}/`,
  exact: (index) => `/service-${index}/x`,
  prefix: (index) => ({ prefix: `/service-${index}/` }),
  "regex with a literal front": (index) => ({ regex: `^/service-${index}/[a-z0-9]+$` }),
  "regex without": (index) => ({ regex: `service-${index}/[a-z0-9]+$` }),
};
for (const [kind, pathOf] of Object.entries(KINDS))
  for (const count of [10, 1_000]) {
    const rules = Array.from({ length: count }, (_, index) => ({ match: { path: pathOf(index) }, pool: "web" }));
    const router = createRouter(specsOf(rules), envOf());
    const requests = Array.from({ length: 64 }, (_, index) => ask({ target: `/service-${(index * 37) % count}/x` }));
    for (const request of requests) if (router.route(request) === undefined) throw new Error(`${kind}: no rule`);
    if (kind === "regex without" && count > 10) {
      const before = process.hrtime.bigint();
      for (let round = 0; round < 200; round++) router.route(requests[round & 63]!);
      const ns = Number(process.hrtime.bigint() - before) / 200;
      process.stdout.write(`${`${count} rules, ${kind}`.padEnd(44)} ${ns.toFixed(0).padStart(8)} ns\n`);
    } else measure(`${count} rules, ${kind}`, (round) => router.route(requests[round & 63]!));
  }
for (const count of [10, 1_000]) {
  const rules = Array.from({ length: count }, (_, index) => ({ match: { host: `h${index}.example` }, pool: "web" }));
  const router = createRouter(specsOf(rules), envOf());
  const requests = Array.from({ length: 64 }, (_, index) => ask({ host: `h${(index * 37) % count}.example` }));
  measure(`${count} rules, host`, (round) => router.route(requests[round & 63]!));
}
for (const source of ["^/v([0-9]+)/users/([a-z]+)$", "(?i)union\\s+select", "\\.(css|js|png)$", "(?i)\\bunion\\b"]) {
  const pattern = compilePattern(source);
  const judge = new RegExp(source.replace("(?i)", ""), source.startsWith("(?i)") ? "i" : "");
  const texts = ["/v12/users/kim", "/static/app.css?q=some+words+that+select+nothing", "/a/b/c/d/e/f"];
  measure(`pattern ${source}`, (round) => pattern.test(texts[round % 3]!));
  measure(`RegExp  ${source}`, (round) => judge.test(texts[round % 3]!));
}
