import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { openPlaceDatabase } from "#geo/database.ts";
import { agreementOf } from "../../bench/lib/dns-agreement.ts";
import { cityDatabase } from "../../bench/lib/dns-city.ts";
import { dnsLoads } from "../../bench/lib/dns-loads.ts";
import { percentile, readDnsperf, readLatencies } from "../../bench/lib/dns-measure.ts";
import { fillPage, markdownTable, textRatios } from "../../bench/lib/dns-report.ts";
import { type LoadResult, mediansOf, ratiosOf, type SubjectResult } from "../../bench/lib/dns-results.ts";
import { type QueryKind, writeQueries, ZONE, zoneText } from "../../bench/lib/dns-world.ts";
import { parseBenchOptions } from "../../bench/lib/options.ts";

const REPORT = `> NOERROR binary input 0.000120
> NOERROR binary input 0.000026
> NXDOMAIN binary input 0.001000
[Status] Testing complete (time limit)

Statistics:

  Queries sent:         1005
  Queries completed:    1000 (99.50%)
  Queries lost:         5 (0.50%)

  Response codes:       NOERROR 990 (99.00%), NXDOMAIN 10 (1.00%)
  Average packet size:  request 59, response 75
  Run time (s):         2.000000
  Queries per second:   500.000000
`;

test("readDnsperf() takes the counts of a report", () => {
  const rcodes = { NOERROR: 990, NXDOMAIN: 10 };
  assert.deepEqual(readDnsperf(REPORT), { completed: 1_000, lost: 5, seconds: 2, rcodes });
});
test("readDnsperf() passes on what dnsperf says when it is no report", () => {
  assert.throws(() => readDnsperf("Error: bind: no such address"), /no such address/);
});
test("readLatencies() takes a line of each answer, sorted, in µs", () => {
  assert.deepEqual([...readLatencies(REPORT)].map(Math.round), [26, 120, 1_000]);
});
for (const { share, expected } of [
  { share: 0, expected: 1 },
  { share: 0.5, expected: 50 },
  { share: 0.99, expected: 99 },
  { share: 1, expected: 100 },
]) {
  test(`percentile() of 1 to 100 at ${share} is ${expected}`, () => {
    const sorted = Float64Array.from({ length: 100 }, (_, index) => index + 1);
    assert.equal(percentile(sorted, share), expected);
  });
}
test("percentile() of nothing is not a number", () => assert.ok(Number.isNaN(percentile(new Float64Array(0), 0.5))));

const sample = (userMicros: number, systemMicros: number, answersPerSecond = 100_000) => ({
  answersPerSecond,
  userMicros,
  systemMicros,
  busy: 1,
  lost: 0,
});
const late = (p50Micros: number, p99Micros: number) => ({ p50Micros, p99Micros, lost: 0 });

test("mediansOf() takes the CPU time of the sums, not the sum of the medians", () => {
  const medians = mediansOf([sample(1, 3), sample(2, 5), sample(3, 1)], []);
  assert.deepEqual([medians.cpuMicros, medians.userMicros, medians.systemMicros], [4, 2, 3]);
  assert.equal("p50Micros" in medians, false);
});

const subject = (title: string, isOurs: boolean, cpu: number, rate: number, p99?: number): SubjectResult => {
  const samples = [sample(cpu / 2, cpu / 2, rate)];
  const latencySamples = p99 === undefined ? [] : [late(p99 / 2, p99)];
  return {
    title,
    isOurs,
    medians: mediansOf(samples, latencySamples),
    residentMib: 10,
    startMs: 250,
    samples,
    latencySamples,
  };
};
const load = (title: string, subjects: Record<string, SubjectResult>): LoadResult => ({
  title,
  seconds: 3,
  subjects,
  leftOut: {},
});
const STATIC = load("Static", {
  batch: subject("rhumb batch", true, 4, 200_000, 100),
  dgram: subject("rhumb dgram", true, 9, 100_000, 200),
  gdnsd: subject("gdnsd", false, 5, 160_000, 50),
  knot: subject("Knot DNS", false, 8, 180_000, 80),
});

