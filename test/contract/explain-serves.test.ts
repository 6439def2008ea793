/**
 * What is explained is what is served: over random names, types, clients, health and overrides, the worker's response
 * and the explanation's are the same octets, and the explanation's own words (addresses, TTL, scope) fit them.
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { createComposer } from "#app/dns-compose.ts";
import type { DnsBundle } from "#app/dns-worker-protocol.ts";
import { createExplainer } from "#app/explainer.ts";
import { createGeoLoader } from "#app/geo-loader.ts";
import { systemClock } from "#base/clock.ts";
import { formatIp, maskIp } from "#base/ip.ts";
import { silentLog } from "#base/log.ts";
import { formatProblem } from "#base/problem.ts";
import { createSeededRng } from "#base/rng.ts";
import { compile, createCompileContext } from "#config/compile.ts";
import { loadConfig } from "#config/load.ts";
import { OPTION } from "#dns/wire/edns.ts";
import { ecsData, encodeQuery } from "#dns/wire/encode-query.ts";
import { parseName } from "#dns/wire/name.ts";
import { TYPE } from "#dns/wire/types.ts";
import type { ClientMap, RttMap } from "#state/client-map.ts";
import { createCounterSlots, DNS_COUNTER, DNS_COUNTERS } from "#state/counters.ts";
import {
  createHealthTable,
  HEALTH_EPOCH_WORD,
  healthWordIndex,
  packLoadWord,
  packStateWord,
} from "#state/health-table.ts";
import { createClient, TRANSPORT } from "#state/respond.ts";
import type { Snapshot } from "#state/snapshot.ts";
import { createSpreadDoor, publishSpread, type SpreadRow } from "#state/spread.ts";
import { numberingOf } from "#state/steering-hits.ts";

const CASES = 100_000;
const CASES_PER_HEALTH_STATE = 50;
const root = join(import.meta.dirname, "../..");
const folder = mkdtempSync(join(tmpdir(), "rhumb-explain-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const SERVICES: Record<string, string> = {
  geo: "{ regions: [r1, r2, r3, r4, r5], steer: geo }",
  latency: "{ regions: [r1, r2, r3, r4, r5], steer: latency }",
  failover: "{ regions: { r1: { priority: 1 }, r2: { priority: 1 }, r3: { priority: 2 } }, steer: failover }",
  weighted: "{ regions: { r1: { weight: 5 }, r2: { weight: 3 }, r3: { weight: 0 } }, steer: weighted }",
  many: "{ regions: [r1, r2, r3, r4, r5], steer: multivalue }",
  sticky: "{ regions: { r1: { weight: 2 }, r2: {}, r4: {} }, steer: [healthy, sticky, { first: 1 }] }",
  split:
    "{ regions: { r1: { priority: 1 }, r2: { priority: 2 }, r3: { priority: 2 } }, steer: [healthy, { priority: { split: [90, 10] } }, weighted, { first: 1 }] }",
  shed: "{ regions: [r1, r2, r3], steer: [healthy, { shed: { low: 70%, high: 90% } }, geo, nearest, { first: 1 }] }",
  fenced: "{ regions: [r1, r2, r3, r4], steer: [healthy, { geofence: { continents: [EU] } }, nearest, { first: 2 }] }",
  behind: "{ regions: [r4], steer: [{ healthy: { onEmpty: { fallback: geo } } }, { first: 1 }] }",
};
const REGIONS = `
r1: { at: [39, -77], continent: NA, country: US, v4: [192.0.2.1, 192.0.2.2], v6: ["2001:db8:1::1"], capacity: 100rps }
r2: { at: [53, -6], continent: EU, country: IE, v4: [192.0.2.11], v6: ["2001:db8:2::1", "2001:db8:2::2"] }
r3: { at: [50, 8], continent: EU, country: DE, v4: [192.0.2.21, 192.0.2.22, 192.0.2.23], v6: ["2001:db8:3::1"] }
r4: { at: [19, 72], continent: AS, country: IN, v4: [192.0.2.31], v6: ["2001:db8:4::1"] }
r5: { at: [-33, 151], continent: OC, country: AU, v4: [192.0.2.41], v6: ["2001:db8:5::1"] }
`;
const NAMES = [...Object.keys(SERVICES), "www", "chain", "deep.wild", "@", "text", "no-such-name"].map((name) =>
  name === "@" ? "x.example" : `${name}.x.example`,
);

function writeConfig(): string {
  for (const name of ["zones", "geo-data", "health"]) mkdirSync(join(folder, name));
  writeFileSync(
    join(folder, "rhumb.yaml"),
    `version: 1\nnode: ns1\ndns: { listen: ["127.0.0.1:0"], rrl: { enabled: false } }\nzones: zones/\n` +
      `geo: { database: ${join(root, "geo-data/demo.mmdb")}, regions: geo-data/regions.yaml }\nhealth: { checks: health/ }\n`,
  );
  writeFileSync(join(folder, "geo-data/regions.yaml"), REGIONS);
  const services = Object.entries(SERVICES).map(([name, text]) => `${name}: ${text}`);
  writeFileSync(join(folder, "zones/services.yaml"), `${services.join("\n")}\n`);
  writeFileSync(
    join(folder, "zones/x.example.zone"),
    `$TTL 60\n@ SOA ns h 1 2 3 4 5\n@ NS ns\n@ ALIAS geo\nns A 192.0.2.53\nwww CNAME geo\nchain CNAME www\n*.wild STEER weighted\ntext TXT hello\n` +
      Object.keys(SERVICES)
        .map((name) => `${name} STEER ${name}\n`)
        .join(""),
  );
  return join(folder, "rhumb.yaml");
}

async function buildWorld() {
  const context = createCompileContext(randomBytes, 1);
  const generation = { epoch: 1, sequence: 1 };
  const compiled = compile(loadConfig(writeConfig()), { ...context, generation, nowMs: 1_800_000_000_000 });
  if ("problems" in compiled) assert.fail(compiled.problems.map(formatProblem).join("\n"));
  const snapshot = compiled.snapshot;
  let maps: readonly ClientMap[] = [];
  let rtt: RttMap | undefined;
  const geo = createGeoLoader({
    log: silentLog,
    emit: () => {},
    clock: systemClock,
    onMaps(nextMaps, nextRtt) {
      maps = nextMaps;
      rtt = nextRtt;
    },
  });
  await geo.apply(snapshot.geo, snapshot.regions);
  await geo.setLatency(
    [
      { network: "198.18.0.0/16", rttMs: { r1: 120, r2: 15, r3: 18 } },
      { network: "198.51.100.0/24", rttMs: { r4: 5 } },
      { network: "2001:db8:100::/48", rttMs: { r5: 9, r1: 11 } },
    ],
    true,
  );
  await geo.close();
  return { snapshot, maps, rtt };
}

function randomHealth(table: Uint32Array, snapshot: Snapshot, nowMs: number, rng: () => number): void {
  const pick = <T>(values: readonly T[]): T => values[Math.floor(rng() * values.length)]!;
  for (const { index } of snapshot.health.targets) {
    const at = healthWordIndex(index);
    table[at] = packStateWord({
      verdict: pick([0, 1, 1, 1, 2, 2, 3] as const),
      isStale: rng() < 0.1,
      isLowConfidence: rng() < 0.1,
      isHeldForFailback: rng() < 0.1,
      override: pick([0, 0, 0, 0, 0, 0, 1, 2, 3, 4] as const),
      rampPercent: pick([100, 100, 100, 10, 25, 50]),
      weightPercent: pick([100, 100, 100, 0, 30]),
    });
    table[at + 1] = rng() < 0.5 ? 0 : Math.floor(nowMs / 1_000) + Math.floor(rng() * 90) - 10;
    table[at + 2] = Math.floor(rng() * 300_000);
    table[at + 3] = packLoadWord(Math.floor(rng() * 1_100), Math.floor(rng() * 2_000));
  }
  table[HEALTH_EPOCH_WORD]! += 1;
}

/** Rows for classes, first choices and losses at random, of some services; now and then a plan for other classes. */
function randomPlan(door: Int32Array, snapshot: Snapshot, maps: readonly ClientMap[], rng: () => number): void {
  const { services, regions } = snapshot;
  const below = (count: number): number => Math.floor(rng() * count);
  const rows = services.flatMap(({ regions: members }, service): SpreadRow[] =>
    [-1, 0, 1, 2].flatMap((lost) =>
      Array.from({ length: 12 }, (_, number) => {
        const end = 1 + below(4_095);
        const [natural, other] = [members[below(members.length)]!.region, members[below(members.length)]!.region];
        return { service, class: number, lost, natural, shares: { regions: [natural, other], ends: [end, 4_096] } };
      }),
    ),
  );
  const unique = new Map(rows.map((row) => [`${row.service} ${row.lost} ${row.class} ${row.natural}`, row]));
  publishSpread(door, {
    numbering: numberingOf({ services, regions, maps }) + (rng() < 0.1 ? 2 : 0),
    versions: services.map(() => below(4)),
    isCounted: regions.map(() => rng() < 0.8),
    rows: [...unique.values()],
  });
}

