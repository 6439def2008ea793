/** Pushed texts over files: where a node keeps them, also for zones that a thread reads, and how nodes stand to them. */
import assert from "node:assert/strict";
import { appendFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { type Desired, EMPTY_STATE, versionText } from "#config/desired.ts";
import { nodeStates } from "#config/desired-nodes.ts";
import { loadConfig } from "#config/load.ts";
import { readZones, withZones } from "#config/read-zones.ts";
import type { Heartbeat, PeerState } from "#state/shared.ts";
import { copyGood, SECRETS } from "./load-good.ts";

const pushed = {
  files: {
    "zones/example.com.zone": "$TTL 60\n@ SOA a b 1 1 1 1 1\n@ NS ns1\nns1 A 192.0.2.1\n$INCLUDE more.inc\n",
    "zones/more.inc": "more A 192.0.2.2\n",
    "zones/new.example.zone": "$TTL 60\n@ SOA a.example.com. b 1 1 1 1 1\n@ NS ns1.example.com.\n",
    "health/extra.yaml": "kind: tcp\nport: 1\n",
  },
  overlay: {},
};

test("loadConfig() reads pushed texts where this node keeps the files, beside its own", (t) => {
  const folder = copyGood(t);
  renameSync(join(folder, "zones"), join(folder, "names"));
  appendFileSync(join(folder, "rhumb.yaml"), "zones: names/\n");
  const files = loadConfig(join(folder, "rhumb.yaml"), { env: SECRETS, pushed });
  assert.deepEqual(
    files.zones.map(({ file, origin }) => [file.slice(folder.length), origin]),
    [
      ["/names/example.com.zone", "example.com."],
      ["/names/new.example.zone", "new.example."],
    ],
  );
  assert.equal(files.include("more.inc", files.zones[0]!.file)?.text, pushed.files["zones/more.inc"]);
  assert.deepEqual(
    files.checks.map(({ name }) => name),
    ["app", "extra", "web"],
  );
  assert.match(files.services!.text, /us-east/);
  const without = loadConfig(join(folder, "rhumb.yaml"), { env: SECRETS });
  assert.notEqual(files.digest, without.digest);
});

test("readZones() in a thread sees the same: the texts go with the job", (t) => {
  const folder = copyGood(t);
  const files = loadConfig(join(folder, "rhumb.yaml"), { env: SECRETS, pushed, maxZoneOctets: 0 });
  const job = structuredClone({ ...files.unread!, seed: 1, known: new Map() });
  const result = readZones(job);
  assert.deepEqual(
    result.zones.map(({ origin, loaded }) => [origin, loaded?.image?.recordCount]),
    [
      ["example.com.", 4],
      ["new.example.", 2],
    ],
  );
  assert.deepEqual(
    withZones(files, result, [])
      .shadows?.map(({ name, isEdited }) => [name, isEdited])
      .sort(),
    [
      ["health/extra.yaml", false],
      ["zones/example.com.zone", false],
      ["zones/more.inc", false],
      ["zones/new.example.zone", false],
    ],
  );
  const other = { ...pushed, files: { ...pushed.files, "zones/more.inc": "; none\n" } };
  const next = loadConfig(join(folder, "rhumb.yaml"), { env: SECRETS, pushed: other, maxZoneOctets: 0 });
  assert.notEqual(
    JSON.stringify(next.unread),
    JSON.stringify(files.unread),
    "who keeps what was read sees the difference",
  );
});

const version = (sequence: number, node = "ns1") => ({ epoch: 1, sequence, node });
const desired = (sequence: number, node = "ns1"): Desired => {
  const said = { ancestors: [], files: {}, overlay: {}, actor: "kim", reason: "", breakGlass: null };
  return { ...said, version: version(sequence, node), atMs: 0 };
};
const has = (sequence: number, isApplied = true, node = "ns1"): Heartbeat["desired"] => {
  return { version: version(sequence, node), isApplied, says: isApplied ? "" : "no" };
};
for (const { name, peer, isAlive = true, state } of [
  { name: "has it", peer: has(5), state: "serves" },
  { name: "has an older one", peer: has(4), state: "lags" },
  { name: "has none", peer: null, state: "lags" },
  { name: "has a newer one", peer: has(6), state: "ahead" },
  { name: "refused it", peer: has(5, false), state: "refused" },
  { name: "has the other side of a conflict", peer: has(5, true, "ns2"), state: "apart" },
  { name: "is silent", peer: has(5), isAlive: false, state: "silent" },
]) {
  test(`nodeStates() of a node that ${name}`, () => {
    const fork = desired(5, "ns2");
    const all = { ...EMPTY_STATE, accepted: desired(5), forks: new Map([[versionText(fork.version), fork]]) };
    const own = { node: "ns1", version: "1", serves: { epoch: 1, sequence: 9 }, desired: has(5) };
    const heartbeat = { version: "1", serves: null, desired: peer } as Heartbeat;
    const other: PeerState = { node: "ns0", heartbeat, silentMs: 12_000, isAlive, clockOffsetMs: 0, clockAstrayMs: 0 };
    const rows = nodeStates(all, own, [other]);
    assert.deepEqual(
      rows.map((row) => [row.node, row.state]),
      [
        ["ns0", state],
        ["ns1", "serves"],
      ],
    );
  });
}
