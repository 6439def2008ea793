import assert from "node:assert/strict";
import type { Socket } from "node:net";
import test, { type TestContext } from "node:test";
import { createSeededRng } from "#base/rng.ts";
import { type Clients, createClients, OPEN_MOST } from "#drill/load/clients.ts";
import type { DnsAnswer } from "#drill/load/dns-question.ts";
import { createLedger, type Ledger } from "#drill/load/ledger.ts";
import { createPopulation, type Population } from "#drill/load/population.ts";
import type { LoadSpec } from "#drill/load/protocol.ts";
import type { Endpoint } from "#drill/stage.ts";
import { deadEndpoint, EU, gone, reply, specOf, startWeb, US, WEB_PORT } from "./bed.ts";

type Bed = {
  readonly clients: Clients;
  readonly ledger: Ledger;
  readonly population: Population;
  readonly asked: () => number;
  readonly doubts: string[];
  /** Moves the clock of the clients; requests take no time by it. */
  move(ms: number): void;
  /** Makes so many requests at once, and resolves when all have ended. @returns counts by region and outcome, those above 0 */
  requests(count: number): Promise<Record<string, number>>;
};

/** @param says the answers to questions, in turn; the last one again and again */
function startBed(
  context: TestContext,
  says: readonly (Partial<DnsAnswer> | undefined | Promise<undefined>)[],
  ways: Readonly<Record<string, Endpoint>>,
  overrides: Partial<LoadSpec["http"]> = {},
  stretchTtl = 0,
): Bed {
  const base = specOf();
  const spec = {
    ...base,
    place: {
      ...base.place,
      ways: Object.fromEntries(Object.entries(ways).map(([address, way]) => [`${address}:${WEB_PORT}`, way])),
    },
    http: { ...base.http, ...overrides },
  };
  let nowMs = 1_800_000_000_000;
  let asked = 0;
  let ended = 0;
  let onEnded = (): void => {};
  const doubts: string[] = [];
  const ledger = createLedger("EU", nowMs);
  const population = createPopulation(1, stretchTtl, createSeededRng(1));
  const clients = createClients({
    spec,
    population,
    resolver: {
      async ask() {
        const answer = await says[Math.min(asked++, says.length - 1)];
        return answer && { rcode: "NOERROR", isTruncated: false, addresses: [], ttlSeconds: 60, ...answer };
      },
      close() {},
    },
    ledger,
    nowMs: () => nowMs,
    onEnd() {
      ended++;
      onEnded();
    },
    onFull: (text) => doubts.push(text),
  });
  context.after(() => clients.close());
  return {
    clients,
    ledger,
    population,
    asked: () => asked,
    doubts,
    move(ms) {
      nowMs += ms;
    },
    async requests(count) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const goal = ended + Math.min(count, OPEN_MOST);
      onEnded = () => ended === goal && resolve();
      for (let request = 0; request < count; request++) clients.request(nowMs);
      await promise;
      assert.equal(ledger.open(), 0);
      nowMs += 1_000;
      const counts: Record<string, number> = {};
      for (const { http } of ledger.advance(nowMs))
        for (const [region, outcomes] of Object.entries(http))
          for (const [outcome, number] of Object.entries(outcomes))
            if (number > 0) counts[`${region} ${outcome}`] = (counts[`${region} ${outcome}`] ?? 0) + number;
      return counts;
    },
  };
}

const good = (region: string) => (socket: Socket) => reply(socket, region);
const status = (line: string) => (socket: Socket) => reply(socket, "", line);

test("Clients keep an answer for its TTL, and ask once for many requests", async (context) => {
  const web = await startWeb(context, good("eu-west"));
  const bed = startBed(context, [{ addresses: [EU], ttlSeconds: 5 }], { [EU]: web });
  assert.deepEqual(await bed.requests(20), { "eu-west ok": 20 });
  assert.equal(bed.asked(), 1);
  bed.move(3_000);
  await bed.requests(1);
  assert.equal(bed.asked(), 1);
  bed.move(1_000);
  await bed.requests(1);
  assert.equal(bed.asked(), 2);
});

test("Clients that stretch TTLs keep an answer for longer", async (context) => {
  const web = await startWeb(context, good("eu-west"));
  const bed = startBed(context, [{ addresses: [EU], ttlSeconds: 5 }], { [EU]: web }, {}, 1);
  await bed.requests(1);
  bed.move(23_000);
  await bed.requests(1);
  assert.equal(bed.asked(), 1);
  bed.move(30_000);
  await bed.requests(1);
  assert.equal(bed.asked(), 2);
});

test("Clients leave connections to addresses that they know no longer", async (context) => {
  const eu = await startWeb(context, good("eu-west"));
  const us = await startWeb(context, good("us-east"));
  const bed = startBed(context, [{ addresses: [EU], ttlSeconds: 5 }, { addresses: [US] }], { [EU]: eu, [US]: us });
  await bed.requests(1);
  const closed = gone(eu.taken[0]!);
  bed.move(10_000);
  assert.deepEqual(await bed.requests(1), { "us-east ok": 1 });
  await closed;
});

