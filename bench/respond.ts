/**
 * `respond()` alone, in process: answers per second and ns of each kind of answer, side by side in one run, guard on.
 *
 * Queries come with EDNS, client subnet and cookie where the row says so, from 65,536 source addresses or one. Each row runs in
 * a process of its own, as a worker does that has one steering and one mix of queries: compiled code is shaped by what it
 * has seen. The rows take turns, pass by pass; what is measured is the thread's CPU time, in rounds long enough for the
 * kernel's ticks, and the median over rounds and passes counts.
 *
 * Usage: node bench/respond.ts [--quick] [--only ROW] [--json FILE]
 */
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { createStepClock } from "#base/clock.ts";
import { createSteering } from "#dns/answer/steered.ts";
import type { Steering } from "#dns/answer/steering.ts";
import { createGuard } from "#dns/guard/guard.ts";
import { createResponder } from "#dns/respond.ts";
import { OPTION } from "#dns/wire/edns.ts";
import { ecsData, encodeQuery } from "#dns/wire/encode-query.ts";
import { parseName } from "#dns/wire/name.ts";
import { TYPE } from "#dns/wire/types.ts";
import { buildZone } from "#dns/zone/build.ts";
import { parseZone } from "#dns/zone/parse.ts";
import { createCounterSlots, DNS_COUNTER, DNS_COUNTERS } from "#state/counters.ts";
import { createClient, type Respond } from "#state/respond.ts";
import { mapFor, PLACES } from "../test/steer/maps.ts";
import { FIRST, GEO, HEALTHY, healthTable, NEAREST, REGIONS, service } from "../test/steer/world.ts";
import { describeMachine, median } from "./lib/machine.ts";

const isQuick = process.argv.includes("--quick");
const QUERIES = isQuick ? 400_000 : 1_000_000;
const ROUNDS = isQuick ? 2 : 3;
const PASSES = isQuick ? 1 : 3;
const CLIENTS = 65_536;
const argumentOf = (name: string): string | undefined =>
  process.argv.includes(name) ? process.argv[process.argv.indexOf(name) + 1] : undefined;
const only = argumentOf("--only");
/** Set in the process of one row: measure it, print one number a round. */
const child = argumentOf("--row");

const parsed = parseZone(
  `$ORIGIN demo.example.
@ 300 SOA ns1 hostmaster 1 3600 600 86400 60
@ 300 NS ns1
ns1 300 A 192.0.2.1
static 300 A 192.0.2.10
www 30 STEER www
alias 300 CNAME static
steered-alias 300 CNAME www
*.wild 300 A 192.0.2.11
child 300 NS ns1.child
child 300 NS ns2.child
ns1.child 300 A 192.0.2.12
ns2.child 300 A 192.0.2.13
`,
  { file: "bench" },
);
const zone = buildZone(parsed.records, parsed.origin!, { file: "bench", seed: 0x5eed });

