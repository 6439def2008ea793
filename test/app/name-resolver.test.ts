/** Names of backends against a real name server over UDP: first answers, changes, failures, TTLs. */
import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { createNameResolver } from "#app/name-resolver.ts";
import { createManualClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import type { ConfigFiles } from "#config/files.ts";
import type { RhumbEvent } from "#state/events.ts";
import { type Script, type ScriptRecord, serveScript } from "./dns-script.ts";

const A = (...addresses: string[]) => addresses.map((address) => ({ address }));

const filesWith = (...backends: string[]): ConfigFiles => {
  const text = `version: 1\nnode: lb1\nbalancer:\n  region: here\n  pools: { web: { backends: [${backends.join(", ")}] } }\n`;
  return { root: { file: "rhumb.yaml", text }, digest: "of the files" } as ConfigFiles;
};

async function openResolver(t: TestContext, script: Script) {
  const { server, asked } = await serveScript(t, script);
  const clock = createManualClock(0);
  const events: RhumbEvent[] = [];
  let wake: (() => void) | undefined;
  const seen = { changes: 0 };
  /** Whoever waits is woken by a change and by an event. */
  const happened = (): void => wake?.();
  const resolver = createNameResolver({
    clock,
    log: silentLog,
    emit(event) {
      events.push(event);
      happened();
    },
    onChange() {
      seen.changes++;
      happened();
    },
    servers: [server],
  });
  t.after(() => resolver.close());
  const until = async (isSo: () => boolean): Promise<void> => {
    while (!isSo()) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  const told = () => events.map(({ kind, severity, says }) => `${kind} ${severity}: ${says}`);
  return { resolver, clock, seen, asked, until, told };
}

test("complete() gives the addresses of both families, and a digest that depends on them", async (t) => {
  const script: Script = new Map([
    ["web.internal A", A("10.0.0.2", "10.0.0.1")],
    ["web.internal AAAA", A("2001:db8::1")],
  ]);
  const { resolver, seen, told } = await openResolver(t, script);
  const files = await resolver.complete(filesWith("web.internal:80", "10.0.0.9:80"));
  assert.deepEqual(files.names, new Map([["web.internal", A("10.0.0.1", "10.0.0.2", "2001:db8::1")]]));
  assert.notEqual(files.digest, "of the files");
  const again = await resolver.complete(filesWith("web.internal:80"));
  assert.equal(again.digest, files.digest);
  assert.equal(seen.changes, 0, "who waited has the answer already");
  assert.deepEqual(told(), []);
});

test("complete() leaves files without names as they are", async (t) => {
  const { resolver } = await openResolver(t, new Map());
  const files = filesWith("10.0.0.1:80");
  assert.equal(await resolver.complete(files), files);
});

test("complete() of SRV records gives addresses of their targets with port, weight and priority", async (t) => {
  const srv = (target: string, port: number, priority: number, weight: number) => ({ target, port, priority, weight });
  const script: Script = new Map<string, readonly ScriptRecord[]>([
    ["_http._tcp.web.internal SRV", [srv("b.internal", 81, 20, 0), srv("a.internal", 80, 10, 5)]],
    ["a.internal A", A("10.0.0.1")],
    ["b.internal A", A("10.0.0.2", "10.0.0.3")],
  ]);
  const { resolver, told } = await openResolver(t, script);
  const files = await resolver.complete(filesWith("{ srv: _http._tcp.web.internal }"));
  assert.deepEqual(told(), []);
  assert.deepEqual(files.names?.get("_http._tcp.web.internal"), [
    { address: "10.0.0.1", port: 80, weight: 5, priority: 10 },
    { address: "10.0.0.2", port: 81, weight: 0, priority: 20 },
    { address: "10.0.0.3", port: 81, weight: 0, priority: 20 },
  ]);
});

test("a name is asked for again when its TTL ends, and a change is told once", async (t) => {
  const script: Script = new Map([
    ["web.internal A", A("10.0.0.1", "10.0.0.2")],
    ["other.internal A", A("10.0.0.5")],
  ]);
  const { resolver, clock, seen, asked, until } = await openResolver(t, script);
  await resolver.complete(filesWith("web.internal:80"));
  asked.length = 0;
  clock.advance(4_999);
  // What was asked before this exchange has arrived before it as well.
  await resolver.complete(filesWith("web.internal:80", "other.internal:80"));
  assert.deepEqual(
    asked.filter((question) => question.startsWith("web.")),
    [],
  );
  script.set("web.internal A", A("10.0.0.3", "10.0.0.1"));
  clock.advance(1);
  await until(() => seen.changes === 1);
  const files = await resolver.complete(filesWith("web.internal:80"));
  assert.deepEqual(files.names?.get("web.internal"), A("10.0.0.1", "10.0.0.3"));
});

for (const [what, answer, says] of [
  ["fails", "refuse", "the name server answers SERVFAIL"],
  ["is gone", undefined, "there is no such name"],
] as const) {
  test(`a name that ${what} keeps its last addresses, and is told of until it is back`, async (t) => {
    const script: Script = new Map([["web.internal A", A("10.0.0.1")]]);
    const { resolver, clock, seen, until, told } = await openResolver(t, script);
    await resolver.complete(filesWith("web.internal:80"));
    if (answer === undefined) script.clear();
    else script.set("web.internal A", answer).set("web.internal AAAA", answer);
    clock.advance(5_000);
    await until(() => told().length === 1);
    assert.deepEqual(told(), [`names.fault warning: Cannot resolve web.internal: ${says}; its last address stays`]);
    const files = await resolver.complete(filesWith("web.internal:80"));
    assert.deepEqual(files.names?.get("web.internal"), A("10.0.0.1"));

    script.clear();
    script.set("web.internal A", A("10.0.0.1"));
    clock.advance(1_000);
    await until(() => told().length === 2);
    assert.equal(told()[1], "names.fault resolved: web.internal is resolved again");
    assert.equal(seen.changes, 0);
  });
}

test("a family whose name server fails keeps its addresses while the other changes", async (t) => {
  const script: Script = new Map([
    ["web.internal A", A("10.0.0.1")],
    ["web.internal AAAA", A("2001:db8::1")],
  ]);
  const { resolver, clock, seen, until } = await openResolver(t, script);
  await resolver.complete(filesWith("web.internal:80"));
  script.set("web.internal AAAA", "refuse").set("web.internal A", A("10.0.0.2"));
  clock.advance(5_000);
  await until(() => seen.changes === 1);
  const files = await resolver.complete(filesWith("web.internal:80"));
  assert.deepEqual(files.names?.get("web.internal"), A("10.0.0.2", "2001:db8::1"));
});

test("complete() goes on without a name that has no answer after 2 s, and the answer comes in as a change", async (t) => {
  const script: Script = new Map([
    ["slow.internal A", "silent"],
    ["slow.internal AAAA", "silent"],
  ]);
  const { resolver, clock, seen, asked, until, told } = await openResolver(t, script);
  const completed = resolver.complete(filesWith("slow.internal:80"));
  while (!asked.includes("slow.internal A")) await new Promise((resolve) => setImmediate(resolve));
  clock.advance(2_000);
  const files = await completed;
  assert.equal(files.names?.has("slow.internal"), false);
  assert.equal(told()[0], "names.fault warning: No answer for slow.internal within 2000 ms; its pools go without it");
  script.set("slow.internal A", A("10.0.0.7")).set("slow.internal AAAA", []);
  // The question is asked a second time after a second: the answer to that is taken.
  await until(() => seen.changes === 1);
  assert.equal(told().at(-1), "names.fault resolved: slow.internal is resolved again");
  const again = await resolver.complete(filesWith("slow.internal:80"));
  assert.deepEqual(again.names?.get("slow.internal"), A("10.0.0.7"));
});

test("follow() lets go of names that no backend has any more, and asks for new ones", async (t) => {
  const script: Script = new Map([
    ["web.internal A", A("10.0.0.1")],
    ["api.internal A", A("10.0.0.5")],
  ]);
  const { resolver, clock, seen, asked, until } = await openResolver(t, script);
  await resolver.complete(filesWith("web.internal:80"));
  resolver.follow(["api.internal"]);
  await until(() => seen.changes === 1);
  asked.length = 0;
  clock.advance(5_000);
  while (!asked.includes("api.internal A")) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(
    asked.filter((question) => question.startsWith("web.")),
    [],
  );
});
