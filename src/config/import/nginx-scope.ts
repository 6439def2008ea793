/**
 * What the directives of nested blocks of nginx share: inheritance, times, numbers, and who has been told of what.
 * @module
 */
import { compact } from "#config/import/draft.ts";
import { type Directive, last, NGINX_TIME } from "#config/import/nginx-read.ts";
import { type Notes, quoted } from "#config/import/notes.ts";
import {
  DAY,
  durationText,
  EVERYBODY,
  isListenHost,
  listenText,
  MINUTE,
  parseCount,
  parseNetwork,
  parseTime,
} from "#config/import/words.ts";

/** Blocks from the innermost to the outermost. */
export type Scope = readonly (readonly Directive[])[];
/** The directive of the innermost block that has it. */
export const inherited = (scope: Scope, name: string): Directive | undefined => {
  for (const block of scope) {
    const found = last(block, name);
    if (found) return found;
  }
  return undefined;
};

export function timeOf(directive: Directive | undefined, notes: Notes): number | undefined {
  if (!directive) return undefined;
  const ms = parseTime(directive.args[0] ?? "", NGINX_TIME.units, NGINX_TIME.plain);
  if (ms === undefined)
    notes.leftOut(directive.at, `${quoted(directive.args[0] ?? "")} is no time`, "Write such as 30s");
  return ms;
}

export type Listen = {
  readonly directive: Directive;
  readonly listen: string;
  readonly isUdp: boolean;
  readonly isTls: boolean;
  readonly isDefault: boolean;
  readonly hasProxyHeader: boolean;
  readonly backlog: number | undefined;
};
const MAX_RANGE = 64;
/** Parameters of `listen` that change nothing of what rhumb does. */
const WITHOUT_EFFECT =
  /^(reuseport|ipv6only=(on|off)|bind|deferred|fastopen=.*|so_keepalive=.*|rcvbuf=.*|sndbuf=.*|accept_filter=.*|default_server|default|http2|spdy|multipath)$/;

/** @param defaultPort of `listen` with an address alone; undefined: it needs a port */
export function listensOf(directive: Directive, defaultPort: number | undefined, notes: Notes): Listen[] {
  const { args, at } = directive;
  const [place = "", ...parameters] = args;
  const has = (word: string): boolean => parameters.includes(word);
  const backlog = parseCount(parameters.find((word) => word.startsWith("backlog="))?.slice(8), 1, 65_535);
  for (const word of parameters) {
    if (["ssl", "udp", "proxy_protocol"].includes(word) || word.startsWith("backlog=") || WITHOUT_EFFECT.test(word))
      continue;
    notes.leftOut(
      { ...at, directive: `listen … ${word}` },
      word === "quic" ? "HTTP/3 is not served" : "There is nothing like it for listeners",
      "Leave it out",
    );
  }
  if (has("quic")) return [];
  const isPort = /^\d+(-\d+)?$/.test(place);
  const [, host = "", from, to = from] = /^(?:(.*):)?(\d{1,5})(?:-(\d{1,5}))?$/.exec(place) ?? [];
  const isBareHost = !isPort && defaultPort !== undefined && (isListenHost(place) || from === undefined);
  const shown = isBareHost ? place : host;
  const first = isBareHost ? defaultPort : parseCount(from, 1, 65_535);
  const end = isBareHost ? defaultPort : parseCount(to, 1, 65_535);
  if (first === undefined || end === undefined || end < first || end - first >= MAX_RANGE || !isListenHost(shown)) {
    notes.leftOut(at, `Cannot tell where to listen: ${quoted(place)}`, "Write a `listen:` address and port for each");
    return [];
  }
  return Array.from({ length: end - first + 1 }, (_, index) => ({
    directive,
    listen: listenText(shown, first + index),
    isUdp: has("udp"),
    isTls: has("ssl"),
    isDefault: has("default_server") || has("default"),
    hasProxyHeader: has("proxy_protocol"),
    backlog,
  }));
}