/** One address for everybody, without a walk: what steering itself adds is the difference to the real one. */
const records = Uint8Array.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 192, 0, 2, 20]);
const fakeSteering: Steering = {
  serviceNumber: () => 0,
  hasType: (_service, qtype) => qtype === TYPE.A,
  ttlMaxSeconds: () => 30,
  ttlMinSeconds: () => 15,
  resolve(_service, _qtype, client, _nowMs, into) {
    into.status = 0;
    into.records = records;
    into.count = 1;
    into.stride = 16;
    into.ttlSeconds = 30;
    into.scopeBits = client.hasEcs ? 24 : 0;
    into.isFailOpen = false;
  },
};
const counters = createCounterSlots(DNS_COUNTERS.length);
const spec = service([HEALTHY, GEO, NEAREST, FIRST]);
const realSteering = createSteering({
  services: [spec],
  regions: REGIONS,
  healthTable: healthTable(),
  maps: new Map(spec.mapId === undefined ? [] : [[spec.mapId, mapFor(spec, REGIONS)]]),
  hashPrefix: { v4: 24, v6: 48 },
  counters,
});
const guard = createGuard({
  snapshot: {
    // All of it on; the rate is above what this loop makes, so that every query gets its answer.
    rrl: { isEnabled: true, isDryRun: false, ratePerSecond: 1_000_000_000, slip: 2, tableSize: 1 << 18, allow: [] },
    cookies: { isEnabled: true, secrets: [new Uint8Array(16).fill(7)], badCookieUnderLimit: true },
    admission: { isEnabled: true },
    access: [{ network: "10.9.0.0/16", action: "drop" }],
  },
  workers: 1,
  counters,
  seed: 0x5eed,
});
/** Read once per batch, as workers do. */
const clock = createStepClock();
const BATCH = 64;
const responder = (steering: Steering) =>
  createResponder({
    snapshot: {
      zones: [zone],
      unloadableZones: [],
      nsid: new Uint8Array(0),
      chaos: { version: undefined, id: undefined },
      ecs: true,
      tcp: { idleMs: 10_000 },
    },
    steering,
    guard,
    counters,
    clock,
  });
const withFake = responder(fakeSteering);
const withReal = responder(realSteering);

const networks = Object.keys(PLACES).filter((network) => !network.includes(":"));
const firstOctets = networks.map((network) => network.split("/")[0]!.split(".").map(Number));
/** As a transport does: the one client's octets, filled in anew. Networks of all regions, 256 × 256 hosts. */
function setAddress(address: Uint8Array, index: number): void {
  const first = firstOctets[index % firstOctets.length]!;
  address[0] = first[0]!;
  address[1] = first[1]!;
  address[2] = (index >>> 8) & 0xff;
  address[3] = index & 0xff;
}
function addressOf(index: number): Uint8Array {
  const address = new Uint8Array(4);
  setAddress(address, index);
  return address;
}

type Query = {
  readonly name: string;
  readonly type?: number;
  readonly ecs?: boolean;
  readonly cookie?: boolean;
  /** All from one source address, as a load generator sends them. */
  readonly isOneSource?: boolean;
  readonly hasNoEdns?: boolean;
};
function queries({ name, type = TYPE.A, ecs, cookie, hasNoEdns }: Query): Uint8Array[] {
  return Array.from({ length: 256 }, (_, index) => {
    const options = [];
    if (cookie) options.push({ code: OPTION.COOKIE, data: new Uint8Array(8).fill(index) });
    if (ecs) options.push({ code: OPTION.CLIENT_SUBNET, data: ecsData(addressOf(index * 251), 24) });
    return encodeQuery(parseName(name.replace("%", `r${index}`)) as Uint8Array, type, {
      id: index,
      ...(hasNoEdns ? {} : { edns: { options } }),
    });
  });
}
const rows = [
  { name: "static A", respond: withReal, query: { name: "static.demo.example." } },
  { name: "static A, one source", respond: withReal, query: { name: "static.demo.example.", isOneSource: true } },
  {
    name: "static A, one source, no EDNS",
    respond: withReal,
    query: { name: "static.demo.example.", isOneSource: true, hasNoEdns: true },
  },
  { name: "steered A, fake steering", respond: withFake, query: { name: "www.demo.example." } },
  { name: "steered A", respond: withReal, query: { name: "www.demo.example." } },
  { name: "static A, ECS", respond: withReal, query: { name: "static.demo.example.", ecs: true } },
  {
    name: "steered A, ECS, one source",
    respond: withReal,
    query: { name: "www.demo.example.", ecs: true, isOneSource: true },
  },
  { name: "steered A, ECS", respond: withReal, query: { name: "www.demo.example.", ecs: true } },
  {
    name: "static A, ECS and cookie",
    respond: withReal,
    query: { name: "static.demo.example.", ecs: true, cookie: true },
  },
  {
    name: "steered A, ECS and cookie",
    respond: withReal,
    query: { name: "www.demo.example.", ecs: true, cookie: true },
  },
  { name: "NODATA", respond: withReal, query: { name: "static.demo.example.", type: TYPE.TXT } },
  { name: "NXDOMAIN", respond: withReal, query: { name: "%.demo.example." } },
  { name: "wildcard A", respond: withReal, query: { name: "%.wild.demo.example." } },
  { name: "CNAME to static", respond: withReal, query: { name: "alias.demo.example." } },
  { name: "CNAME to steered", respond: withReal, query: { name: "steered-alias.demo.example." } },
  { name: "referral", respond: withReal, query: { name: "%.child.demo.example." } },
].filter((row) => only === undefined || row.name === only);

