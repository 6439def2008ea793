/**
 * BIND's dig as a foreign client of our cookies (RFC 7873, RFC 9018), over the real sockets.
 * @module
 */
import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import test from "node:test";
import { promisify } from "node:util";
import { createDnsEngine } from "#app/dns-engine.ts";
import { systemClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { createSeededRng } from "#base/rng.ts";
import { createHealthTable } from "#state/health-table.ts";
import type { DnsSnapshot } from "#state/snapshot.ts";

const hasDig = spawnSync("dig", ["-v"]).error === undefined;
const skip = hasDig || process.env["CI"] ? false : "dig is not installed (Debian: bind9-dnsutils)";
const run = promisify(execFile);

const DNS: DnsSnapshot = {
  listen: [{ address: "127.0.0.1", port: 0 }],
  engine: "dgram",
  workers: 2,
  zones: [],
  unloadableZones: [],
  nsid: new Uint8Array(0),
  chaos: { version: undefined, id: undefined },
  ecs: true,
  hashPrefix: { v4: 24, v6: 48 },
  queryLog: { every: 0, privacy: "prefix", file: undefined },
  tcp: {
    maxConnections: 10,
    maxConnectionsPerClient: 10,
    maxInFlight: 10,
    maxOutputOctets: 65_536,
    idleMs: 5_000,
    messageMs: 5_000,
    drainMs: 0,
  },
  guard: {
    rrl: { isEnabled: true, isDryRun: false, ratePerSecond: 2, slip: 1, tableSize: 1_024, allow: [] },
    cookies: { isEnabled: true, secrets: [new Uint8Array(16).fill(5)], badCookieUnderLimit: true },
    admission: { isEnabled: true },
    access: [],
  },
};

test("dig learns a cookie, sends it back, and is not rate limited with it", { skip }, async () => {
  const engine = createDnsEngine({
    log: silentLog,
    emit: () => {},
    healthTable: createHealthTable(1),
    clock: systemClock,
    rng: createSeededRng(1),
  });
  try {
    await engine.apply({ generation: { epoch: 1, sequence: 1 }, dns: DNS, regions: [], services: [] });
    const { port } = engine.addresses()[0]!;
    const dig = async (...options: string[]) =>
      (
        await run("dig", [
          "@127.0.0.1",
          "-p",
          String(port),
          "+tries=1",
          "+time=2",
          "+ignore",
          "example.org",
          "A",
          ...options,
        ])
      ).stdout;
    const cookieIn = (text: string) => /COOKIE: ([0-9a-f]{48}) \(good\)/.exec(text)?.[1];
    const learned = cookieIn(await dig("+cookie=0102030405060708"));
    assert.ok(learned?.startsWith("010203040506070801000000"), `dig found ${learned}`);
    // Far beyond two answers a second: with the cookie all are answered as they are.
    for (let round = 0; round < 20; round++) {
      const text = await dig(`+cookie=${learned}`);
      assert.match(text, /status: REFUSED/);
      assert.equal(cookieIn(text), learned);
    }
    assert.equal(engine.stats().counters.cookies_valid, 20);
    assert.equal(engine.stats().counters.rrl_slipped, 0);
    // Over the limit, who knows cookies is told BADCOOKIE with a good one, and dig comes back with it by itself.
    let isLimited = false;
    for (let round = 0; round < 40 && !isLimited; round++) {
      isLimited = (await dig("+cookie=0102030405060708", "+nobadcookie")).includes("status: BADCOOKIE");
    }
    assert.ok(isLimited);
    assert.match(await dig("+cookie=0102030405060708", "+badcookie"), /status: REFUSED/);
  } finally {
    await engine.close({ drainMs: 0 });
  }
});