test("ratiosOf() names ours, measure and other; the load's name only where it is not static", () => {
  const ratios = ratiosOf({ static: STATIC, tcp: STATIC });
  assert.equal(ratios["batch.cpu/gdnsd"], 0.8);
  assert.equal(ratios["batch.rate/gdnsd"], 1.25);
  assert.equal(ratios["batch.p99/knot"], 1.25);
  assert.equal(ratios["batch.cpu/dgram"], 0.444);
  assert.equal(ratios["tcp.batch.cpu/gdnsd"], 0.8);
  assert.equal("gdnsd.cpu/knot" in ratios, false);
});
test("ratiosOf() compares with the best of the others in each measure", () => {
  const ratios = ratiosOf({ static: STATIC });
  assert.equal(ratios["batch.cpu/best"], 0.8);
  assert.equal(ratios["batch.rate/best"], 1.111);
  assert.equal(ratios["dgram.p99/best"], 4);
});
test("ratiosOf() compares variants with their own first one, and with others of the same variant only", () => {
  const ratios = ratiosOf({
    "zone-size": load("Sizes", {
      "batch@10": subject("a", true, 4, 1),
      "batch@1m": subject("b", true, 5, 1),
      "gdnsd@10": subject("c", false, 4, 1),
      "gdnsd@1m": subject("d", false, 8, 1),
    }),
  });
  assert.equal(ratios["zone-size.batch@1m.cpu/batch@10"], 1.25);
  assert.equal(ratios["zone-size.gdnsd@1m.cpu/gdnsd@10"], 2);
  assert.equal(ratios["zone-size.batch@1m.cpu/gdnsd@1m"], 0.625);
  assert.equal("zone-size.batch@1m.cpu/gdnsd@10" in ratios, false);
});
test("textRatios() puts a measure's ratios on one line", () => {
  assert.equal(
    textRatios({ "batch.cpu/gdnsd": 0.8, "batch.cpu/knot": 0.5 }),
    `  ${"batch.cpu".padEnd(24)} 0.80 × gdnsd, 0.50 × knot\n`,
  );
});

const MACHINE = { cpu: "Test CPU", cores: 2, memoryMiB: 2_048, system: "linux 6 x64", node: "v26" };
test("markdownTable() leaves out columns that nobody measured", () => {
  const heads = markdownTable(load("x", { gdnsd: subject("gdnsd", false, 4, 1) })).split("\n")[0];
  assert.doesNotMatch(heads!, /p99|leaves/);
  assert.match(markdownTable(STATIC).split("\n")[0]!, /p99 µs/);
});
test("fillPage() replaces blocks of what was measured and leaves the others, twice the same", () => {
  const page =
    "# P\n<!-- bench machine -->\nold\n<!-- /bench -->\ntext\n<!-- bench static -->\nold\n<!-- /bench -->\n<!-- bench tcp -->\nkept\n<!-- /bench -->\n";
  const filled = fillPage(page, MACHINE, { static: STATIC });
  assert.match(filled, /Test CPU, 2 cores, 2 GiB/);
  assert.match(filled, /\| rhumb batch \| 4\.00 \|/);
  assert.match(filled, /kept/);
  assert.doesNotMatch(filled, /old/);
  assert.equal(fillPage(filled, MACHINE, { static: STATIC }), filled);
});
test("fillPage() refuses a block without an end", () => {
  assert.throws(() => fillPage("<!-- bench static -->\ntext", MACHINE, { static: STATIC }), /has no end/);
});
test("docs/performance.md has a block for every load", () => {
  const page = readFileSync(join(import.meta.dirname, "../../docs/performance.md"), "utf8");
  for (const name of ["machine", ...dnsLoads(false).map((each) => each.name)]) {
    assert.ok(page.includes(`<!-- bench ${name} -->\n`), name);
  }
});

