/**
 * A `frontend` (or the front half of a `listen`) of HAProxy → listeners.
 * @module
 */
import { compact } from "#config/import/draft.ts";
import type { Bind } from "#config/import/haproxy-bind.ts";
import { lastOf, type ProxySection, timeoutsOf } from "#config/import/haproxy-proxy.ts";
import { HAPROXY_TIME, type Line } from "#config/import/haproxy-read.ts";
import { type Acls, aclsOf, conditionOf, MAX_TESTS, type Test } from "#config/import/haproxy-rules.ts";
import { type Notes, quoted } from "#config/import/notes.ts";
import { DAY, durationText, EVERYBODY, MINUTE, parseCount, parseTime } from "#config/import/words.ts";

type Access = { network: string; action: "allow" | "deny" };
type Route = {
  readonly names: readonly string[];
  readonly pool: string;
  readonly isHost: boolean;
  readonly line: Line;
};
export type Rules = {
  readonly access: readonly Access[];
  readonly routes: readonly Route[];
  /** Networks of peers that `expect-proxy` names. */
  readonly proxies: readonly string[];
  /** How long a ClientHello is waited for. */
  readonly inspectMs: number | undefined;
  readonly pool: string | undefined;
};

export const REFUSALS = new Set(["reject", "deny", "silent-drop", "tarpit"]);
export const GRANTS = new Set(["accept", "allow"]);

/** Rules that let in or turn away by address, in their order. */
export function createAccess(notes: Notes) {
  const access: Access[] = [];
  /** Of the rule "all but these are turned away": it comes last, those it leaves are still subject to the others. */
  let only: readonly string[] | undefined;
  const add = (networks: readonly string[], action: Access["action"]): void => {
    for (const network of networks) if (access.length < MAX_TESTS) access.push({ network, action });
  };
  return {
    rule({ words, at }: Line, action: string, acls: Acls): void {
      const directive = words.slice(0, words.indexOf(action) + 1).join(" ");
      if (access.length >= MAX_TESTS) {
        const says = `A listener has at most ${MAX_TESTS} entries of addresses; the rule is not applied`;
        notes.leftOut({ ...at, directive }, says, "Join networks into larger ones");
        return;
      }
      const lines = conditionOf(words, acls);
      const says = "Only the client's address decides here who may connect";
      const left = (): void =>
        notes.leftOut(
          { ...at, directive },
          `${says}; the rule is not applied`,
          "Use `access:` and `limits:` of the listener, or the backend",
        );
      if (lines === undefined) add(EVERYBODY, REFUSALS.has(action) ? "deny" : "allow");
      for (const tests of lines ?? []) {
        const [test] = tests;
        // The type of the first message only says that a ClientHello is there to be read.
        if (GRANTS.has(action) && tests.every(({ kind }) => kind === "hello")) continue;
        if (tests.length !== 1 || test?.kind !== "source") left();
        else if (!test.isNot) add(test.networks, REFUSALS.has(action) ? "deny" : "allow");
        else if (REFUSALS.has(action) && only === undefined) only = test.networks;
        else left();
      }
    },
    list: (): Access[] => {
      if (only !== undefined) {
        add(only, "allow");
        add(EVERYBODY, "deny");
      }
      return access;
    },
  };
}

function routeOf(line: Line, acls: Acls, notes: Notes): Omit<Route, "pool"> | "default" | undefined {
  const { words, at } = line;
  const alternatives = conditionOf(words, acls);
  if (alternatives === undefined) return "default";
  const told = alternatives.map((tests) => tests.filter(({ kind }) => kind !== "hello" && kind !== "always"));
  if (told.some((tests) => tests.length === 0)) return "default";
  const names: string[] = [];
  let isHost = false;
  for (const tests of told) {
    const [test] = tests;
    if (tests.length === 1 && test?.kind === "sni") {
      names.push(...test.names);
      isHost ||= test.isHost;
      continue;
    }
    const unknown = tests.find((one): one is Extract<Test, { kind: "unknown" }> => one.kind === "unknown");
    const what = unknown ? ` (${quoted(unknown.text)})` : "";
    notes.leftOut(
      at,
      `Layer 4 chooses a pool by port and by the name asked for by TLS, not by this condition${what}; such clients go where all others go`,
      "Give it a name or port of its own",
    );
    return undefined;
  }
  return { names, isHost, line };
}

export function rulesOf(proxy: ProxySection, poolName: (backend: string) => string | undefined, notes: Notes): Rules {
  const acls = aclsOf(proxy);
  const access = createAccess(notes);
  const routes: Route[] = [];
  const proxies: string[] = [];
  let inspectMs: number | undefined;
  let pool = proxy.kind === "listen" ? poolName(proxy.name) : undefined;
  const find = (line: Line): string | undefined => {
    const backend = line.words[1] ?? "";
    const name = poolName(backend);
    if (name === undefined)
      notes.leftOut(
        line.at,
        backend.includes("%[") ? "A backend is not chosen by an expression" : `There is no backend ${quoted(backend)}`,
        "Write `sni:` routes, or correct the name",
      );
    return name;
  };
  for (const line of proxy.all) {
    const { words, at } = line;
    const [first, second, third] = words;
    if (first === "default_backend") pool = find(line) ?? pool;
    else if (first === "use_backend") {
      const name = find(line);
      const route = name === undefined ? undefined : routeOf(line, acls, notes);
      // Without a condition it takes all that is left, and `default_backend` none.
      if (route === "default" && name !== undefined) {
        pool = name;
        break;
      }
      if (route !== undefined && route !== "default") routes.push({ ...route, pool: name! });
    } else if (first === "tcp-request") {
      const action = third ?? "";
      if (second === "inspect-delay") {
        inspectMs = parseTime(third ?? "", HAPROXY_TIME.units, HAPROXY_TIME.plain);
        if (inspectMs === undefined) notes.leftOut(at, `${quoted(third ?? "")} is no time`, "Write such as 5s");
      } else if (REFUSALS.has(action) || GRANTS.has(action)) access.rule(line, action, acls);
      else if (action === "expect-proxy") {
        const tests = conditionOf(words, acls)?.flat() ?? [];
        for (const test of tests) if (test.kind === "source" && !test.isNot) proxies.push(...test.networks);
        if (tests.some(({ kind }) => kind !== "source"))
          notes.leftOut(
            { ...at, directive: `tcp-request ${second} expect-proxy` },
            "Peers that send PROXY headers are known by their address alone",
            "List them in `proxyProtocol: { trusted: … }`",
          );
      } else {
        const what = words.slice(0, 3).join(" ");
        notes.leftOut(
          { ...at, directive: what },
          "Connections are not counted or marked by rules",
          "Use `limits: { client: … }` for rates and numbers of connections",
        );
      }
    }
  }
  return { access: access.list(), routes, proxies, inspectMs, pool };
}

