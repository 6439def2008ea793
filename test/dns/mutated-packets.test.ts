/**
 * A million packets that were valid once: nothing throws, nothing is written but the response, no response is answered,
 * and the heap is as large afterwards as it was before.
 */
import assert from "node:assert/strict";
import test from "node:test";
import { createSeededRng } from "#base/rng.ts";
import { createGuard } from "#dns/guard/guard.ts";
import { createResponder } from "#dns/respond.ts";
import { decodeMessage } from "#dns/wire/decode-message.ts";
import { OPTION } from "#dns/wire/edns.ts";
import { ecsData, encodeQuery } from "#dns/wire/encode-query.ts";
import { createCounterSlots, DNS_COUNTER, DNS_COUNTERS } from "#state/counters.ts";
import { createClient, TRANSPORT } from "#state/respond.ts";
import { createFakeSteering, EXAMPLE, NOW_MS, nameOf, zoneOf } from "./answer/ask.ts";

const PACKETS = 1_000_000;
const SENTINEL = 0xa5;
/** One in this many responses is decoded as a whole: doing it to all would take most of the time. */
const DECODE_EVERY = 7;
/** Octets that the live heap may differ by between two collections with nothing kept. */
const HEAP_SLACK_OCTETS = 2 * 1_048_576;

const ecs = (address: number[], bits: number) => ({
  code: OPTION.CLIENT_SUBNET,
  data: ecsData(Uint8Array.from(address), bits),
});
const cookie = (octets: number) => ({
  code: OPTION.COOKIE,
  data: Uint8Array.from({ length: octets }, (_, index) => index),
});
const names = [
  "www",
  "ent",
  "x.wild",
  "nowhere",
  "alias2",
  "x.child",
  "x.old",
  "steered",
  "to-steered",
  "empty",
  "apexlike",
  "loop1",
  "mail",
  "big",
];

