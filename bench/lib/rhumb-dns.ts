/**
 * The DNS role alone, as a process to measure: configuration → snapshot → engine, without control API and probes.
 * Prints `ready` when it answers. `node bench/lib/rhumb-dns.ts rhumb.yaml`
 * @module
 */
import { randomBytes } from "node:crypto";
import { createDnsEngine } from "#app/dns-engine.ts";
import { systemClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { formatProblem } from "#base/problem.ts";
import { compile } from "#config/compile.ts";
import { loadConfig } from "#config/load.ts";
import { createTargetRegistry } from "#config/targets.ts";
import { buildClientMap } from "#geo/build.ts";
import { createHealthTable } from "#state/health-table.ts";
import { createClassifier } from "#steer/classify.ts";

const [file] = process.argv.slice(2);
if (file === undefined) throw new Error("Usage: node bench/lib/rhumb-dns.ts rhumb.yaml");
const compiled = compile(loadConfig(file), {
  targets: createTargetRegistry(1_024),
  zones: new Map(),
  zoneSeed: randomBytes(4).readUInt32LE(),
  cookieSecret: randomBytes(16),
  cores: 1,
  generation: { epoch: 1, sequence: 1 },
  nowMs: Date.now(),
});
if (!("snapshot" in compiled)) throw new Error(compiled.problems.map(formatProblem).join("\n"));
const { snapshot } = compiled;
if (!snapshot.dns) throw new Error(`${file} has no dns section`);
const engine = createDnsEngine({
  log: silentLog,
  emit: () => {},
  healthTable: createHealthTable(1_024),
  clock: systemClock,
  rng: Math.random,
});
const maps = snapshot.geo.maps.map((spec) => {
  const classify = createClassifier(spec, snapshot.regions);
  const { overrides } = snapshot.geo;
  return buildClientMap({ spec, places: undefined, asns: undefined, overrides, classify, generation: 1 }).map;
});
await engine.publishMaps(maps, undefined);
await engine.apply({ ...snapshot, dns: snapshot.dns });
process.on("SIGTERM", () => void engine.close({ drainMs: 0 }).then(() => process.exit(0)));
process.stdout.write("ready\n");
