/**
 * A proxy of HAProxy with `mode http` → listeners with rules.
 *
 * Order:   what answers by itself (`http-request deny`, `return`, `redirect`), then `redirect`, then `use_backend`, then
 *          `default_backend`: as HAProxy asks them.
 * @module
 */
import { compact } from "#config/import/draft.ts";
import type { Bind } from "#config/import/haproxy-bind.ts";
import {
  after,
  type Denial,
  denialsOf,
  isDenial,
  type Rule,
  respondOf,
  unconditional,
} from "#config/import/haproxy-denials.ts";
import { createEdits, type Edits } from "#config/import/haproxy-edits.ts";
import { createAccess, GRANTS, limitsFor, REFUSALS } from "#config/import/haproxy-frontend.ts";
import { both, createMatcher, type Match } from "#config/import/haproxy-match.ts";
import { lastOf, type ProxySection, type Timeouts, timeoutsOf } from "#config/import/haproxy-proxy.ts";
import type { Line } from "#config/import/haproxy-read.ts";
import { aclsOf } from "#config/import/haproxy-rules.ts";
import { type Notes, quoted } from "#config/import/notes.ts";
import { DAY, durationText, EVERYBODY, MINUTE, parseCount, SECOND } from "#config/import/words.ts";

export type HttpBackend = { readonly proxy: ProxySection; readonly pool: string };
export type HttpParts = {
  readonly globalMax: number | undefined;
  readonly backendOf: (name: string) => HttpBackend | undefined;
  readonly notes: Notes;
  /** Told of each line that was understood. */
  readonly read: (line: Line) => void;
};

const CONDITION = "The condition asks for what rules do not look at, or for two things of one kind at once";
const REDIRECTS = new Set(["301", "302", "303", "307", "308"]);