test("agreementOf() counts equal answers; two silences agree on nothing", () => {
  assert.equal(agreementOf(["a", "b", "", "d"], ["a", "x", "", "d"]), 0.5);
});

const KNOWN = { loads: ["static", "tcp"], subjects: ["batch", "gdnsd"] };
const ROUNDS = { quick: 3, full: 7 };
test("parseBenchOptions() has defaults for a full and a quick run", () => {
  const full = parseBenchOptions([], KNOWN, ROUNDS);
  const quick = parseBenchOptions(["--quick", "--only", "tcp", "--subjects", "batch,gdnsd"], KNOWN, ROUNDS);
  assert.ok(typeof full !== "string" && typeof quick !== "string");
  assert.deepEqual([full.rounds, full.isQuick, full.only], [7, false, undefined]);
  assert.deepEqual([quick.rounds, quick.only, quick.subjects], [3, ["tcp"], ["batch", "gdnsd"]]);
});
for (const { args, says } of [
  { args: ["--only", "stat"], says: /--only does not know "stat"; it knows static, tcp/ },
  { args: ["--subjects", "bind"], says: /--subjects does not know "bind"/ },
  { args: ["--rounds", "0"], says: /--rounds must be/ },
  { args: ["--patience", "5"], says: /--patience is for loads of latencies/ },
  { args: ["--resume"], says: /--resume needs --json/ },
  { args: ["--fast"], says: /--fast/ },
  { args: ["--help"], says: /^help$/ },
]) {
  test(`parseBenchOptions() refuses ${args.join(" ")} in words`, () => {
    const result = parseBenchOptions(args, KNOWN, ROUNDS);
    assert.match(result as string, says);
  });
}

test("dnsLoads() gives every subject of a load a name of its own", () => {
  for (const { name, subjects } of dnsLoads(false)) {
    assert.equal(new Set(subjects.map((each) => each.name)).size, subjects.length, name);
  }
});
test("writeQueries() writes each name once before any comes again, with client subnets where steered", () => {
  const folder = mkdtempSync(join(tmpdir(), "rhumb-queries-"));
  const read = (kind: QueryKind): Buffer[] => {
    const file = join(folder, kind);
    writeQueries(file, kind, 1_000);
    const octets = readFileSync(file);
    const messages: Buffer[] = [];
    for (let at = 0; at < octets.length; at += 2 + octets.readUInt16BE(at))
      messages.push(octets.subarray(at + 2, at + 2 + octets.readUInt16BE(at)));
    return messages;
  };
  const nameOf = (message: Buffer) => message.subarray(13, 13 + message[12]!).toString();
  const existing = read("existing");
  assert.equal(new Set(existing.slice(0, 1_000).map(nameOf)).size, 1_000);
  assert.ok(existing.every((message) => /^host\d+$/.test(nameOf(message))));
  assert.ok(read("missing").every((message) => !nameOf(message).startsWith("host")));
  const subnets = (kind: QueryKind) => new Set(read(kind).map((message) => message.subarray(-8).toString("hex"))).size;
  assert.ok(subnets("steered") <= 1_000);
  assert.ok(subnets("steered-cold") > 100_000);
  rmSync(folder, { recursive: true });
});
test("zoneText() has the names in a zone of its own", () => {
  assert.match(zoneText(2), new RegExp(`\\$ORIGIN ${ZONE}\\.[^]*\nhost0 IN A 192.0.2.1\nhost1 IN A 192.0.2.2\n$`));
  assert.match(zoneText(1, "30 IN STEER www"), /host0 30 IN STEER www/);
});
test("cityDatabase() is the same octets each time, opens as a database, and has about the nodes asked for", () => {
  const octets = cityDatabase(2_000);
  assert.ok(octets.equals(cityDatabase(2_000)));
  const { tree } = openPlaceDatabase("bench", octets);
  assert.ok(tree.networks > 1_600 && tree.networks < 2_400, `${tree.networks}`);
});
