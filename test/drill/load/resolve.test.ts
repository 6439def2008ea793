import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { createSeededRng } from "#base/rng.ts";
import { createQuestion } from "#drill/load/dns-question.ts";
import { createResolver, type Resolver } from "#drill/load/resolve.ts";
import type { Endpoint } from "#drill/stage.ts";
import { answerTo, deadEndpoint, EU, NAME, type NameServer, type SendReply, startNameServer, US } from "./bed.ts";

const question = createQuestion({ name: NAME, subnet: "198.51.100.0/24", isRecursive: false })!;
const good = (query: Buffer, send: SendReply): void => send(answerTo(query, { addresses: [EU], ttlSeconds: 5 }));

function resolverAt(context: TestContext, servers: readonly Endpoint[]): Resolver {
  const resolver = createResolver(servers, question, createSeededRng(1));
  context.after(() => resolver.close());
  return resolver;
}

test("createResolver() begins with the next server at each question", async (context) => {
  const servers = await Promise.all([0, 1, 2].map(() => startNameServer(context, good)));
  const resolver = resolverAt(context, servers);
  for (let asked = 0; asked < 6; asked++) await resolver.ask();
  assert.deepEqual(
    servers.map(({ seen }) => seen.length),
    [2, 2, 2],
  );
});

for (const { name, bad } of [
  { name: "says nothing", bad: () => {} },
  { name: "says SERVFAIL", bad: (query: Buffer, send: SendReply) => send(answerTo(query, { rcode: 2 })) },
  { name: "says REFUSED", bad: (query: Buffer, send: SendReply) => send(answerTo(query, { rcode: 5 })) },
  {
    name: "answers under another id",
    bad: (query: Buffer, send: SendReply) => {
      const answer = answerTo(query, { addresses: [US] });
      answer[0] = answer[0]! ^ 0xff;
      send(answer);
    },
  },
  { name: "sends garbage", bad: (_: Buffer, send: SendReply) => send(Buffer.from("HTTP/1.1 200 OK\r\n\r\n")) },
])
  test(`createResolver() asks the next server where one ${name}`, async (context) => {
    const first = await startNameServer(context, bad);
    const second = await startNameServer(context, good);
    const answer = await resolverAt(context, [first, second]).ask();
    assert.deepEqual(answer?.addresses, [EU]);
    assert.equal(first.seen.length, 1);
  });

test("createResolver() asks the next server where nobody listens, and that one again when it is back", async (context) => {
  const dead = await deadEndpoint();
  const second = await startNameServer(context, good);
  const resolver = resolverAt(context, [dead, second]);
  assert.deepEqual((await resolver.ask())?.addresses, [EU]);
  assert.deepEqual((await resolver.ask())?.addresses, [EU]);
  assert.deepEqual((await resolver.ask())?.addresses, [EU]);
  assert.equal(second.seen.length, 3);
});

test("createResolver() hears the true answer behind false ones", async (context) => {
  const server = await startNameServer(context, (query, send) => {
    const false1 = answerTo(query, { addresses: [US] });
    false1[1] = false1[1]! ^ 1;
    send(false1);
    send(Buffer.from("garbage"));
    good(query, send);
  });
  assert.deepEqual((await resolverAt(context, [server]).ask())?.addresses, [EU]);
  assert.equal(server.seen.length, 1);
});

test("createResolver() asks by TCP for an answer that was cut short", async (context) => {
  const server: NameServer = await startNameServer(
    context,
    (query, send) => send(answerTo(query, { isTruncated: true })),
    good,
  );
  const answer = await resolverAt(context, [server]).ask();
  assert.deepEqual(answer?.addresses, [EU]);
  assert.equal(server.seenByTcp.length, 1);
});

test("createResolver() goes on where TCP gives no answer either", async (context) => {
  const cut = (query: Buffer, send: SendReply): void => send(answerTo(query, { isTruncated: true }));
  const first = await startNameServer(context, cut, (_, send) => send(Buffer.from("no")));
  const second = await startNameServer(context, good);
  assert.deepEqual((await resolverAt(context, [first, second]).ask())?.addresses, [EU]);
});

test("createResolver() has no answer where nobody answers, and the last word where all fail", async (context) => {
  const dead = await deadEndpoint();
  assert.equal(await resolverAt(context, [dead]).ask(), undefined);
  assert.equal(await resolverAt(context, []).ask(), undefined);
  const failing = await startNameServer(context, (query, send) => send(answerTo(query, { rcode: 2 })));
  assert.equal((await resolverAt(context, [failing]).ask())?.rcode, "SERVFAIL");
  assert.equal(failing.seen.length, 3);
});

test("createResolver() takes an answer without addresses as one", async (context) => {
  const server = await startNameServer(context, (query, send) => send(answerTo(query, { rcode: 3 })));
  assert.deepEqual(await resolverAt(context, [server]).ask(), {
    rcode: "NXDOMAIN",
    isTruncated: false,
    addresses: [],
    ttlSeconds: 0,
  });
  assert.equal(server.seen.length, 1);
});
