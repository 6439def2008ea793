import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import test from "node:test";
import { RhumbError } from "#base/errors.ts";
import type { LoadMark } from "#drill/load/protocol.ts";
import { runLoad } from "#drill/load/run-load.ts";
import { answerTo, EU, reply, specOf, startNameServer, startWeb, subnetOf, US, WEB_PORT } from "./bed.ts";
import { runningLoad, secondsOf, total } from "./running-load.ts";

test("runLoad() makes lookups, requests and anycast requests as ordered, and tells all that servers saw", async (context) => {
  const names = await startNameServer(context, (query, send) =>
    send(answerTo(query, { addresses: [EU], ttlSeconds: 1 })),
  );
  const web = await startWeb(context, (socket) => reply(socket, "eu-west"));
  const anycast = await startWeb(context, (socket) => reply(socket, "us-east"));
  const base = specOf();
  const load = runningLoad(context, {
    ...base,
    place: { ...base.place, resolvers: [names], ways: { [`${EU}:${WEB_PORT}`]: web }, anycast },
    dns: { clients: 20, qps: 50, stretchTtl: 0 },
    http: { ...base.http, rps: 100 },
    anycastRps: 20,
  });
  const ready = await load.until(({ kind }) => kind === "ready");
  await load.until((line) => line.kind === "second" && line.atMs > ready.atMs + 1_000);
  const lines = await load.end();
  const seconds = secondsOf(lines);
  assert.ok(seconds.every(({ atMs, continent }) => atMs % 1_000 === 0 && continent === "EU"));
  for (let index = 1; index < seconds.length; index++)
    assert.equal(seconds[index]!.atMs - seconds[index - 1]!.atMs, 1_000);
  assert.equal(
    total(seconds, ({ http }) => http),
    web.requests(),
  );
  assert.equal(
    total(seconds, ({ anycast }) => anycast),
    anycast.requests(),
  );
  assert.equal(anycast.taken.length, anycast.requests());
  const questions = seconds.reduce((sum, { dns }) => sum + dns.queries, 0);
  assert.ok(questions > 0 && questions <= names.seen.length, "a question may take several tries");
  assert.ok(names.seen.every((query) => subnetOf(query)?.slice(4).join(".") === "198.51.100"));
  assert.ok(web.requests() > 100 && anycast.requests() > 20);
  const marks = lines.filter((line): line is LoadMark => line.kind !== "second");
  assert.deepEqual(
    marks.filter(({ kind }) => kind === "anycast").map((mark) => "region" in mark && mark.region),
    ["us-east"],
  );
});

test("runLoad() is open: where nobody answers, requests are made at the same rate, and all are lost", async (context) => {
  const names = await startNameServer(context, (query, send) => send(answerTo(query, { addresses: [EU] })));
  const web = await startWeb(context, () => {});
  const base = specOf();
  const load = runningLoad(context, {
    ...base,
    place: { ...base.place, resolvers: [names], ways: { [`${EU}:${WEB_PORT}`]: web } },
    http: { ...base.http, rps: 100, retries: 0 },
  });
  await load.until((line) => line.kind === "ready");
  const seconds = secondsOf(await load.end());
  const lost = seconds.reduce((sum, { http }) => sum + (http["eu-west"]?.lost ?? 0), 0);
  assert.equal(
    lost,
    total(seconds, ({ http }) => http),
  );
  assert.equal(lost, web.requests());
  assert.ok(lost > 100, `${lost} in more than the 2 s of a time-out`);
});

test("runLoad() writes what watched nodes say, with regions, when it changes", async (context) => {
  let addresses = [US, EU, "192.0.2.99"];
  const names = await startNameServer(context, (query, send) => send(answerTo(query, { addresses, ttlSeconds: 7 })));
  const load = runningLoad(context, specOf({ watch: [{ node: "ns1", at: names }] }));
  const first = await load.until(({ kind }) => kind === "answer");
  assert.deepEqual(
    { ...first, atMs: 0 },
    {
      kind: "answer",
      atMs: 0,
      continent: "EU",
      node: "ns1",
      regions: ["us-east", "eu-west", ""],
      ttl: 7,
      rcode: "NOERROR",
      addresses,
    },
  );
  await load.until(({ kind }) => kind === "ready");
  addresses = [EU];
  const second = await load.until((line) => line.kind === "answer" && line.addresses.length === 1);
  assert.ok(second.atMs >= first.atMs);
  await names.close();
  await load.until(({ kind }) => kind === "silent");
  assert.deepEqual(
    (await load.end()).filter(({ kind }) => kind !== "second").map(({ kind }) => kind),
    ["answer", "ready", "answer", "silent"],
  );
});

test("runLoad() is ready where a watched node is silent and requests are lost", async (context) => {
  const names = await startNameServer(context, () => {});
  const load = runningLoad(
    context,
    specOf({ watch: [{ node: "ns1", at: names }], http: { ...specOf().http, rps: 50 } }),
  );
  await load.until(({ kind }) => kind === "ready");
  assert.ok(load.lines.some(({ kind }) => kind === "silent"));
});

test("runLoad() asks a resolver for the clients, and servers past it for the watch", async (context) => {
  const resolver = await startNameServer(context, (query, send) => send(answerTo(query, { addresses: [EU] })));
  const names = await startNameServer(context, (query, send) => send(answerTo(query, { addresses: [EU] })));
  const base = specOf();
  const load = runningLoad(context, {
    ...base,
    place: { ...base.place, resolvers: [resolver], isResolver: true },
    dns: { ...base.dns, qps: 100 },
    watch: [{ node: "ns1", at: names }],
  });
  await load.until((line) => line.kind === "second" && line.dns.queries > 0);
  assert.ok(resolver.seen.every((query) => subnetOf(query) === undefined && (query[2]! & 1) === 1));
  assert.ok(names.seen.every((query) => subnetOf(query) !== undefined && (query[2]! & 1) === 0));
});

test("runLoad() ends when nobody reads any more", async (context) => {
  const load = runningLoad(context, specOf());
  load.output.destroy(new Error("the reader has gone"));
  await load.over;
});

for (const { name, line, says } of [
  { name: "no JSON", line: "hello", says: /not JSON/ },
  { name: "nothing", line: "", says: /not JSON/ },
  { name: "no order", line: "{}", says: /place/ },
  { name: "an impossible rate", line: JSON.stringify(specOf({ anycastRps: -1 })), says: /anycastRps/ },
  { name: "an impossible name", line: JSON.stringify(specOf({ name: "a..b" })), says: /a\.\.b/ },
])
  test(`runLoad() refuses ${name}`, async () => {
    const input = new PassThrough();
    input.end(`${line}\n`);
    await assert.rejects(
      runLoad(input, new PassThrough()),
      (error) => error instanceof RhumbError && error.code === "RHUMB_DRILL_LOAD" && says.test(error.message),
    );
  });
