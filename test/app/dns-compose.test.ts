/** What a worker keeps from one world to the next: the guard's memory, unless its settings change. */
import assert from "node:assert/strict";
import test from "node:test";
import { createComposer } from "#app/dns-compose.ts";
import type { DnsWorld } from "#app/dns-worker-protocol.ts";
import { encodeQuery } from "#dns/wire/encode-query.ts";
import { parseName } from "#dns/wire/name.ts";
import { TYPE } from "#dns/wire/types.ts";
import { createCounterSlots, DNS_COUNTER, DNS_COUNTERS } from "#state/counters.ts";
import { createHealthTable } from "#state/health-table.ts";
import { createClient } from "#state/respond.ts";

const worldWith = (revision: number, ratePerSecond: number): DnsWorld => ({
  revision,
  maps: [],
  rtt: undefined,
  bundle: {
    generation: { epoch: 1, sequence: revision },
    regions: [],
    services: [],
    dns: {
      listen: [],
      engine: "dgram",
      workers: 1,
      zones: [],
      unloadableZones: [],
      nsid: new Uint8Array(0),
      chaos: { version: undefined, id: undefined },
      ecs: true,
      hashPrefix: { v4: 24, v6: 48 },
      queryLog: { every: 0, privacy: "prefix", file: undefined },
      tcp: {
        maxConnections: 1,
        maxConnectionsPerClient: 1,
        maxInFlight: 1,
        maxOutputOctets: 1,
        idleMs: 1,
        messageMs: 1,
        drainMs: 1,
      },
      guard: {
        rrl: { isEnabled: true, isDryRun: false, ratePerSecond, slip: 0, tableSize: 1_024, allow: [] },
        cookies: { isEnabled: true, secrets: [new Uint8Array(16).fill(7)], badCookieUnderLimit: true },
        admission: { isEnabled: true },
        access: [],
      },
    },
  },
});

test("createComposer() keeps the rate limit's memory over a reload, and starts afresh with new settings", () => {
  const counters = createCounterSlots(DNS_COUNTERS.length);
  const data = { counters, healthTable: createHealthTable(8), seed: 5 };
  const compose = createComposer(data, { nowMs: () => 1_800_000_000_000 });
  const client = createClient();
  client.address.set([192, 0, 2, 1]);
  client.port = 4_096;
  const query = encodeQuery(parseName("no.such.zone.") as Uint8Array, TYPE.A);
  const out = new Uint8Array(1_232);
  const isAnswered = (world: DnsWorld): boolean => compose(world)(query, query.length, client, out) > 0;

  let answered = 0;
  while (answered < 10_000 && isAnswered(worldWith(answered, 2))) answered++;
  assert.ok(answered > 0 && answered < 10_000, `${answered} worlds, each with one answer`);
  assert.equal(isAnswered(worldWith(20_000, 2)), false);
  assert.equal(isAnswered(worldWith(20_001, 3)), true);
  assert.equal(counters[DNS_COUNTER.handler_faults], 0);
});
