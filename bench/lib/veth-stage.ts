/**
 * `npm run bench -- dns --stage veth`: servers that take packets before the kernel's stack beside servers on sockets, each on
 * a veth pair of its own, under offered load that rises.
 *
 * Every server has one UDP thread, on one core; kxdpgun has the other. Rounds in turn; medians.
 * @module
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CLIENT, createVethBed, INTERFACE, SERVER, type VethBed } from "../../test/dns/transport/veth-bed.ts";
import { cityDatabaseFile } from "./dns-city.ts";
import type { Recipe } from "./dns-recipe.ts";
import { GDNSD, GDNSD_GEOIP } from "./dns-recipe-gdnsd.ts";
import { KNOT, KNOT_GEOIP, KNOT_GEOIP_XDP, KNOT_XDP } from "./dns-recipe-knot.ts";
import { RHUMB_BATCH, RHUMB_XDP } from "./dns-recipe-rhumb.ts";
import { findMissing } from "./dns-recipes.ts";
import { textRatios } from "./dns-report.ts";
import { reasonOf } from "./dns-run.ts";
import { answers, LOAD_CORE, SERVER_CORE, START_TIMEOUT_MS } from "./dns-servers.ts";
import { NAMES, type World, zoneText } from "./dns-world.ts";
import { describeMachine, writeReport } from "./machine.ts";
import { parseBenchOptions, usageOf } from "./options.ts";
import { type Pinned, startPinned } from "./pinned.ts";
import { measureVeth, type VethLoad, type VethSample, vethMedians, writeKxdpgunQueries } from "./veth-measure.ts";
import { fillVethPage, type VethResult, type VethResults, vethRatios, vethText } from "./veth-results.ts";

const ROUNDS = { quick: 2, full: 5 };
const PORT = 53;
/**
 * kxdpgun cannot send a client subnet, so clients are told apart by their own addresses: 262,144 of them, in 1,024 networks
 * of the length that geofolding servers look at.
 */
const CLIENTS = "20.0.0.0/14";
const CITY_NODES = { quick: 100_000, full: 5_000_000 };

type Kind = "static" | "steered";
type Subject = { readonly name: string; readonly isOurs: boolean; readonly recipes: Readonly<Record<Kind, Recipe>> };
const SUBJECTS: readonly Subject[] = [
  { name: "xdp", isOurs: true, recipes: { static: RHUMB_XDP, steered: RHUMB_XDP } },
  { name: "batch", isOurs: true, recipes: { static: RHUMB_BATCH, steered: RHUMB_BATCH } },
  { name: "knot-xdp", isOurs: false, recipes: { static: KNOT_XDP, steered: KNOT_GEOIP_XDP } },
  { name: "knot", isOurs: false, recipes: { static: KNOT, steered: KNOT_GEOIP } },
  { name: "gdnsd", isOurs: false, recipes: { static: GDNSD, steered: GDNSD_GEOIP } },
];
const LOADS: readonly { name: Kind; title: string; clients: string | undefined }[] = [
  { name: "static", title: `Over a veth pair: static, ${NAMES.toLocaleString("en")} names`, clients: undefined },
  { name: "steered", title: "Over a veth pair: steered by the client's address", clients: CLIENTS },
];
const USAGE = usageOf("dns --stage veth", { ...ROUNDS, says: "two rates", example: "--only static --quick" });

type Runner = {
  readonly name: string;
  readonly isOurs: boolean;
  readonly recipe: Recipe;
  readonly bed: VethBed;
  readonly server: Pinned;
  readonly samples: VethSample[][];
};

async function startRunner(subject: Subject, kind: Kind, folder: string, world: World): Promise<Runner> {
  const recipe = subject.recipes[kind];
  const missing = findMissing(recipe);
  if (missing !== undefined) throw new Error(`${missing} is not installed`);
  const bed = createVethBed({ isStatic: true });
  try {
    bed.shell("server", `ip route add ${CLIENTS} via ${CLIENT[4]}`);
    const own = join(folder, subject.name);
    mkdirSync(own);
    const command = recipe.prepare({
      folder: own,
      address: SERVER[4],
      port: PORT,
      interface: INTERFACE,
      world,
      zoneFile: join(folder, "zone"),
      database: world.mapNodes === undefined ? undefined : cityDatabaseFile(world.mapNodes),
    });
    const server = await startPinned(bed.within("server", command), {
      core: SERVER_CORE,
      isReady: () => bed.inside("client", () => answers(SERVER[4], PORT)),
      timeoutMs: START_TIMEOUT_MS,
    });
    return { name: subject.name, isOurs: subject.isOurs, recipe, bed, server, samples: [] };
  } catch (error) {
    await bed.close();
    throw error;
  }
}

