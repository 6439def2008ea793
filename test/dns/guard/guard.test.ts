import assert from "node:assert/strict";
import test from "node:test";
import { parseIp } from "#base/ip.ts";
import { createGuard } from "#dns/guard/guard.ts";
import { createCounterSlots, DNS_COUNTER, DNS_COUNTERS, type DnsCounter } from "#state/counters.ts";
import { ADMIT, COOKIE, type Cookie, LIMIT, RESPONSE_KIND } from "#state/guard.ts";
import { type Client, createClient } from "#state/respond.ts";
import type { GuardSnapshot } from "#state/snapshot.ts";

const NOW_MS = 1_800_000_000_000;
const RRL: GuardSnapshot["rrl"] = {
  isEnabled: true,
  isDryRun: false,
  ratePerSecond: 10,
  slip: 2,
  tableSize: 1_024,
  allow: [],
};
const COOKIES: GuardSnapshot["cookies"] = {
  isEnabled: true,
  secrets: [new Uint8Array(16).fill(7)],
  badCookieUnderLimit: true,
};

function guardWith(
  changes: {
    rrl?: Partial<GuardSnapshot["rrl"]>;
    cookies?: Partial<GuardSnapshot["cookies"]>;
    access?: GuardSnapshot["access"];
  },
  workers = 1,
) {
  const counters = createCounterSlots(DNS_COUNTERS.length);
  const snapshot: GuardSnapshot = {
    rrl: { ...RRL, ...changes.rrl },
    cookies: { ...COOKIES, ...changes.cookies },
    admission: { isEnabled: true },
    access: changes.access ?? [],
  };
  const guard = createGuard({ snapshot, workers, counters, seed: 3 });
  return { guard, count: (name: DnsCounter) => counters[DNS_COUNTER[name]] };
}

function clientAt(text: string): Client {
  const client = createClient();
  const bytes = parseIp(text)!;
  client.address.set(bytes);
  client.isIpv6 = bytes.length === 16;
  return client;
}

const CLIENT = clientAt("192.0.2.1");
/** Verdicts on `count` answers at one instant: how many of each. */
function tally(guard: ReturnType<typeof guardWith>["guard"], count: number, cookie: Cookie, client = CLIENT) {
  const verdicts = { send: 0, drop: 0, truncate: 0, badCookie: 0 };
  const names = Object.entries(LIMIT);
  for (let index = 0; index < count; index++) {
    const verdict = guard.limit(client, 1, RESPONSE_KIND.answer, 100, 40, cookie, NOW_MS);
    verdicts[names.find(([, value]) => value === verdict)![0] as keyof typeof verdicts]++;
  }
  return verdicts;
}

for (const { name, rrl = {}, cookies = {}, cookie = COOKIE.ignored, workers = 1, expected } of [
  { name: "slips every second answer over the limit", expected: { send: 25, drop: 50, truncate: 50, badCookie: 0 } },
  { name: "drops all with slip 0", rrl: { slip: 0 }, expected: { send: 25, drop: 100, truncate: 0, badCookie: 0 } },
  { name: "truncates all with slip 1", rrl: { slip: 1 }, expected: { send: 25, drop: 0, truncate: 100, badCookie: 0 } },
  { name: "slips every fifth", rrl: { slip: 5 }, expected: { send: 25, drop: 80, truncate: 20, badCookie: 0 } },
  {
    name: "limits nobody when off",
    rrl: { isEnabled: false },
    expected: { send: 125, drop: 0, truncate: 0, badCookie: 0 },
  },
  {
    name: "limits nobody in a dry run",
    rrl: { isDryRun: true },
    expected: { send: 125, drop: 0, truncate: 0, badCookie: 0 },
  },
  {
    name: "never limits the allow list",
    rrl: { allow: ["192.0.2.0/24"] },
    expected: { send: 125, drop: 0, truncate: 0, badCookie: 0 },
  },
  {
    name: "never limits a valid cookie",
    cookie: COOKIE.valid,
    expected: { send: 125, drop: 0, truncate: 0, badCookie: 0 },
  },
  {
    name: "lets who has cookies prove itself",
    cookie: COOKIE.fresh,
    expected: { send: 25, drop: 50, truncate: 0, badCookie: 50 },
  },
  {
    name: "lets who has an old cookie prove itself",
    cookie: COOKIE.bad,
    expected: { send: 25, drop: 50, truncate: 0, badCookie: 50 },
  },
  {
    name: "truncates instead of BADCOOKIE where told so",
    cookies: { badCookieUnderLimit: false },
    cookie: COOKIE.fresh,
    expected: { send: 25, drop: 50, truncate: 50, badCookie: 0 },
  },
  { name: "holds each worker to its share", workers: 5, expected: { send: 5, drop: 60, truncate: 60, badCookie: 0 } },
]) {
  test(`Guard.limit() ${name}`, () => {
    assert.deepEqual(tally(guardWith({ rrl, cookies }, workers).guard, 125, cookie), expected);
  });
}

