/**
 * The HTTP part of a listener → `HttpSpec`: short forms written out, what a rule does not say filled in, rules in order.
 * @module
 */
import { resolve } from "node:path";
import { compileRule, defaultRule } from "#config/compile-rule.ts";
import type { ConfigFiles } from "#config/files.ts";
import { orderRules } from "#config/order-rules.ts";
import type { ListenerConfig } from "#l4/config.ts";
import { type HttpConfig, httpSchema } from "#l7/config.ts";
import type { HttpSpec } from "#state/http.ts";

const STANDARD: HttpConfig = httpSchema.parse({});
export const httpOf = ({ http }: ListenerConfig): HttpConfig => http ?? STANDARD;

export const isHttp = ({ protocol }: ListenerConfig): boolean => protocol === "http" || protocol === "https";

/** @param poolIndex of a pool that is there: references were checked */
export function compileHttp(
  listener: ListenerConfig,
  files: ConfigFiles,
  poolIndex: (name: string) => number,
): HttpSpec | undefined {
  if (!isHttp(listener)) return undefined;
  const { limits, timeouts, http2, forwarded, accessLog, tracing, defaults, hosts, trusted } = httpOf(listener);
  const context = { files, poolIndex, defaults };
  const rules = orderRules(listener.rules.map((rule, index) => ({ rule, spec: compileRule(rule, index, context) })));
  if (listener.pool !== undefined) rules.push(defaultRule(poolIndex(listener.pool), context));
  return {
    limits: {
      lineOctets: limits.line,
      headOctets: limits.head,
      fields: limits.fields,
      pipelined: limits.pipelined,
      requestsPerConnection: limits.requestsPerConnection,
    },
    timeouts: {
      headMs: timeouts.head,
      bodyMs: timeouts.body,
      keepAliveMs: timeouts.keepAlive,
      sendMs: timeouts.send,
      minBodyRate: timeouts.minBodyRate,
      tunnelMs: timeouts.tunnel,
      lingerMs: timeouts.linger,
    },
    http2: {
      isEnabled: http2.enabled ?? listener.protocol === "https",
      maxStreams: http2.streams,
      headerListOctets: http2.headerList,
      resetsPerSecond: http2.resetsPerSecond,
      settingsPerConnection: http2.settings,
      outstandingPings: http2.pings,
      windowOctets: http2.window,
    },
    trusted,
    forwarded: { ...forwarded, via: forwarded.via },
    rules,
    hosts,
    accessLog: accessLog && {
      path: accessLog.path === "-" ? "-" : resolve(files.folder, accessLog.path),
      samplePercent: accessLog.sample,
    },
    tracing: tracing && { endpoint: tracing.endpoint, service: tracing.service, samplePercent: tracing.sample },
    maxRequests: limits.requests,
  };
}
