/**
 * Steering alone, in process: CPU time per `resolve` from the memo (hit) and per answer compiled anew (miss), in ns, and
 * octets of heap per hit.
 *
 * Usage: node bench/steer.ts [--quick] [--json FILE]
 */
import { writeFileSync } from "node:fs";
import { createSteering } from "#dns/answer/steered.ts";
import type { SteeredAnswer } from "#dns/answer/steering.ts";
import { createCounterSlots, DNS_COUNTER, DNS_COUNTERS } from "#state/counters.ts";
import type { FilterSpec } from "#state/snapshot.ts";
import { mapFor, PLACES } from "../test/steer/maps.ts";
import {
  client,
  FIRST,
  GEO,
  HEALTHY,
  healthTable,
  LATENCY,
  NEAREST,
  NOW_MS,
  PRIORITY,
  publish,
  REGIONS,
  SHUFFLE,
  service,
  US,
  WEIGHTED,
  writeTarget,
} from "../test/steer/world.ts";

const isQuick = process.argv.includes("--quick");
const rounds = isQuick ? 200_000 : 4_000_000;
const CHAINS: Readonly<Record<string, readonly FilterSpec[]>> = {
  geo: [HEALTHY, GEO, NEAREST, FIRST],
  latency: [HEALTHY, LATENCY, FIRST],
  weighted: [HEALTHY, WEIGHTED, FIRST],
  failover: [HEALTHY, PRIORITY, FIRST],
  multivalue: [HEALTHY, SHUFFLE, { name: "first", count: 8 }],
};

const networks = Object.keys(PLACES).filter((network) => !network.includes(":"));
const clients = Array.from({ length: 4_096 }, (_, index) => {
  const [octets] = networks[index % networks.length]!.split("/");
  const [a, b] = octets!.split(".");
  return client(`${a}.${b}.${(index * 7) & 0xff}.0`);
});

/** CPU time of this process since `start`: the machine may be busy with other things. */
function nsSince(start: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(start);
  return (user + system) * 1_000;
}

const results: Record<string, { hitNs: number; missNs: number; heapOctets: number }> = {};
for (const [name, chain] of Object.entries(CHAINS)) {
  const spec = service(chain);
  const table = healthTable();
  const counters = createCounterSlots(DNS_COUNTERS.length);
  const maps = new Map(spec.mapId === undefined ? [] : [[spec.mapId, mapFor(spec, REGIONS)]]);
  const hashPrefix = { v4: 24, v6: 48 };
  const steering = createSteering({
    services: [spec],
    regions: REGIONS,
    healthTable: table,
    maps,
    hashPrefix,
    counters,
  });
  const into = {} as SteeredAnswer;
  let octets = 0;
  const run = (count: number): number => {
    const start = process.cpuUsage();
    for (let index = 0; index < count; index++) {
      steering.resolve(0, 1, clients[index & 4_095]!, NOW_MS + (index >>> 12), into);
      octets += into.count;
    }
    return nsSince(start) / count;
  };
  run(rounds / 4);
  const hitNs = Math.min(run(rounds), run(rounds), run(rounds));
  const heapBefore = process.memoryUsage().heapUsed;
  run(100_000);
  const heapOctets = Math.max(0, process.memoryUsage().heapUsed - heapBefore) / 100_000;
  // Each change of a target empties the service's memo, so that the next query compiles.
  const misses = isQuick ? 500 : 10_000;
  const start = process.cpuUsage();
  for (let index = 0; index < misses; index++) {
    writeTarget(table, US.target, { verdict: index & 1 ? 1 : 2 });
    publish(table);
    steering.resolve(0, 1, clients[index & 4_095]!, NOW_MS, into);
  }
  const missNs = nsSince(start) / misses;
  results[name] = { hitNs: Math.round(hitNs), missNs: Math.round(missNs), heapOctets: Math.round(heapOctets) };
  console.log(
    `${name.padEnd(12)} hit ${hitNs.toFixed(0).padStart(5)} ns   miss ${missNs.toFixed(0).padStart(6)} ns   ${heapOctets.toFixed(1)} octets of heap per hit   (${counters[DNS_COUNTER.variants_compiled]} variants, ${octets} records)`,
  );
}
const at = process.argv.indexOf("--json");
if (at > 0) {
  const machine = { node: process.version, arch: process.arch, platform: process.platform };
  writeFileSync(process.argv[at + 1]!, `${JSON.stringify({ machine, rounds, results }, undefined, 2)}\n`);
}