test("Guard.limit() counts what it does", () => {
  const limited = guardWith({});
  tally(limited.guard, 125, COOKIE.ignored);
  assert.deepEqual([limited.count("dropped_rrl"), limited.count("rrl_slipped")], [50, 50]);
  const dry = guardWith({ rrl: { isDryRun: true } });
  tally(dry.guard, 125, COOKIE.ignored);
  assert.deepEqual([dry.count("rrl_would_limit"), dry.count("dropped_rrl"), dry.count("rrl_slipped")], [100, 0, 0]);
});

test("Guard.limit() leaves a resolver its answers while NXDOMAIN and errors are flooded in its name", () => {
  const { guard } = guardWith({});
  for (let index = 0; index < 1_000; index++) {
    guard.limit(CLIENT, index, RESPONSE_KIND.nxdomain, 100, 40, COOKIE.ignored, NOW_MS);
    guard.limit(CLIENT, 0, RESPONSE_KIND.error, 40, 40, COOKIE.ignored, NOW_MS);
  }
  assert.equal(guard.limit(CLIENT, 1, RESPONSE_KIND.nxdomain, 100, 40, COOKIE.ignored, NOW_MS) !== LIMIT.send, true);
  assert.equal(guard.limit(CLIENT, 1, RESPONSE_KIND.answer, 100, 40, COOKIE.ignored, NOW_MS), LIMIT.send);
});

for (const { name, from, expected } of [
  { name: "drops as told", from: "192.0.2.66", expected: ADMIT.drop },
  { name: "refuses as told", from: "192.0.2.1", expected: ADMIT.refuse },
  { name: "lets the first match win", from: "192.0.2.200", expected: ADMIT.allow },
  { name: "allows who is in no rule", from: "198.51.100.1", expected: ADMIT.allow },
  { name: "knows IPv6", from: "2001:db8::1", expected: ADMIT.refuse },
]) {
  test(`Guard.admit() ${name}`, () => {
    const { guard, count } = guardWith({
      access: [
        { network: "192.0.2.192/26", action: "allow" },
        { network: "192.0.2.64/26", action: "drop" },
        { network: "192.0.2.0/24", action: "refuse" },
        { network: "2001:db8::/32", action: "refuse" },
      ],
    });
    assert.equal(guard.admit(clientAt(from)), expected);
    assert.equal(count("dropped_acl"), expected === ADMIT.drop ? 1 : 0);
  });
}

test("Guard.cookie() ignores the option when cookies are off, and counts verdicts when they are on", () => {
  const message = new Uint8Array(24);
  assert.equal(
    guardWith({ cookies: { isEnabled: false } }).guard.cookie(message, 0, 24, CLIENT, NOW_MS),
    COOKIE.ignored,
  );
  const { guard, count } = guardWith({});
  assert.equal(guard.cookie(message, 0, 24, CLIENT, NOW_MS), COOKIE.bad);
  const made = new Uint8Array(24);
  guard.writeCookie(message, 0, CLIENT, NOW_MS, COOKIE.bad, made, 0);
  assert.equal(guard.cookie(made, 0, 24, CLIENT, NOW_MS), COOKIE.valid);
  assert.deepEqual([count("cookies_bad"), count("cookies_valid")], [1, 1]);
});
