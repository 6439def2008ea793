/** What HTTP adds to the balancer's API: who may ask and purge, and what is refused. */
import assert from "node:assert/strict";
import test from "node:test";
import type { Call } from "./fake-balancer.ts";
import { bearer, createWorld } from "./fake-world.ts";

const ask = (world: ReturnType<typeof createWorld>, url: string) => world.api.inject({ url, headers: bearer("read") });
const purge = (world: ReturnType<typeof createWorld>, payload: object, role: "read" | "operate" = "operate") =>
  world.api.inject({ method: "POST", url: "/cache/purge", payload, headers: bearer(role) });
const purges = (calls: readonly Call[]) => calls.filter(({ command }) => command === "purgeCache");

test("cache, rules and certificates are there to read, with a token", async () => {
  const world = createWorld();
  for (const [url, first] of [
    ["/cache", { store: "pages", max_octets: 67_108_864 }],
    ["/rules", { listener: "web", order: 1, name: "api" }],
  ] as const) {
    const response = await ask(world, url);
    assert.equal(response.statusCode, 200, response.body);
    assert.partialDeepStrictEqual(response.json()[0], first);
    assert.equal((await world.api.inject({ url })).statusCode, 401);
  }
  const { certificates, acme } = (await ask(world, "/certificates")).json();
  assert.equal(certificates[0].issuer, "Example CA");
  assert.equal(acme[0].not_after, null);
});

test("rules of one listener can be asked for, and of none that is not there", async () => {
  const world = createWorld();
  assert.equal((await ask(world, "/rules?listener=web")).json().length, 1);
  assert.equal((await ask(world, "/rules?listener=x")).statusCode, 404);
});

for (const { says, body, handedOn } of [
  { says: "a URL", body: { url: "http://a/b?c" }, handedOn: { url: "http://a/b?c" } },
  { says: "a tag in a store", body: { store: "pages", tag: "t" }, handedOn: { store: "pages", tag: "t" } },
  { says: "everything", body: { all: true }, handedOn: {} },
]) {
  test(`${says} is purged, and the audit log says by whom`, async () => {
    const world = createWorld();
    const response = await purge(world, body);
    assert.equal(response.statusCode, 200, response.body);
    assert.deepEqual(response.json(), { purged: 7, says: "7 dropped" });
    assert.deepEqual(
      purges(world.calls).map(({ input, actor }) => [input, actor?.name]),
      [[handedOn, "olga"]],
    );
    const [entry] = world.audit.list();
    assert.equal(entry?.action, "POST /cache/purge");
    assert.equal(entry?.subject, JSON.stringify(body));
  });
}

for (const { says, body } of [
  { says: "nothing", body: {} },
  { says: "everything and a part of it", body: { all: true, store: "pages" } },
  { says: "all: false", body: { all: false } },
  { says: "an empty URL", body: { url: "" } },
  { says: "an unknown key", body: { all: true, host: "a" } },
]) {
  test(`to purge ${says} is wrong use, and purges nothing`, async () => {
    const world = createWorld();
    assert.equal((await purge(world, body)).statusCode, 400);
    assert.deepEqual(purges(world.calls), []);
  });
}

test("who may read may not purge", async () => {
  const world = createWorld();
  assert.equal((await purge(world, { all: true }, "read")).statusCode, 403);
  assert.deepEqual(purges(world.calls), []);
});

test("a node without the role has none of it", async () => {
  const world = createWorld({ balancer: undefined });
  for (const url of ["/cache", "/rules", "/certificates"]) assert.equal((await ask(world, url)).statusCode, 404);
  assert.equal((await purge(world, { all: true })).statusCode, 404);
});
