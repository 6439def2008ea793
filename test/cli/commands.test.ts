/** The commands as child processes against a real API with fake views: exit codes, text, --json. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after, before } from "node:test";
import type { PushRequest } from "#api/views.ts";
import { userName } from "#base/user-name.ts";
import { CONTROL, createWorld, QUERY, TOKENS, type World } from "../api/fake-world.ts";
import { childEnv, mainFile, rhumb } from "./rhumb.ts";

let world: World;
let api: string;
before(async () => {
  world = createWorld();
  api = await world.api.listen();
});
after(() => world.api.close());
const env = (role: keyof typeof TOKENS = "admin") => ({ RHUMB_API: api, RHUMB_TOKEN: TOKENS[role] });
const run = (words: string[], role?: keyof typeof TOKENS) => rhumb(words, { env: env(role) });

test("status shows node, regions and alarms as text, without colour where it is not a terminal", async () => {
  const { code, out, err } = await run(["status"], "read");
  assert.equal(code, 0, err);
  for (const part of [
    "ns1",
    "generation 1.3",
    "127.0.0.1:5300 udp+tcp",
    "the only one so far",
    "demo.example. 1",
    "us-east",
    "eu-west",
    "1.5ms",
    "50.0%",
    "the database is broken",
    "www.demo.example.  eu-west 62.5%",
    "ns2             quarantine  3s ago  1 up, 1 down  it does not trust its own network",
    "ns1 (this one)  serves   1.5.ns1  1.3",
    "ns2             refused  1.5.ns1  1.9         0.1.0  zones/services.yaml:1:1 www: there is no region mars",
  ]) {
    assert.ok(out.includes(part), `${part} in:\n${out}`);
  }
  assert.match(out, /^REGION +SERVING +VERDICT +SINCE +NEXT CHANGE +RTT +SHARE +OVERRIDE$/m);
  assert.ok(!out.includes("\x1b"));
});

for (const { words, check } of [
  { words: ["status"], check: (value: never) => assert.equal(value["node"], "ns1") },
  {
    words: ["explain", "www.demo.example", "--from", "198.51.100.0/24"],
    check: (value: never) => assert.equal(value["service"], "www"),
  },
  { words: ["override", "list"], check: (value: never) => assert.ok(Array.isArray(value)) },
  { words: ["config", "show"], check: (value: never) => assert.equal(value["generation"], "1.3") },
  { words: ["config", "reload"], check: (value: never) => assert.equal(value["isApplied"], true) },
  { words: ["queries"], check: (value: never) => assert.equal(value["every"], 1_000) },
  { words: ["classes", "www"], check: (value: never) => assert.equal(value["answers"], 100) },
  { words: ["status"], check: (value: never) => assert.equal(value["services"][0]["name"], "www") },
  { words: ["events"], check: (value: never) => assert.ok(Array.isArray(value)) },
  { words: ["notify", "test"], check: (value: never) => assert.equal(value[0]!["isDelivered"], true) },
  { words: ["drain", "start"], check: (value: never) => assert.equal(value["isDraining"], true) },
  { words: ["drain", "stop"], check: (value: never) => assert.equal(value["isDraining"], false) },
  { words: ["demo", "kill", "eu-west"], check: (value: never) => assert.equal(value["isRunning"], false) },
  { words: ["failback", "approve", "eu-west"], check: (value: never) => assert.equal(value["isApproved"], true) },
]) {
  test(`${words.join(" ")} --json prints what the API says`, async () => {
    const { code, out, err } = await run([...words, "--json"]);
    assert.equal(code, 0, err);
    check(JSON.parse(out) as never);
  });
}

test("geo reload says what is in use, and exits 1 with the reason when a file is refused", async () => {
  const refused = await run(["geo", "reload"], "operate");
  assert.equal(refused.code, 1);
  assert.match(refused.err, /Will not replace/);
  assert.match(refused.out, /in use: geo-data\/demo\.mmdb, built 20/);
  const forced = await run(["geo", "reload", "--force"], "operate");
  assert.equal(forced.code, 0, forced.err);
  assert.equal(world.calls.findLast(({ command }) => command === "reloadGeo")!.input, true);
});

test("explain shows each filter, the TTL, the scope and the answer", async () => {
  const { code, out } = await run([
    "explain",
    "www.demo.example",
    "a",
    "--from",
    "198.51.100.0/24",
    "--at",
    "2027-01-01T00:00:00Z",
  ]);
  assert.equal(code, 0);
  for (const part of [
    "NOERROR",
    "EU/DE",
    "30s: all is quiet",
    "/24: depth of the leaf",
    "healthy",
    "us-east eu-west",
    "kept 1",
    "127.0.12.1",
    "us-east: down (0 of 1 IPv4 addresses up)",
    "region/us-east/192.0.2.1 down, 2 votes wanted: ns1 down, connection refused, 1s ago; ns2 up, HTTP status 200, 1s ago, quarantined; ns3 down (recovering), connection refused, 1s ago",
    "eu-west 612 of 1000 requests/s, 65 % to come, steered as 63 %; lb-eu reported before 1 s",
    "ap-south: overridden down, by kim until 2027-01-15T08:10:00.000Z: kernel upgrade",
  ]) {
    assert.ok(out.includes(part), `${part} in:\n${out}`);
  }
  const { input } = world.calls.findLast(({ command }) => command === "explain")!;
  assert.deepEqual(input, {
    name: "www.demo.example",
    type: "A",
    from: "198.51.100.0/24",
    resolver: undefined,
    atMs: 1_798_761_600_000,
  });
});

test("an override is set, listed and cleared", async () => {
  const set = await run(
    ["override", "drain", "eu-west", "--weight", "10", "--reason", "kernel upgrade", "--for", "2h", "--owner", "kim"],
    "operate",
  );
  assert.equal(set.code, 0, set.err);
  assert.match(set.out, /eu-west is drain for .*\nEnd it with: rhumb override clear o1/);
  const { input, actor } = world.calls.findLast(({ command }) => command === "setOverride")!;
  assert.deepEqual(input, {
    target: "eu-west",
    verb: "drain",
    weightPercent: 10,
    reason: "kernel upgrade",
    owner: "kim",
    force: false,
    untilMs: world.clock.nowMs() + 7_200_000,
  });
  assert.equal(actor?.name, "olga");
  assert.match((await run(["override", "list"])).out, /o1 +eu-west +drain=10 .*kim +api +kernel upgrade/);
  assert.match((await run(["override", "clear", "o1"])).out, /no longer drain/);
  const again = await run(["override", "clear", "o1"]);
  assert.equal(again.code, 1);
  assert.match(again.err, /There is no "override o1/);
});

test("an override is this system user's, for four hours, unless said otherwise (ruling 22)", async () => {
  const set = await run(["override", "down", "us-east", "--reason", "r"], "operate");
  assert.equal(set.code, 0, set.err);
  const { input } = world.calls.findLast(({ command }) => command === "setOverride")!;
  const { owner, untilMs } = input as { owner: string; untilMs: number };
  assert.deepEqual([owner, untilMs], [userName(), world.clock.nowMs() + 4 * 3_600_000]);
});

test("drain says what goes on and how it ends, with a reason or without", async () => {
  const started = await run(["drain", "start", "--reason", "kernel upgrade"], "operate");
  assert.equal(started.code, 0, started.err);
  assert.match(started.out, /Draining by olga \(kernel upgrade\): .*\nEnd it with: rhumb drain stop/);
  assert.equal(world.calls.findLast(({ command }) => command === "startDrain")!.input, "kernel upgrade");
  assert.match((await run(["drain", "start"], "operate")).out, /^Draining by olga: /);
  assert.match((await run(["drain", "stop"], "operate")).out, /^No longer draining/);
  assert.equal((await run(["drain", "start"], "read")).code, 1);
});

for (const { name, words, says } of [
  { name: "no reason", words: ["override", "down", "eu-west"], says: /--reason/ },
  {
    name: "two ends",
    words: ["override", "down", "eu-west", "--reason", "r", "--for", "1h", "--until", "2027-01-01T00:00:00Z"],
    says: /conflict|cannot be used/,
  },
  {
    name: "a span that is none",
    words: ["override", "down", "eu-west", "--reason", "r", "--for", "soon"],
    says: /soon.*30m/,
  },
  {
    name: "a weight that is none",
    words: ["override", "drain", "eu-west", "--reason", "r", "--weight", "150"],
    says: /150/,
  },
  { name: "an unknown command", words: ["statu"], says: /unknown command.*status/s },
  { name: "an unknown option", words: ["status", "--colour"], says: /--colour/ },
  { name: "a group alone", words: ["override"], says: /Usage: rhumb override/ },
  { name: "nothing at all", words: [], says: /Usage: rhumb/ },
  { name: "an API address that is none", words: ["status", "--api", "ftp://x"], says: /ftp:\/\/x/ },
  { name: "no client", words: ["explain", "www.demo.example"], says: /--from/ },
  { name: "a time that the API refuses", words: ["explain", "a", "--from", "192.0.2.1", "--at", "noon"], says: /noon/ },
  { name: "a type that is none", words: ["dig", "example.com", "NOPE"], says: /NOPE/ },
  { name: "a port base that is none", words: ["demo", "--port-base", "x"], says: /--port-base x/ },
] as { name: string; words: string[]; says: RegExp }[]) {
  test(`wrong use exits 2 and says so: ${name}`, async () => {
    const { code, err } = await run(words);
    assert.equal(code, 2, err);
    assert.match(err, says);
  });
}

test("where nothing listens, one sentence says so and one what to do", async () => {
  const free = createServer().listen(0, "127.0.0.1");
  await once(free, "listening");
  const { port } = free.address() as AddressInfo;
  await new Promise((done) => free.close(done));
  const { code, out, err } = await rhumb(["status", "--api", `http://127.0.0.1:${port}`]);
  assert.equal(code, 1);
  assert.equal(out, "");
  assert.equal(err.trim().split("\n").length, 2, err);
  assert.match(err, /Nothing answers at .*\n.*rhumb start/);
});

test("what is no rhumb is named as such", async (t) => {
  const server = createServer((_request, response) => response.end("<html>")).listen(0, "127.0.0.1");
  t.after(() => server.close());
  await once(server, "listening");
  const { code, err } = await rhumb([
    "override",
    "list",
    "--api",
    `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
  ]);
  assert.equal(code, 1);
  assert.doesNotMatch(err, /at .*\.ts:/, "no stack trace");
});

test("a wrong token and a weak role exit 1 with the API's fix", async () => {
  const wrong = await rhumb(["status", "--token", "wrong"], { env: { RHUMB_API: api } });
  assert.equal(wrong.code, 1);
  assert.match(wrong.err, /token is not known.*\n.*control\.tokens/);
  const weak = await run(["config", "reload"], "read");
  assert.equal(weak.code, 1);
  assert.match(weak.err, /needs operate, rita has read/);
});

test("the token is found in run/token below the working folder, and goes to this machine alone", async (t) => {
  const cwd = mkdtempSync(join(tmpdir(), "rhumb-cli-"));
  t.after(() => rmSync(cwd, { recursive: true }));
  mkdirSync(join(cwd, "run"));
  writeFileSync(join(cwd, "run/token"), `${TOKENS.read}\n`);
  assert.equal((await rhumb(["status"], { cwd, env: { RHUMB_API: api } })).code, 0);
});

test("a Unix socket serves as well, without a token", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "rhumb-cli-"));
  const socket = join(folder, "api.sock");
  const other = createWorld({ control: { ...CONTROL, tokens: [], listen: { socket } } });
  await other.api.listen();
  t.after(async () => {
    await other.api.close();
    rmSync(folder, { recursive: true });
  });
  const { code, err } = await rhumb(["status", "--api", `unix:${socket}`]);
  assert.equal(code, 0, err);
});

test("config put takes YAML from standard input, and shows every problem of a refusal", async () => {
  const good = await rhumb(["config", "put", "-", "--dry-run"], {
    env: env(),
    input: "services: { www: { ttl: { max: 20s } } }\n",
  });
  assert.equal(good.code, 0, good.err);
  assert.match(good.out, /dns\.workers: 1 -> 2\nDry run/);
  const { input } = world.calls.findLast(({ command }) => command === "proposeConfig")!;
  const { overlay, files, isDryRun } = input as PushRequest;
  assert.deepEqual([overlay, files, isDryRun], [{ services: { www: { ttl: { max: "20s" } } } }, undefined, true]);
  const bad = await rhumb(["config", "put", "-"], { env: env(), input: "bad: 1\n" });
  assert.equal(bad.code, 1);
  assert.match(bad.err, /overlay:1:1 bad: Unknown key \(Remove it\)/);
  const broken = await rhumb(["config", "put", "-"], { env: env(), input: "a: [\n" });
  assert.equal(broken.code, 2);
});

test("config export prints YAML as it is", async () => {
  assert.equal((await run(["config", "export"])).out, "version: 1\nnode: ns1\n");
});

test("queries shows samples line by line, those that are asked for", async () => {
  world.queries.push(QUERY);
  world.queries.push({ ...QUERY, name: "no.\x1b.example.", rcode: "NXDOMAIN", ecs: null, addresses: [], regions: [] });
  const all = await run(["queries"]);
  assert.equal(all.code, 0, all.err);
  const [first, second] = all.out.trimEnd().split("\n");
  assert.equal(
    first,
    "2027-01-15T08:00:00.000Z  udp  www.Demo.example. A  NOERROR  eu-west 127.0.12.1  (192.0.2.0/24 for 198.51.100.0/24, scope /20; 73 octets)",
  );
  assert.match(second!, /no\.\\x1b\.example\. A {2}NXDOMAIN {2}no address {2}\(192\.0\.2\.0\/24; 73 octets\)$/);
  const denied = await run(["queries", "--rcode", "nxdomain"]);
  assert.equal(denied.out.trimEnd(), second);
  const named = await run(["queries", "--name", "*.demo.example", "--json"]);
  assert.deepEqual(
    JSON.parse(named.out).queries.map(({ name }: { name: string }) => name),
    ["www.Demo.example."],
  );
  const reader = await run(["queries"], "read");
  assert.equal(reader.code, 1);
});

test("queries --follow --json prints a line for each sample that comes", async () => {
  const child = spawn(process.execPath, [mainFile, "queries", "--follow", "--json", "--name", "follow.*"], {
    env: childEnv(env()),
  });
  child.stdout.setEncoding("utf8");
  world.queries.push({ ...QUERY, name: "follow.one." });
  const names: string[] = [];
  let buffer = "";
  for await (const chunk of child.stdout) {
    buffer += chunk;
    const lines = buffer.split("\n");
    buffer = lines.pop()!;
    names.push(...lines.map((line) => JSON.parse(line).name));
    if (names.at(-1) === "follow.two.") break;
    world.queries.push({ ...QUERY, name: "other." });
    world.queries.push({ ...QUERY, name: "follow.two." });
  }
  assert.deepEqual(names, ["follow.one.", "follow.two."]);
  child.kill("SIGINT");
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
});

test("queries says how to switch the log on when it is off", async (t) => {
  const off = createWorld({ isLogOff: true });
  t.after(() => off.api.close());
  const { code, out, err } = await rhumb(["queries"], {
    env: { RHUMB_API: await off.api.listen(), RHUMB_TOKEN: TOKENS.operate },
  });
  assert.deepEqual([code, out], [0, ""]);
  assert.match(err, /query log is off: set `dns\.queryLog\.every`/);
});

test("classes shows who is answered most and what they get", async () => {
  const { code, out, err } = await run(["classes", "www", "--top", "1"], "read");
  assert.equal(code, 0, err);
  assert.match(out, /^CLIENTS +ANSWERS +SHARE +REGIONS$/m);
  assert.match(out, /^EU\/DE +75 +75\.0% +eu-west 93%, us-east 7%$/m);
  assert.match(out, /25 more answers to other classes/);
  const { input } = world.calls.findLast(({ command }) => command === "serviceClasses")!;
  assert.deepEqual(input, { name: "www", top: 1 });
  assert.equal((await run(["classes", "nothing"], "read")).code, 1);
  assert.equal((await run(["classes", "www", "--top", "0"], "read")).code, 2);
});

test("events --follow shows what is there and what comes, and ends quietly with its pipe", async () => {
  const event = (says: string) =>
    ({
      kind: "health.transition",
      atMs: 1_800_000_000_000,
      severity: "alarm",
      subject: "region/eu-west",
      says,
    }) as const;
  world.events.push(event("first"));
  const child = spawn(process.execPath, [mainFile, "events", "--follow"], {
    env: childEnv(env()),
  });
  let out = "";
  const waiting: (() => void)[] = [];
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    out += chunk;
    for (const wake of waiting.splice(0)) wake();
  });
  const until = async (text: string): Promise<void> => {
    while (!out.includes(text)) await new Promise<void>((wake) => waiting.push(wake));
  };
  await until("first");
  world.events.push(event("second \x1b[31m"));
  await until("second");
  assert.match(out, /alarm +region\/eu-west +second \\x1b\[31m/, "control characters are shown, not obeyed");
  child.kill("SIGINT");
  const [code] = await once(child, "exit");
  assert.equal(code, 0);
});
