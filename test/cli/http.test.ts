/** `rhumb cache`, `rule` and `certificate` as child processes against a real API with fake views. */
import assert from "node:assert/strict";
import test, { after, before } from "node:test";
import { createWorld, TOKENS, type World } from "../api/fake-world.ts";
import { rhumb } from "./rhumb.ts";

let world: World;
let api: string;
before(async () => {
  world = createWorld();
  api = await world.api.listen();
});
after(() => world.api.close());
const run = (words: string, role: keyof typeof TOKENS = "read") =>
  rhumb(words.split(" "), { env: { RHUMB_API: api, RHUMB_TOKEN: TOKENS[role] } });

for (const { words, lines } of [
  {
    words: "cache status",
    lines: [/^STORE +OBJECTS +MEMORY +HIT RATE/m, /^pages +12 +3\.0 MiB of 64\.0 MiB +90\.0% +90 +1 +10 +0$/m],
  },
  {
    words: "rule list",
    lines: [/^web +1 +api +host www\.example\.net, path \/api +pool web +rate-limit +cache pages, compression$/m],
  },
  {
    words: "certificate list",
    lines: [
      /^web +www\.example\.net +Example CA +2027-03-01.* +good +\/etc\/rhumb\/www\.pem$/m,
      /^api\.example\.net +none yet +0 +2 +2027-01-15T08:10:00\.000Z +the authority refused it$/m,
    ],
  },
]) {
  test(`${words} shows a table, and with --json all that the API says`, async () => {
    const { code, out, err } = await run(words);
    assert.equal(code, 0, err);
    for (const line of lines) assert.match(out, line);
    assert.ok(JSON.parse((await run(`${words} --json`)).out));
  });
}

test("rules of one listener are listed; of one that is not there the command fails", async () => {
  assert.equal((await run("rule list --listener web")).code, 0);
  const { code, err } = await run("rule list --listener x");
  assert.equal(code, 1);
  assert.match(err, /listener x/);
});

for (const { words, body } of [
  { words: "--url http://a/b?c=1", body: { url: "http://a/b?c=1" } },
  { words: "--store pages --tag front", body: { store: "pages", tag: "front" } },
  { words: "--prefix http://a/static/", body: { prefix: "http://a/static/" } },
  { words: "--all", body: {} },
]) {
  test(`cache purge ${words} purges that and says how much`, async () => {
    const { code, out, err } = await run(`cache purge ${words}`, "operate");
    assert.equal(code, 0, err);
    assert.equal(out, "Purged 7 responses\n");
    assert.deepEqual(world.calls.findLast(({ command }) => command === "purgeCache")?.input, body);
  });
}

for (const { words, says } of [
  { words: "cache purge", says: "nothing" },
  { words: "cache purge --all --store pages", says: "everything and a part of it" },
]) {
  test(`to purge ${says} is wrong use`, async () => {
    const before = world.calls.length;
    const { code, err } = await run(words, "operate");
    assert.equal(code, 2);
    assert.match(err, /--all alone/);
    assert.equal(world.calls.length, before);
  });
}

test("who may read alone may not purge", async () => {
  assert.equal((await run("cache purge --all")).code, 1);
});
