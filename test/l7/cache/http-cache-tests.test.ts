/**
 * The public suite for HTTP caches (https://cache-tests.fyi, package `http-cache-tests`) against ours.
 *
 * What does not pass is written down in docs/http-cache.md with its reason: this test fails when that list and the results
 * part, in either direction. As the suite itself has it, a test says nothing where what it depends on (`dependency`) or its
 * own preparation (`setup`) does not hold.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import test from "node:test";
import { pathToFileURL } from "node:url";
import { systemClock } from "#base/clock.ts";
import { createHttpCache } from "#l7/cache/http-cache.ts";
import { closeServer, rule, startProxy, urlOf } from "./bed.ts";

type Case = {
  readonly id: string;
  readonly kind?: "required" | "optimal" | "check";
  readonly depends_on?: readonly string[];
};
type Suite = { readonly tests: readonly Case[] };
type Result = true | readonly [kind: string, says: string];
type Handle = (segments: string[], request: IncomingMessage, response: ServerResponse) => void;

/**
 * By how much the cache's clock is behind that of the suite's server. Dates have whole seconds, so by one clock a response may
 * come with an age of a second, and a busy host adds to that: what the suite says is fresh for a second would be stale when
 * it comes. Seen from behind it comes with no age at all (RFC 9111 §4.2.3); from then on the steady clock counts.
 */
const BEHIND_MS = 10_000;

const require = createRequire(import.meta.url);
const root = dirname(require.resolve("http-cache-tests/package.json"));
const load = async (file: string) => import(pathToFileURL(join(root, file)).href);

/** What the page says: id → class of result. */
function written(): Record<string, string> {
  const page = readFileSync(join(import.meta.dirname, "../../../docs/http-cache.md"), "utf8");
  const rows = page.matchAll(/^\| `([^`]+)` \| (required|optimal|check|setup|dependency) \|/gm);
  return Object.fromEntries(Array.from(rows, ([, id, kind]) => [id, kind]));
}

test("the public suite for HTTP caches passes, but for what docs/http-cache.md lists", async () => {
  const suites = (await load("tests/index.mjs")).default as Suite[];
  const { runTests, getResults } = await load("client/runner.mjs");
  const handlers: Record<string, Handle> = {
    config: (await load("server/handle-config.mjs")).default,
    state: (await load("server/handle-state.mjs")).default,
    test: (await load("server/handle-test.mjs")).default,
  };
  const origin = createServer((request, response) => {
    const [, dispatch, ...segments] = new URL(request.url!, "http://origin").pathname.split("/");
    const handle = handlers[dispatch!];
    if (handle === undefined) response.writeHead(404).end();
    else handle(segments, request, response);
  });
  await new Promise<void>((done) => origin.listen(0, "127.0.0.1", done));
  const cache = createHttpCache({ clock: { ...systemClock, nowMs: () => systemClock.nowMs() - BEHIND_MS } });
  const proxy = await startProxy(cache, cache.route("web", rule({ staleIfErrorMs: 0 }))!, urlOf(origin));

  // The suite's server tells of requests without a state on standard output; our report says what counts.
  const log = console.log;
  console.log = () => {};
  try {
    await runTests(suites, require("node-fetch"), false, proxy.url, 30);
  } finally {
    console.log = log;
    await proxy.close();
    await closeServer(origin);
  }

  const results = getResults() as Record<string, Result>;
  const found: Record<string, string> = {};
  const says: string[] = [];
  let count = 0;
  for (const { id, kind = "required", depends_on: needs = [] } of suites.flatMap((suite) => suite.tests)) {
    const result = results[id];
    if (result === undefined) continue;
    count++;
    if (result === true) continue;
    const isUnmet = needs.some((need) => results[need] !== true);
    found[id] = isUnmet ? "dependency" : result[0] === "Setup" ? "setup" : kind;
    says.push(`${found[id]} ${id}: ${result[1]}`);
  }
  if (process.env["RHUMB_CACHE_REPORT"] !== undefined) console.log(says.join("\n"));
  assert.ok(count > 300, `${count} tests ran`);
  assert.deepEqual(found, written(), says.join("\n"));
});
