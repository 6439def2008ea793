/**
 * Anycast with the real ExaBGP and BIRD: what dies, and what the router then has. Times are told, not asserted.
 */
import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { withoutKernel } from "../l4/nft/kernel.ts";
import { type AnycastBed, createAnycastBed, PREFIX, PREFIX6 } from "./anycast-bed.ts";

const skip = withoutKernel("exabgp", "bird", "birdc", "python3");
const timeout = 120_000;

async function announced(t: TestContext): Promise<AnycastBed> {
  const bed = await createAnycastBed();
  t.after(bed.close);
  await bed.until("both prefixes are announced", () => bed.has(PREFIX, PREFIX6));
  return bed;
}
const back = (bed: AnycastBed): Promise<number> => bed.until("both prefixes are back", () => bed.has(PREFIX, PREFIX6));
const gone = (bed: AnycastBed): Promise<number> => bed.until("both prefixes are gone", () => bed.has());
/** The prefix's path at the router. */
const path = (bed: AnycastBed): string =>
  /BGP\.as_path: (.*)/.exec(bed.routes().find(({ prefix }) => prefix === PREFIX)?.text ?? "")?.[1] ?? "";

test("a route enters as it is configured, drains with a longer path and GRACEFUL_SHUTDOWN, leaves, and returns", {
  skip,
  timeout,
}, async (t) => {
  const bed = await announced(t);
  const [route] = bed.routes();
  assert.match(route!.text, /BGP\.med: 100/);
  assert.match(route!.text, /BGP\.community: \(65000,1\)/);
  assert.match(route!.text, /BGP\.large_community: \(65000, 1, 2\)/);
  assert.equal(path(bed), "65001");
  const view = await bed.ask("POST", "/anycast/withdraw", { reason: "test" });
  assert.deepEqual(
    view.prefixes.map(({ phase }) => phase),
    ["draining", "draining"],
  );
  const drainMs = await bed.until("the router has the longer path", () => path(bed) === "65001 65001 65001 65001");
  assert.match(bed.routes()[0]!.text, /BGP\.community: \(65000,1\) \(65535,0\)/);
  assert.match(bed.routes()[0]!.text, /BGP\.local_pref: 0/);
  const goneMs = await gone(bed);
  assert.deepEqual(
    (await bed.ask()).prefixes.map(({ phase }) => phase),
    ["withdrawn", "withdrawn"],
  );
  await bed.ask("POST", "/anycast/announce");
  const backMs = await back(bed);
  assert.equal(path(bed), "65001");
  t.diagnostic(`worse after ${drainMs} ms, gone ${goneMs} ms later, back ${backMs} ms after it was asked for`);
});

test("a node whose pool is empty withdraws, and announces again when it has recovered", {
  skip,
  timeout,
}, async (t) => {
  const bed = await announced(t);
  const fromMs = performance.now();
  await bed.signal("backend", "SIGKILL");
  t.diagnostic(`gone ${await bed.until("withdrawn", () => bed.has(), fromMs)} ms after the last backend died`);
  const { selfCheck, prefixes } = await bed.ask();
  assert.equal(selfCheck?.isOk, false);
  assert.equal(prefixes[0]?.flaps, 1);
  await bed.startBackend();
  t.diagnostic(`back after ${await back(bed)} ms`);
});

test("a node that is killed leaves no route behind, and its next process announces again", {
  skip,
  timeout,
}, async (t) => {
  const bed = await announced(t);
  const fromMs = performance.now();
  await bed.signal("rhumb", "SIGKILL");
  t.diagnostic(`gone ${await bed.until("withdrawn", () => bed.has(), fromMs)} ms after SIGKILL`);
  const words = /rhumb-guard: no heartbeat for [0-9.]+ s: withdraws 203\.0\.113\.1\/32 2001:db8:1::1\/128/;
  await bed.until("the guard says so", () => words.test(bed.said()));
  await bed.startRhumb();
  t.diagnostic(`back ${await back(bed)} ms after the next process answered`);
});

test("a node that stands still is withdrawn by the guard, and comes back by itself", { skip, timeout }, async (t) => {
  const bed = await announced(t);
  const fromMs = performance.now();
  await bed.signal("rhumb", "SIGSTOP");
  t.diagnostic(`gone ${await bed.until("withdrawn", () => bed.has(), fromMs)} ms after SIGSTOP`);
  const thenMs = performance.now();
  await bed.signal("rhumb", "SIGCONT");
  t.diagnostic(`back ${await bed.until("back", () => bed.has(PREFIX, PREFIX6), thenMs)} ms after SIGCONT`);
  assert.equal((await bed.ask()).prefixes[0]?.flaps, 1);
});

test("a node that is stopped drains, withdraws, and leaves nothing for the guard to do", {
  skip,
  timeout,
}, async (t) => {
  const bed = await announced(t);
  const before = bed.said().length;
  const stopped = bed.signal("rhumb", "SIGTERM");
  t.diagnostic(`worse after ${await bed.until("drains", () => path(bed).split(" ").length === 4)} ms`);
  await stopped;
  assert.equal(bed.has(), true);
  assert.doesNotMatch(bed.said().slice(before), /no heartbeat/);
});

test("ExaBGP dies with its session, and has every route again when it is started", { skip, timeout }, async (t) => {
  const bed = await announced(t);
  const fromMs = performance.now();
  await bed.signal("exabgp", "SIGKILL");
  t.diagnostic(`gone ${await bed.until("withdrawn", () => bed.has(), fromMs)} ms after SIGKILL of ExaBGP`);
  await bed.until("the node knows", async () => !(await bed.ask()).exabgp.isAnswering);
  await bed.startExabgp();
  t.diagnostic(`back ${await back(bed)} ms after ExaBGP was started`);
  assert.equal((await bed.ask()).prefixes[0]?.flaps, 0);
});

test("a guard that was killed is started again and knows what it guards, though the node died with it", {
  skip,
  timeout,
}, async (t) => {
  const bed = await announced(t);
  const before = bed.guardPid();
  assert.notEqual(before, 0);
  await bed.signal("rhumb", "SIGSTOP");
  process.kill(before, "SIGKILL");
  await bed.until("another guard runs", () => ![0, before].includes(bed.guardPid()));
  t.diagnostic(`gone ${await gone(bed)} ms after another guard ran`);
  await bed.signal("rhumb", "SIGCONT");
  await back(bed);
  assert.equal((await bed.ask()).guard.isReading, true);
});

test("a host that is lost goes with the hold time; with BFD at once", { skip, timeout }, async (t) => {
  const bed = await announced(t);
  const fromMs = performance.now();
  bed.cable("down");
  t.diagnostic(
    `gone ${await bed.until("withdrawn", () => bed.has(), fromMs)} ms after the cable was cut, hold time 9 s`,
  );
  bed.cable("up");
  await back(bed);
  await bed.startBfd();
  await bed.until("BFD is up", bed.isBfdUp);
  const thenMs = performance.now();
  bed.cable("down");
  t.diagnostic(`gone ${await bed.until("withdrawn", () => bed.has(), thenMs)} ms after the cable was cut, with BFD`);
});
