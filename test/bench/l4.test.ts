import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { readH2loadLog, readWrk, type Sample } from "../../bench/lib/balancer-measure.ts";
import { fillPage, textTable } from "../../bench/lib/balancer-report.ts";
import { type LoadResult, medianOf, ratiosOf, type Subject, textTargets } from "../../bench/lib/balancer-results.ts";
import { L4_TABLES } from "../../bench/lib/l4-tables.ts";

const REPORT = `Running 1s test @ http://127.0.0.1:21001/small
  1 threads and 64 connections
  78270 requests in 3.10s, 29.11MB read
Requests/sec:  25248.39
`;
const FAILURES = `  Socket errors: connect 1, read 20, write 300, timeout 4000
  Non-2xx or 3xx responses: 50000
`;
test("readWrk() takes the counts of a report", () => {
  assert.deepEqual(readWrk(REPORT), { requests: 78_270, seconds: 3.1, errors: 0 });
});
test("readWrk() adds up all that failed", () => assert.equal(readWrk(REPORT + FAILURES).errors, 54_321));
test("readWrk() knows each unit of time", () => {
  assert.equal(readWrk("1 requests in 1.50m, 1B read").seconds, 90);
  assert.equal(readWrk("1 requests in 500.00ms, 1B read").seconds, 0.5);
});
test("readWrk() passes on what wrk says when it is no report", () => {
  assert.throws(() => readWrk("unable to connect to 127.0.0.1:1"), /unable to connect/);
});
test("readH2loadLog() takes the latencies of good answers, sorted", () => {
  const log = "1700000000000000\t200\t300\n1700000000000100\t-1\t5\n1700000000000200\t200\t90\n";
  assert.deepEqual([...readH2loadLog(log)], [90, 300]);
});
test("readH2loadLog() takes those alone that began within a span", () => {
  const log =
    "1700000000000000\t200\t1\n1700000000010000\t200\t2\n1700000000019999\t200\t3\n1700000000020000\t200\t4\n";
  assert.deepEqual([...readH2loadLog(log, { fromMs: 10, toMs: 20 })], [2, 3]);
});

const subject = (title: string, isOurs: boolean, ...samples: Sample[]): Subject => ({ title, isOurs, samples });
const result = (subjects: Record<string, Subject>, leftOut = {}): LoadResult => ({
  title: "A load",
  note: "of 1 s, medians",
  subjects,
  leftOut,
});
const REQUEST = result({
  epoll: subject("rhumb epoll", true, { cpuMicros: 12, rate: 1_000 }, { cpuMicros: 14, rate: 3_000 }),
  haproxy: subject("HAProxy", false, { cpuMicros: 10, rate: 2_000 }),
});
const half = (ours: number, theirs: number): LoadResult =>
  result({
    epoll: subject("rhumb epoll", true, { p99: 500 + ours, addedP99: ours }),
    haproxy: subject("HAProxy", false, { p99: 500 + theirs, addedP99: theirs }),
    direct: subject("none (direct)", false, { p99: 500 }),
  });

