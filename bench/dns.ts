/**
 * Answers per second and CPU time per answer, beside NSD, Knot DNS, gdnsd and PowerDNS where they are installed.
 *
 * One run, the same zone, one worker each on one core, dnsperf on another; rounds are interleaved, so that what else the
 * machine does hits all alike; medians; only ratios mean something on another machine. Our guard is on.
 * @module
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type DnsServer, isInstalled, LOAD_CORE, RECIPES, startServer } from "./lib/dns-servers.ts";
import { ECS_OPTION, writeInput } from "./lib/dns-world.ts";
import { cpuBetween, cpuTimeOf, describeMachine, median, readArguments, writeReport } from "./lib/machine.ts";

const { isQuick, json } = readArguments("npm run bench -- dns");
const ROUNDS = isQuick ? 3 : 7;
const SECONDS = isQuick ? 1 : 3;
/** Queries under way at once: enough to keep a server busy, and few enough that no socket buffer overflows. */
const OUTSTANDING = 200;

type Sample = { answersPerSecond: number; userMicros: number; systemMicros: number; lost: number };
type Subject = { name: string; server: DnsServer; queries: string; options: string[] };

function measure({ server, queries, options }: Subject): Sample {
  const before = server.pids.map(cpuTimeOf);
  const args = ["-c", String(LOAD_CORE), "dnsperf", "-s", "127.0.0.1", "-p", String(server.port), "-d", queries];
  args.push("-l", String(SECONDS), "-c", "10", "-q", String(OUTSTANDING), ...options);
  const { stdout, stderr } = spawnSync("taskset", args, { encoding: "utf8" });
  const number = (pattern: RegExp): number => {
    const match = pattern.exec(stdout);
    if (!match) throw new Error(`dnsperf against ${server.name} says: ${stdout}${stderr}`);
    return Number(match[1]);
  };
  const completed = number(/Queries completed:\s+(\d+)/);
  const spent = server.pids.map((pid, index) => cpuBetween(before[index]!, cpuTimeOf(pid)));
  const perAnswer = (key: "userMs" | "systemMs") =>
    (spent.reduce((total, cpu) => total + cpu[key], 0) * 1_000) / completed;
  return {
    answersPerSecond: number(/Queries per second:\s+([\d.]+)/),
    userMicros: perAnswer("userMs"),
    systemMicros: perAnswer("systemMs"),
    lost: number(/Queries lost:\s+(\d+)/),
  };
}

if (spawnSync("sh", ["-c", "command -v dnsperf taskset"]).status !== 0) {
  process.stderr.write("bench dns needs dnsperf and taskset (Debian: apt install dnsperf util-linux)\n");
  process.exit(1);
}
const folder = mkdtempSync(join(tmpdir(), "rhumb-bench-dns-"));
const servers: DnsServer[] = [];
try {
  writeInput(folder);
  for (const recipe of RECIPES) {
    if (isInstalled(recipe)) servers.push(await startServer(recipe, join(folder, recipe.name), join(folder, "zone")));
    else process.stdout.write(`${recipe.name}: not installed, left out\n`);
  }
  const subjects: Subject[] = servers.map((server) => ({
    name: server.name,
    server,
    queries: join(folder, "static.queries"),
    options: ["-e"],
  }));
  const own = servers[0]!;
  subjects.splice(1, 0, {
    name: "dgram-steered",
    server: own,
    queries: join(folder, "steered.queries"),
    options: ["-E", ECS_OPTION],
  });
  const samples = new Map(subjects.map(({ name }): [string, Sample[]] => [name, []]));
  for (const subject of subjects) measure(subject); // warms up: the first answers of any server cost more
  for (let round = 0; round < ROUNDS; round++) {
    for (const subject of subjects) samples.get(subject.name)!.push(measure(subject));
  }

  const result = Object.fromEntries(
    [...samples].map(([name, list]) => {
      const of = (key: keyof Sample) => median(list.map((sample) => sample[key]));
      const cpuMicros = median(list.map((sample) => sample.userMicros + sample.systemMicros));
      const medians = {
        answersPerSecond: of("answersPerSecond"),
        cpuMicros,
        userMicros: of("userMicros"),
        systemMicros: of("systemMicros"),
        lost: of("lost"),
      };
      return [name, { medians, samples: list }];
    }),
  );
  process.stdout.write(
    `\n${ROUNDS} rounds of ${SECONDS} s, one worker on one core, ${OUTSTANDING} queries under way; medians\n`,
  );
  process.stdout.write("server           answers/s   CPU/answer µs  (user + system)   lost\n");
  for (const [name, { medians }] of Object.entries(result)) {
    const columns = [
      name.padEnd(16),
      Math.round(medians.answersPerSecond).toString().padStart(9),
      medians.cpuMicros.toFixed(2).padStart(15),
      `(${medians.userMicros.toFixed(2)} + ${medians.systemMicros.toFixed(2)})`.padStart(17),
      medians.lost.toString().padStart(6),
    ];
    process.stdout.write(`${columns.join(" ")}\n`);
  }
  const ratios: Record<string, number> = {};
  const ratio = (subject: string, other: string) => {
    const [a, b] = [result[subject]!.medians, result[other]!.medians];
    ratios[`${subject}.rate/${other}`] = round3(a.answersPerSecond / b.answersPerSecond);
    ratios[`${subject}.cpu/${other}`] = round3(a.cpuMicros / b.cpuMicros);
  };
  const round3 = (value: number) => Math.round(value * 1_000) / 1_000;
  for (const { name } of servers.slice(1)) ratio("dgram", name);
  ratio("dgram-steered", "dgram");
  process.stdout.write("\nratios (rate: more is better; cpu: less is better)\n");
  for (const [name, value] of Object.entries(ratios))
    process.stdout.write(`  ${name.padEnd(28)} ${value.toFixed(3)}\n`);
  if (json !== undefined) writeReport(json, { machine: describeMachine(), rounds: result, ratios });
} finally {
  await Promise.all(servers.map((server) => server.stop()));
  rmSync(folder, { recursive: true, force: true });
}