type Plan = {
  readonly rounds: number;
  readonly seconds: number;
  readonly rates: readonly number[];
  readonly nodes: number;
};

async function runVethLoad(
  load: (typeof LOADS)[number],
  subjects: readonly Subject[],
  folder: string,
  { rounds, seconds, rates, nodes }: Plan,
): Promise<VethResult> {
  const leftOut: Record<string, string> = {};
  const runners: Runner[] = [];
  const queries = join(folder, "queries");
  const world: World = { names: NAMES, mapNodes: load.name === "steered" ? nodes : undefined, workers: 1 };
  writeFileSync(join(folder, "zone"), zoneText(NAMES));
  writeKxdpgunQueries(queries, NAMES);
  const measure = ({ bed, server }: Runner, rate: number): VethSample => {
    const one: VethLoad = { queries, address: SERVER[4], clients: load.clients, rate, seconds };
    return measureVeth((command) => bed.within("client", command), server.pids, one, join(folder, "kxdpgun.out"));
  };
  try {
    for (const subject of subjects) {
      let runner: Runner | undefined;
      try {
        runner = await startRunner(subject, load.name, folder, world);
        measure(runner, rates[0]!); // warms up: the first answers of any server cost more
        runners.push(runner);
      } catch (error) {
        leftOut[subject.name] = reasonOf(error);
        await runner?.server.stop();
        await runner?.bed.close();
      }
    }
    for (let round = 1; round <= rounds; round++) {
      for (const [index, rate] of rates.entries()) {
        process.stdout.write(`\r${load.name}: round ${round} of ${rounds}, ${rate.toLocaleString("en")} queries/s   `);
        for (const runner of runners) {
          runner.samples[index] ??= [];
          runner.samples[index].push(measure(runner, rate));
        }
      }
    }
    process.stdout.write("\n");
    const results = runners.map(({ name, isOurs, recipe, samples }) => [
      name,
      { title: recipe.title, isOurs, medians: samples.map(vethMedians) },
    ]);
    return { title: load.title, rounds, seconds, rates, subjects: Object.fromEntries(results), leftOut };
  } finally {
    for (const { server, bed } of runners) {
      await server.stop();
      await bed.close();
    }
  }
}

/** @param args what follows `--stage veth`. @returns the exit code */
export async function runVethStage(args: readonly string[]): Promise<number> {
  const known = { loads: LOADS.map(({ name }) => name), subjects: SUBJECTS.map(({ name }) => name) };
  const options = parseBenchOptions(args, known, ROUNDS);
  if (typeof options === "string") {
    const isHelp = options === "help";
    (isHelp ? process.stdout : process.stderr).write(isHelp ? USAGE : `${options}\n${USAGE}`);
    return isHelp ? 0 : 2;
  }
  if (spawnSync("sh", ["-c", "command -v kxdpgun && command -v taskset && command -v ip"]).status !== 0) {
    process.stderr.write(
      "bench dns --stage veth needs kxdpgun, taskset and ip (Debian: knot-dnsutils util-linux iproute2)\n",
    );
    return 1;
  }
  spawnSync("taskset", ["-a", "-p", "-c", String(LOAD_CORE), String(process.pid)]);
  const { isQuick, only, rounds, json, markdown } = options;
  const plan: Plan = {
    rounds,
    seconds: isQuick ? 1 : 3,
    rates: isQuick ? [100_000, 400_000] : [100_000, 200_000, 300_000, 450_000],
    nodes: isQuick ? CITY_NODES.quick : CITY_NODES.full,
  };
  const subjects = SUBJECTS.filter(({ name }) => options.subjects?.includes(name) ?? true);
  const machine = describeMachine();
  const before = json !== undefined && existsSync(json) ? JSON.parse(readFileSync(json, "utf8")) : { rounds: {} };
  let results: VethResults = before.rounds;
  for (const load of LOADS) {
    if ((only && !only.includes(load.name)) || (options.isResumed && results[load.name])) continue;
    const folder = mkdtempSync(join(tmpdir(), "rhumb-bench-veth-"));
    try {
      const result = await runVethLoad(load, subjects, folder, plan);
      results = { ...results, [load.name]: result };
      const ratios = textRatios(vethRatios({ [load.name]: result }));
      process.stdout.write(`${vethText(result)}ratios (rate: more is better; CPU: less)\n${ratios}`);
      if (json !== undefined) writeReport(json, { machine, rounds: results, ratios: vethRatios(results) });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
  if (markdown !== undefined) {
    writeFileSync(markdown, fillVethPage(readFileSync(markdown, "utf8"), machine, results));
    process.stdout.write(`Wrote the tables of ${Object.keys(results).join(", ")} into ${markdown}\n`);
  }
  return 0;
}