/** `redirect …` without its first words. */
function redirectOf(words: readonly string[]): Rule | undefined {
  const code = after(words, "code") ?? "302";
  const [scheme, prefix, location] = ["scheme", "prefix", "location"].map((word) => after(words, word));
  const extras = ["drop-query", "append-slash", "set-cookie", "clear-cookie", "ignore-empty"];
  if (!REDIRECTS.has(code) || words.some((word) => extras.includes(word))) return undefined;
  const status = Number(code);
  if (scheme === "http" || scheme === "https") return { status, scheme };
  const text = prefix ?? location ?? "";
  const [, to, host, port, path = ""] =
    /^(?:(https?):\/\/([A-Za-z0-9.-]+)(?::(\d{1,5}))?)?(\/[^%?#\s{}$]*)?$/.exec(text) ?? [];
  const where = compact({ scheme: to, host, port: port === undefined ? undefined : Number(port) });
  if (prefix !== undefined) return to !== undefined && (path === "" || path === "/") ? { status, ...where } : undefined;
  if (to === undefined && path === "") return undefined;
  return { status, ...where, path: path === "" ? "/" : path, query: false };
}

/** Rules that answer by themselves. @returns undefined: the line is no such rule, or was told of */
function replyOf({ words, at }: Line, notes: Notes): Rule | undefined {
  const isOld = words[0] === "redirect";
  const action = isOld ? "redirect" : (words[1] ?? "");
  const directive = isOld ? "redirect" : `http-request ${action}`;
  const own = unconditional(words).slice(isOld ? 1 : 2);
  const reply = action === "redirect" ? redirectOf(own) : respondOf(own, action);
  if (reply === undefined)
    notes.leftOut({ ...at, directive }, "It cannot be said in the same way", "Write it as a rule: docs/rules.md");
  return reply && { [action === "redirect" ? "redirect" : "respond"]: reply };
}

function backendTimeouts(timeouts: Timeouts): Rule | undefined {
  const server = timeouts.get("server");
  if (server === undefined) return undefined;
  const text = durationText(server.ms, 0, DAY);
  return { total: "0s", try: text, idle: text };
}
function clientTimeouts(timeouts: Timeouts): Record<string, unknown> {
  const text = (name: string, min: number, max: number): string | undefined => {
    const found = timeouts.get(name);
    return found && durationText(found.ms, min, max);
  };
  return compact({
    head: text("http-request", 100, 10 * MINUTE),
    keepAlive: text("http-keep-alive", 0, DAY) ?? text("http-request", 0, DAY) ?? text("client", 0, DAY),
    body: text("client", 100, DAY),
    send: text("client", 100, DAY),
    tunnel: text("tunnel", SECOND, 30 * DAY),
  });
}

function compressionOf(proxy: ProxySection, read: HttpParts["read"]): Rule | undefined {
  const lines = proxy.all.filter(({ words }) => words[0] === "compression");
  const algorithms = lines.filter(({ words }) => words[1] === "algo" || words[1] === "algo-res");
  if (!algorithms.some(({ words }) => words.includes("gzip"))) return undefined;
  const types = lines
    .filter(({ words }) => words[1] === "type" || words[1] === "type-res")
    .flatMap(({ words }) => words.slice(2));
  for (const line of lines) if (/^(algo|type)(-res)?$/.test(line.words[1] ?? "")) read(line);
  return compact({ algorithms: ["gzip"], types });
}

/** @returns undefined where it would lead nowhere */
export function httpListenerOf(proxy: ProxySection, bind: Bind, parts: HttpParts): Record<string, unknown> | undefined {
  const { notes, read, backendOf } = parts;
  const { at } = bind.line;
  const { isTls } = bind;
  const matches = createMatcher(proxy, { isTls, nobodyIsKnown: false });
  const access = createAccess(notes);
  const acls = aclsOf(proxy);
  const compression = compressionOf(proxy, read);
  const edits = createEdits(proxy.all, matches.exactly, notes, read);
  const replies: Rule[] = [];
  const redirects: Rule[] = [];
  const routes: Rule[] = [];
  const proxies: string[] = [];

  const each = (line: Line, into: Rule[], rulesFor: (match: Match) => readonly Rule[]): void => {
    const alternatives = matches.exactly(line.words);
    if (alternatives === undefined) {
      const condition = line.words.slice(unconditional(line.words).length).join(" ");
      notes.leftOut(line.at, `${CONDITION}: ${quoted(condition)}`, "Write it as a rule: docs/rules.md");
      return;
    }
    read(line);
    for (const match of alternatives) into.push(...rulesFor(match));
  };
  const denials = (of: ProxySection, lines: readonly Line[]): Denial[] => {
    const matcher = createMatcher(of, { isTls, nobodyIsKnown: true });
    return lines.filter(isDenial).flatMap((line) => denialsOf(line, matcher, notes, read));
  };
  const routeTo = (name: string, line: Line): Route | undefined => {
    const backend = backendOf(name);
    if (backend === undefined) {
      const says = name.includes("%[")
        ? "A backend is not chosen by an expression"
        : `There is no backend ${quoted(name)}`;
      notes.leftOut(line.at, says, "Write rules, or correct the name");
      return undefined;
    }
    const own = backend.proxy === proxy ? [] : backend.proxy.own;
    const inner = createEdits(own, createMatcher(backend.proxy, { isTls, nobodyIsKnown: false }).exactly, notes, read);
    const rule = compact({
      pool: backend.pool,
      request: merged(edits.request, inner.request),
      response: merged(inner.response, edits.response),
      compression: compression ?? compressionOf(backend.proxy, read),
      timeouts: backendTimeouts(timeoutsOf(backend.proxy, notes)),
    });
    return { rule, denials: denials(backend.proxy, own) };
  };

  let last = proxy.kind === "listen" ? routeTo(proxy.name, { words: [], at: proxy.at }) : undefined;
  for (const line of proxy.all) {
    const [first, second = "", third = ""] = line.words;
    if (first === "default_backend") last = routeTo(second, line) ?? last;
    else if (first === "use_backend") {
      const route = routeTo(second, line);
      if (route !== undefined) each(line, routes, (match) => guarded(match, route));
    } else if (isDenial(line)) {
      for (const { match, reply } of denials(proxy, [line])) replies.push(ruleOf(match, reply));
    } else if (first === "redirect" || (first === "http-request" && (second === "return" || second === "redirect"))) {
      const reply = replyOf(line, notes);
      if (reply !== undefined)
        each(line, first === "redirect" ? redirects : replies, (match) => [ruleOf(match, reply)]);
    } else if (first === "tcp-request" && (REFUSALS.has(third) || GRANTS.has(third))) access.rule(line, third, acls);
    else if (first === "tcp-request" && second !== "inspect-delay")
      notes.leftOut(
        { ...line.at, directive: `tcp-request ${second}` },
        "Connections are not counted or marked by rules",
        "Use `rateLimit` of a rule, or `limits: { client: … }`",
      );
    else if (first === "option" && second === "forwardfor") read(line);
    else if (first === "timeout" && ["http-request", "http-keep-alive", "tunnel"].includes(second)) read(line);
  }
  if (!lastOf(proxy, "option", "forwardfor"))
    notes.changed(
      { ...proxy.at, directive: "mode" },
      "Backends are told of clients by X-Forwarded-For, -Proto, -Host, -Port and X-Real-IP",
      "Write `http: { forwarded: { xForwardedFor: false, xForwarded: false, xRealIp: false } }` for none",
    );
  if (bind.isTls && bind.certificates.length === 0) {
    notes.leftOut(
      at,
      "TLS ends here, and no certificate could be taken over",
      "Write `protocol: https` with `certificates:`",
    );
    return undefined;
  }
  const all: Rule[] = [
    ...replies,
    ...redirects,
    ...routes,
    ...(last === undefined ? [] : guarded({}, { ...last, rule: { name: "default", ...last.rule } })),
  ];
  const taker = all.findIndex(({ match }) => match === undefined);
  const rules = taker < 0 ? all : all.slice(0, taker + 1); // nothing is left for those behind it
  if (rules.length === 0) {
    notes.leftOut(at, "The listener would lead to no pool", "Name a `default_backend`");
    return undefined;
  }
  if (bind.acceptsProxy) proxies.push(...EVERYBODY);
  const isHttp2 = !bind.isTls || bind.alpn.length === 0 || bind.alpn.includes("h2");
  return compact({
    listen: bind.listen,
    protocol: bind.isTls ? "https" : "http",
    certificates: bind.certificates,
    rules,
    http: compact({
      timeouts: clientTimeouts(timeoutsOf(proxy, notes)),
      http2: isHttp2 ? undefined : { enabled: false },
    }),
    proxyProtocol: proxies.length > 0 ? { trusted: proxies } : undefined,
    access: access.list(),
    limits: limitsFor(proxy, parts.globalMax, bind, notes),
    backlog: bind.backlog ?? parseCount(lastOf(proxy, "backlog")?.words[1], 1, 65_535),
  });
}

/** Where requests go, and who of them the backend's own lines keep out. */
type Route = { readonly rule: Rule; readonly denials: readonly Denial[] };
const ruleOf = (match: Match, what: Rule): Rule => compact({ match: shorten(match), ...what });

/** What a backend refuses stands before what goes there; where it refuses all, or it cannot be said whom, nothing does. */
function guarded(match: Match, { rule, denials }: Route): Rule[] {
  const rules: Rule[] = [];
  for (const denial of denials) {
    const joined = both(match, denial.match);
    if (joined === undefined || Object.keys(denial.match).length === 0) {
      const name = rule["name"];
      return [...rules, ruleOf(match, name === undefined ? denial.reply : { name, ...denial.reply })];
    }
    rules.push(ruleOf(joined, denial.reply));
  }
  return [...rules, ruleOf(match, rule)];
}

/** Lists of one as their only entry. */
const shorten = (match: Match): Match | undefined =>
  Object.keys(match).length === 0
    ? undefined
    : Object.fromEntries(
        Object.entries(match).map(([key, value]) => [
          key,
          Array.isArray(value) && value.length === 1 ? value[0] : value,
        ]),
      );

function merged(first: Edits, second: Edits): Record<string, unknown> {
  return compact({
    set: { ...first.set, ...second.set },
    add: { ...first.add, ...second.add },
    remove: [...new Set([...first.remove, ...second.remove])],
  });
}

/** Pools that the rules of a listener lead to. */
export const poolsOf = (listener: Readonly<Record<string, unknown>>): string[] =>
  ((listener["rules"] ?? []) as Rule[]).flatMap(({ pool }) => (typeof pool === "string" ? [pool] : []));