/** `allow` and `deny`: the first that matches decides, in both. */
function accessOf(scope: Scope, notes: Notes): { network: string; action: "allow" | "deny" }[] {
  const block = scope.find((one) => one.some(({ name }) => name === "allow" || name === "deny")) ?? [];
  return block.flatMap(({ name, args, at }) => {
    if (name !== "allow" && name !== "deny") return [];
    if (args[0] === "all") return EVERYBODY.map((network) => ({ network, action: name as "allow" | "deny" }));
    const network = parseNetwork(args[0] ?? "");
    if (network !== undefined) return [{ network, action: name as "allow" | "deny" }];
    notes.leftOut(at, `${quoted(args[0] ?? "")} is no network`, "Write such as 192.0.2.0/24");
    return [];
  });
}

function proxyProtocolOf(listen: Listen, scope: Scope, notes: Notes): Record<string, unknown> | undefined {
  if (!listen.hasProxyHeader) return undefined;
  const block = scope.find((one) => one.some(({ name }) => name === "set_real_ip_from")) ?? [];
  const trusted = block.flatMap(({ name, args }) =>
    name === "set_real_ip_from" ? (parseNetwork(args[0] ?? "") ?? []) : [],
  );
  if (trusted.length > 0) return { trusted };
  notes.changed(
    { ...listen.directive.at, directive: "listen … proxy_protocol" },
    "Every peer is believed, as here",
    "List the balancers before this one in `proxyProtocol: { trusted: … }`",
  );
  return { trusted: [...EVERYBODY] };
}

/** `ssl_certificate` and `ssl_certificate_key`, in pairs. */
export function certificatesOf(scope: Scope, notes: Notes): { cert: string; key: string }[] {
  const block = scope.find((one) => last(one, "ssl_certificate")) ?? [];
  const [certs, keys] = ["ssl_certificate", "ssl_certificate_key"].map((name) =>
    block.filter((one) => one.name === name),
  );
  return certs!.flatMap(({ args, at }, index) => {
    const [cert, key] = [args[0] ?? "", keys![index]?.args[0] ?? ""];
    const isPath = (path: string): boolean => path !== "" && !/[$\n]|^(data|engine|store):/.test(path);
    if (isPath(cert) && isPath(key)) return [{ cert, key }];
    notes.leftOut(at, "Certificate and key are not both files with fixed names", "Write them into `certificates:`");
    return [];
  });
}

/** Connections of one client, where the zone counts by its address. */
function clientLimit(scope: Scope, outer: readonly Directive[], notes: Notes): number | undefined {
  const limit = inherited(scope, "limit_conn");
  if (!limit) return undefined;
  const zone = outer.find(
    ({ name, args }) => name === "limit_conn_zone" && args[1]?.startsWith(`zone=${limit.args[0]}:`),
  );
  const count = parseCount(limit.args[1], 1, 1_000_000);
  if (/^\$(binary_)?remote_addr$/.test(zone?.args[0] ?? "") && count !== undefined) return count;
  notes.leftOut(limit.at, "Connections are counted by the client's address alone", "Use `limits:` of the listener");
  return undefined;
}

export const idleText = (ms: number | undefined): string | undefined =>
  ms === undefined ? undefined : durationText(ms, 0, DAY);
export const shortText = (ms: number | undefined): string | undefined =>
  ms === undefined ? undefined : durationText(ms, 10, 5 * MINUTE);

/** The parts of a listener that stream and HTTP servers have alike. */
export const listenerBase = (
  listen: Listen,
  scope: Scope,
  outer: readonly Directive[],
  notes: Notes,
): Record<string, unknown> =>
  compact({
    proxyProtocol: listen.isUdp ? undefined : proxyProtocolOf(listen, scope, notes),
    access: accessOf(scope, notes),
    limits: compact({ client: compact({ maxConnections: clientLimit(scope, outer, notes) }) }),
    backlog: listen.backlog,
  });
