/**
 * The child of `allocation.test.ts`: answers a mix of queries as a worker does, again and again, and prints one line of
 * JSON: octets that the heap grew and collections that ran while it answered `QUERIES` of them, in the quietest of a few
 * windows (late work of V8's compilers allocates as well, and ends), and how often each kind of answer was given.
 */
import assert from "node:assert/strict";
import { PerformanceObserver } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { createStepClock } from "#base/clock.ts";
import { createSteering } from "#dns/answer/steered.ts";
import { createGuard } from "#dns/guard/guard.ts";
import { createResponder } from "#dns/respond.ts";
import { OPTION } from "#dns/wire/edns.ts";
import { ecsData, encodeQuery } from "#dns/wire/encode-query.ts";
import { typeNumber } from "#dns/wire/types.ts";
import { createCounterSlots, DNS_COUNTER, DNS_COUNTERS } from "#state/counters.ts";
import { createClient } from "#state/respond.ts";
import { mapFor, PLACES } from "../steer/maps.ts";
import { FIRST, GEO, HEALTHY, healthTable, NEAREST, REGIONS, service } from "../steer/world.ts";
import { nameOf, zoneOf } from "./answer/ask.ts";

const QUERIES = 1_000_000;
const WINDOWS = 5;
const BATCH = 64;
const SETTLE_MS = 50;
const QUERIES_PER_MS = 10_000;

const zone = zoneOf(`$ORIGIN demo.example.
@ 300 SOA ns1 hostmaster 1 3600 600 86400 60
@ 300 NS ns1
ns1 300 A 192.0.2.1
static 300 A 192.0.2.10
static 300 A 192.0.2.11
mail 300 MX 10 static
www 30 STEER www
alias 300 CNAME static
steered-alias 300 CNAME www
*.wild 300 A 192.0.2.12
big 300 TXT ${Array.from({ length: 6 }, () => `"${"t".repeat(250)}"`).join(" ")}
child 300 NS ns1.child
child 300 NS ns2.child
ns1.child 300 A 192.0.2.13
ns2.child 300 A 192.0.2.14
`);
const counters = createCounterSlots(DNS_COUNTERS.length);
const spec = service([HEALTHY, GEO, NEAREST, FIRST]);
const steering = createSteering({
  services: [spec],
  regions: REGIONS,
  healthTable: healthTable(),
  maps: new Map([[spec.mapId!, mapFor(spec, REGIONS)]]),
  hashPrefix: { v4: 24, v6: 48 },
  counters,
});
const guard = createGuard({
  snapshot: {
    // So low that some of the clients are limited.
    rrl: { isEnabled: true, isDryRun: false, ratePerSecond: 2_000, slip: 2, tableSize: 1 << 16, allow: [] },
    cookies: { isEnabled: true, secrets: [new Uint8Array(16).fill(7)], badCookieUnderLimit: true },
    admission: { isEnabled: true },
    access: [{ network: "10.9.0.0/16", action: "drop" }],
  },
  workers: 1,
  counters,
  seed: 0x5eed,
});
/** What a real clock reads is an object of 16 octets each time; this one makes it when the time moves on. */
const time: { nowMs: number | undefined } = { nowMs: undefined };
time.nowMs = 1_800_000_000_000;
const clock = createStepClock(() => time.nowMs!);
const respond = createResponder({
  snapshot: {
    zones: [zone],
    unloadableZones: [],
    nsid: new Uint8Array(4).fill(65),
    chaos: { version: undefined, id: undefined },
    ecs: true,
    tcp: { idleMs: 10_000 },
  },
  steering,
  guard,
  counters,
  clock,
});

const networks = Object.keys(PLACES)
  .filter((network) => !network.includes(":"))
  .map((network) => network.split("/")[0]!.split(".").map(Number));
