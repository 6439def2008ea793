/** The desired configuration: pushes to all nodes, refusals, conflicts, rollback, restarts. */
import assert from "node:assert/strict";
import { appendFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { formatProblem } from "#base/problem.ts";
import { versionText } from "#config/desired.ts";
import { deliver, fakeShared, startDesired, type World } from "./desired-world.ts";

type Harness = { after(callback: () => void): void };
const ZONE = "zones/example.com.zone";
const SERVICES = "zones/services.yaml";
const zoneWith = (world: World, line: string): string => `${world.read(ZONE)}${line}\n`;
const zoneWithout = (world: World, line: RegExp): string => world.read(ZONE).replace(line, "");
const three = async (t: Harness) =>
  [await startDesired(t, "ns1"), await startDesired(t, "ns2"), await startDesired(t, "ns3")] as const;
const serving = (nodes: readonly World[]) => nodes.map((node) => node.serving());
const records = ({ applied }: World) => applied.at(-1)?.dns?.zones[0]?.recordCount;
const told = ({ events }: World, kind: string) =>
  events.filter((event) => event.kind === kind).map(({ severity, says }) => `${severity}: ${says}`);
const refusedBy = (code: string) => (error: { code?: string }) => error.code === code;

test("push() is served by all nodes, and told with who, why and what", async (t) => {
  const nodes = await three(t);
  const [one, two] = nodes;
  const result = await one.push({ files: { [ZONE]: zoneWith(one, "new A 192.0.2.99") } });
  assert.equal(result.isApplied, true);
  assert.equal(result.version, "1.1.ns1");
  assert.match(result.diff, /^\+new A 192\.0\.2\.99$/m);
  await deliver(nodes, nodes);
  assert.deepEqual(serving(nodes), ["1.ns1", "1.ns1", "1.ns1"]);
  assert.deepEqual(nodes.map(records), [9, 9, 9]);
  assert.match(told(two, "config.desired")[0]!, /^info: Version 1\.1\.ns1 by kim: a test serves: zone example\.com/);
  // For their audit logs; the API of the node that was asked writes its own.
  assert.deepEqual(
    nodes.map(({ taken }) => taken.map(({ actor, isServed, diff }) => [actor, isServed, diff.includes("+new A")])),
    [[], [["kim", true, true]], [["kim", true, true]]],
  );
  const version = { epoch: 1, sequence: 1, node: "ns1" };
  assert.deepEqual(two.desired.heartbeat(), { version, isApplied: true, says: "" });
});

test("push() as a dry run says what would change, and gives nothing to anybody", async (t) => {
  const one = await startDesired(t, "ns1");
  const result = await one.push({ files: { [ZONE]: zoneWith(one, "new A 192.0.2.99") }, isDryRun: true });
  assert.equal(result.isDryRun, true);
  assert.equal(result.version, null);
  assert.match(result.changes.join(), /zone example\.com changed/);
  assert.deepEqual([one.net.outbox.length, one.applied.length, one.desired.view().log.length], [0, 1, 0]);
});

for (const { name, files, says } of [
  { name: "a text that is wrong", files: { [SERVICES]: "www: { regions: [mars], steer: geo }\n" }, says: /mars/ },
  { name: "a node's own file", files: { "rhumb.yaml": "version: 1\n" }, says: /No such file is pushed/ },
  { name: "a node's own overrides", files: { "health/overrides.yaml": "[]\n" }, says: /No such file is pushed/ },
  { name: "a path that leads out", files: { "zones/../rhumb.yaml": "x" }, says: /No such file is pushed/ },
  { name: "a program", files: { "health/app.sh": "#!/bin/sh\n" }, says: /No such file is pushed/ },
  {
    name: "a check that runs a program",
    files: { "health/app.yaml": "kind: script\nfile: app.sh\n" },
    says: /a program/,
  },
  { name: "too much", files: { "zones/big.inc": "; x\n".repeat(600_000) }, says: /octets, more than/ },
]) {
  test(`push() refuses ${name}, and nobody hears of it`, async (t) => {
    const one = await startDesired(t, "ns1");
    const result = await one.push({ files });
    assert.equal(result.isApplied, false);
    assert.match(result.problems.map(formatProblem).join("\n"), says);
    assert.deepEqual([one.net.outbox.length, one.applied.length], [0, 1]);
  });
}

test("push() takes no answer away, unless the glass is broken: then all nodes follow, and it is told", async (t) => {
  const nodes = await three(t);
  const [one, two] = nodes;
  const files = { [ZONE]: zoneWithout(one, /^app .*\n/m) };
  const refused = await one.push({ files });
  assert.equal(refused.isApplied, false);
  assert.match(
    refused.problems.map(formatProblem).join("\n"),
    /2 answers would vanish: app\.example\.com\. A, app\.example\.com\. AAAA/,
  );
  assert.equal(one.net.outbox.length, 0);
  assert.equal((await one.push({ files, breakGlass: "app is gone for good" })).isApplied, true);
  await deliver(nodes, nodes);
  assert.deepEqual(nodes.map(records), [7, 7, 7]);
  assert.match(told(two, "config.desired")[0]!, /^warning: .*glass broken: app is gone for good/);
});

test("push() changes no more answers than a push may", async (t) => {
  const many = (network: string) => Array.from({ length: 30 }, (_, n) => `h${n} A ${network}.${n}\n`).join("");
  const one = await startDesired(t, "ns1", { edit: (folder) => appendFileSync(join(folder, ZONE), many("192.0.2")) });
  const files = { [ZONE]: one.read(ZONE).replaceAll(/^(h\d+ A )192\.0\.2\./gm, "$1198.51.100.") };
  const refused = await one.push({ files });
  assert.match(
    refused.problems.map(formatProblem).join("\n"),
    /30 of \d+ answers would change: \d\d %, more than `control.maxChange`/,
  );
  assert.equal((await one.push({ files, breakGlass: "we move" })).isApplied, true);
});

test("a node that cannot take a push goes on with what it serves, says why, and takes it when its files let it", async (t) => {
  const one = await startDesired(t, "ns1");
  // Its pool needs a check that the push changes to another kind.
  const two = await startDesired(t, "ns2", {
    edit: (folder) =>
      writeFileSync(
        join(folder, "zones/other.zone"),
        "$TTL 60\n@ SOA a b 1 1 1 1 1\n@ NS a\na A 192.0.2.1\nx STEER old\n",
      ),
  }).catch(() => undefined);
  assert.equal(two?.door.current(), undefined); // there is no service `old` yet
  const folder = two!.folder;
  writeFileSync(join(folder, SERVICES), `${two!.read(SERVICES)}old: { regions: [us-east], steer: weighted }\n`);
  const late = await startDesired(t, "ns2", { folder });
  await one.push({ files: { [SERVICES]: one.read(SERVICES).replace("steer: geo", "steer: weighted") } });
  await deliver([one], [one, late]);
  assert.deepEqual(serving([one, late]), ["1.ns1", undefined]);
  assert.match(
    told(late, "config.desired")[0]!,
    /^alarm: Version 1\.1\.ns1 by kim: a test is refused here.*There is no service "old"/,
  );
  assert.equal(late.desired.heartbeat()?.isApplied, false);
  assert.match(late.desired.heartbeat()!.says, /no service/);
  await assert.rejects(late.push({ files: {} }), refusedBy("RHUMB_CONFIG_NOT_SERVED"));
  writeFileSync(join(folder, "zones/other.zone"), "$TTL 60\n@ SOA a b 2 1 1 1 1\n@ NS a\na A 192.0.2.1\n");
  await late.door.propose({ source: "file" });
  late.desired.applied();
  await late.desired.idle();
  assert.deepEqual(serving([one, late]), ["1.ns1", "1.ns1"]);
  assert.match(told(late, "config.desired")[1]!, /^resolved/);
});

test("what was pushed serves after a restart, from the node's own store", async (t) => {
  const one = await startDesired(t, "ns1");
  await one.push({ files: { [ZONE]: zoneWith(one, "new A 192.0.2.99") } });
  const again = await startDesired(t, "ns1", { folder: one.folder, store: one.store });
  assert.equal(again.serving(), "1.ns1");
  assert.equal(records(again), 9);
  assert.deepEqual(
    again.desired.view().log.map(({ desired, outcome }) => [versionText(desired.version), outcome?.isApplied]),
    [["1.1.ns1", true]],
  );
  // Its memory of records went with the process here; what it pushes next still builds on what it has.
  again.net.take({ ...one.net.table.get("desired")! });
  assert.equal((await again.push({ files: {}, breakGlass: "x" })).version, "1.2.ns1");
});

test("what was accepted and does not serve yet is served at the next start", async (t) => {
  const one = await startDesired(t, "ns1");
  const two = await startDesired(t, "ns2");
  await one.push({ files: { [ZONE]: zoneWith(one, "new A 192.0.2.99") } });
  const record = one.net.outbox[0]!;
  // As if the process had ended between the two: the store has the record, the door has not.
  two.net.take(record);
  await two.desired.idle();
  two.store.remove("config.pushed");
  const again = await startDesired(t, "ns2", { folder: two.folder, store: two.store });
  assert.equal(again.serving(), "1.ns1");
});

test("nothing older comes back, however late; a node that missed versions takes the newest", async (t) => {
  const [one, two, three_] = await three(t);
  await one.push({ files: { [ZONE]: zoneWith(one, "a A 192.0.2.1") } });
  await one.push({ files: { [ZONE]: zoneWithout(one, /^app .*\n/m) }, breakGlass: "app goes" });
  await one.push({ files: { [ZONE]: `${zoneWithout(one, /^app .*\n/m)}b A 192.0.2.2\n` } });
  const [first, second, third] = one.net.outbox;
  for (const record of [third!, second!, first!, third!]) two.net.take(record);
  await two.desired.idle();
  // Past the table of records, which is not what keeps it from going back.
  three_.net.take(third!);
  await three_.desired.idle();
  three_.net.table.clear();
  for (const record of [first!, second!]) three_.net.take(record);
  await three_.desired.idle();
  assert.deepEqual(serving([one, two, three_]), ["3.ns1", "3.ns1", "3.ns1"]);
  assert.deepEqual([records(two), records(three_)], [8, 8]);
  assert.deepEqual(told(three_, "config.conflict"), []);
});

test("two sides that were both changed keep what they serve, say so, and one command settles it", async (t) => {
  const nodes = await three(t);
  const [one, two, third] = nodes;
  await one.push({ files: { [ZONE]: zoneWith(one, "base A 192.0.2.1") } });
  await deliver(nodes, nodes);
  await one.push({ files: { [ZONE]: zoneWith(one, "base A 192.0.2.1\nleft A 192.0.2.2") } });
  await two.push({ files: { [ZONE]: zoneWith(two, "base A 192.0.2.1\nright A 192.0.2.3\nright2 A 192.0.2.4") } });
  await deliver([one], [one, third]); // the split
  assert.deepEqual(serving(nodes), ["2.ns1", "2.ns2", "2.ns1"]);
  two.net.outbox.push(two.net.table.get("desired")!);
  one.net.outbox.push(one.net.table.get("desired")!);
  await deliver(nodes, nodes);
  assert.deepEqual(serving(nodes), ["2.ns1", "2.ns2", "2.ns1"]);
  for (const node of nodes) assert.match(told(node, "config.conflict").join(), /^alarm: .*apart from each other/);
  await assert.rejects(two.push({ files: {} }), refusedBy("RHUMB_CONFIG_CONFLICT"));
  await assert.rejects(
    two.desired.resolve("1.9.ns9", { actor: "kim", reason: "" }),
    refusedBy("RHUMB_CONFIG_VERSION_UNKNOWN"),
  );
  // Either side can choose either: all have both.
  const resolved = await two.desired.resolve("1.2.ns1", { actor: "kim", reason: "left is right" });
  assert.equal(resolved.isApplied, true);
  await deliver(nodes, nodes);
  assert.equal(new Set(serving(nodes)).size, 1);
  assert.deepEqual(nodes.map(records), [10, 10, 10]);
  for (const node of nodes) assert.match(told(node, "config.conflict").at(-1)!, /^resolved/);
  await assert.rejects(
    two.desired.resolve("1.2.ns1", { actor: "kim", reason: "" }),
    refusedBy("RHUMB_CONFIG_NO_CONFLICT"),
  );
  assert.equal((await third.push({ files: {}, breakGlass: "all goes on" })).isApplied, true);
});

test("what an operator chose is not displaced by a side that was apart, however much was pushed there", async (t) => {
  const nodes = await three(t);
  const [one, two, third] = nodes;
  await one.push({ files: { [ZONE]: zoneWith(one, "base A 192.0.2.1") } });
  await deliver(nodes, nodes);
  await one.push({ files: { [ZONE]: zoneWith(one, "base A 192.0.2.1\nleft A 192.0.2.2") } });
  await two.push({ files: { [ZONE]: zoneWith(two, "base A 192.0.2.1\nright A 192.0.2.3") } });
  for (let last = 1; last <= 9; last++)
    await third.push({ files: { [ZONE]: zoneWith(third, `base A 192.0.2.1\nthird A 192.0.2.${last}`) } });
  const late = third.net.outbox.splice(0);
  await deliver([one, two], [one, two]);
  await two.desired.resolve("1.2.ns1", { actor: "kim", reason: "left is right" });
  await deliver([one, two], [one, two]);
  third.net.outbox.push(...late);
  two.net.outbox.push(two.net.table.get("desired")!);
  await deliver(nodes, nodes);
  for (const { net, desired } of [one, two]) {
    assert.equal(versionText(net.table.get("desired")!.version), "2.1.ns2");
    assert.equal(versionText(desired.view().accepted!.version), "2.1.ns2");
  }
  assert.equal(versionText(third.net.table.get("desired")!.version), "2.1.ns2");
  // Nobody decided about the third side yet: it keeps what it serves, and says so.
  assert.match(told(third, "config.conflict").join(), /^alarm: .*2\.1\.ns2/);
});

test("a conflict is still known after a restart", async (t) => {
  const one = await startDesired(t, "ns1");
  const two = await startDesired(t, "ns2");
  await one.push({ files: { [ZONE]: zoneWith(one, "left A 192.0.2.2") } });
  await two.push({ files: { [ZONE]: zoneWith(two, "right A 192.0.2.3") } });
  await deliver([one, two], [one, two]);
  const again = await startDesired(t, "ns1", { folder: one.folder, store: one.store });
  assert.deepEqual(
    again.desired.view().forks.map(({ version }) => versionText(version)),
    ["1.1.ns2"],
  );
  assert.match(told(again, "config.conflict").join(), /^alarm/);
});

test("two sides that say the same are no conflict", async (t) => {
  const nodes = await three(t);
  const files = { [ZONE]: zoneWith(nodes[0], "same A 192.0.2.2") };
  for (const node of nodes) await node.push({ files });
  await deliver(nodes, nodes);
  assert.deepEqual(serving(nodes), ["1.ns3", "1.ns3", "1.ns3"]);
  for (const node of nodes) assert.deepEqual(told(node, "config.conflict"), []);
});

test("push() based on a version that is not the newest is refused", async (t) => {
  const one = await startDesired(t, "ns1");
  await one.push({ files: { [ZONE]: zoneWith(one, "a A 192.0.2.1") }, basedOn: "none" });
  await assert.rejects(one.push({ files: {}, basedOn: "none" }), refusedBy("RHUMB_CONFIG_MOVED"));
});

test("push() from a node that knows nothing and reaches nobody is refused", async (t) => {
  const shared = fakeShared("ns1", () => 0);
  shared.shared.status = () => ({ by: "peers", isConnected: false }) as never;
  const one = await startDesired(t, "ns1", { shared });
  await assert.rejects(one.push({ files: {} }), refusedBy("RHUMB_CONFIG_NOT_SHARED"));
});

test("rollback() takes the last push back, goes to a version, or to the files alone", async (t) => {
  const nodes = await three(t);
  const [one, two] = nodes;
  const by = { actor: "kim", reason: "", breakGlass: null };
  await one.push({ files: { [ZONE]: zoneWith(one, "a A 192.0.2.1") } });
  await one.push({ files: { [ZONE]: zoneWith(one, "a A 192.0.2.1\nb A 192.0.2.2") } });
  await deliver(nodes, nodes);
  assert.equal((await two.desired.rollback(undefined, by)).version, "1.3.ns2");
  await deliver(nodes, nodes);
  assert.deepEqual(nodes.map(records), [9, 9, 9]);
  assert.equal(two.desired.view().accepted?.reason, "back to 1.1.ns1");
  await two.desired.rollback("1.2.ns1", by);
  assert.equal(records(two), 10);
  // Farther back, answers vanish that no single push brought: that is said first.
  assert.equal((await two.desired.rollback("none", by)).isApplied, false);
  assert.equal((await two.desired.rollback("none", { ...by, breakGlass: "files again" })).isApplied, true);
  await deliver(nodes, nodes);
  assert.deepEqual(nodes.map(records), [8, 8, 8]);
  await assert.rejects(two.desired.rollback("1.77.ns9", by), refusedBy("RHUMB_CONFIG_VERSION_UNKNOWN"));
});

test("push() of some files leaves the others, and null takes one back", async (t) => {
  const one = await startDesired(t, "ns1");
  await one.push({ files: { [ZONE]: zoneWith(one, "a A 192.0.2.1"), "zones/static.inc": "static A 192.0.2.81\n" } });
  await one.push({ files: { [SERVICES]: `${one.read(SERVICES)}` }, isPartial: true });
  assert.deepEqual(Object.keys(one.desired.view().accepted!.files), [ZONE, "zones/static.inc", SERVICES]);
  await one.push({ files: { "zones/static.inc": null }, isPartial: true });
  assert.deepEqual(Object.keys(one.desired.view().accepted!.files), [ZONE, SERVICES]);
  assert.equal((await one.push({ files: { "zones/static.inc": null }, isPartial: true })).isUnchanged, true);
});

test("push() of an overlay shares services and regions; pools stay this node's own", async (t) => {
  const nodes = await three(t);
  const [one, two] = nodes;
  const overlay = { services: { www: { ttl: { max: "77s" } } }, pools: { web: { algorithm: "random" } } };
  assert.equal((await one.push({ overlay })).isApplied, true);
  await deliver(nodes, nodes);
  assert.deepEqual(
    nodes.map((node) => node.ttl("www")),
    [77, 77, 77],
  );
  const algorithm = ({ applied }: World) =>
    applied.at(-1)?.balancer?.pools.find(({ name }) => name === "web")?.algorithm;
  assert.deepEqual([algorithm(one), algorithm(two)], ["random", "maglev"]);
  const own = await one.push({ overlay: { ...overlay, pools: {} } });
  assert.deepEqual([own.isApplied, own.version, one.net.outbox.length], [true, "1.1.ns1", 0]);
  assert.equal(algorithm(one), "maglev");
});

test("who edits a file that a pushed one hides is told, until both say the same", async (t) => {
  const one = await startDesired(t, "ns1");
  const pushed = zoneWith(one, "a A 192.0.2.1");
  await one.push({ files: { [ZONE]: pushed } });
  const warnings = async () => (await one.door.propose({ source: "sighup" })).problems.map(formatProblem).join("\n");
  assert.equal(await warnings(), "");
  appendFileSync(join(one.folder, ZONE), "mine A 192.0.2.7\n");
  assert.match(await warnings(), /example\.com\.zone:1:1: warning: The file was changed, but what was pushed/);
  assert.equal(records(one), 9);
  writeFileSync(join(one.folder, ZONE), pushed);
  assert.equal(await warnings(), "");
});
