import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import test from "node:test";
import { readH2load } from "../../bench/lib/balancer-measure.ts";
import { ratiosOf, type Subject } from "../../bench/lib/balancer-results.ts";
import { L7_TABLES } from "../../bench/lib/l7-tables.ts";
import { parseBenchOptions } from "../../bench/lib/options.ts";
import { CLIENT_FRAME, MESSAGE_OCTETS, SERVER_FRAME } from "../../bench/lib/websocket.ts";

const REPORT = `finished in 1.02s, 22546.00 req/s, 5.51MB/s
requests: 23010 total, 23138 started, 23010 done, 22990 succeeded, 12 failed, 8 errored, 0 timeout
status codes: 22990 2xx, 0 3xx, 12 4xx, 0 5xx
`;
test("readH2load() takes the counts of a report", () =>
  assert.deepEqual(readH2load(REPORT), { requests: 22_990, seconds: 1.02, errors: 20 }));
test("readH2load() passes on what h2load says when it is no report", () =>
  assert.throws(() => readH2load("could not connect"), /could not connect/));

test("every target is that of a ratio which some load gives", () => {
  const samples = [{ cpuMicros: 1, rate: 1, addedP99: 1, octets: 1 }];
  const subject = (isOurs: boolean): Subject => ({ title: "", isOurs, samples });
  const subjects = {
    epoll: subject(true),
    net: subject(true),
    haproxy: subject(false),
    nginx: subject(false),
  };
  const loads = [...new Set(L7_TABLES.measures.map(({ load }) => load))];
  const result = { title: "", note: "", subjects, leftOut: {} };
  const given = ratiosOf(Object.fromEntries(loads.map((load) => [load, result])), L7_TABLES);
  assert.deepEqual(
    Object.keys(L7_TABLES.targets).filter((name) => given[name] === undefined),
    [],
  );
});

test("a message comes back as it was sent", () => {
  const [mask, masked] = [CLIENT_FRAME.subarray(2, 6), CLIENT_FRAME.subarray(6)];
  assert.deepEqual(
    masked.map((octet, index) => octet ^ mask[index % 4]!),
    SERVER_FRAME.subarray(2),
  );
  assert.equal(masked.length, MESSAGE_OCTETS);
});

const CALM_ROUNDS = { quick: 1, full: 2, calm: { rounds: 3, minutes: 10 } };
for (const { args, expected } of [
  { args: [], expected: 600_000 },
  { args: ["--patience", "0.5"], expected: 30_000 },
]) {
  test(`parseBenchOptions() waits for calm rounds: ${args.join(" ") || "by default"}`, () => {
    const parsed = parseBenchOptions(args, { loads: [], subjects: [] }, CALM_ROUNDS);
    assert.equal(typeof parsed === "string" ? parsed : parsed.patienceMs, expected);
  });
}
test("parseBenchOptions() refuses a patience that is none", () =>
  assert.match(
    parseBenchOptions(["--patience", "long"], { loads: [], subjects: [] }, CALM_ROUNDS) as string,
    /--patience must be a number of minutes/,
  ));

test("npm run bench -- l7 --help shows an example", () => {
  const { stdout, status } = spawnSync(process.execPath, ["bench/l7.ts", "--help"], { encoding: "utf8" });
  assert.equal(status, 0);
  assert.match(stdout, /Example: npm run bench -- l7/);
});
