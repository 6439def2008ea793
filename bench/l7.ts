/**
 * What the HTTP proxy costs beside HAProxy and nginx: CPU time for each request (plain, TLS, HTTP/2) and WebSocket message,
 * throughput of large bodies, added latency, memory of idle connections. `docs/performance.md` says how and why so.
 *
 * One run, the same backends and load, one relaying thread each on one core, load and backends on the other; rounds in
 * turn; medians; only ratios mean something on another machine.
 * @module
 */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { atEnd } from "./lib/at-end.ts";
import { type Bed, type BedOptions, isInstalled, startBed } from "./lib/balancer-bed.ts";
import { runIdle } from "./lib/balancer-idle.ts";
import { type Counted, LOAD_CORE, measureLoad, readH2load, readSTime } from "./lib/balancer-measure.ts";
import type { BalancerRecipe, Certificate } from "./lib/balancer-recipe.ts";
import { fillPage, textTable } from "./lib/balancer-report.ts";
import { type LoadResult, type LoadResults, ratiosOf, textTargets } from "./lib/balancer-results.ts";
import { BULK, CONNECTION, REQUEST, runHalf, runRounds, runTraffic } from "./lib/balancer-traffic.ts";
import { EPOLL, HAPROXY, L7_RECIPES, NET, NGINX } from "./lib/l7-recipes.ts";
import { L7_TABLES } from "./lib/l7-tables.ts";
import { describeMachine, type Machine, writeReport } from "./lib/machine.ts";
import { parseBenchOptions, usageOf } from "./lib/options.ts";

const LOADS = {
  http1: "HTTP/1.1, connections that stay",
  connection: "HTTP/1.1, a connection each",
  bulk: "HTTP/1.1, bodies of 1 MiB",
  https: "HTTPS (HTTP/1.1), connections that stay",
  handshake: "HTTPS (HTTP/1.1), a connection and a full handshake each",
  resumed: "HTTPS (HTTP/1.1), a connection each, sessions taken up again",
  http2: "HTTPS (HTTP/2), streams side by side",
  websocket: "WebSocket messages",
  half: "Latency at half load",
  "half-tls": "Latency at half load, HTTPS",
  idle: "Idle connections",
} as const;
type Load = keyof typeof LOADS;
const names = Object.keys(LOADS) as Load[];
const BUSY_LOAD = 1.5;
const CALM = { rounds: 15, minutes: 10 };
const ROUNDS = { quick: 2, full: 5, calm: CALM };
const USAGE = usageOf("l7", { ...ROUNDS, says: "one of idle connections", example: "--quick --only http1,https" });
/** Connections of h2load, and streams on each. */
const HTTP2 = { connections: 16, streams: 8 };
const WEBSOCKETS = 64;
/** Clients that come again and again. */
const RESUMERS = 8;

const known = { loads: names, subjects: L7_RECIPES.map(({ name }) => name) };
const options = parseBenchOptions(process.argv.slice(2), known, ROUNDS);
if (typeof options === "string") {
  const isHelp = options === "help";
  (isHelp ? process.stdout : process.stderr).write(isHelp ? USAGE : `${options}\n${USAGE}`);
  process.exit(isHelp ? 0 : 2);
}
const missing = ["wrk", "h2load", "nginx", "taskset", "openssl"].filter((program) => !isInstalled(program));
if (missing.length > 0) {
  process.stderr.write(
    `bench l7 needs ${missing.join(", ")} (Debian: apt install wrk nghttp2-client nginx util-linux openssl haproxy)\n`,
  );
  process.exit(1);
}
/** We start programs and wait; on the load's core we never take time from a balancer. */
spawnSync("taskset", ["-a", "-p", "-c", String(LOAD_CORE), String(process.pid)]);

const { isQuick, only, subjects, rounds, patienceMs, json, markdown } = options;
const calm = { rounds: isQuick ? 3 : CALM.rounds, patienceMs };
const seconds = isQuick ? 1 : 3;
let machine: Machine = describeMachine();
let results: LoadResults = {};
if (json !== undefined && existsSync(json)) {
  const report = JSON.parse(readFileSync(json, "utf8")) as { machine: Machine; rounds: LoadResults };
  results = report.rounds;
  if (options.isResumed) machine = report.machine;
}
const [load1] = loadavg();
if (load1! > BUSY_LOAD) {
  process.stdout.write(
    `The machine is busy (load ${load1!.toFixed(1)}): latencies and rates say little, CPU times more\n`,
  );
}
const folder = mkdtempSync(join(tmpdir(), "rhumb-bench-l7-"));
atEnd(() => rmSync(folder, { recursive: true, force: true }));
const output = join(folder, "load.out");
const chosen = (recipes: readonly BalancerRecipe[]): BalancerRecipe[] =>
  recipes.filter(({ name }) => subjects?.includes(name) ?? true);

