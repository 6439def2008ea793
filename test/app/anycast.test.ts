/** What joins anycast to the node: the self-check through real sockets, the wish of an evacuation, and refusals. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import test from "node:test";
import { createAnycast, wishOf } from "#app/anycast/create-anycast.ts";
import { createSelfCheck } from "#app/anycast/self-check.ts";
import { createManualClock, systemClock } from "#base/clock.ts";
import { createProbes } from "#health/probes/table.ts";
import type { AnycastSpec } from "#state/anycast.ts";
import { EVACUATION_STEPS, type Evacuation } from "#state/evacuation.ts";
import type { RegionReport } from "#state/reports.ts";
import type { Snapshot } from "#state/snapshot.ts";
import { anycastSpec } from "../bgp/bed.ts";

const check = (over: Partial<AnycastSpec["selfCheck"]>): AnycastSpec["selfCheck"] => ({
  ...anycastSpec().selfCheck,
  address: "127.0.0.1",
  ...over,
});
const look = (spec: AnycastSpec["selfCheck"], report?: Partial<RegionReport>) => {
  const { promise, resolve } = Promise.withResolvers<{ isOk: boolean; says: string }>();
  const selfCheck = createSelfCheck({
    clock: systemClock,
    startProbe: createProbes(systemClock),
    report: () => report as RegionReport | undefined,
  });
  selfCheck(spec, resolve);
  return promise;
};

test("createSelfCheck() takes what a client would take for serving, and no gateway without backends", async (t) => {
  const server = createServer((request, response) => {
    if (request.url === "/hang") return;
    response.statusCode = Number(request.url!.slice(1));
    response.end();
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  assert.equal((await look(check({ kind: "http", port, path: "/200" }))).isOk, true);
  assert.equal((await look(check({ kind: "http", port, path: "/404" }))).isOk, true);
  assert.equal((await look(check({ kind: "http", port, path: "/503" }))).isOk, false);
  assert.equal((await look(check({ kind: "http", port, path: "/hang", timeoutMs: 100 }))).isOk, false);
  assert.equal((await look(check({ kind: "tcp", port }))).isOk, true);
  const short = await look(check({ kind: "tcp", port }), { isServing: false, says: "pool web has 0 of 2 backends" });
  assert.deepEqual(short, { isOk: false, says: "pool web has 0 of 2 backends" });
});

test("createSelfCheck() says what refuses", async () => {
  const { isOk, says } = await look(check({ kind: "tcp", port: 1 }));
  assert.deepEqual([isOk, says], [false, "connection refused"]);
});

test("wishOf() withdraws at the end of leaving, and announces at the beginning of the return", () => {
  const withdrawnAt = (direction: Evacuation["direction"], withdraws: boolean): string[] =>
    EVACUATION_STEPS.filter(
      (step) =>
        wishOf({ direction, step, reason: "r", owner: "kim", terms: { withdraws } } as Evacuation).kind === "withdraw",
    );
  assert.deepEqual(withdrawnAt("leave", true), ["withdraw", "evacuated"]);
  assert.deepEqual(withdrawnAt("return", true), ["evacuated"]);
  assert.deepEqual(withdrawnAt("leave", false), []);
  assert.equal(wishOf(undefined).kind, "announce");
});

test("createAnycast() refuses what it cannot do, and says what to do", () => {
  const clock = createManualClock();
  const anycast = createAnycast({
    node: "lb1",
    clock,
    emit() {},
    shared: {
      status: () => ({ by: "alone", isConnected: true, says: "" }),
      records: () => [],
      onRecord() {},
      publish() {},
    } as never,
    balancer: { snapshot: () => undefined, stats: () => ({}), pools: () => [] } as never,
  });
  assert.throws(() => anycast.withdraw("upgrade", "kim"), { code: "RHUMB_ANYCAST_NOT_CONFIGURED" });
  anycast.apply({ anycast: undefined, balancer: undefined } as Snapshot);
  assert.equal(anycast.view().isConfigured, false);
  assert.throws(() => anycast.announce(), { code: "RHUMB_ANYCAST_NOT_CONFIGURED" });
});
