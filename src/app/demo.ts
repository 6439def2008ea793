/**
 * `rhumb demo`, which `npm start` runs: the configuration at the top of the project, on loopback, with a balancer
 * process and two backend processes per region. No root, nothing to install.
 *
 * Owns:    in its run folder (`run/`): `token`, `demo.json` (who listens where, for `rhumb curl`), `rhumb.log`, the
 *          store, and a folder for each region's balancer. Two worlds at once need two folders and two ranges of ports.
 * Never:   fakes health or geography: probes, database and answers are the real ones.
 * @module
 */
import { randomBytes } from "node:crypto";
import { createWriteStream, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { createLog } from "#app/create-log.ts";
import { demoCertificate } from "#app/demo-certificate.ts";
import { regionLine } from "#app/demo-lines.ts";
import { type DemoPlace, placeRegions } from "#app/demo-places.ts";
import { canListen, createDemoRegions, refuseBusyPort } from "#app/demo-regions.ts";
import { reworkForDemo } from "#app/demo-rework.ts";
import { type RhumbNode, startNode } from "#app/node.ts";
import { untilSignal } from "#app/signals.ts";
import { StartRefused } from "#app/start-refused.ts";
import { RhumbError } from "#base/errors.ts";
import { formatProblem } from "#base/problem.ts";
import { readVersion } from "#cli/version.ts";
import { compile, createCompileContext } from "#config/compile.ts";
import type { ConfigFiles } from "#config/files.ts";
import { loadConfig } from "#config/load.ts";
import type { Pushed } from "#config/pushed.ts";
import type { RegionSpec } from "#state/snapshot.ts";

const DNS_PORT = 5_300;
const API_PORT = 8_053;
const LIVE_MS = 500;
const root = join(import.meta.dirname, "../..");

/** How rhumb.yaml refers to the token that we write. */
const TOKEN_REFERENCE = "file:run/token";

export type DemoOptions = {
  readonly portBase: number | undefined;
  /** Where token, store and log go; default: `run/` of the project. */
  readonly run: string | undefined;
};

/** @returns the exit code */
export async function demo({ portBase, run: runFolder }: DemoOptions): Promise<number> {
  const config = join(root, "rhumb.yaml");
  const run = runFolder === undefined ? join(root, "run") : resolve(runFolder);
  mkdirSync(run, { recursive: true, mode: 0o700 });
  if (!existsSync(join(run, "token")))
    writeFileSync(join(run, "token"), `${randomBytes(24).toString("hex")}\n`, { mode: 0o600 });
  const load = (pushed?: Pushed): ConfigFiles => {
    const files = loadConfig(config, { pushed });
    const token = readFileSync(join(run, "token"), "utf8").trim();
    return { ...files, secrets: new Map([...files.secrets, [TOKEN_REFERENCE, { value: token }]]) };
  };
  const dnsPort = portBase ?? DNS_PORT;
  const apiPort = portBase === undefined ? API_PORT : portBase + 1;
  const found = readRegions(config, load());
  const hasAll = (await Promise.all(found.map(({ v4 }) => canListen(v4[0]!)))).every(Boolean);
  const places = placeRegions(found, hasAll, portBase);
  const names = ["demo.example", "*.demo.example", "localhost", ...new Set(places.map(({ tls }) => tls.listen))];
  const certificate = await demoCertificate(run, names, Date.now());
  const regions = createDemoRegions(places, run, certificate);
  const hasIpv6 = await canListen("::1");
  const log = createLog({
    level: "info",
    format: "json",
    stream: createWriteStream(join(run, "rhumb.log"), { flags: "a", mode: 0o600 }),
  });
  let live: { stop(): void } | undefined;
  let node: RhumbNode | undefined;
  const ended = untilSignal(() => void node?.reload());
  try {
    await refuseBusyPort("DNS", dnsPort);
    await refuseBusyPort("the control API", apiPort);
    await regions.start();
    node = await startNode({
      config,
      load,
      stateFolder: run,
      version: readVersion(),
      log,
      rework: (snapshot) => reworkForDemo(snapshot, { dnsPort, apiPort, places, hasIpv6 }),
      demo: regions,
      onEvent: (event) => {
        const isNews = event.severity !== "info" || event.kind === "health.failback";
        if (isNews && !process.stdout.isTTY) console.log(event.says);
      },
    });
    writeFileSync(join(run, "demo.json"), JSON.stringify({ dns: dnsPort, api: node.apiUrl, places }, null, 2));
    greet(node, places, { dnsPort, apiPort, run: runFolder ?? "run" });
    live = showLive(node);
    await ended;
    live.stop();
    await node.close();
    return 0;
  } catch (error) {
    live?.stop();
    if (error instanceof StartRefused) for (const problem of error.problems) console.error(formatProblem(problem));
    else if (error instanceof RhumbError && portBase === undefined)
      console.error("Where a port is taken, others will do: npm start -- --port-base 15300");
    throw error;
  } finally {
    await regions.close();
  }
}

function readRegions(config: string, files: ConfigFiles): readonly RegionSpec[] {
  const context = createCompileContext(randomBytes, 1);
  const generation = { epoch: 0, sequence: 0 };
  const compiled = compile(files, { ...context, generation, nowMs: Date.now() });
  if ("problems" in compiled) throw new StartRefused(config, compiled.problems);
  return compiled.snapshot.regions;
}

function greet(
  node: RhumbNode,
  places: readonly DemoPlace[],
  { dnsPort, apiPort, run }: { dnsPort: number; apiPort: number; run: string },
): void {
  const isMoved = apiPort !== API_PORT;
  const isShared = places.some(({ address, listen }) => address !== listen);
  const api = isMoved ? ` --api ${node.apiUrl}` : "";
  const dig = `dig @127.0.0.1 -p ${dnsPort} www.demo.example A +subnet=198.51.100.0/24`;
  const curl = isShared
    ? "npx rhumb curl http://www.demo.example/ --from 198.51.100.0/24"
    : `curl http://$(${dig} +short):${places[0]!.port}/`;
  const secure = isShared ? "" : ` on port ${places[0]!.tls.port}`;
  console.log(`The demo world is up. DNS on 127.0.0.1 port ${dnsPort} (UDP and TCP), control API and dashboard on ${node.apiUrl}
(token: ${join(run, "token")}, log: ${join(run, "rhumb.log")}). Regions serve HTTPS${secure} as well (curl --cacert ${join(run, "tls/ca.pem")}).
Ctrl-C ends it. Copy any of these into another terminal:

  ${dig}
  ${curl}
  npx rhumb demo kill eu-west${api}
  npx rhumb demo heal eu-west${api}
`);
  if (isShared)
    console.log(
      `This system has no other loopback addresses than 127.0.0.1, so regions have ports:\n${places.map((place) => `  ${place.region}: ${place.address} is 127.0.0.1 port ${place.port} (HTTPS: ${place.tls.port})`).join("\n")}\n`,
    );
}

/** On a terminal the lines are drawn again in place; elsewhere events are printed as they come. */
function showLive(node: RhumbNode): { stop(): void } {
  const lines = (): string[] => {
    const views = node.parts.health.view();
    const nowMs = Date.now();
    return views
      .filter((view) => view.kind === "region")
      .map((view) => {
        const members = views.filter((one) => one.kind === "address" && one.target.startsWith(`${view.target}/`));
        return regionLine(view, members, nowMs);
      });
  };
  if (!process.stdout.isTTY) {
    for (const line of lines()) console.log(line);
    return { stop: () => {} };
  }
  let drawn = 0;
  const draw = (): void => {
    const width = process.stdout.columns || 120;
    const now = lines().map((line) => line.slice(0, width - 1));
    process.stdout.write(`${drawn > 0 ? `\x1b[${drawn}A` : ""}${now.map((line) => `\x1b[2K${line}\n`).join("")}`);
    drawn = now.length;
  };
  draw();
  const timer = setInterval(draw, LIVE_MS);
  return { stop: () => clearInterval(timer) };
}
