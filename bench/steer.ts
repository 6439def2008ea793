/**
 * Steering alone, in process: ns per `resolve` from the memo (hit), and per answer compiled (miss).
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

const results: Record<string, { hitNs: number; missNs: number }> = {};
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
    const start = process.hrtime.bigint();
    for (let index = 0; index < count; index++) {
      steering.resolve(0, 1, clients[index & 4_095]!, NOW_MS + (index >>> 12), into);
      octets += into.count;
    }
    return Number(process.hrtime.bigint() - start) / count;
  };
  run(rounds / 4);
  const hitNs = Math.min(run(rounds), run(rounds), run(rounds));
  // Each change of a target empties the service's memo, so that the next query compiles.
  let missNs = 0;
  const misses = isQuick ? 500 : 5_000;
  for (let index = 0; index < misses; index++) {
    writeTarget(table, US.target, { verdict: index & 1 ? 1 : 2 });
    publish(table);
    const start = process.hrtime.bigint();
    steering.resolve(0, 1, clients[index & 4_095]!, NOW_MS, into);
    missNs += Number(process.hrtime.bigint() - start) / misses;
  }
  results[name] = { hitNs: Math.round(hitNs), missNs: Math.round(missNs) };
  console.log(
    `${name.padEnd(12)} hit ${hitNs.toFixed(0).padStart(5)} ns   miss ${missNs.toFixed(0).padStart(6)} ns   (${counters[DNS_COUNTER.variants_compiled]} variants, ${octets} records)`,
  );
}
const at = process.argv.indexOf("--json");
if (at > 0) {
  const machine = { node: process.version, arch: process.arch, platform: process.platform };
  writeFileSync(process.argv[at + 1]!, `${JSON.stringify({ machine, rounds, results }, undefined, 2)}\n`);
}