const client = createClient();
client.port = 5353;
const out = new Uint8Array(1232);
function measure(respond: Respond, messages: readonly Uint8Array[], isOneSource = false): number {
  const start = process.threadCpuUsage();
  for (let index = 0; index < QUERIES; index++) {
    if (index % BATCH === 0) clock.step();
    const message = messages[index & 0xff]!;
    setAddress(client.address, isOneSource ? 1 : index & (CLIENTS - 1));
    if (respond(message, message.length, client, out) === 0) throw new Error("a query got no response");
  }
  const { user, system } = process.threadCpuUsage(start);
  return ((user + system) * 1_000) / QUERIES;
}

if (child !== undefined) {
  const { respond, query } = rows.find((row) => row.name === child)!;
  const messages = queries(query);
  measure(respond, messages, query.isOneSource); // warms up
  const rounds = Array.from({ length: ROUNDS }, () => measure(respond, messages, query.isOneSource));
  const limited = counters[DNS_COUNTER.dropped_rrl]! + counters[DNS_COUNTER.rrl_slipped]!;
  if (counters[DNS_COUNTER.handler_faults]! + limited > 0) throw new Error("faults, or queries over the limit");
  console.log(JSON.stringify(rounds));
} else {
  const measured = new Map<string, number[]>(rows.map(({ name }) => [name, []]));
  for (let pass = 0; pass < PASSES; pass++) {
    for (const { name } of rows) {
      const args = [import.meta.filename, "--row", name, ...(isQuick ? ["--quick"] : [])];
      const { stdout, status } = spawnSync(process.execPath, args, {
        encoding: "utf8",
        stdio: ["ignore", "pipe", "inherit"],
      });
      if (status !== 0) process.exit(1);
      measured.get(name)!.push(...(JSON.parse(stdout) as number[]));
    }
  }
  report(new Map([...measured].map(([name, ns]) => [name, median(ns)])));
}

function report(ns: ReadonlyMap<string, number>): void {
  for (const [name, each] of ns) {
    const perSecond = Math.round(1e9 / each)
      .toLocaleString("en")
      .padStart(10);
    console.log(`${name.padEnd(30)} ${each.toFixed(0).padStart(5)} ns ${perSecond} answers/s`);
  }
  const ratios: Record<string, number> = {};
  for (const [name, [above, below]] of Object.entries({
    "steered/static": ["steered A", "static A"],
    "steered/static, ECS": ["steered A, ECS", "static A, ECS"],
    "steered/static, ECS and cookie": ["steered A, ECS and cookie", "static A, ECS and cookie"],
    "nxdomain/static": ["NXDOMAIN", "static A"],
  })) {
    const ratio = ns.get(above!)! / ns.get(below!)!;
    if (Number.isNaN(ratio)) continue;
    ratios[name] = ratio;
    console.log(`${name.padEnd(34)} ${ratio.toFixed(2)}`);
  }
  const file = argumentOf("--json");
  if (file === undefined) return;
  const machine = describeMachine();
  const text = JSON.stringify({ machine, rounds: ROUNDS * PASSES, ns: Object.fromEntries(ns), ratios }, undefined, 2);
  writeFileSync(file, `${text}\n`);
}