function makeCertificate(): Certificate {
  const [cert, key, both] = ["cert.pem", "key.pem", "both.pem"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  execFileSync(
    "openssl",
    [
      ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"],
      ["-subj", "/CN=bench", "-addext", "subjectAltName=DNS:bench", "-keyout", key, "-out", cert],
    ].flat(),
    { stdio: "pipe" },
  );
  writeFileSync(both, readFileSync(cert, "utf8") + readFileSync(key, "utf8"));
  return { cert, key, both };
}

/** Who takes part, and before which servers; beds are kept for the next load of their kind. */
const BEDS = {
  plain: { recipes: chosen([EPOLL, NET, HAPROXY, NGINX]), options: (): BedOptions => ({}) },
  tls: {
    recipes: chosen([EPOLL, NET, HAPROXY, NGINX]),
    options: (): BedOptions => ({ certificate: makeCertificate() }),
  },
  websocket: {
    recipes: chosen([EPOLL, NET, HAPROXY, NGINX]),
    options: (): BedOptions => ({
      backend: (_, listen) => [process.execPath, join(import.meta.dirname, "lib/websocket-backend.ts"), ...listen],
    }),
  },
} as const;
let open: { readonly kind: keyof typeof BEDS; readonly bed: Bed } | undefined;
async function bedOf(kind: keyof typeof BEDS): Promise<Bed> {
  if (open?.kind === kind) return open.bed;
  await open?.bed.stop();
  open = undefined;
  const { recipes, options: optionsOf } = BEDS[kind];
  const bed = await startBed(mkdtempSync(join(folder, "bed-")), recipes, optionsOf());
  open = { kind, bed };
  return bed;
}

const readCounted = (text: string): Counted => JSON.parse(text) as Counted;

async function measure(load: Load): Promise<LoadResult> {
  const title = LOADS[load];
  const run = { title, rounds, seconds, output };
  switch (load) {
    case "http1":
    case "connection":
    case "bulk": {
      const bed = await bedOf("plain");
      const traffic = { http1: REQUEST, connection: CONNECTION, bulk: BULK }[load];
      return runTraffic(bed, bed.runners, { ...run, traffic });
    }
    case "https":
    case "handshake": {
      const bed = await bedOf("tls");
      return runTraffic(bed, bed.runners, { ...run, traffic: load === "https" ? REQUEST : CONNECTION });
    }
    case "resumed": {
      const bed = await bedOf("tls");
      return runRounds(bed, bed.runners, {
        ...run,
        note: `of ${RESUMERS} clients`,
        measure: (target, duration) => {
          const at = new URL(target.url).host;
          const one = `openssl s_time -connect ${at} -tls1_3 -reuse -www /small -time ${duration}`;
          const all = `for client in $(seq ${RESUMERS}); do ${one} & done; wait`;
          return measureLoad(target, ["sh", "-c", all], output, readSTime);
        },
      });
    }
    case "http2": {
      const bed = await bedOf("tls");
      const { connections, streams } = HTTP2;
      return runRounds(bed, bed.runners, {
        ...run,
        note: `with ${connections} connections of ${streams} streams`,
        measure: (target, duration) => {
          const command = ["h2load", "-t1", "-c", String(connections), "-m", String(streams), "-D", String(duration)];
          return measureLoad(target, [...command, `${target.url}/small`], output, readH2load);
        },
      });
    }
    case "websocket": {
      const bed = await bedOf("websocket");
      const client = join(import.meta.dirname, "lib/websocket-client.ts");
      return runRounds(bed, bed.runners, {
        ...run,
        note: `with ${WEBSOCKETS} connections`,
        measure: (target, duration) => {
          const command = [process.execPath, client, target.port, WEBSOCKETS, duration].map(String);
          return measureLoad(target, command, output, readCounted);
        },
      });
    }
    case "half": {
      const bed = await bedOf("plain");
      return runHalf(bed, bed.runners, { title, output: run.output, ...calm, whole: results["http1"] });
    }
    case "half-tls": {
      const bed = await bedOf("tls");
      return runHalf(bed, bed.runners, { title, output: run.output, ...calm, whole: results["https"] });
    }
    case "idle": {
      await open?.bed.stop();
      open = undefined;
      return runIdle(BEDS.plain.recipes, { folder, title, rounds: 1 });
    }
    default:
      return load satisfies never;
  }
}

for (const load of names) {
  if ((only && !only.includes(load)) || (options.isResumed && results[load])) continue;
  const result = await measure(load);
  results = { ...results, [load]: result };
  process.stdout.write(textTable(load, result));
  process.stdout.write(textTargets(ratiosOf({ [load]: result }, L7_TABLES), L7_TABLES));
  if (json !== undefined) writeReport(json, { machine, rounds: results, ratios: ratiosOf(results, L7_TABLES) });
}
await open?.bed.stop();
if (markdown !== undefined) {
  writeFileSync(markdown, fillPage(readFileSync(markdown, "utf8"), "l7", { machine, results, tables: L7_TABLES }));
  process.stdout.write(`Wrote the tables of ${Object.keys(results).join(", ")} into ${markdown}\n`);
}
