/**
 * `http:` and `rules:` of the balancer's listeners of `protocol: http` and `https`.
 *
 * Reader:  `config/compile-http.ts`, which turns it into `HttpSpec`. The engines never see it.
 * @module
 */
import { z } from "zod";
import { doc, durationMs, flag, integer, network, path, percent, sizeOctets, text, url } from "#base/field.ts";
import { fieldValue, hostPattern } from "#l7/fields.ts";
import { ruleDefaultsSchema, ruleSchema } from "#l7/rules/config.ts";

const live = { reload: "live" } as const;

const limitsSchema = z.strictObject({
  line: doc(sizeOctets("256B", "64KiB").prefault("16KiB"), "The request line; a longer one gets 414.", live),
  head: doc(sizeOctets("1KiB", "256KiB").prefault("32KiB"), "Line and fields; more get 431.", live),
  fields: doc(integer(8, 1_000).default(100), "Fields of a head; more get 431.", live),
  pipelined: doc(integer(1, 1_000).default(32), "Requests of one connection that wait for their turn.", live),
  requestsPerConnection: doc(
    integer(0, 1_000_000_000).default(0),
    "Then the connection is closed in order. 0: no limit.",
    live,
  ),
  requests: doc(
    integer(0, 10_000_000).default(0),
    "Requests under way in one worker; more get 503. 0: no limit.",
    live,
  ),
});

const timeoutsSchema = z.strictObject({
  head: doc(durationMs("100ms", "10m").prefault("10s"), "From the first octet of a head to its end; then 408.", live),
  body: doc(durationMs("100ms", "24h").prefault("60s"), "Between octets of a body; then 408.", live),
  keepAlive: doc(durationMs("0s", "24h").prefault("75s"), "Between requests.", live),
  send: doc(
    durationMs("100ms", "24h").prefault("60s"),
    "A client that takes nothing of a response for so long is cut off.",
    live,
  ),
  tunnel: doc(durationMs("1s", "30d").prefault("1h"), "Nothing either way in a tunnel (WebSocket).", live),
  linger: doc(
    durationMs("0s", "1m").prefault("5s"),
    "How long what a client still sends is read after our last word.",
    live,
  ),
  minBodyRate: doc(integer(0, 1_000_000_000).default(0), "What a body must bring after ten seconds. 0: any.", {
    ...live,
    unit: "octets/s",
  }),
});

const http2Schema = z.strictObject({
  enabled: doc(flag().optional(), "By ALPN on `https`, by prior knowledge on `http`. Default: on `https` alone.", live),
  streams: doc(integer(1, 10_000).default(100), "Requests of one connection at a time.", live),
  headerList: doc(sizeOctets("1KiB", "1MiB").prefault("32KiB"), "Fields of one request.", live),
  resetsPerSecond: doc(integer(1, 10_000).default(33), "Streams that a connection may have reset; more end it.", {
    ...live,
    unit: "resets/s",
  }),
  settings: doc(integer(1, 1_000).default(32), "SETTINGS frames of a connection; more end it.", live),
  pings: doc(
    integer(1, 1_000).default(10),
    "Answers to pings that a client may leave unread; more end the connection.",
    live,
  ),
  window: doc(
    sizeOctets("64KiB", "64MiB").prefault("256KiB"),
    "Octets of a stream that may be on their way to us. A connection may hold `streams` times this and 64 KiB.",
    live,
  ),
});

const forwardedSchema = z.strictObject({
  hops: doc(
    integer(0, 20).default(1),
    "How many proxies of ours stand before this one, where the peer is `trusted`.",
    live,
  ),
  xForwardedFor: doc(flag().default(true), "Send X-Forwarded-For.", live),
  xForwarded: doc(flag().default(true), "Send X-Forwarded-Proto, -Host and -Port.", live),
  xRealIp: doc(flag().default(true), "Send X-Real-IP.", live),
  forwarded: doc(flag().default(false), "Send Forwarded (RFC 7239).", live),
  requestId: doc(flag().default(true), "Send X-Request-ID.", live),
  via: doc(fieldValue.optional(), "Our name in Via. Default: none is sent.", live),
});

export const httpSchema = z.strictObject({
  hosts: doc(
    z.array(hostPattern).max(10_000).default([]),
    "Host names that are served; others get 421. `*.example.com` stands for all below it. Empty: all.",
    live,
  ),
  trusted: doc(
    z.array(network()).max(1_024).default([]),
    "Peers whose X-Forwarded-For, Forwarded and X-Request-ID are believed.",
    live,
  ),
  limits: doc(limitsSchema.prefault({}), "Limits of requests.", live),
  timeouts: doc(timeoutsSchema.prefault({}), "Time limits of clients.", live),
  http2: doc(http2Schema.prefault({}), "HTTP/2 with clients.", live),
  forwarded: doc(forwardedSchema.prefault({}), "What backends are told of the client.", live),
  accessLog: doc(
    z
      .strictObject({
        path: doc(path().default("-"), "A file; `-`: standard output.", { ...live, unit: "path" }),
        sample: doc(percent(0, 100).prefault("100%"), "Share of requests with a status below 500.", live),
      })
      .optional(),
    "Present: each request is a line of JSON.",
    live,
  ),
  tracing: doc(
    z
      .strictObject({
        endpoint: doc(url("http", "https"), "Where spans go, by OTLP over HTTP.", live),
        service: doc(text("a name").default("rhumb"), "Our name in traces.", live),
        sample: doc(percent(0, 100).prefault("1%"), "Share of the traces that begin here.", live),
      })
      .optional(),
    "Present: spans are sent. W3C trace context is passed on in any case.",
    live,
  ),
  defaults: doc(
    ruleDefaultsSchema.prefault({}),
    "What holds for all rules of the listener that do not say it themselves.",
    live,
  ),
});
export type HttpConfig = z.output<typeof httpSchema>;

export const rulesSchema = z.array(ruleSchema).max(10_000);