function randomAddress(rng: () => number): Uint8Array {
  const octet = () => Math.floor(rng() * 256);
  if (rng() < 0.3)
    return Uint8Array.from([0x20, 1, 0x0d, 0xb8, octet(), octet(), ...Array.from({ length: 10 }, octet)]);
  const nets = [
    [198, 18 + Math.floor(rng() * 2), octet()],
    [198, 51, 100],
    [203, 0, 113],
    [octet(), octet(), octet()],
  ];
  return Uint8Array.from([...nets[Math.floor(rng() * nets.length)]!, octet()]);
}

/** SCOPE PREFIX-LENGTH of the client subnet option among the options of an OPT record. */
function scopeOf(rdata: Uint8Array): number | undefined {
  const view = new DataView(rdata.buffer, rdata.byteOffset, rdata.length);
  for (let at = 0; at < rdata.length; at += 4 + view.getUint16(at + 2)) {
    if (view.getUint16(at) === OPTION.CLIENT_SUBNET) return rdata[at + 7];
  }
  return undefined;
}

test(`explain and serve agree, octet by octet, over ${CASES} random cases`, async () => {
  const rng = createSeededRng(20_260_101);
  const { snapshot, maps, rtt } = await buildWorld();
  const bundle: DnsBundle = { ...snapshot, dns: snapshot.dns! };
  const healthTable = createHealthTable(64);
  const counters = createCounterSlots(DNS_COUNTERS.length);
  let nowMs = 1_800_000_000_000;
  const world = { revision: 1, bundle, maps, rtt };
  const spread = createSpreadDoor();
  const respond = createComposer({ counters, healthTable, spread, seed: 7 }, { nowMs: () => nowMs })(world);
  const explainer = createExplainer({ bundle, maps, rtt, healthTable, spread });
  const client = createClient();
  client.port = 4_096;
  const out = new Uint8Array(65_535);
  const seen = { steered: 0, failOpen: 0, fallbacks: 0, servfail: 0, nodata: 0, hashed: 0, spread: 0 };

  for (let number = 0; number < CASES; number++) {
    if (number % CASES_PER_HEALTH_STATE === 0) {
      nowMs += Math.floor(rng() * 40_000);
      randomHealth(healthTable, snapshot, nowMs, rng);
      if (rng() < 0.7) randomPlan(spread, snapshot, maps, rng);
    }
    const nameText = NAMES[Math.floor(rng() * NAMES.length)]!;
    const name = parseName(nameText) as Uint8Array;
    const type = [TYPE.A, TYPE.A, TYPE.AAAA, TYPE.TXT][Math.floor(rng() * 4)]!;
    const source = randomAddress(rng);
    const subnetAddress = randomAddress(rng);
    const bits = Math.floor(rng() * (subnetAddress.length === 4 ? 33 : 65));
    const subnet = rng() < 0.6 ? { bytes: maskIp(subnetAddress, bits), bits } : undefined;

    const explained = explainer.ask({ name, type, source, subnet, atMs: nowMs });

    const options = subnet ? [{ code: OPTION.CLIENT_SUBNET, data: ecsData(subnet.bytes, subnet.bits) }] : [];
    const query = encodeQuery(name, type, { edns: { options } });
    client.address.fill(0);
    client.address.set(source);
    client.isIpv6 = source.length === 16;
    client.transport = rng() < 0.5 ? TRANSPORT.udp : TRANSPORT.tcp;
    const served = out.subarray(0, respond(query, query.length, client, out));
    const says = () =>
      `${nameText} type ${type} from ${formatIp(source)} subnet ${subnet ? `${formatIp(subnet.bytes)}/${subnet.bits}` : "none"} case ${number}`;
    assert.ok(Buffer.from(served.buffer, 0, served.length).equals(explained.octets), says());

    const { message, steered } = explained;
    const explanation = steered[0];
    if (!explanation) continue;
    seen.steered++;
    assert.equal(steered.length, 1, says());
    const addresses = message.answer.filter((record) => record.type === type);
    if (explanation.status === "answer") {
      assert.deepEqual(
        addresses.map((record) => formatIp(record.rdata)),
        explanation.addresses,
        says(),
      );
      for (const record of addresses) assert.equal(record.ttlSeconds, explanation.ttl.seconds, says());
      assert.ok(addresses.length > 0, says());
    } else if (explanation.status === "servfail") {
      assert.equal(message.rcode, 2, says());
      seen.servfail++;
    } else {
      assert.equal(addresses.length, 0, says());
      seen.nodata++;
    }
    const scopeBits = scopeOf(message.opt!.rdata);
    assert.equal(scopeBits, subnet ? explanation.scope.bits : undefined, `${says()}: scope`);
    if (explanation.isFailOpen) seen.failOpen++;
    if (explanation.rolls.used.length > 0) seen.hashed++;
    if (explanation.steps.some(({ filter, says: said }) => filter === "spread" && said.includes("takes")))
      seen.spread++;
    if (new Set(explanation.steps.map((step) => step.service)).size > 1) seen.fallbacks++;
  }
  assert.equal(counters[DNS_COUNTER.handler_faults], 0);
  // The load reached every corner that it is meant to reach.
  for (const [corner, count] of Object.entries(seen))
    if (corner !== "nodata") assert.ok(count > 500, `${corner}: ${count}`);
});