const edns = (...options: { code: number; data: Uint8Array }[]) => ({ edns: { options } });
const ecs = (index: number) => ({
  code: OPTION.CLIENT_SUBNET,
  data: ecsData(Uint8Array.from(networks[index % networks.length]!), 24),
});
const cookie = { code: OPTION.COOKIE, data: new Uint8Array(8).fill(9) };
const nsid = { code: OPTION.NSID, data: new Uint8Array(0) };
const messages = Array.from({ length: 16 }, (_, index) => [
  encodeQuery(nameOf("static.demo.example."), typeNumber("A"), edns()),
  encodeQuery(nameOf("StaTIc.deMO.eXAMPLE."), typeNumber("A")),
  encodeQuery(nameOf("static.demo.example."), typeNumber("A"), edns(ecs(index), cookie)),
  encodeQuery(nameOf("static.demo.example."), typeNumber("A"), edns(nsid)),
  encodeQuery(nameOf("static.demo.example."), typeNumber("TXT"), edns()),
  encodeQuery(nameOf(`n${index}.demo.example.`), typeNumber("A"), edns()),
  encodeQuery(nameOf(`W${index}.wild.demo.example.`), typeNumber("A"), edns()),
  encodeQuery(nameOf("mail.demo.example."), typeNumber("MX"), edns()),
  encodeQuery(nameOf("big.demo.example."), typeNumber("TXT"), edns()),
  encodeQuery(nameOf("alias.demo.example."), typeNumber("A"), edns()),
  encodeQuery(nameOf("www.demo.example."), typeNumber("A"), edns()),
  encodeQuery(nameOf("www.demo.example."), typeNumber("A"), edns(ecs(index))),
  encodeQuery(nameOf("steered-alias.demo.example."), typeNumber("A"), edns(ecs(index), cookie)),
  encodeQuery(nameOf(`x${index}.child.demo.example.`), typeNumber("A"), edns()),
  encodeQuery(nameOf("elsewhere.example."), typeNumber("A"), edns()),
  new Uint8Array(40).fill(index), // not to be parsed
]).flat();

const client = createClient();
client.port = 5353;
const out = new Uint8Array(1232);
function answer(count: number): void {
  for (let index = 0; index < count; index++) {
    if (index % BATCH === 0) clock.step();
    if (index % QUERIES_PER_MS === 0) time.nowMs! += 1;
    // Half of all queries come from sixteen addresses: those are over their limit.
    const host = (index & 1) === 0 ? (index >>> 1) & 15 : index & 0xffff;
    const network = networks[host % networks.length]!;
    client.address[0] = network[0]!;
    client.address[1] = network[1]!;
    client.address[2] = host >>> 8;
    client.address[3] = host & 0xff;
    const message = messages[index % messages.length]!;
    respond(message, message.length, client, out);
  }
}

/** Quiet enough: no further window is needed. */
const enoughOctets = Number(process.argv[2]);
let collections = 0;
const observer = new PerformanceObserver((list) => {
  collections += list.getEntries().length;
});
observer.observe({ entryTypes: ["gc"] });
answer(QUERIES);
let least = { grownOctets: Number.POSITIVE_INFINITY, collections: Number.POSITIVE_INFINITY };
for (let window = 0; window < WINDOWS; window++) {
  globalThis.gc!();
  await delay(SETTLE_MS); // until the observer was told of this collection
  const before = collections;
  const beforeOctets = process.memoryUsage().heapUsed;
  answer(QUERIES);
  const grownOctets = process.memoryUsage().heapUsed - beforeOctets;
  await delay(SETTLE_MS);
  const ran = collections - before;
  if (ran < least.collections || (ran === least.collections && grownOctets < least.grownOctets)) {
    least = { grownOctets, collections: ran };
  }
  if (ran === 0 && grownOctets < enoughOctets) break;
}
assert.equal(counters[DNS_COUNTER.handler_faults], 0);
const given = Object.fromEntries(DNS_COUNTERS.map((name) => [name, counters[DNS_COUNTER[name]]]));
console.log(JSON.stringify({ ...least, given }));
