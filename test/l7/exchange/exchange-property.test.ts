/**
 * Whatever comes from both ends, in whichever order: everything that was taken is given back once, there is one line in the
 * log, never a second head, and no call to an end that is over (the fakes see to that).
 */
import assert from "node:assert/strict";
import test from "node:test";
import { createManualClock } from "#base/clock.ts";
import { createSeededRng } from "#base/rng.ts";
import { createHttpCache } from "#l7/cache/http-cache.ts";
import type { AccessEntry } from "#l7/context.ts";
import { createDeadlines } from "#l7/exchange/deadlines.ts";
import { Exchange } from "#l7/exchange/exchange.ts";
import type { ExchangeHost } from "#l7/exchange/exchange-host.ts";
import { createExchangePlan } from "#l7/exchange/plan.ts";
import { UNKNOWN_LENGTH } from "#l7/message.ts";
import type { Guard, PoolRef, Route, Routed } from "#l7/route.ts";
import type { UpstreamFault } from "#l7/stream.ts";
import { NO_PLACE } from "#pool/place.ts";
import { createBackendCounters } from "#state/backend-table.ts";
import { createCounterSlots, LISTENER_COUNTER, LISTENER_COUNTERS } from "#state/counters.ts";
import { backendAt, listenerOf, poolOf } from "../../pool/specs.ts";
import { HTTP_DEFAULTS } from "../http-bed.ts";
import { specsOf } from "../rules/bed.ts";
import { createFakePlaces, createFakePool, FakeClient, FakeFilter, type FakeUpstream, requestHead } from "./fakes.ts";

const ROWS = 4;
const KINDS: readonly UpstreamFault["kind"][] = [
  "refused",
  "unreachable",
  "connect-timeout",
  "tls",
  "reset",
  "timeout",
  "bad-response",
  "other",
];
const OCTETS = Buffer.alloc(1_000, "x");