for (const { name, bad } of [
  { name: "resets the connection", bad: (socket: Socket) => void socket.resetAndDestroy() },
  { name: "says 502", bad: status("502 Bad Gateway") },
  { name: "says 503", bad: status("503 Service Unavailable") },
  { name: "says 504", bad: status("504 Gateway Timeout") },
  { name: "sends garbage", bad: (socket: Socket) => void socket.end("garbage\r\n\r\n") },
]) {
  test(`Clients go to the next address where the first ${name}`, async (context) => {
    const eu = await startWeb(context, bad);
    const us = await startWeb(context, good("us-east"));
    const bed = startBed(context, [{ addresses: [EU, US] }], { [EU]: eu, [US]: us });
    assert.deepEqual(await bed.requests(3), { "us-east retried": 3 });
    assert.equal(bed.asked(), 1);
  });
  test(`Clients ask again where the only address ${name}`, async (context) => {
    const eu = await startWeb(context, bad);
    const us = await startWeb(context, good("us-east"));
    const bed = startBed(context, [{ addresses: [EU] }, { addresses: [US] }], { [EU]: eu, [US]: us });
    assert.deepEqual(await bed.requests(1), { "us-east retried": 1 });
    assert.deepEqual(await bed.requests(1), { "us-east ok": 1 });
    assert.equal(bed.asked(), 2);
  });
  test(`Clients lose a request where every address ${name}`, async (context) => {
    const eu = await startWeb(context, bad);
    const bed = startBed(context, [{ addresses: [EU] }], { [EU]: eu }, { retries: 2 });
    assert.deepEqual(await bed.requests(2), { "eu-west lost": 2 });
    assert.equal(eu.requests(), 6);
  });
}

test("Clients whose resolver stretches TTLs get the old answer when they ask again", async (context) => {
  const us = await startWeb(context, good("us-east"));
  const bed = startBed(
    context,
    [{ addresses: [EU] }, { addresses: [US] }],
    { [EU]: await deadEndpoint(), [US]: us },
    {},
    1,
  );
  assert.deepEqual(await bed.requests(2), { "eu-west lost": 2 });
  assert.equal(bed.asked(), 1);
});

test("Clients do not try again what a server refused for good", async (context) => {
  const eu = await startWeb(context, status("500 Internal Server Error"));
  const us = await startWeb(context, good("us-east"));
  const bed = startBed(context, [{ addresses: [EU, US] }], { [EU]: eu, [US]: us });
  assert.deepEqual(await bed.requests(1), { "eu-west lost": 1 });
});

test("Clients without retries lose what fails once", async (context) => {
  const us = await startWeb(context, good("us-east"));
  const bed = startBed(context, [{ addresses: [EU, US] }], { [EU]: await deadEndpoint(), [US]: us }, { retries: 0 });
  assert.deepEqual(await bed.requests(1), { "eu-west lost": 1 });
});

test("Clients lose requests where nobody answers their question, or with no address", async (context) => {
  const bed = startBed(context, [undefined, { rcode: "NXDOMAIN" }], {});
  assert.deepEqual(await bed.requests(1), { " lost": 1 });
  assert.deepEqual(await bed.requests(1), { " lost": 1 });
  bed.clients.lookUp();
  bed.clients.lookUp();
  await new Promise(setImmediate);
  assert.equal(bed.asked(), 3);
  assert.equal(bed.ledger.open(), 0);
});

test("Clients believe a region's word of itself only if there is such a region", async (context) => {
  const web = await startWeb(context, good("mars"));
  const bed = startBed(context, [{ addresses: [EU] }], { [EU]: web });
  assert.deepEqual(await bed.requests(1), { "eu-west ok": 1 });
  const other = await startWeb(context, good("us-east"));
  const moved = startBed(context, [{ addresses: [EU] }], { [EU]: other });
  assert.deepEqual(await moved.requests(1), { "us-east ok": 1 });
});

test("Clients try again where a server closed a kept connection under a request", async (context) => {
  const web = await startWeb(context, (socket, request) =>
    request === 0 ? reply(socket, "eu-west") : void socket.destroy(),
  );
  const bed = startBed(context, [{ addresses: [EU] }], { [EU]: web });
  assert.deepEqual(await bed.requests(1), { "eu-west ok": 1 });
  assert.deepEqual(await bed.requests(1), { "eu-west retried": 1 });
  assert.equal(web.taken.length, 2);
});

test("Clients count what is too much at once as lost, and say so", async (context) => {
  const { promise: answer, resolve } = Promise.withResolvers<undefined>();
  const bed = startBed(context, [answer], {});
  const counted = bed.requests(OPEN_MOST + 7);
  assert.equal(bed.ledger.open(), OPEN_MOST + 1); // and the question that all of them wait for
  assert.equal(bed.doubts.length, 7);
  resolve(undefined);
  assert.deepEqual(await counted, { " lost": OPEN_MOST + 7 });
});

test("Clients account for every request, whatever servers do", async (context) => {
  const rng = createSeededRng(11);
  const moods: ((socket: Socket) => void)[] = [
    good("eu-west"),
    good("eu-west"),
    status("503 Service Unavailable"),
    status("500 Internal Server Error"),
    (socket) => void socket.resetAndDestroy(),
    (socket) => void socket.end(),
    (socket) => void socket.end("HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\nshort"),
    (socket) => void socket.end("\0\0\0\r\n\r\n"),
    (socket) => void socket.write("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab"),
    () => {},
  ];
  const eu = await startWeb(context, (socket) => moods[Math.floor(rng() * moods.length)]!(socket));
  const us = await startWeb(context, (socket) => moods[Math.floor(rng() * moods.length)]!(socket));
  const bed = startBed(
    context,
    [
      { addresses: [EU, US], ttlSeconds: 0 },
      undefined,
      { addresses: [US] },
      { rcode: "SERVFAIL" },
      { addresses: [EU] },
    ],
    { [EU]: eu, [US]: us },
    { retries: 2 },
  );
  const counts = await bed.requests(300);
  const sum = (outcome: string): number =>
    Object.entries(counts).reduce((total, [key, count]) => total + (key.endsWith(outcome) ? count : 0), 0);
  assert.equal(sum(" ok") + sum(" retried") + sum(" lost"), 300);
  assert.ok(sum(" ok") > 0 && sum(" retried") > 0 && sum(" lost") > 0, JSON.stringify(counts));
});
