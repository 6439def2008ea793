import assert from "node:assert/strict";
import test from "node:test";
import {
  judgeBuffers,
  judgeClock,
  judgeFileLimit,
  judgeKernel,
  judgePort,
  judgePrivilege,
  judgeSkew,
  type KernelFacts,
  type PortFacts,
  unitValues,
} from "#app/doctor/machine-rules.ts";

const PORT: PortFacts = {
  protocol: "udp",
  address: "192.0.2.53",
  port: 53,
  setting: "dns.listen",
  outcome: "free",
  says: "",
  owner: undefined,
  isServed: false,
};
for (const { name, facts, state, says, fix = "" } of [
  { name: "takes a free port", facts: {}, state: "ok", says: /is free/ },
  {
    name: "takes a port that the API says is ours",
    facts: { outcome: "busy", isServed: true },
    state: "ok",
    says: /held by rhumb$/,
  },
  {
    name: "takes a port of another rhumb process",
    facts: { outcome: "busy", owner: { pid: 7, name: "node", isRhumb: true } },
    state: "ok",
    says: /rhumb \(pid 7\)/,
  },
  {
    name: "names who holds a port",
    facts: { outcome: "busy", owner: { pid: 9, name: "named", isRhumb: false } },
    state: "problem",
    says: /held by named \(pid 9\)/,
    fix: "Stop named",
  },
  {
    name: "knows the stub resolver of systemd",
    facts: { outcome: "busy", owner: { pid: 9, name: "systemd-resolve", isRhumb: false } },
    state: "problem",
    says: /systemd-resolve/,
    fix: "DNSStubListener=no",
  },
  {
    name: "shows how to see another user's process",
    facts: { outcome: "busy" },
    state: "problem",
    says: /may not look into/,
    fix: "ss -lnp",
  },
  {
    name: "takes a port that is served, though this user may not bind it",
    facts: { outcome: "forbidden", isServed: true },
    state: "ok",
    says: /held by rhumb$/,
  },
  { name: "leaves forbidden ports to the capability", facts: { outcome: "forbidden" }, state: "ok", says: /not tried/ },
  {
    name: "finds an address of another machine",
    facts: { outcome: "absent" },
    state: "problem",
    says: /not an address of this machine/,
    fix: "ip address",
  },
  {
    name: "repeats what the system says",
    facts: { outcome: "other", says: "EINVAL" },
    state: "problem",
    says: /EINVAL/,
    fix: "dns.listen",
  },
] as const) {
  test(`judgePort() ${name}`, () => {
    const finding = judgePort({ ...PORT, ...facts });
    assert.equal(finding.state, state);
    assert.match(finding.says, says);
    assert.ok(finding.fix.includes(fix));
  });
}

const UNIT = "[Service]\n#AmbientCapabilities=CAP_SYS_ADMIN\nAmbientCapabilities=CAP_NET_BIND_SERVICE CAP_NET_RAW\n";
const PRIVILEGE = {
  ports: [53],
  firstFreePort: 1_024,
  hasCapability: false,
  isRoot: false,
  isServing: false,
  unit: undefined,
};
for (const { name, facts, state } of [
  { name: "refuses port 53 without the capability", facts: {}, state: "problem" },
  {
    name: "does not take a comment of the unit for a grant",
    facts: { unit: "#AmbientCapabilities=CAP_NET_BIND_SERVICE" },
    state: "problem",
  },
  { name: "takes port 5300", facts: { ports: [5_300] }, state: "ok" },
  { name: "takes port 53 where the kernel frees it", facts: { firstFreePort: 53 }, state: "ok" },
  { name: "takes port 53 with the capability", facts: { hasCapability: true }, state: "ok" },
  { name: "takes port 53 by the unit", facts: { unit: UNIT }, state: "ok" },
  { name: "takes port 53 by what runs", facts: { isServing: true }, state: "ok" },
  { name: "warns of serving as root", facts: { isRoot: true, hasCapability: true }, state: "warning" },
]) {
  test(`judgePrivilege() ${name}`, () => {
    assert.deepEqual(
      judgePrivilege({ ...PRIVILEGE, ...facts }).map((finding) => finding.state),
      [state],
    );
  });
}
test("judgePrivilege() says nothing where nothing is listened on", () => {
  assert.deepEqual(judgePrivilege({ ...PRIVILEGE, ports: [] }), []);
});
test("unitValues() reads words of all lines of a key, but no comments", () => {
  assert.deepEqual(unitValues(UNIT, "AmbientCapabilities"), ["CAP_NET_BIND_SERVICE", "CAP_NET_RAW"]);
  assert.deepEqual(unitValues(undefined, "User"), []);
});

