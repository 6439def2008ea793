import assert from "node:assert/strict";
import test from "node:test";
import { judgeXdp, readXdp, type XdpFacts } from "#app/doctor/xdp-rules.ts";
import { withoutNative } from "../../base/native/native.ts";

const FACTS: XdpFacts = { interface: "eth0", queues: 4, lacking: [], unit: undefined };
const states = (more: Partial<XdpFacts>): string[] => judgeXdp({ ...FACTS, ...more }).map(({ state }) => state);

test("judgeXdp() wants the interface and the capabilities, of this process or of the service", () => {
  assert.deepEqual(states({}), ["ok", "ok"]);
  assert.deepEqual(states({ queues: { says: "none", fix: "name one" } }), ["problem", "ok"]);
  assert.deepEqual(states({ lacking: ["CAP_BPF"] }), ["ok", "problem"]);
  const unit = "AmbientCapabilities=CAP_NET_BIND_SERVICE CAP_BPF\n";
  assert.deepEqual(states({ lacking: ["CAP_BPF"], unit }), ["ok", "ok"]);
  const [, finding] = judgeXdp({ ...FACTS, lacking: ["CAP_BPF", "CAP_NET_RAW"], unit });
  assert.match(finding!.says, /it lacks CAP_NET_RAW$/);
});

test("readXdp() says what is wrong with the interface that is named", { skip: withoutNative }, () => {
  const { queues } = readXdp("no-such-one", undefined);
  assert.ok(typeof queues === "object");
  assert.match(queues.says, /no-such-one: there is none of this name/);
  assert.match(queues.fix, /ip link/);
  const loopback = readXdp("lo", undefined).queues;
  assert.ok(typeof loopback === "object");
  assert.match(loopback.says, /no Ethernet interface/);
});
