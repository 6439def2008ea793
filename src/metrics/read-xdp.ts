/**
 * What the AF_XDP engine counts → the metrics of `catalog-xdp.ts`.
 * @module
 */
import type { XDP_METRICS } from "#metrics/catalog-xdp.ts";
import type { XdpStats } from "#state/xdp.ts";

type Write = (name: keyof typeof XDP_METRICS, value: number, labels?: Record<string, string>) => void;

/** @param total sets a counter to what it has become */
export function readXdp({ interface: name, mode, programId, queues }: XdpStats, set: Write, total: Write): void {
  set("rhumb_dns_xdp_info", 1, { interface: name, mode, program: String(programId) });
  for (const { queue: number, counters } of queues) {
    const queue = String(number);
    set("rhumb_dns_xdp_queue_open", counters.open, { queue });
    set("rhumb_dns_xdp_zero_copy", counters.zero_copy, { queue });
    total("rhumb_dns_xdp_frames_total", counters.received, { queue, direction: "received" });
    total("rhumb_dns_xdp_frames_total", counters.sent, { queue, direction: "sent" });
    total("rhumb_dns_xdp_lost_total", counters.fill_empty, { queue, reason: "fill" });
    total("rhumb_dns_xdp_lost_total", counters.dropped_ring_full, { queue, reason: "ring" });
    total("rhumb_dns_xdp_lost_total", counters.dropped, { queue, reason: "driver" });
    total("rhumb_dns_xdp_lost_total", counters.no_frame, { queue, reason: "send" });
    total("rhumb_dns_xdp_malformed_total", counters.malformed, { queue });
    total("rhumb_dns_xdp_calls_total", counters.kicks, { queue, call: "kick" });
    total("rhumb_dns_xdp_calls_total", counters.waits, { queue, call: "wait" });
    total("rhumb_dns_xdp_faults_total", counters.frame_faults + counters.invalid_sent, { queue });
    set("rhumb_dns_xdp_frames_missing", counters.frames_lost, { queue });
  }
}
