import assert from "node:assert/strict";
import test from "node:test";
import { createManualClock } from "#base/clock.ts";
import { createMetrics } from "#metrics/create-metrics.ts";
import { XDP_COUNTERS, type XdpCounter } from "#state/xdp.ts";

test("createMetrics() tells of each queue of the AF_XDP engine, and nothing with other engines", async () => {
  // Each counter has a value of its own, so that none can stand for another.
  const counters = Object.fromEntries(XDP_COUNTERS.map((name, index) => [name, 2 ** index])) as Record<
    XdpCounter,
    number
  >;
  const xdp = { interface: "eth0", mode: "generic" as const, programId: 57, queues: [{ queue: 3, counters }] };
  const linesOf = async (stats: typeof xdp | undefined) => {
    const metrics = createMetrics({ clock: createManualClock(), sources: { xdp: () => stats } });
    const { text } = await metrics.expose();
    metrics.close();
    return text.split("\n").filter((line) => line.startsWith("rhumb_dns_xdp_"));
  };
  const value = (name: XdpCounter) => counters[name];
  assert.deepEqual(await linesOf(xdp), [
    'rhumb_dns_xdp_info{interface="eth0",mode="generic",program="57"} 1',
    `rhumb_dns_xdp_queue_open{queue="3"} ${value("open")}`,
    `rhumb_dns_xdp_zero_copy{queue="3"} ${value("zero_copy")}`,
    `rhumb_dns_xdp_frames_total{queue="3",direction="received"} ${value("received")}`,
    `rhumb_dns_xdp_frames_total{queue="3",direction="sent"} ${value("sent")}`,
    `rhumb_dns_xdp_lost_total{queue="3",reason="fill"} ${value("fill_empty")}`,
    `rhumb_dns_xdp_lost_total{queue="3",reason="ring"} ${value("dropped_ring_full")}`,
    `rhumb_dns_xdp_lost_total{queue="3",reason="driver"} ${value("dropped")}`,
    `rhumb_dns_xdp_lost_total{queue="3",reason="send"} ${value("no_frame")}`,
    `rhumb_dns_xdp_malformed_total{queue="3"} ${value("malformed")}`,
    `rhumb_dns_xdp_calls_total{queue="3",call="kick"} ${value("kicks")}`,
    `rhumb_dns_xdp_calls_total{queue="3",call="wait"} ${value("waits")}`,
    `rhumb_dns_xdp_frames_missing{queue="3"} ${value("frames_lost")}`,
    `rhumb_dns_xdp_faults_total{queue="3"} ${value("frame_faults") + value("invalid_sent")}`,
  ]);
  assert.deepEqual(await linesOf(undefined), []);
});
