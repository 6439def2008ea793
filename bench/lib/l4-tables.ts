/**
 * What the comparison of TCP relays is about.
 * @module
 */
import type { Tables } from "./balancer-results.ts";

export const L4_TABLES: Tables = {
  measures: [
    { load: "request", measure: "cpu-request", key: "cpuMicros" },
    { load: "connection", measure: "cpu-connection", key: "cpuMicros" },
    { load: "bulk", measure: "bulk-rate", key: "rate" },
    { load: "bulk", measure: "cpu-bulk", key: "cpuMicros" },
    { load: "half", measure: "p99-added", key: "addedP99" },
    { load: "idle", measure: "idle-octets", key: "octets" },
    { load: "kernel", measure: "connections", key: "capacity" },
    { load: "kernel", measure: "rate", key: "rate" },
  ],
  amounts: [
    { load: "half", subject: "epoll", key: "addedP99", name: "epoll.p99-added/1ms", amount: 1_000 },
    { load: "idle", subject: "epoll", key: "octets", name: "epoll.idle-octets/30kB", amount: 30_000 },
  ],
  targets: {
    "epoll.cpu-request/haproxy": { is: "at most", limit: 1.3 },
    "epoll.bulk-rate/haproxy": { is: "at least", limit: 0.5 },
    "kernel.connections/relay": { is: "at least", limit: 3 },
    "epoll.p99-added/haproxy": { is: "at most", limit: 1.3 },
    "epoll.p99-added/1ms": { is: "at most", limit: 1 },
    "epoll.idle-octets/30kB": { is: "at most", limit: 1 },
  },
};
