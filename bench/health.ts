/**
 * What health checks cost: 10,000 HTTP checks, a new connection each, one in a hundred failing, every 10 s.
 *
 * The engine runs as a process of its own on one core, the targets in another process on the other core; only the engine's CPU
 * time and memory count. Beside it: TCP, the same HTTP checks written with node:http, and TLS (a tenth of the checks,
 * because a full handshake each costs many times as much), and one of three vantages: 1,000 HTTP checks every 5 s with the
 * votes of two others.
 * @module
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeMachine, readArguments, writeReport } from "./lib/machine.ts";

const { isQuick, json } = readArguments("npm run bench -- health");
const SECONDS = isQuick ? 20 : 60;
const WARM_SECONDS = 5;
const CHECKS = 10_000;
const TLS_CHECKS = 1_000;
const VOTED_CHECKS = 1_000;
const VOTES_MAX_CORE_SHARE = 0.1;
const VOTES_MAX_RSS_OCTETS = 150_000_000;
const MAX_CORE_SHARE = 0.2;
const MAX_RSS_OCTETS = 200_000_000;
/** Where bin/rhumb keeps stripped types; a first start without it loads the stripper, which takes 40 MB. */
const COMPILE_CACHE = join(import.meta.dirname, "../node_modules/.cache/rhumb");
const RESPONDER_CORE = 0;
const PROBER_CORE = 1;

type Sample = {
  elapsedMs: number;
  cpuMicros: number;
  systemMicros: number;
  rssOctets: number;
  finished: number;
  inconclusive: number;
  stalls: number;
  up: number;
  down: number;
  messages: number;
  messageOctets: number;
};
type Round = Sample & { kind: string; checks: number; coreShare: number; microsPerProbe: number };

const hasTaskset = spawnSync("taskset", ["--version"]).status === 0;
if (!hasTaskset) process.stdout.write("taskset is not installed: the processes are not pinned\n");
const script = (name: string): string => join(import.meta.dirname, "lib", name);
const pinned = (core: number, args: readonly string[]): [string, string[]] =>
  hasTaskset ? ["taskset", ["-c", String(core), process.execPath, ...args]] : [process.execPath, [...args]];