function corpus(): Uint8Array[] {
  const packets: Uint8Array[] = [];
  for (const name of names) {
    for (const type of [1, 28, 15, 255, 6, 43]) packets.push(encodeQuery(nameOf(`${name}.example.`), type));
    const owner = nameOf(`${name}.example.`);
    packets.push(encodeQuery(owner, 1, { edns: { isDo: true } }));
    packets.push(encodeQuery(owner, 1, { edns: { options: [ecs([198, 51, 100, 0], 24)] } }));
    packets.push(
      encodeQuery(owner, 28, {
        edns: { options: [ecs([0x20, 1, 0xd, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 48), cookie(8)] },
      }),
    );
    packets.push(
      encodeQuery(owner, 1, { edns: { options: [cookie(24), { code: OPTION.NSID, data: new Uint8Array(0) }] } }),
    );
    packets.push(
      encodeQuery(owner, 16, { edns: { options: [{ code: OPTION.TCP_KEEPALIVE, data: new Uint8Array(0) }] } }),
    );
  }
  packets.push(encodeQuery(nameOf("version.bind."), 16, { class: 3 }), encodeQuery(nameOf("example."), 252));
  const rdata = [...nameOf("hmac-sha256."), 0, 0, 1, 2, 3, 4, 1, 44, 0, 2, 9, 9, 0xab, 0xcd, 0, 0, 0, 0];
  const signed = [
    ...encodeQuery(nameOf("www.example."), 1),
    3,
    107,
    101,
    121,
    0xc0,
    16,
    0,
    250,
    0,
    255,
    0,
    0,
    0,
    0,
    0,
    rdata.length,
    ...rdata,
  ];
  signed[11] = 1;
  packets.push(Uint8Array.from(signed));
  return packets;
}

test("respond() survives a million mutated packets and leaks nothing", async () => {
  const collect = await collector();
  let nowMs = NOW_MS;
  const rng = createSeededRng(0xfeed);
  const counters = createCounterSlots(DNS_COUNTERS.length);
  const zone = zoneOf(
    `${EXAMPLE}${Array.from({ length: 30 }, (_, n) => `big 60 TXT "${"x".repeat(60)}${n}"\n`).join("")}`,
  );
  const respond = createResponder({
    snapshot: {
      zones: [zone],
      unloadableZones: [nameOf("broken.example.")],
      nsid: Uint8Array.of(1, 2, 3),
      chaos: { version: "v", id: "i" },
      ecs: true,
      tcp: { idleMs: 10_000 },
    },
    steering: createFakeSteeringWithoutMemory(),
    guard: createGuard({
      snapshot: {
        rrl: { isEnabled: true, isDryRun: false, ratePerSecond: 50, slip: 2, tableSize: 4_096, allow: [] },
        cookies: { isEnabled: true, secrets: [new Uint8Array(16).fill(7)], badCookieUnderLimit: true },
        admission: { isEnabled: true },
        access: [],
      },
      workers: 1,
      counters,
      seed: 1,
    }),
    counters,
    clock: { nowMs: () => nowMs },
  });
  const packets = corpus();
  const scratch = new Uint8Array(1_500);
  const udpOut = new Uint8Array(1_232).fill(SENTINEL);
  const tcpOut = new Uint8Array(65_535).fill(SENTINEL);
  const client = createClient();
  let heapBefore = 0;
  let answered = 0;
  for (let index = 0; index < PACKETS; index++) {
    if (index === PACKETS / 4) heapBefore = collect(); // by then all templates are compiled
    nowMs += index & 1; // the rate limit lets some through
    const packet = packets[index % packets.length]!;
    const length = mutate(packet, scratch, rng);
    client.transport = (index & 7) === 0 ? TRANSPORT.tcp : TRANSPORT.udp;
    client.port = 1_024 + (index & 0xfff);
    client.isIpv6 = (index & 3) === 3;
    for (let octet = 0; octet < 16; octet++) client.address[octet] = (index >>> (octet & 7)) & 0xff;
    const out = client.transport === TRANSPORT.tcp ? tcpOut : udpOut;
    const written = respond(scratch, length, client, out);
    if (length < 12 || (scratch[2]! & 0x80) !== 0)
      assert.equal(written, 0, "neither fragments nor responses are answered");
    if (written === 0) continue;
    answered++;
    if (written < 12 || written > out.length) assert.fail(`${written} octets: ${hex(scratch, length)}`);
    if ((out[2]! & 0x80) === 0 || out[0] !== scratch[0] || out[1] !== scratch[1]) assert.fail(hex(scratch, length));
    // What a longer answer may have left behind its end is never sent; a response that is shorter than what is there is
    // checked against octets that nobody wrote: sentinels.
    if (index % DECODE_EVERY === 0) {
      out.fill(SENTINEL);
      const again = respond(scratch, length, client, out);
      if (again === 0) continue; // the rate limit
      const message = decodeMessage(out.subarray(0, again));
      if (typeof message === "number") assert.fail(`fault ${message}: ${hex(scratch, length)} → ${hex(out, again)}`);
      for (let at = again; at < Math.min(out.length, again + 64); at++) {
        if (out[at] !== SENTINEL && !mayScribble(message.isTruncated, message.rcode))
          assert.fail(`octet ${at} behind ${again}: ${hex(scratch, length)}`);
      }
    }
  }
  assert.equal(counters[DNS_COUNTER.handler_faults], 0);
  assert.ok(answered > PACKETS / 4, `${answered} were answered`);
  const growth = collect() - heapBefore;
  assert.ok(growth < HEAP_SLACK_OCTETS, `the heap grew by ${growth} octets over ${PACKETS * 0.75} packets`);
});

/** What was cut off, or given up for an error, may lie behind the end; it is the zone's own and not sent. */
const mayScribble = (isTruncated: boolean, rcode: number): boolean => isTruncated || rcode === 2 || rcode === 23;

/** Changes, inserts, removes, swaps or cuts octets, once to four times. @returns the length */
function mutate(packet: Uint8Array, into: Uint8Array, rng: () => number): number {
  into.set(packet);
  let length = packet.length;
  for (let count = 1 + Math.floor(rng() * 4); count > 0; count--) {
    const at = Math.floor(rng() * length);
    switch (Math.floor(rng() * 7)) {
      case 0:
        into[at] = Math.floor(rng() * 256);
        break;
      case 1:
        into[at] = into[at]! ^ (1 << Math.floor(rng() * 8));
        break;
      case 2:
        into[at] = [0, 1, 0x3f, 0x40, 0x7f, 0x80, 0xc0, 0xff][Math.floor(rng() * 8)]!;
        break;
      case 3:
        length = at;
        break;
      case 4:
        into.copyWithin(at + 1, at, length);
        into[at] = Math.floor(rng() * 256);
        length++;
        break;
      case 5:
        into.copyWithin(at, at + 1, length);
        length--;
        break;
      default: // a count of records that is not so
        into[4 + Math.floor(rng() * 8)] = Math.floor(rng() * 4);
    }
    if (length <= 0) return 0;
  }
  return length;
}

const hex = (octets: Uint8Array, length: number): string => Buffer.from(octets.subarray(0, length)).toString("hex");

function createFakeSteeringWithoutMemory() {
  const steering = createFakeSteering();
  Object.assign(steering.asked, { push: () => 0 });
  return steering;
}

/** Collects garbage and says how much is left. */
async function collector(): Promise<() => number> {
  const { setFlagsFromString } = await import("node:v8");
  const { runInNewContext } = await import("node:vm");
  setFlagsFromString("--expose-gc");
  const gc = runInNewContext("gc") as () => void;
  return () => {
    gc();
    gc();
    return process.memoryUsage().heapUsed;
  };
}