function timeoutsFor(proxy: ProxySection, inspectMs: number | undefined, notes: Notes): Record<string, unknown> {
  const timeouts = timeoutsOf(proxy, notes);
  const ms = (name: string): number | undefined => timeouts.get(name)?.ms;
  const sides = [ms("client"), ms("server")].filter((one) => one !== undefined);
  // `timeout tunnel` takes the place of both.
  const tunnel = ms("tunnel");
  const idle = sides.length === 0 ? tunnel : (tunnel ?? Math.min(...sides));
  const [client, server] = [timeouts.get("client"), timeouts.get("server")];
  if (client && server && client.ms !== server.ms && tunnel === undefined)
    notes.changed(
      { ...server.at, directive: "timeout server" },
      "One idle time counts for both sides: the shorter of client and server is taken",
      "Choose `timeouts: { idle: … }`",
    );
  const half = ms("client-fin") ?? ms("server-fin");
  return compact({
    idle: idle === undefined ? undefined : durationText(idle, 0, DAY),
    halfClose: half === undefined ? undefined : durationText(half, 10, DAY),
    preamble: inspectMs === undefined ? undefined : durationText(inspectMs, 10, 5 * MINUTE),
  });
}

export function limitsFor(
  proxy: ProxySection,
  globalMax: number | undefined,
  bind: Bind,
  notes: Notes,
): Record<string, unknown> {
  const line = lastOf(proxy, "maxconn");
  const own = parseCount(line?.words[1], 1, 1_000_000);
  if (line && own === undefined)
    notes.leftOut(line.at, `${quoted(line.words[1] ?? "")} is no number of connections`, "Correct it");
  const rate = lastOf(proxy, "rate-limit", "sessions");
  const perSecond = parseCount(rate?.words[2], 1, 1_000_000);
  if (rate && perSecond === undefined) notes.leftOut(rate.at, "The rate is no number", "Correct it");
  return compact({ maxConnections: bind.maxConnections ?? own ?? globalMax, rate: perSecond });
}

/** @param globalMax `maxconn` of the section `global` @returns undefined where it would lead nowhere */
export function listenerOf(
  proxy: ProxySection,
  bind: Bind,
  rules: Rules,
  globalMax: number | undefined,
  notes: Notes,
): Record<string, unknown> | undefined {
  const { at } = bind.line;
  const seesHost = bind.isTls;
  const routes = rules.routes.filter(({ isHost, line }) => {
    if (isHost && !seesHost)
      notes.leftOut(
        line.at,
        "Host names stand in HTTP, which layer 4 does not see without TLS; such clients go where all others go",
        "Route by `sni:` with TLS, or give the name an address of its own",
      );
    else if (isHost)
      notes.changed(
        line.at,
        "The name in the TLS handshake decides, for the whole connection, not the Host header of each request",
        "Nothing to do, unless clients use one connection for several names",
      );
    return !isHost || seesHost;
  });
  const isPassthrough = !bind.isTls && routes.length > 0;
  if (bind.isTls && bind.certificates.length === 0) {
    notes.leftOut(
      at,
      "TLS ends here, and no certificate could be taken over",
      "Write `protocol: tls` with `certificates:`",
    );
    return undefined;
  }
  if (rules.pool === undefined && routes.length === 0) {
    notes.leftOut(at, "The listener would lead to no pool", "Name a `default_backend`");
    return undefined;
  }
  if (bind.certificates.length > 0)
    notes.changed(
      { ...at, directive: "bind … crt" },
      "Certificate and key are read from the same file, as here",
      "Name them apart by `cert:` and `key:` if the key has a file of its own",
    );
  const backlog = bind.backlog ?? parseCount(lastOf(proxy, "backlog")?.words[1], 1, 65_535);
  const proxies = bind.acceptsProxy ? [...EVERYBODY] : rules.proxies;
  if (bind.acceptsProxy)
    notes.changed(
      { ...at, directive: "bind … accept-proxy" },
      "Every peer is believed, as here",
      "List the balancers before this one in `proxyProtocol: { trusted: … }`",
    );
  return compact({
    listen: bind.listen,
    protocol: bind.isTls ? "tls" : isPassthrough ? "tls-passthrough" : "tcp",
    pool: rules.pool,
    sni: routes.map(({ names, pool }) => ({ names, pool })),
    certificates: bind.certificates,
    alpn: bind.isTls ? bind.alpn : [],
    proxyProtocol: proxies.length > 0 ? { trusted: proxies } : undefined,
    access: rules.access,
    limits: limitsFor(proxy, globalMax, bind, notes),
    timeouts: timeoutsFor(proxy, rules.inspectMs, notes),
    backlog,
  });
}