function makeCertificate(): { key: string; cert: string } {
  const folder = mkdtempSync(join(tmpdir(), "rhumb-bench-health-"));
  try {
    const files = { key: join(folder, "key.pem"), cert: join(folder, "cert.pem") };
    const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    const out = ["-keyout", files.key, "-out", files.cert, "-days", "30", "-subj", "/CN=bench.example"];
    execFileSync("openssl", ["req", "-x509", ...curve, ...out], { stdio: "pipe" });
    return { key: readFileSync(files.key, "utf8"), cert: readFileSync(files.cert, "utf8") };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function startResponder(): Promise<{ child: ChildProcess; http: number; tls: number }> {
  const { key, cert } = makeCertificate();
  const [command, args] = pinned(RESPONDER_CORE, [script("health-responder.ts")]);
  const env = { ...process.env, BENCH_KEY: key, BENCH_CERT: cert };
  const child = spawn(command, args, { env, stdio: ["ignore", "pipe", "inherit"] });
  const line = await new Promise<string>((resolve, reject) => {
    child.stdout!.once("data", (chunk: Buffer) => resolve(chunk.toString()));
    child.once("exit", () => reject(new Error("The responder ended before it listened")));
  });
  return { child, ...(JSON.parse(line) as { http: number; tls: number }) };
}

async function measure(
  kind: string,
  port: number,
  checks: number,
  warmSeconds = WARM_SECONDS,
  seconds = SECONDS,
): Promise<Round> {
  const [command, args] = pinned(PROBER_CORE, [script("health-prober.ts"), kind, String(port), String(checks)]);
  const child = spawn(command, [...args, String(warmSeconds), String(seconds)], {
    env: { ...process.env, NODE_COMPILE_CACHE: COMPILE_CACHE },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  const status = await new Promise((resolve) => child.once("close", resolve));
  if (status !== 0) throw new Error(`The prober ended with status ${String(status)}`);
  const sample = JSON.parse(text) as Sample;
  const coreShare = sample.cpuMicros / 1_000 / sample.elapsedMs;
  return { kind, checks, ...sample, coreShare, microsPerProbe: sample.cpuMicros / sample.finished };
}

function show(round: Round): void {
  const { kind, checks, coreShare, microsPerProbe, rssOctets, finished, elapsedMs } = round;
  const cells = [
    kind.padEnd(10),
    `${checks} checks`.padStart(13),
    `${((finished / elapsedMs) * 1_000).toFixed(0)} probes/s`.padStart(14),
    `${(coreShare * 100).toFixed(1)} % of a core`.padStart(17),
    `${microsPerProbe.toFixed(0)} µs/probe`.padStart(14),
    `${(rssOctets / 1e6).toFixed(0)} MB`.padStart(8),
    `${round.up} up, ${round.down} down, ${round.inconclusive} inconclusive, ${round.stalls} stalls`,
  ];
  process.stdout.write(`${cells.join("  ")}\n`);
}

const responder = await startResponder();
try {
  process.stdout.write(
    `Each kind for ${SECONDS} s at an interval of 10 s (votes: 5 s), after ${WARM_SECONDS} s of warm-up\n`,
  );
  await measure("http", responder.http, 1, 0, 0.5); // fills the compile cache
  const rounds: Round[] = [];
  for (const [kind, checks] of [
    ["http", CHECKS],
    ["tcp", CHECKS],
    ["node-http", CHECKS],
    ["tls", TLS_CHECKS],
    ["votes", VOTED_CHECKS],
  ] as const) {
    const round = await measure(kind, kind === "tls" ? responder.tls : responder.http, checks);
    show(round);
    rounds.push(round);
  }
  const [http, tcp, nodeHttp, tls, votes] = rounds as [Round, Round, Round, Round, Round];
  const ratios = {
    "http.core/limit": http.coreShare / MAX_CORE_SHARE,
    "http.rss/limit": http.rssOctets / MAX_RSS_OCTETS,
    "http.cpu/node-http": http.microsPerProbe / nodeHttp.microsPerProbe,
    "tcp.cpu/http": tcp.microsPerProbe / http.microsPerProbe,
    "tls.cpu/http": tls.microsPerProbe / http.microsPerProbe,
    "votes.core/limit": votes.coreShare / VOTES_MAX_CORE_SHARE,
    "votes.rss/limit": votes.rssOctets / VOTES_MAX_RSS_OCTETS,
    "votes.cpu/http": votes.microsPerProbe / http.microsPerProbe,
  };
  for (const [name, ratio] of Object.entries(ratios)) process.stdout.write(`${name.padEnd(20)} ${ratio.toFixed(2)}\n`);
  const octetsPerSecond = (votes.messageOctets / (WARM_SECONDS * 1_000 + votes.elapsedMs)) * 1_000;
  process.stdout.write(`Votes of a node: ${(octetsPerSecond / 1_024).toFixed(0)} KiB/s of text\n`);
  const isWithinVotes = ratios["votes.core/limit"] < 1 && ratios["votes.rss/limit"] < 1;
  process.stdout.write(`Votes: ${isWithinVotes ? "within" : "NOT within"} 10 % of a core and 150 MB\n`);
  const isWithin = ratios["http.core/limit"] < 1 && ratios["http.rss/limit"] < 1;
  process.stdout.write(isWithin ? "Within 20 % of a core and 200 MB\n" : "NOT within 20 % of a core and 200 MB\n");
  if (json !== undefined) writeReport(json, { machine: describeMachine(), rounds, ratios });
} finally {
  responder.child.kill();
}
