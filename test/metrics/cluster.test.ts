/** Metrics of what nodes share. */
import assert from "node:assert/strict";
import test from "node:test";
import { createManualClock } from "#base/clock.ts";
import { createMetrics } from "#metrics/create-metrics.ts";
import type { SharedStatus } from "#state/shared.ts";
import { begun } from "../health/evacuation/bed.ts";

const status: SharedStatus = {
  by: "redis",
  isConnected: false,
  says: "",
  records: { heartbeat: 3, votes: 3, report: 2, override: 1, config: 1, latency: 0, anycast: 0, evacuation: 0 },
  refused: { unsigned: 0, unknownNode: 4, old: 2, damaged: 1, full: 0 },
  octets: { sent: 1_000, received: 3_000 },
};
const peer = { heartbeat: null, isAlive: true, silentMs: 250, clockOffsetMs: -12, clockAstrayMs: 0 };

async function expose(now: SharedStatus): Promise<string> {
  const peers = [
    { ...peer, node: "ns2" },
    { node: "ns3", heartbeat: null, isAlive: false, silentMs: null, clockOffsetMs: null, clockAstrayMs: 0 },
  ];
  const evacuations = [begun({ weight: 50 })];
  const sources = { cluster: () => ({ status: now, peers, evacuations }) };
  const metrics = createMetrics({ clock: createManualClock(), sources });
  const { text } = await metrics.expose();
  metrics.close();
  return text;
}

test("records, refusals, octets and peers have their metrics", async () => {
  const text = await expose(status);
  for (const line of [
    'rhumb_cluster_connected{by="redis"} 0',
    'rhumb_cluster_records{kind="report"} 2',
    'rhumb_cluster_refused_total{reason="unknownNode"} 4',
    'rhumb_cluster_octets_total{direction="received"} 3000',
    'rhumb_cluster_peer_alive{node="ns2"} 1',
    'rhumb_cluster_peer_alive{node="ns3"} 0',
    'rhumb_cluster_peer_silent_seconds{node="ns2"} 0.25',
    'rhumb_cluster_clock_offset_seconds{node="ns2"} -0.012',
    'rhumb_evacuation_step{region="eu-west",direction="leave"} 1',
    'rhumb_evacuation_weight_percent{region="eu-west"} 50',
  ])
    assert.ok(text.includes(`${line}\n`), line);
  assert.ok(!text.includes('peer_silent_seconds{node="ns3"}'), "never heard of");
});

test("a node that is alone has none of them", async () => {
  assert.doesNotMatch(await expose({ ...status, by: "alone" }), /^rhumb_cluster_\w+[{ ]/m);
});
