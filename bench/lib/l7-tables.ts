/**
 * What the comparison of HTTP proxies is about.
 * @module
 */
import type { Tables } from "./balancer-results.ts";

export const L7_TABLES: Tables = {
  measures: [
    { load: "http1", measure: "cpu-http1", key: "cpuMicros" },
    { load: "connection", measure: "cpu-connection", key: "cpuMicros" },
    { load: "bulk", measure: "bulk-rate", key: "rate" },
    { load: "https", measure: "cpu-https", key: "cpuMicros" },
    { load: "handshake", measure: "cpu-handshake", key: "cpuMicros" },
    { load: "resumed", measure: "cpu-resumed", key: "cpuMicros" },
    { load: "http2", measure: "cpu-http2", key: "cpuMicros" },
    { load: "websocket", measure: "cpu-websocket", key: "cpuMicros" },
    { load: "half", measure: "p99-added", key: "addedP99" },
    { load: "half-tls", measure: "p99-added-tls", key: "addedP99" },
    { load: "idle", measure: "idle-octets", key: "octets" },
  ],
  amounts: [
    { load: "half", subject: "epoll", key: "addedP99", name: "epoll.p99-added/1ms", amount: 1_000 },
    { load: "half-tls", subject: "epoll", key: "addedP99", name: "epoll.p99-added-tls/5ms", amount: 5_000 },
    { load: "idle", subject: "epoll", key: "octets", name: "epoll.idle-octets/40kB", amount: 40_000 },
  ],
  targets: {
    "epoll.cpu-http1/haproxy": { is: "at most", limit: 1.3 },
    "epoll.cpu-http1/nginx": { is: "at most", limit: 1.2 },
    "epoll.cpu-https/haproxy": { is: "at most", limit: 1.3 },
    "epoll.cpu-http2/nginx": { is: "at most", limit: 2 },
    "epoll.cpu-websocket/nginx": { is: "at most", limit: 1.5 },
    "epoll.p99-added/haproxy": { is: "at most", limit: 1.3 },
    "epoll.p99-added/1ms": { is: "at most", limit: 1 },
    "epoll.p99-added-tls/haproxy": { is: "at most", limit: 1.3 },
    "epoll.p99-added-tls/5ms": { is: "at most", limit: 1 },
    "epoll.idle-octets/40kB": { is: "at most", limit: 1 },
  },
};