function run(seed: number): { readonly steps: string[] } {
  const rng = createSeededRng(seed);
  const chance = (share: number): boolean => rng() < share;
  const oneOf = <Item>(items: readonly Item[]): Item => items[Math.floor(rng() * items.length)]!;
  const clock = createManualClock();
  const steps: string[] = [];
  const log: AccessEntry[] = [];
  let waiting = 0;
  let filter: FakeFilter | undefined;

  const spec = poolOf(Array.from({ length: ROWS }, (_, row) => backendAt(row)));
  const places = createFakePlaces(spec, clock, ({ tried }) =>
    chance(0.15)
      ? oneOf([NO_PLACE.none, NO_PLACE.full, NO_PLACE.full, NO_PLACE.budget])
      : (tried.length + Math.floor(rng() * 2)) % ROWS,
  );
  const pool: PoolRef = { spec, places };
  const upstreams = createFakePool(() => chance(0.5));
  const [rule] = specsOf([
    {
      pool: "web",
      retry: {
        on: ["connect-failure", "reset", "timeout", "5xx"],
        nonIdempotent: chance(0.3),
        buffer: chance(0.5) ? "0B" : "4KiB",
        hedge: chance(0.5) ? "100ms" : "0s",
      },
      timeouts: {
        total: chance(0.5) ? "1s" : "0s",
        try: chance(0.5) ? "500ms" : "0s",
        idle: chance(0.5) ? "1s" : "0s",
      },
      maxBody: chance(0.2) ? "2KiB" : "1MiB",
    },
  ]);
  const guard: Guard = () => {
    if (chance(0.7)) return undefined;
    return chance(0.5) ? { status: 403, fields: [], body: "no" } : undefined;
  };
  const route: Route = {
    spec: rule!,
    guards: [guard, guard],
    decide: () => ({ kind: "pool", pool }),
    rewrite: ({ head }) => head.target,
    editRequest: () => undefined,
    editsRequest: false,
    editResponse: () => undefined,
    mirror: undefined,
  };
  const asksForBody = chance(0.2);
  const slots = createCounterSlots(LISTENER_COUNTERS.length);
  const deadlines = createDeadlines(clock.monotonicMs());
  const host: ExchangeHost = {
    clock,
    rng,
    backendCounters: createBackendCounters(ROWS),
    slots,
    deadlines,
    tunnelMs: 1_000,
    cache: createHttpCache({ clock }),
    acmeReply: () => undefined,
    upstreams: () => upstreams,
    waiting: (change) => {
      waiting += change;
    },
    count: (counter) => {
      slots[LISTENER_COUNTER[counter]]! += 1;
    },
    subrequest: () => Promise.resolve({ fault: "nobody" }),
    isDraining: () => false,
    unixMs: () => clock.nowMs(),
    randomHex: (digits) => "0".repeat(digits),
    failed: (error) => {
      throw error;
    },
    logAccess: (entry) => log.push(entry),
    span: () => undefined,
  };
  const plan = createExchangePlan({
    spec: listenerOf({ protocol: "http", http: HTTP_DEFAULTS }),
    router: {
      route: ({ isBodyKnown }): Routed =>
        asksForBody && !isBodyKnown ? { body: 1_500 } : chance(0.02) ? undefined : route,
    },
    contexts: undefined,
    newRequestId: () => "id",
    cacheOf: () => undefined,
    compressionOf: () =>
      chance(0.7)
        ? undefined
        : {
            choose: (_request, head) => ({ head, coding: "gzip" }),
            variants: { gzip: "gzip", br: "br", zstd: "zstd" },
            filter: (_coding, _head, sink) => (filter = new FakeFilter(sink)),
          },
  });

  const client = new FakeClient();
  const isUpgrade = chance(0.15);
  const hasBody = !isUpgrade && chance(0.5);
  const head = requestHead({
    method: hasBody ? oneOf(["POST", "PUT"]) : "GET",
    bodyOctets: hasBody ? oneOf([UNKNOWN_LENGTH, 3_000]) : 0,
    expectsContinue: hasBody && chance(0.3),
    upgrade: isUpgrade ? "websocket" : undefined,
  });
  let bodyLeft = hasBody ? 3 : 0;
  let isBodyOver = !hasBody;
  const exchange = new Exchange(host, plan, client, head);
  exchange.start();

  const isTunnel = (): boolean => client.isTunnel;
  function stepOfClient(): void {
    if (chance(0.03)) {
      client.state = "gone";
      steps.push("client gone");
      exchange.onClientGone(chance(0.5) ? undefined : 400);
    } else if (isTunnel()) {
      if (client.hasEnded) return;
      if (chance(0.2)) {
        client.hasEnded = true;
        steps.push("client ends its half");
        if (client.isFinished) client.state = "ended";
        exchange.onBodyEnd(undefined);
      } else if (!client.isPaused) exchange.onBody(OCTETS);
    } else if (client.isFull && chance(0.5)) {
      client.isFull = false;
      exchange.onClientRoom();
    } else if (client.isBodyWanted && !client.isPaused && !isBodyOver) {
      steps.push("body");
      if (bodyLeft-- > 0) exchange.onBody(OCTETS);
      else {
        isBodyOver = true;
        exchange.onBodyEnd(undefined);
      }
    } else client.isFull = chance(0.2);
  }
  function stepOfUpstream(upstream: FakeUpstream): unknown {
    const { events } = upstream;
    const fail = (): void => {
      upstream.state = "over";
      const kind = oneOf(KINDS);
      steps.push(`fault ${kind}`);
      const hasAnswered = chance(0.2);
      events.onUpstreamFault({ kind, isReused: chance(0.5), hasAnswered, hasSent: chance(0.8), says: kind });
    };
    if (chance(0.1)) return fail();
    switch (upstream.state) {
      case "connecting":
        upstream.state = "sent";
        steps.push("ready");
        events.onUpstreamReady(100);
        break;
      case "sent": {
        if (chance(0.2)) return events.onUpstreamContinue();
        if (chance(0.1)) return events.onInformational(103, []);
        const status = upstream.request.upgrade && chance(0.6) ? 101 : oneOf([200, 200, 404, 500, 503]);
        upstream.state = status === 101 ? "tunnel" : "answering";
        steps.push(`head ${status}`);
        events.onHead({ status, fields: [], bodyOctets: UNKNOWN_LENGTH, declaredOctets: undefined });
        break;
      }
      case "answering":
        if (upstream.isPaused) return undefined;
        if (chance(0.6)) return events.onUpstreamBody(OCTETS);
        upstream.state = "over";
        steps.push("end");
        events.onUpstreamEnd(undefined);
        break;
      case "tunnel":
        if (upstream.isPaused) return undefined;
        if (chance(0.7)) return events.onUpstreamBody(OCTETS);
        upstream.state = upstream.isFinished ? "over" : "ended";
        steps.push("backend ends its half");
        events.onUpstreamEnd(undefined);
        break;
      default:
        break;
    }
  }

  function stepOfFilter({ sink, isEnding }: FakeFilter): void {
    filter!.isLive = false;
    if (isEnding && chance(0.7)) sink.end();
    else {
      steps.push("the encoder breaks");
      sink.fail();
      assert.equal(client.state, "aborted");
    }
  }

  for (let step = 0; step < 400 && log.length === 0; step++) {
    const live = upstreams.opened.filter(({ isLive }) => isLive);
    if (live.length > 0 && chance(0.5)) stepOfUpstream(oneOf(live));
    else if (filter?.isLive && chance(filter.isEnding ? 0.5 : 0.05)) stepOfFilter(filter);
    else if (places.waiting.size > 0 && chance(0.5))
      oneOf([...places.waiting])(chance(0.8) ? 0 : NO_PLACE.queueTimeout);
    else if (chance(0.2)) {
      clock.advance(60);
      deadlines.advance(clock.monotonicMs());
    } else if (client.state === "open") stepOfClient();
  }
  if (log.length === 0 && client.state === "open") {
    client.state = "gone";
    exchange.onClientGone(undefined);
  }
  // Late words of ends that were given up must do nothing.
  for (const upstream of upstreams.opened) if (upstream.state === "cancelled") upstream.events.onUpstreamBody(OCTETS);

  assert.equal(log.length, 1, "lines of the log");
  assert.notEqual(client.state, "open", "the client's end");
  assert.deepEqual(
    [...places.taken.values()].filter((count) => count !== 0),
    [],
    "places",
  );
  assert.equal(places.waiting.size, 0, "who waits");
  assert.equal(deadlines.armed(), 0, "time limits");
  assert.equal(waiting, 0, "what is awaited");
  assert.equal(slots[LISTENER_COUNTER.http_active], 0);
  assert.deepEqual(upstreams.opened.filter(({ isLive }) => isLive).length, 0, "streams to backends");
  assert.equal(log[0]!.status, client.heads[0]?.status ?? log[0]!.status);
  return { steps };
}

test("an exchange gives back all that it took, once, and is logged once, whatever order things come in", () => {
  for (let seed = 1; seed <= 5_000; seed++) {
    try {
      run(seed);
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
  }
});