test("medianOf() is of the samples that have the measure", () => {
  assert.equal(medianOf(REQUEST.subjects["epoll"]!, "cpuMicros"), 13);
  assert.equal(medianOf(REQUEST.subjects["epoll"]!, "octets"), undefined);
});
test("ratiosOf() compares ours with each other, by the measures that a load has", () => {
  assert.deepEqual(ratiosOf({ request: REQUEST }, L4_TABLES), { "epoll.cpu-request/haproxy": 1.3 });
});
for (const { name, ours, theirs, expected } of [
  { name: "divides what is added", ours: 300, theirs: 200, expected: 1.5 },
  { name: "takes differences that are too small to measure as equal", ours: -400, theirs: 3, expected: 1 },
  { name: "does not divide by nothing", ours: 40, theirs: 0, expected: 2 },
]) {
  test(`ratiosOf() ${name}`, () => {
    const ratios = ratiosOf({ half: half(ours, theirs) }, L4_TABLES);
    assert.equal(ratios["epoll.p99-added/haproxy"], expected);
    assert.equal("epoll.p99-added/direct" in ratios, false);
  });
}
test("ratiosOf() sets idle connections and added latency against their amounts", () => {
  const idle = result({ epoll: subject("rhumb epoll", true, { octets: 6_000 }) });
  assert.deepEqual(ratiosOf({ idle }, L4_TABLES), { "epoll.idle-octets/30kB": 0.2 });
  assert.equal(ratiosOf({ half: half(250, 200) }, L4_TABLES)["epoll.p99-added/1ms"], 0.25);
});
test("textTargets() says which targets are met, and nothing of ratios without one", () => {
  const text = textTargets(
    {
      "epoll.cpu-request/haproxy": 1.3,
      "epoll.bulk-rate/haproxy": 0.49,
      "net.cpu-request/haproxy": 9,
    },
    L4_TABLES,
  );
  assert.match(text, /epoll\.cpu-request\/haproxy +1\.30 +target: at most 1\.3$/m);
  assert.match(text, /epoll\.bulk-rate\/haproxy +0\.49 +target: at least 0\.5: NOT met$/m);
  assert.match(text, /net\.cpu-request\/haproxy +9\.00$/m);
});
test("every target is that of a ratio which some load gives", () => {
  const all = { cpuMicros: 1, rate: 1, addedP99: 1, octets: 1, capacity: 1 };
  const pair = result({ epoll: subject("a", true, all), haproxy: subject("b", false, all) });
  const kernel = result({ kernel: subject("a", true, all), relay: subject("b", false, all) });
  const given = ratiosOf({ request: pair, connection: pair, bulk: pair, half: pair, idle: pair, kernel }, L4_TABLES);
  assert.deepEqual(
    Object.keys(L4_TABLES.targets).filter((name) => given[name] === undefined),
    [],
  );
});
test("textTable() shows medians, rounds, and who was left out and why", () => {
  const text = textTable("request", result(REQUEST.subjects, { nginx: "it is not installed" }));
  assert.match(text, /A load \(2 rounds of 1 s, medians; left out: nginx\.\)/);
  assert.match(text, /rhumb epoll +13\.0 +– +– +2,000/);
  assert.match(text, /left out: nginx: it is not installed/);
});

const MACHINE = { cpu: "Test CPU", cores: 2, memoryMiB: 2_048, system: "linux 6 x64", node: "v26" };
test("fillPage() fills its own blocks and leaves those of others", () => {
  const block = (name: string) => `<!-- bench ${name} -->\nold ${name}\n<!-- /bench -->\n`;
  const page = ["machine", "l4-machine", "l4-targets", "l4-request", "l4-bulk"].map(block).join("");
  const filled = fillPage(page, "l4", { machine: MACHINE, results: { request: REQUEST }, tables: L4_TABLES });
  assert.match(filled, /old machine/);
  assert.match(filled, /old l4-bulk/);
  assert.match(filled, /l4-machine -->\n\nTest CPU, 2 cores/);
  assert.match(filled, /\| `epoll\.cpu-request\/haproxy` \| 1\.30 \| at most 1\.3 \|/);
  assert.match(filled, /\| rhumb epoll \| 13\.0 \|/);
  assert.equal(fillPage(filled, "l4", { machine: MACHINE, results: { request: REQUEST }, tables: L4_TABLES }), filled);
});
test("docs/performance.md has a block for every load of the balancer", () => {
  const page = readFileSync(join(import.meta.dirname, "../../docs/performance.md"), "utf8");
  for (const name of ["machine", "targets", "request", "connection", "bulk", "half", "idle", "kernel"])
    assert.ok(page.includes(`<!-- bench l4-${name} -->\n`), name);
});
