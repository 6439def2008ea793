import assert from "node:assert/strict";
import test from "node:test";
import { judgeCertificate, judgeGeo, judgeSecret, judgeStateFolder } from "#app/doctor/file-rules.ts";

const DAY_MS = 86_400_000;

for (const { mode, state } of [
  { mode: 0o600, state: "ok" },
  { mode: 0o640, state: "ok" },
  { mode: 0o660, state: "warning" },
  { mode: 0o644, state: "problem" },
  { mode: 0o602, state: "problem" },
]) {
  test(`judgeSecret() calls mode ${mode.toString(8)} ${state}`, () => {
    const [finding] = judgeSecret("run/token", mode);
    assert.equal(finding?.state, state);
    assert.equal(finding?.fix, state === "ok" ? "" : "chmod 600 run/token");
  });
}
test("judgeSecret() leaves a missing file to the configuration", () => {
  assert.deepEqual(judgeSecret("run/token", undefined), []);
});

const UNIT = "ProtectSystem=strict\nStateDirectory=rhumb\n";
const STATE = { folder: "/var/lib/rhumb", mode: 0o700, isWritable: true, unit: UNIT };
for (const { name, facts, state, fix = "" } of [
  { name: "takes the unit's own folder", facts: {}, state: "ok" },
  { name: "takes a folder below it", facts: { folder: "/var/lib/rhumb/run" }, state: "ok" },
  { name: "refuses one that may not be written", facts: { isWritable: false }, state: "problem", fix: "install -d" },
  {
    name: "refuses one that the unit closes",
    facts: { folder: "/etc/rhumb/run" },
    state: "problem",
    fix: "cluster.state: /var/lib/rhumb",
  },
  {
    name: "is not fooled by a common beginning",
    facts: { folder: "/var/lib/rhumb2" },
    state: "problem",
    fix: "ReadWritePaths=",
  },
  { name: "takes any without a unit", facts: { folder: "/etc/rhumb/run", unit: undefined }, state: "ok" },
  { name: "warns of one that everybody reads", facts: { mode: 0o755 }, state: "warning", fix: "chmod" },
  { name: "takes one that is still to be made", facts: { mode: undefined }, state: "ok" },
]) {
  test(`judgeStateFolder() ${name}`, () => {
    const finding = judgeStateFolder({ ...STATE, ...facts });
    assert.equal(finding.state, state);
    assert.ok(finding.fix.includes(fix), finding.fix);
  });
}

for (const { days, state } of [
  { days: -1, state: "problem" },
  { days: 0, state: "problem" },
  { days: 13, state: "warning" },
  { days: 14, state: "ok" },
]) {
  test(`judgeCertificate() calls ${days} days left ${state}`, () => {
    assert.equal(judgeCertificate("cert.pem", days * DAY_MS + 1_000_000, 1_000_000).state, state);
  });
}

test("judgeGeo() warns of a database that is old, or missing where it is wanted", () => {
  const loaded = { state: "loaded", file: "city.mmdb", type: "GeoLite2-City", builtAtMs: 0 } as const;
  assert.equal(judgeGeo(loaded, 45 * DAY_MS)[0]?.state, "ok");
  assert.equal(judgeGeo(loaded, 46 * DAY_MS)[0]?.state, "warning");
  assert.equal(judgeGeo({ state: "broken", file: "city.mmdb", says: "It is cut off" }, 0)[0]?.state, "problem");
  assert.equal(judgeGeo({ state: "unset", services: ["www"] }, 0)[0]?.state, "warning");
  assert.deepEqual(judgeGeo({ state: "unset", services: [] }, 0), []);
});
