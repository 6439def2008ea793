/**
 * Metrics of the AF_XDP engine, by queue of its interface. Absent with other engines.
 * @module
 */
import { counter, gauge } from "#metrics/metric.ts";

export const XDP_METRICS = {
  rhumb_dns_xdp_info: gauge(
    "info",
    "Always 1; the labels say where the program is: `native` in the driver, or `generic`",
    ["interface", "mode", "program"],
  ),
  rhumb_dns_xdp_queue_open: gauge("bool", "1 while a worker reads the queue; 0: the kernel's sockets serve it", [
    "queue",
  ]),
  rhumb_dns_xdp_zero_copy: gauge("bool", "1 where driver and engine share the frames; 0: they are copied", ["queue"]),
  rhumb_dns_xdp_frames_total: counter("frames", "Frames `received` from the queue and handed back to be `sent`", [
    "queue",
    "direction",
  ]),
  rhumb_dns_xdp_lost_total: counter(
    "frames",
    "Queries without an answer for want of room: `fill` no frame was there to be filled, `ring` the ring was full, `driver` for another reason of the kernel, `send` all frames to send were under way",
    ["queue", "reason"],
  ),
  rhumb_dns_xdp_malformed_total: counter(
    "frames",
    "Frames whose lengths or checksum are wrong; dropped, as the kernel would",
    ["queue"],
  ),
  rhumb_dns_xdp_calls_total: counter(
    "calls",
    "System calls: `kick` tells the kernel to send, `wait` waits for frames",
    ["queue", "call"],
  ),
  rhumb_dns_xdp_frames_missing: gauge("frames", "Frames that rings and free list do not add up to. Should stay 0", [
    "queue",
  ]),
  rhumb_dns_xdp_faults_total: counter(
    "frames",
    "Frames that the kernel handed back and did not have, and answers that it refused. Should stay 0",
    ["queue"],
  ),
};
