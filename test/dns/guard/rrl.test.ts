import assert from "node:assert/strict";
import test from "node:test";
import { parseIp } from "#base/ip.ts";
import { createSeededRng } from "#base/rng.ts";
import { createRateLimit } from "#dns/guard/rrl.ts";
import { type Client, createClient } from "#state/respond.ts";

const START_MS = 1_800_000_000_000;
const BURST_SECONDS = 2.5;
const limitOf = (ratePerSecond: number, tableSize = 65_536) => createRateLimit({ ratePerSecond, tableSize, seed: 99 });

function clientAt(text: string): Client {
  const client = createClient();
  const bytes = parseIp(text)!;
  client.address.set(bytes);
  client.isIpv6 = bytes.length === 16;
  return client;
}
/** How many of `count` responses at one instant pass, taken from addresses in turn. */
function passed(isOver: (client: Client) => boolean, clients: Client[], count: number): number {
  let passes = 0;
  for (let index = 0; index < count; index++) if (!isOver(clients[index % clients.length]!)) passes++;
  return passes;
}

test("isOver() passes the burst of one address, and its rate from then on", () => {
  const limit = limitOf(40);
  const client = clientAt("192.0.2.1");
  assert.equal(
    passed((each) => limit.isOver(each, 0, START_MS), [client], 1_000),
    40 * BURST_SECONDS,
  );
  let passes = 0;
  for (let ms = 1; ms <= 10_000; ms++) if (!limit.isOver(client, 0, START_MS + ms)) passes++;
  assert.equal(passes, 400);
});

for (const { name, addresses, factor } of [
  { name: "an IPv4 /24", addresses: (host: number) => `192.0.2.${host % 250}`, factor: 32 },
  { name: "an IPv4 /20", addresses: (host: number) => `192.0.${host % 16}.${host % 250}`, factor: 256 },
  { name: "an IPv4 /18", addresses: (host: number) => `192.0.${host % 64}.${host % 251}`, factor: 768 },
  { name: "an IPv6 /64", addresses: (host: number) => `2001:db8::${host.toString(16)}`, factor: 2 },
  { name: "an IPv6 /56", addresses: (host: number) => `2001:db8:0:${(host % 256).toString(16)}::1`, factor: 3 },
  { name: "an IPv6 /48", addresses: (host: number) => `2001:db8:0:${host.toString(16)}::1`, factor: 4 },
  { name: "an IPv6 /32", addresses: (host: number) => `2001:db8:${host.toString(16)}::1`, factor: 64 },
]) {
  test(`isOver() gives ${name} ${factor} times the rate of one address`, () => {
    const limit = limitOf(10, 1_048_576);
    const clients = Array.from({ length: 8_032 }, (_, host) => clientAt(addresses(host)));
    const expected = 10 * BURST_SECONDS * factor;
    const actual = passed((each) => limit.isOver(each, 0, START_MS), clients, 40_160);
    assert.ok(Math.abs(actual - expected) <= 1, `${actual} passed`); // sums of intervals are rounded
  });
}

test("isOver() keeps kinds of response apart", () => {
  const limit = limitOf(10);
  const client = clientAt("192.0.2.1");
  passed((each) => limit.isOver(each, 1, START_MS), [client], 1_000);
  assert.equal(limit.isOver(client, 1, START_MS), true);
  assert.equal(limit.isOver(client, 0, START_MS), false);
});

test("isOver() keeps families apart: an IPv4 address is not the IPv6 one that starts alike", () => {
  const limit = limitOf(1);
  passed((each) => limit.isOver(each, 0, START_MS), [clientAt("32.1.13.184")], 100);
  assert.equal(limit.isOver(clientAt("2001:db8::"), 0, START_MS), false);
});

test("isOver() forgets a client that was quiet for the length of the burst", () => {
  const limit = limitOf(10);
  const client = clientAt("192.0.2.1");
  passed((each) => limit.isOver(each, 0, START_MS), [client], 1_000);
  assert.equal(
    passed((each) => limit.isOver(each, 0, START_MS + 2_500), [client], 1_000),
    25,
  );
});

test("isOver() limits nobody for hours when the clock is set back", () => {
  const limit = limitOf(10);
  const client = clientAt("192.0.2.1");
  passed((each) => limit.isOver(each, 0, START_MS), [client], 1_000);
  assert.equal(limit.isOver(client, 0, START_MS - 3_600_000), false);
});

test("isOver() keeps limiting the victim while a hundred times as many spoofed sources pass through a small table", () => {
  const limit = limitOf(200, 4_096);
  const victim = clientAt("192.0.2.1");
  const spoofed = createClient();
  const rng = createSeededRng(5);
  let victimPassed = 0;
  let spoofedLimited = 0;
  // 1 s: 2,000 queries with the victim's address among 200,000 from random ones.
  for (let index = 0; index < 200_000; index++) {
    const nowMs = START_MS + index / 200;
    for (let octet = 0; octet < 4; octet++) spoofed.address[octet] = Math.floor(rng() * 256);
    if (limit.isOver(spoofed, 0, nowMs)) spoofedLimited++;
    if (index % 100 === 0 && !limit.isOver(victim, 0, nowMs)) victimPassed++;
  }
  assert.ok(victimPassed <= 200 * (1 + BURST_SECONDS), `${victimPassed} responses to the victim`);
  assert.equal(spoofedLimited, 0);
});
