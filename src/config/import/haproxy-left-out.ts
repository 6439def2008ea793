/**
 * Lines of HAProxy's proxies that nothing here reads, and what to say of them.
 * @module
 */
import type { ProxySection } from "#config/import/haproxy-proxy.ts";
import { type At, type Notes, quoted } from "#config/import/notes.ts";
import { lookUp } from "#config/import/words.ts";

/** Lines that `haproxy-frontend.ts`, `-pool.ts` and `-check.ts` read; `=`: the whole key, else its first word. */
const READ_BY_BOTH = new Set("mode disabled enabled description id no guid".split(" "));
const READ_BY_FRONT = new Set("bind acl use_backend default_backend tcp-request maxconn backlog rate-limit".split(" "));
const READ_BY_BACK = new Set(
  "balance hash-type hash-balance-factor server server-template default-server retries cookie stick stick-table http-check tcp-check".split(
    " ",
  ),
);
const READ_TIMEOUTS = new Set("client server connect queue check tunnel client-fin server-fin".split(" "));
const READ_OPTIONS = new Set(
  "httpchk tcp-check ssl-hello-chk redispatch allbackups mysql-check pgsql-check redis-check smtpchk ldap-check spop-check external-check".split(
    " ",
  ),
);

type Reason = readonly [says: string, fix: string];
const HTTP: Reason = [
  "It is not taken over",
  "Look for a rule that does the same (docs/rules.md), or do it in the backend",
];
const LOG: Reason = ["rhumb writes a log of its own", "Read it from standard output, and `/metrics`"];
const STATS: Reason = ["rhumb shows its state by the control API", "Use the dashboard, `rhumb status` and `/metrics`"];
const REASONS: Readonly<Record<string, Reason>> = {
  log: LOG,
  "log-format": LOG,
  "log-format-sd": LOG,
  "error-log-format": LOG,
  "log-tag": LOG,
  "log-steps": LOG,
  capture: LOG,
  "unique-id-format": LOG,
  "unique-id-header": HTTP,
  declare: LOG,
  "http-request": HTTP,
  "http-response": HTTP,
  "http-after-response": HTTP,
  "http-error": HTTP,
  errorfile: HTTP,
  errorfiles: HTTP,
  errorloc: HTTP,
  errorloc302: HTTP,
  errorloc303: HTTP,
  "http-reuse": HTTP,
  "http-send-name-header": HTTP,
  compression: HTTP,
  filter: HTTP,
  "use-fcgi-app": HTTP,
  "max-keep-alive-queue": HTTP,
  "max-session-srv-conns": HTTP,
  redirect: HTTP,
  stats: STATS,
  "monitor-uri": STATS,
  "monitor-net": STATS,
  monitor: STATS,
  fullconn: ["Limits do not follow the load", "Use `maxConnections` of the backends"],
  "use-server": ["A server is chosen by the algorithm alone", "Make a pool of its own"],
  "tcp-response": ["Nothing is asked of what backends answer", "Leave it out"],
  dispatch: ["There is no such address beside the backends", "Add it to `backends:`"],
  source: ["Connections come from the address that the kernel chooses", "Set the route's source address"],
  "dynamic-cookie-key": HTTP,
  "force-persist": HTTP,
  "ignore-persist": HTTP,
  persist: HTTP,
  "load-server-state-from-file": STATS,
  "email-alert": ["Alarms are sent by `notify:`", "Write `notify:` into rhumb.yaml (docs/alarms.md)"],
};
const OPTIONS: Readonly<Record<string, Reason>> = {
  forwardfor: ["In `mode tcp` no header is added", "Write `proxyProtocol: v2` into the pool, if backends read it"],
  forwarded: ["The header Forwarded is not sent", "Write `http: { forwarded: { forwarded: true } }` into the listener"],
  originalto: HTTP,
  transparent: ["Backends see this machine's address", "Write `proxyProtocol: v2` into the pool"],
  persist: ["A backend that is down gets no clients", "Nothing to do"],
  "log-health-checks": LOG,
  "external-check": ["Programs are checks of their own", "Write `check: { kind: script }`"],
};
const LOG_OPTIONS = /^(tcplog|httplog|httpslog|clf|dontlog.*|log.*)$/;
const SOCKET_OPTIONS =
  /^(tcpka|clitcpka|srvtcpka|splice-.*|nolinger|tcp-smart-.*|socket-stats|independent-streams|contstats|prefer-last-server|checkcache|abortonclose|idle-.*|spread-checks)$/;
const TIMEOUTS: Readonly<Record<string, Reason>> = {
  "client-hs": ["The handshake has a time of its own", "Write `timeouts: { handshake: … }`"],
};

function reasonOf(words: readonly string[]): Reason {
  const [first = "", second = ""] = words;
  if (first === "option") {
    if (LOG_OPTIONS.test(second)) return LOG;
    if (SOCKET_OPTIONS.test(second)) return ["rhumb sets up its connections by itself", "Leave it out"];
    return (
      lookUp(OPTIONS, second) ??
      (/^(http|accept-|h1-|h2-|disable-h2)/.test(second) ? HTTP : ["There is nothing like it", "Leave it out"])
    );
  }
  if (first === "timeout")
    return (
      lookUp(TIMEOUTS, second) ??
      (/^http-|^tarpit$/.test(second) ? HTTP : ["There is no such time", "See `timeouts:` in docs/settings.md"])
    );
  return Object.hasOwn(REASONS, first)
    ? REASONS[first]!
    : [`Unknown line ${quoted(first)}`, "Correct it, or see docs/settings.md"];
}

function isRead(kind: string, words: readonly string[]): boolean {
  const [first = "", second = ""] = words;
  if (first === "timeout") return READ_TIMEOUTS.has(second);
  if (first === "option") return READ_OPTIONS.has(second);
  if (READ_BY_BOTH.has(first)) return true;
  const isFront = kind !== "backend";
  const isBack = kind !== "frontend";
  return (isFront && READ_BY_FRONT.has(first)) || (isBack && READ_BY_BACK.has(first));
}

export function tellLeftOut(proxy: ProxySection, isTold: (at: At) => boolean, notes: Notes): void {
  const own = new Set(proxy.own);
  for (const line of proxy.all) {
    const { words, at } = line;
    // What `defaults` say for the other kind of proxy is no loss here.
    if (isRead(proxy.kind, words) || isTold(at) || (!own.has(line) && isRead("listen", words))) continue;
    const [says, fix] = reasonOf(words);
    const isPair = ["option", "timeout", "http-request", "http-response", "stats", "capture"].includes(words[0]!);
    notes.leftOut({ ...at, directive: isPair ? words.slice(0, 2).join(" ") : words[0]! }, says, fix);
  }
}