test("judgeClock() tells synchronised, not synchronised and unknown apart", () => {
  assert.deepEqual(
    [true, false, undefined].map((is) => judgeClock(is).state),
    ["ok", "problem", "warning"],
  );
});

for (const { skewMs, slotSeconds, state } of [
  { skewMs: 400, slotSeconds: 5, state: "ok" },
  { skewMs: -1_400, slotSeconds: 5, state: "ok" }, // Date cannot tell more
  { skewMs: 1_600, slotSeconds: 5, state: "problem" },
  { skewMs: -3_400, slotSeconds: 30, state: "ok" },
  { skewMs: -3_600, slotSeconds: 30, state: "problem" },
]) {
  test(`judgeSkew() calls ${skewMs} ms at slots of ${slotSeconds} s ${state}`, () => {
    const finding = judgeSkew("ns2", skewMs, slotSeconds);
    assert.equal(finding.state, state);
    if (state === "problem") assert.match(finding.says, skewMs > 0 ? /ahead of/ : /behind/);
  });
}

test("judgeFileLimit() counts connections, probes and the rest", () => {
  const facts = { of: "rhumb (pid 7)", tcpConnections: 1_024, relayed: 0, probedAddresses: 2 };
  assert.equal(judgeFileLimit({ ...facts, limit: 1_800 }).state, "ok");
  assert.equal(judgeFileLimit({ ...facts, limit: 1_799 }).state, "problem");
  assert.equal(judgeFileLimit({ ...facts, limit: 1_799, of: "this shell" }).state, "warning");
  const balancer = { ...facts, tcpConnections: 0, relayed: 10_000 };
  assert.equal(judgeFileLimit({ ...balancer, limit: 20_776 }).state, "ok");
  const short = judgeFileLimit({ ...balancer, limit: 20_775 });
  assert.match(`${short.says} ${short.fix}`, /10000 relayed .*limits\.maxConnections/);
  assert.match(judgeFileLimit({ ...balancer, relayed: 100_000, limit: 65_536 }).fix ?? "", /LimitNOFILE=200776/);
});

test("judgeKernel() wants the programs and the right, where the kernel serves a pool", () => {
  const facts: KernelFacts = { pools: ["db"], missing: [], hasCapability: true, unit: undefined };
  const states = (more: Partial<KernelFacts>): string[] => judgeKernel({ ...facts, ...more }).map(({ state }) => state);
  assert.deepEqual(judgeKernel({ ...facts, pools: [] }), []);
  assert.deepEqual(states({}), ["ok", "ok"]);
  assert.deepEqual(states({ missing: ["nft"] }), ["problem", "ok"]);
  assert.deepEqual(states({ hasCapability: false }), ["ok", "problem"]);
  const unit = "AmbientCapabilities=CAP_NET_BIND_SERVICE CAP_NET_ADMIN\n";
  assert.deepEqual(states({ hasCapability: false, unit }), ["ok", "ok"]);
});

test("judgeBuffers() wants what the UDP sockets ask for", () => {
  assert.equal(judgeBuffers(4_194_304)[0]?.state, "ok");
  assert.equal(judgeBuffers(212_992)[0]?.state, "warning");
  assert.deepEqual(judgeBuffers(undefined), []);
});
